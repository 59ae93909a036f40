/// One certificate after every kind of change, and what is no certificate at all.
module LipVerify.Tests.CertificateChangeTests

open System
open System.Text.Json.Nodes
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Formats
open LipVerify.Propositions
open LipVerify.Tests.CheckerRuns

/// A chain with every kind of stage, and an input near which slopes lie strictly between 0 and 1.
let private example =
    let draw = Generators.Draw 7

    let axis input kernel padding =
        WindowAxis(input, kernel, 1, padding, padding)

    let convolution = ConvolutionGeometry(2, 3, axis 8 3 1, axis 8 3 1)

    let pooling =
        PoolingGeometry(3, WindowAxis(8, 3, 2, 1, 1), WindowAxis(8, 3, 2, 1, 1))

    let average = PoolingGeometry(3, WindowAxis(4, 2, 2), WindowAxis(4, 2, 2))

    let tensor shape =
        Tensor.ofArray shape (draw.Gaussians(Shape.size shape))

    let layers =
        [
            Layer.convolution convolution (tensor [ 3; 2; 3; 3 ]) (tensor [ 3 ])
            Layer.affine (Diagonal(tensor [ 3; 8; 8 ])) (tensor [ 3; 8; 8 ])
            Layer.relu
            Layer.maxPooling pooling
            Layer.linear (AveragePooling(AveragePooling.create average true))
            Reshape [ 12 ]
            Layer.dense (tensor [ 9; 12 ]) (tensor [ 9 ])
            Layer.relu
            Layer.dense (tensor [ 4; 9 ]) (tensor [ 4 ])
        ]

    let network =
        layers
        |> List.mapi (fun i layer -> Step(string i, layer))
        |> Series
        |> Network.create [ 2; 8; 8 ]

    match network with
    | Ok network -> network, tensor [ 2; 8; 8 ]
    | Error problem -> failwith problem

let private radius = Radius.create 0.05 |> Result.toOption |> Option.get

let private exampleCertificate definition =
    let network, input = example

    match analytic definition network input radius |> CertificateFile.write network input with
    | Ok bytes -> bytes
    | Error problem -> failwith problem

/// Changes of a certificate that leave nothing else as it was written.
let private changes: (string * (JsonObject -> unit)) list =
    // A node has one parent, and a change is made more than once.
    let set (name: string) (value: JsonNode | null) (root: JsonObject) =
        root[name] <- value |> Option.ofObj |> Option.map _.DeepClone() |> Option.toObj

    let text (value: string) : JsonNode =
        JsonValue.Create value |> nonNull :> JsonNode

    let real (value: float) : JsonNode = JsonValue.Create value :> JsonNode

    [
        "network hash", set "network" (text (String('0', 64)))
        "input hash", set "input" (text (String('0', 64)))
        "input left out", set "input" null
        "schema", set "schema" (text "lipverify/certificate/2")
        "norm", set "norm" (text "inf")
        "definition nominal → uniform", set "definition" (text "uniform")
        "method", set "method" (text "global")
        "radius left out", set "radius" null
        "rigor", set "rigor" (text "probabilistic")
        "failure probability", set "failureProbability" (real 1e-9)
        "value negative", set "value" (real -1.0)
        "unknown field", set "note" (text "trust me")
        "field left out", (fun root -> root.Remove "value" |> ignore)
        "first claim removed", (fun root -> (claims root).RemoveAt 0)
        "last claim removed", (fun root -> (claims root).RemoveAt((claims root).Count - 1))
        "claim repeated", (fun root -> (claims root).Add((claim root 0).DeepClone()))
        "claims exchanged",
        (fun root ->
            let first = (claim root 0).DeepClone()
            (claims root).RemoveAt 0
            (claims root).Insert(1, first))
        "layer of a claim", (fun root -> claim root 0 |> set "layer" (JsonValue.Create 1))
        "failure probability of a claim", (fun root -> claim root 0 |> set "failureProbability" (real 1e-9))
        "seed of a claim", (fun root -> claim root 0 |> set "seed" (JsonValue.Create 1))
        "radii of a claim left out",
        (fun root ->
            claim root 0 |> set "radiusIn" null
            claim root 0 |> set "radiusOut" null)
        for method in
            [
                "absolute"
                "zero"
                "diagonal"
                "maxpool"
                "nonexpansive"
                "lanczos"
                "magic"
            ] do
            $"method of a claim: cholesky → {method}", (fun root -> claim root 0 |> set "method" (text method))
        "method of a claim: maxpool → cholesky", (fun root -> claim root 1 |> set "method" (text "cholesky"))
    ]

/// Lowers one claim and makes all radii and the value follow from the claims again.
let private loweredConsistently i (root: JsonObject) =
    let mutable radius = number root["radius"]
    let mutable value = 1.0

    for k in 0 .. (claims root).Count - 1 do
        let claim = claim root k

        let constant = number claim["lipschitz"] * (if k = i then 1.0 - 1e-6 else 1.0)

        claim["lipschitz"] <- JsonValue.Create constant
        claim["radiusIn"] <- JsonValue.Create radius
        radius <- Math.BitIncrement(radius * constant)
        claim["radiusOut"] <- JsonValue.Create radius
        value <- Math.BitIncrement(value * constant)

    root["value"] <- JsonValue.Create value

/// The certificate of the example with its first claim called random, and everything that follows from that.
let private withRandomClaim =
    changed (exampleCertificate Nominal) (fun root ->
        let claim = claim root 0
        claim["method"] <- JsonValue.Create "lanczos"
        claim["failureProbability"] <- JsonValue.Create 1e-10
        claim["seed"] <- JsonValue.Create 1
        root["failureProbability"] <- JsonValue.Create 1e-10
        root["rigor"] <- JsonValue.Create "probabilistic")

[<Tests>]
let tests =
    testList
        "CertificateChange"
        [
            testCase "The example is accepted, and rejected after any one change" (fun () ->
                let network, input = example
                let certificate = exampleCertificate Nominal
                shouldBeAccepted network input certificate

                for what, change in changes do
                    shouldBeRejected what network input (changed certificate change)

                for what, certificate in numbersChanged true certificate do
                    shouldBeRejected what network input certificate)

            testCase "A uniform bound is a nominal one" (fun () ->
                let network, input = example

                changed (exampleCertificate Uniform) (fun root -> root["definition"] <- JsonValue.Create "nominal")
                |> shouldBeAccepted network input)

            testCase "A claim lowered by 1e-6 is refuted even where everything else follows from it" (fun () ->
                let network, input = example
                let certificate = exampleCertificate Nominal
                changed certificate (loweredConsistently -1) |> shouldBeAccepted network input

                for i in 0..4 do
                    match changed certificate (loweredConsistently i) |> rejections network input with
                    | Ok [ only ] -> Expect.stringContains only "constant ≤" "only"
                    | other -> failtest $"claim {i}: {other}")

            testCase "Another network or input is rejected" (fun () ->
                let network, input = example
                let certificate = exampleCertificate Nominal
                let nudged = Tensor.map (fun x -> Math.BitIncrement x) input
                shouldBeRejected "input" network nudged certificate

                let other =
                    Network.create [ 2; 8; 8 ] (Series [ Step("relu", Layer.relu); Step("flat", Reshape [ 128 ]) ])

                match other with
                | Ok other -> shouldBeRejected "network" other input certificate
                | Error problem -> failwith problem)

            testCase "A random claim is replayed with draws of the checker's own" (fun () ->
                let network, input = example
                shouldBeAccepted network input withRandomClaim

                match changed withRandomClaim (loweredConsistently 0) |> rejections network input with
                | Ok [ only ] -> Expect.stringContains only "constant ≤" "only"
                | other -> failtest $"{other}")

            testCase "A certificate with a random claim is rejected after any one change" (fun () ->
                let network, input = example

                let ofRandomClaim: (string * (JsonObject -> unit)) list =
                    let set (name: string) (value: JsonNode | null) root = (claim root 0)[name] <- value

                    [
                        "no seed", set "seed" null
                        "failure probability 0", set "failureProbability" (JsonValue.Create 0.0)
                        "failure probability 1", set "failureProbability" (JsonValue.Create 1.0)
                        "smaller failure probability", set "failureProbability" (JsonValue.Create 1e-11)
                        "called cholesky", set "method" (JsonValue.Create "cholesky")
                        "rigor", (fun root -> root["rigor"] <- JsonValue.Create "certified")
                    ]

                // Those of the general list that would change a random claim, or the rigor of the whole, into what it is already.
                let unchanged =
                    [
                        "rigor"
                        "seed of a claim"
                        "failure probability of a claim"
                        "method of a claim: cholesky → lanczos"
                    ]

                for what, change in
                    List.filter (fun (what, _) -> not (List.contains what unchanged)) changes
                    @ ofRandomClaim do
                    shouldBeRejected what network input (changed withRandomClaim change)

                for what, certificate in numbersChanged true withRandomClaim do
                    shouldBeRejected what network input certificate)

            testCase "The seed of a random claim says how the engine drew, and binds nothing" (fun () ->
                let network, input = example

                changed withRandomClaim (fun root -> (claim root 0)["seed"] <- JsonValue.Create 2)
                |> shouldBeAccepted network input)

            testCase "Behind radius 0 a claim still has to be true" (fun () ->
                let network, input = example
                let radius = Radius.create 0.0 |> Result.toOption |> Option.get
                let bound = analytic Nominal network input radius

                match CertificateFile.write network input bound with
                | Error problem -> failtest problem
                | Ok certificate ->
                    let last = bound.Result.Layers.Length - 1

                    let scaled factor =
                        changed certificate (fun root ->
                            let claim = claim root last
                            claim["lipschitz"] <- JsonValue.Create(factor * number claim["lipschitz"]))

                    Expect.isGreaterThan bound.Result.Layers[last].Lipschitz.Value 0.0 "value"
                    shouldBeAccepted network input certificate
                    shouldBeRejected "claim lowered behind radius 0" network input (scaled (1.0 - 1e-6))
                    // A larger constant holds as well, and 0 times it is 0.
                    shouldBeAccepted network input (scaled 2.0))

            testCase "A truncated certificate is unreadable, and never anything else" (fun () ->
                let network, input = example
                let certificate = exampleCertificate Nominal

                for length in 0..7 .. certificate.Length - 3 do
                    match rejections network input certificate[.. length - 1] with
                    | Error _ -> ()
                    | Ok _ -> failtest $"{length} bytes were read")

            testTheory
                "A hostile certificate is unreadable"
                [ "null"; "[]"; "{}"; "\"\\ud800\""; "{\"schema\": 1e999}" ]
                (fun (text: string) ->
                    let network, input = example

                    match rejections network input (Text.Encoding.UTF8.GetBytes text) with
                    | Error problem -> Expect.stringLacks problem "\n" "problem"
                    | Ok _ -> failtest "read")

            testCase "A deeply nested certificate is unreadable" (fun () ->
                let network, input = example
                let text = String('[', 100_000)

                match rejections network input (Text.Encoding.UTF8.GetBytes text) with
                | Error _ -> ()
                | Ok _ -> failtest "read")
        ]
