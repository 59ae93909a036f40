/// Certificates of structured bounds against the independent checker: what the engine writes is accepted, and less is not.
module LipVerify.Tests.StructuredCertificateTests

open System
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LowerBounds
open LipVerify.Formats
open LipVerify.Propositions
open LipVerify.Tests.CheckerRuns
open LipVerify.Tests.StructuredCertificates

/// How many certificates of random networks were written; `check` holds each against the checker.
let private certified cases find check =
    let mutable written = 0

    Generators.check cases RandomNetworks.network (fun case ->
        match find case with
        | None -> ()
        | Some(bound: Bound, bytes) ->
            written <- written + 1
            check case bound bytes)

    printfn "%s" $"{written} certificates"
    written

let private local definition (case: RandomNetworks.NetworkCase) =
    certificate definition case.Network case.Input case.Radius

[<Tests>]
let tests =
    testList
        "StructuredCertificate"
        [
            testTheory "Every certificate of a random network is accepted" [ 0; 1 ] (fun (definition: int) ->
                let definition = if definition = 0 then Nominal else Uniform

                let written =
                    certified 40 (local definition) (fun case _ bytes ->
                        rejections case.Network case.Input bytes |> assertAccepted)

                Expect.isGreaterThan written 5 "written")

            testCase "Every certificate over all inputs is accepted" (fun () ->
                let written =
                    certified 40 (fun case -> globalCertificate case.Network case.Input) (fun case _ bytes ->
                        rejections case.Network case.Input bytes |> assertAccepted)

                Expect.isGreaterThan written 5 "written")

            testCase "No change makes the checker accept less than a slope that is attained" (fun () ->
                let mutable tried = 0

                certified 60 (local Nominal) (fun case _ bytes ->
                    let draw = Generators.Draw(case.Seed + 1)

                    let direction =
                        Tensor.ofArray case.Input.Shape (draw.Gaussians(Shape.size case.Input.Shape))

                    let attained =
                        LowerBound.along Generators.context Euclidean case.Network case.Input direction

                    if attained.Value > 0.0 then
                        tried <- tried + 1
                        let vary spread x = x * exp (spread * draw.Gaussian())

                        // The value alone would not follow; so the factor of the outputs claims it as well.
                        for spread in [ 0.0; 0.1; 2.0 ] do
                            changed bytes (fun root ->
                                set "value" (Math.BitDecrement attained.Value) root
                                set "scale" (1.0001 / attained.Value) root
                                set "loopNorm" 1.0 root
                                mapNumbers "factors" (vary spread) root
                                mapNumbers "reachFactors" (vary spread) root
                                mapNumbers "reaches" (vary spread) root)
                            |> shouldBeRejected $"factors by {spread}" case.Network case.Input)
                |> ignore

                Expect.isGreaterThan tried 3 "tried")

            testCase "Certificates of thirty layers with shortcuts are accepted" (fun () ->
                for seed in 1..4 do
                    let struct (network, input) = RandomNetworks.residualChain (Generators.Draw seed)

                    for radius in [ 1e-6; 1e-3 ] do
                        match certificate Nominal network input (RandomNetworks.radius radius) with
                        | None -> failtest $"seed {seed}: the structured bound is not below Algorithm 1"
                        | Some(_, bytes) -> rejections network input bytes |> assertAccepted)

            testCase
                "The certificate of the sample network is the same each time, accepted, and rejected with less"
                (fun () ->
                    let network =
                        ModelSource.load CliRun.onnx None
                        |> Result.defaultWith (LoadError.text >> failwith)
                        |> _.Network

                    let input =
                        Preprocessing.find "mnist"
                        |> Result.defaultWith failwith
                        |> fun preprocessing -> InputSource.load network.InputShape preprocessing CliRun.eight
                        |> Result.defaultWith (LoadError.text >> failwith)

                    let find () =
                        certificate Nominal network input (RandomNetworks.radius 0.003)

                    match find (), find () with
                    | Some(_, bytes), Some(_, again) ->
                        Expect.isTrue (bytes = again) "bytes = again"
                        rejections network input bytes |> assertAccepted

                        for change in
                            [
                                times 0.99 "value"
                                (fun root ->
                                    times 0.98 "value" root
                                    times (1.0 / 0.98) "scale" root)
                                mapNumbers "reaches" (fun t -> 0.5 * t)
                                times 1.5 "radius"
                            ] do
                            shouldBeRejected "sample" network input (changed bytes change)
                    | _ -> failtest "the structured bound is not below Algorithm 1")
        ]
