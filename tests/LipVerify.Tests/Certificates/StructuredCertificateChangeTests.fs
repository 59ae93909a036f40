/// Certificates of structured bounds that were changed: the checker rejects them.
module LipVerify.Tests.StructuredCertificateChangeTests

open System
open System.Text.Json.Nodes
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Formats
open LipVerify.Propositions
open LipVerify.Tests.CheckerRuns
open LipVerify.Tests.StructuredCertificates

let private example = MultiplierCertificateTests.example

let private exampleCertificate =
    let network, input = example

    match certificate Nominal network input (RandomNetworks.radius 0.1) with
    | Some(_, bytes) -> bytes
    | None -> failwith "the structured bound is not below Algorithm 1"

let private place (k: int) (root: JsonObject) = (places root)[k]

/// Changes after which nothing follows any more.
let private changes: (string * (JsonObject -> unit)) list =
    [
        "network hash", set "network" (String('0', 64))
        "input hash", set "input" (String('0', 64))
        "schema", set "schema" "lipverify/structured/2"
        "norm", set "norm" "inf"
        "method", set "method" "analytic"
        "rigor", set "rigor" "certified"
        "definition nominal → uniform", set "definition" "uniform"
        "radius × 2", times 2.0 "radius"
        "radius negative", set "radius" -0.1
        "radius left out", (fun root -> root["radius"] <- null)
        "value lowered", times 0.9999 "value"
        "value and factor of the outputs",
        (fun root ->
            times 0.98 "value" root
            times (1.0 / 0.98) "scale" root)
        "value and norm",
        (fun root ->
            times 0.98 "value" root
            times 0.98 "loopNorm" root)
        "value 0", set "value" 0.0
        "factor of the outputs 0", set "scale" 0.0
        "norm of the loop infinite", set "loopNorm" "Infinity"
        "norm of the channels lowered", times 0.9 "kappa"
        "norm of the channels 1", set "kappa" 1.0
        "norm of the channels left out", (fun root -> root["kappa"] <- null)
        "failure probability 0", set "failureProbability" 0.0
        "failure probability 1", set "failureProbability" 1.0
        "reaches / 10", mapNumbers "reaches" (fun t -> 0.1 * t)
        "factors × 10", mapNumbers "factors" (fun a -> 10.0 * a)
        "factors / 10", mapNumbers "factors" (fun a -> 0.1 * a)
        "factors negative", mapNumbers "factors" (fun a -> -a)
        "factors near the largest double", mapNumbers "factors" (fun _ -> 1e308)
        "factors of reaches × 10", mapNumbers "reachFactors" (fun a -> 10.0 * a)
        "factors of reaches / 10", mapNumbers "reachFactors" (fun a -> 0.1 * a)
        "factors of reaches 0", mapNumbers "reachFactors" (fun _ -> 0.0)
        "place left out", (fun root -> (items root "places").RemoveAt 0)
        "place repeated", (fun root -> (items root "places").Add((place 0 root).DeepClone()))
        "pairs left out",
        (fun root ->
            let pairs = items (place 0 root) "pairs"
            pairs.RemoveAt 0
            pairs.RemoveAt 0)
        "pairs of other windows", (fun root -> (items (place 0 root) "pairs")[0] <- JsonValue.Create 35)
        "a channel where there is no entry",
        (fun root ->
            for place in places root do
                let channels = items place "channels"

                if channels.Count > 0 then
                    channels[0] <- JsonValue.Create 1_000_000)
        "unknown field", set "note" "trust me"
        "field left out", (fun root -> root.Remove "value" |> ignore)
    ]

/// The example's certificate with the hashes of another network and input.
let private rehashed network input =
    changed exampleCertificate (fun root ->
        set "network" (CanonicalNetwork.hash network) root
        set "input" (CanonicalNetwork.inputHash input) root)

[<Tests>]
let tests =
    testList
        "StructuredCertificateChange"
        [
            testCase "The example is accepted, and rejected after any one change" (fun () ->
                let network, input = example
                rejections network input exampleCertificate |> assertAccepted

                for what, change in changes do
                    shouldBeRejected what network input (changed exampleCertificate change))

            testCase "The channels of each place are needed" (fun () ->
                let network, input = example
                let mutable tried = 0

                let root =
                    JsonNode.Parse(ReadOnlySpan exampleCertificate) |> nonNull |> _.AsObject()

                for p in 0 .. (places root).Length - 1 do
                    // One that lies at the end of its reach alone may turn out to be none.
                    if (items (place p root) "channels").Count > 3 then
                        tried <- tried + 1

                        changed exampleCertificate (fun root ->
                            for name in [ "channels"; "reaches"; "reachFactors"; "factors" ] do
                                (items (place p root) name).Clear())
                        |> shouldBeRejected $"channels of place {p} left out" network input

                Expect.isGreaterThan tried 0 "tried")

            testCase "Values that are positive do not count as 0" (fun () ->
                let network, input = example
                let convolution = (Network.layers network).Head.Layer

                let values =
                    Tensor.ofStorage
                        [ 72 ]
                        (Layer.apply Generators.engine convolution 1 (HostStorage(Array.copy (Tensor.values input))))
                    |> Tensor.values

                let root =
                    JsonNode.Parse(ReadOnlySpan exampleCertificate) |> nonNull |> _.AsObject()

                let integers name =
                    items (place 0 root) name
                    |> Seq.map (fun node -> (nonNull node).GetValue<int>())
                    |> Array.ofSeq

                let pairs = integers "pairs" |> Array.chunkBySize 2
                let mutable tried = 0

                for name, isFalse in
                    [
                        "constant", (fun (pair: int[]) -> values[pair[0]] > 0.0 || values[pair[1]] > 0.0)
                        "alone", (fun (pair: int[]) -> pair[0] <> pair[1] && values[pair[1]] > 0.0)
                    ] do
                    for k in 0 .. pairs.Length - 1 do
                        if isFalse pairs[k] then
                            tried <- tried + 1

                            changed exampleCertificate (fun root ->
                                let place = place 0 root
                                let channels = items place "channels"

                                // Its channel goes, so that nothing else is wrong with it.
                                match
                                    channels |> Seq.tryFindIndex (fun node -> (nonNull node).GetValue<int>() = k)
                                with
                                | None -> ()
                                | Some at ->
                                    for name in [ "channels"; "reaches"; "reachFactors"; "factors" ] do
                                        (items place name).RemoveAt at

                                (items place name).Add(JsonValue.Create k))
                            |> shouldBeRejected $"{name} {k}" network input

                Expect.isGreaterThan tried 10 "tried")

            testCase "What is smaller than the certificate says is accepted" (fun () ->
                let network, input = example

                for what, change in [ "radius", times 0.9 "radius"; "value", times 1.1 "value" ] do
                    match rejections network input (changed exampleCertificate change) with
                    | Ok [] -> ()
                    | other -> failtest $"{what}: {other}")

            testCase "A certificate proves nothing about a network with larger weights or another input" (fun () ->
                let network, input = example
                let other, _ = MultiplierCertificateTests.exampleWith 1.1
                shouldBeRejected "network" other input exampleCertificate

                set "network" (CanonicalNetwork.hash other)
                |> changed exampleCertificate
                |> shouldBeRejected "network, with its hash" other input

                let moved = Tensor.map (fun x -> 0.5 * x) input

                set "input" (CanonicalNetwork.inputHash moved)
                |> changed exampleCertificate
                |> shouldBeRejected "input, with its hash" network moved)

            testCase "A certificate over all inputs is rejected with a reach or a smaller value" (fun () ->
                let network, input = example

                match globalCertificate network input with
                | None -> failtest "the structured bound is not below the product of layers"
                | Some(_, bytes) ->
                    rejections network input bytes |> assertAccepted

                    for what, change in
                        [
                            "a reach",
                            (fun root ->
                                for place in places root do
                                    let reaches = items place "reaches"

                                    for k in 0 .. reaches.Count - 1 do
                                        reaches[k] <- JsonValue.Create 1e-3)
                            "value", times 0.99 "value"
                            "value and factor of the outputs",
                            (fun root ->
                                times 0.98 "value" root
                                times (1.0 / 0.98) "scale" root)
                            "nominal", set "definition" "nominal"
                            "norm of the loop above 1",
                            (fun root ->
                                times 1.1 "loopNorm" root
                                times 1.1 "value" root)
                        ] do
                        shouldBeRejected what network input (changed bytes change))

            testCase "A truncated certificate is unreadable, and never anything else" (fun () ->
                let network, input = example

                for length in 0..97 .. exampleCertificate.Length - 3 do
                    match rejections network input exampleCertificate[.. length - 1] with
                    | Error _ -> ()
                    | Ok _ -> failtest $"{length} bytes were read")

            testCase "A map that is too large is not checked, and not formed" (fun () ->
                let axis = WindowAxis(64, 3, 1, 1, 1)

                let convolution =
                    Layer.convolution
                        (ConvolutionGeometry(64, 64, axis, axis))
                        (Tensor.create [ 64; 64; 3; 3 ] 1.0)
                        (Tensor.create [ 64 ] 0.0)

                let network = RandomNetworks.build [ 64; 64; 64 ] [ Step("conv", convolution) ]
                let input = Tensor.create [ 64; 64; 64 ] 1.0

                match rejections network input (rehashed network input) with
                | Ok [ only ] -> Expect.stringStarts only "layer 0: not checked" "only"
                | other -> failtest $"{other}")
        ]
