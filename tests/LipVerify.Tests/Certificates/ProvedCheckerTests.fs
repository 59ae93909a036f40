/// The checker that is proved in proofs-checks/coq beside the one in F#, on random dense chains. It is run where
/// proofs-checks/coq/build has made it.
module LipVerify.Tests.ProvedCheckerTests

open System
open System.Diagnostics
open System.IO
open System.Numerics
open Expecto
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Checker
open LipVerify.Checker.DenseInstance
open LipVerify.Checker.Readers
open LipVerify.Formats
open LipVerify.Propositions.Expectations
open LipVerify.Propositions.Generators
open LipVerify.Tests.CheckerRuns

let private proved =
    Path.Combine(__SOURCE_DIRECTORY__, "..", "..", "..", "proofs-checks", "coq", "bin", "lipverify-proved")

/// What the program says of each instance: whether it accepts.
let private verdicts (instances: string list) : bool list =
    if not (File.Exists proved) then
        skiptest "proofs-checks/coq/build has not made lipverify-proved"

    let folder = Directory.CreateTempSubdirectory "lipverify-proved-"

    try
        let files =
            instances
            |> List.mapi (fun i text ->
                let file = Path.Combine(folder.FullName, string i)
                File.WriteAllText(file, text)
                file)

        let start = ProcessStartInfo(proved, files)
        start.RedirectStandardOutput <- true
        use running = Process.Start start |> nonNull
        let output = running.StandardOutput.ReadToEnd()
        running.WaitForExit()

        let lines =
            output.Split('\n', StringSplitOptions.RemoveEmptyEntries) |> List.ofArray

        Expect.equal lines.Length instances.Length "one line an instance"
        lines |> List.map _.StartsWith("accepted")
    finally
        folder.Delete true

/// A dense chain with zero rows and columns, dead and tied neurons, layers without ReLU, and an input beside its kinks.
let private chain (draw: Draw) =
    let depth = draw.Int(1, 4)
    let widths = Array.init (depth + 1) (fun _ -> draw.Int(1, 7))
    let scale = draw.Pick [ 1.0; 1.0; draw.Power(-30.0, 30.0) ]

    let sparse probability count =
        draw.Gaussians count
        |> Array.map (fun w -> if draw.Chance probability then 0.0 else scale * w)

    let layers =
        [
            for k in 0 .. depth - 1 do
                let outputs, inputs = widths[k + 1], widths[k]

                let weights =
                    Array.init outputs (fun _ ->
                        if draw.Chance 0.1 then
                            Array.zeroCreate inputs
                        else
                            sparse 0.2 inputs)
                    |> Array.concat

                Layer.dense
                    (Tensor.ofArray [ outputs; inputs ] weights)
                    (Tensor.ofArray [ outputs ] (sparse 0.4 outputs))

                if k < depth - 1 || draw.Chance 0.3 then
                    Layer.relu
        ]

    let network =
        layers
        |> List.mapi (fun i layer -> Step(string i, layer))
        |> Series
        |> Network.create [ widths[0] ]

    match network with
    | Ok network -> network, Tensor.ofArray [ widths[0] ] (sparse 0.3 widths[0])
    | Error problem -> failwith problem

/// The certificates of a random chain, as the checkers read them.
let private cases seed =
    let draw = Draw seed
    let network, input = chain draw

    let radius =
        draw.Pick [ 0.0; draw.Power(-3.0, 1.0); draw.Power(-3.0, 1.0) ]
        |> Radius.create
        |> Result.toOption
        |> Option.get

    let files =
        CanonicalNetwork.write network |> readNetwork, Some(Npy.write input |> readInput)

    [
        for definition in [ Nominal; Uniform ] do
            match analytic definition network input radius |> CertificateFile.write network input with
            | Ok bytes -> readCertificate bytes, files
            | Error _ -> ()
    ]

/// Whether the checker in F# accepts.
let private acceptedInFSharp (certificate, (network, input)) =
    let mutable accepted = true
    Walk.check certificate network input (fun holds _ -> accepted <- accepted && holds)
    accepted

let private proposed (certificate, (network, input)) =
    let statement = DenseInstance.statement certificate network input
    statement, DenseProposal.proposals certificate statement

let private instance case = proposed case ||> InstanceFile.words

/// One claim multiplied by a factor, and radii and value that follow.
let private changedConsistently i factor (certificate: Certificate) =
    let claims, (_, value) =
        ((Option.get certificate.Radius, 1.0), List.indexed certificate.Claims)
        ||> List.mapFold (fun (radius, value) (k, claim) ->
            let constant = claim.Lipschitz * (if k = i then factor else 1.0)
            let radiusOut = Directed.mulUp radius constant

            { claim with
                Lipschitz = constant
                Radii = Some(radius, radiusOut)
            },
            (radiusOut, Directed.mulUp value constant))

    { certificate with
        Claims = claims
        Value = value
    }

let private allCases = lazy (List.collect cases [ 1..120 ])

let private at i change (items: BigInteger[]) =
    Array.updateAt i (change items[i]) items

let private less (z: BigInteger) = z - BigInteger.One

/// Changes of a proposal after which nothing is shown: a reach or slope that is one unit below the least that holds, or a list
/// without its last entry.
let private tampered (draw: Draw) (proposal: LayerProposal) =
    let shorter (items: 'a[]) = Array.truncate (items.Length - 1) items

    let ones =
        [
            if proposal.Reaches.Length > 0 then
                let i = draw.Int(0, proposal.Reaches.Length - 1)

                "a reach is less",
                { proposal with
                    Reaches = at i less proposal.Reaches
                }

                "a reach is missing",
                { proposal with
                    Reaches = shorter proposal.Reaches
                }

                "reaches have another unit",
                { proposal with
                    ReachExponent = proposal.ReachExponent + 1
                }

            let i = draw.Int(0, proposal.Slopes.Length - 1)

            "a slope is less",
            { proposal with
                Slopes = at i less proposal.Slopes
            }

            "a slope is missing",
            { proposal with
                Slopes = shorter proposal.Slopes
            }

            if proposal.Factor.Length > 0 then
                "a row of the factor is missing",
                { proposal with
                    Factor = shorter proposal.Factor
                }

                "the constant is negative",
                { proposal with
                    Constant = -BigInteger.One
                }

                "the constant is half",
                { proposal with
                    ConstantExponent = proposal.ConstantExponent + 1
                }
        ]

    // Zero reaches and slopes are zero in every unit.
    ones
    |> List.filter (fun (what, _) ->
        what <> "reaches have another unit"
        || proposal.Reaches |> Array.exists (fun t -> not t.IsZero))
    |> draw.Pick

[<Tests>]
let tests =
    testList
        "ProvedChecker"
        [
            testCase "What the checker in F# accepts of dense chains, the proved one accepts" (fun () ->
                let cases = allCases.Value
                Expect.isGreaterThan cases.Length 200 "number of certificates"
                let outcomes = cases |> List.map instance |> verdicts

                for case, accepted in List.zip cases outcomes do
                    Expect.equal accepted (acceptedInFSharp case) $"{fst case}")

            testCase "A claim that is lowered or raised, and what follows from it: the checkers agree" (fun () ->
                let changed =
                    [
                        for certificate, files in allCases.Value do
                            for i in 0 .. certificate.Claims.Length - 1 do
                                for factor in [ 1.0 - 1e-6; 1.0 + 1e-6; 0.5 ] do
                                    changedConsistently i factor certificate, files
                    ]

                let outcomes = changed |> List.map instance |> verdicts
                let mutable rejected = 0

                for case, accepted in List.zip changed outcomes do
                    // Sums of rows and columns may claim more than the norm: lowered, such a claim is true, but not shown by them.
                    let loose =
                        (fst case).Claims |> List.exists (fun claim -> claim.Method = "absolute")

                    if not (accepted && loose) then
                        Expect.equal accepted (acceptedInFSharp case) $"{fst case}"

                    if not accepted then
                        rejected <- rejected + 1

                Expect.isGreaterThan rejected 300 "rejected")

            testCase "A value below the product of the constants is rejected" (fun () ->
                let lowered =
                    [
                        for certificate, files in allCases.Value do
                            if certificate.Value > 1e-200 then
                                { certificate with
                                    Value = certificate.Value * (1.0 - 1e-9)
                                },
                                files
                    ]

                let outcomes = lowered |> List.map instance |> verdicts

                for (certificate, _), accepted in List.zip lowered outcomes do
                    Expect.isFalse accepted $"{certificate}")

            testCase "What proves a claim is rejected after any one of these changes" (fun () ->
                let draw = Draw 77

                let changes =
                    [
                        for case in allCases.Value do
                            let statement, proposals = proposed case

                            for _ in 1..4 do
                                let i = draw.Int(0, proposals.Length - 1)
                                let what, change = tampered draw proposals[i]
                                what, InstanceFile.words statement (List.updateAt i change proposals)
                    ]

                let outcomes = changes |> List.map snd |> verdicts

                for (what, text), accepted in List.zip changes outcomes do
                    Expect.isFalse accepted $"{what}:\n{text}")

            testCase "What is no chain of dense layers is refused" (fun () ->
                let certificate =
                    {
                        Network = ""
                        Input = Some ""
                        Definition = "nominal"
                        Method = "analytic"
                        Radius = Some 1.0
                        Value = 1.0
                        Rigor = "certified"
                        Failure = 0.0
                        Claims = []
                    }

                let refused certificate line tensors what =
                    try
                        DenseInstance.statement
                            certificate
                            ([ "input 1 2 2"; line ], tensors, "")
                            (Some(Array.zeroCreate 4, ""))
                        |> ignore

                        failtest $"{line} was covered"
                    with Json.Unreadable problem ->
                        Expect.stringContains problem what "problem"

                refused certificate "maxpool2d 1 2 2 1 0 0 1 0 2 2 1 0 0 1 0" [||] "max pooling"
                refused certificate "affine 0 avgpool2d 1 2 2 1 0 0 1 0 2 2 1 0 0 1 0 1" [| [| 0.0 |] |] "averages"
                refused { certificate with Radius = None } "relu" [||] "over all inputs"
                refused { certificate with Network = "00" } "relu" [||] "another network")
        ]
