/// Certificates by multipliers against the independent checker: what the engine writes is accepted, what was changed is rejected.
module LipVerify.Tests.MultiplierCertificateTests

open System
open System.Text.Json.Nodes
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Multipliers
open LipVerify.Formats
open LipVerify.Propositions
open LipVerify.Tests.CheckerRuns

let private rejections = multiplierRejections

/// The bound and its certificate, where multipliers prove less than Algorithm 1.
let private certificate definition network input radius =
    let struct (found, witness) =
        WitnessedLipSdp.bound Generators.context definition network input radius None

    witness
    |> Option.map (fun witness ->
        match CertificateFile.writeMultipliers network input definition radius found.Result.Bound witness with
        | Ok bytes -> found.Result.Bound, bytes
        | Error problem -> failwith problem)

let private shouldBeRejected what network input bytes =
    rejections network input bytes |> assertRejected what bytes

let private number (root: JsonObject) (name: string) = (nonNull root[name]).GetValue<float>()

let private set (name: string) (value: 'a) (root: JsonObject) =
    root[name] <- JsonValue.Create<'a>(value)

let private items (root: JsonObject) (name: string) = (nonNull root[name]).AsArray()

let private at (k: int) (array: JsonArray) : JsonNode = nonNull array[k]

let private bendAt (b: int) (root: JsonObject) = (items root "bends" |> at b).AsObject()

let private bends (root: JsonObject) =
    items root "bends"
    |> Seq.map (fun bend -> (nonNull bend).AsObject())
    |> List.ofSeq

let private number' (array: JsonArray) k = (at k array).GetValue<float>()

/// Changes every multiplier.
let private mapMultipliers (change: float -> float) (root: JsonObject) =
    for bend in bends root do
        let multipliers = items bend "multipliers"

        for k in 0 .. multipliers.Count - 1 do
            multipliers[k] <- JsonValue.Create(change ((nonNull multipliers[k]).GetValue<float>()))

/// The places of a certificate at which reaches are narrowed.
let private narrowed (root: JsonObject) =
    items root "reaches"
    |> Seq.map (fun reach -> (nonNull reach).AsObject())
    |> Seq.filter (fun reach -> (items reach "entries").Count > 0)
    |> List.ofSeq

/// A chain with pooling windows that overlap, and an input near which slopes lie strictly between 0 and 1.
let exampleWith factor =
    let draw = Generators.Draw 5

    let tensor shape =
        Tensor.ofArray shape (draw.Gaussians(Shape.size shape))

    let axis = WindowAxis(6, 3, 1, 1, 1)
    let pooling = WindowAxis(6, 3, 2, 1, 1)

    let layers =
        [
            Layer.convolution (ConvolutionGeometry(1, 2, axis, axis)) (tensor [ 2; 1; 3; 3 ]) (tensor [ 2 ])
            Layer.relu
            Layer.maxPooling (PoolingGeometry(2, pooling, pooling))
            Reshape [ 18 ]
            Layer.dense (tensor [ 9; 18 ]) (tensor [ 9 ])
            Layer.relu
            Layer.dense (Tensor.map (fun x -> factor * x) (tensor [ 4; 9 ])) (tensor [ 4 ])
        ]

    layers
    |> List.mapi (fun i layer -> Step(string i, layer))
    |> RandomNetworks.build [ 1; 6; 6 ],
    tensor [ 1; 6; 6 ]

let example = exampleWith 1.0

let private exampleCertificate =
    let network, input = example

    match certificate Nominal network input (RandomNetworks.radius 0.3) with
    | Some(_, bytes) -> bytes
    | None -> failwith "multipliers prove no less than Algorithm 1"

/// Changes after which nothing follows any more.
let private changes: (string * (JsonObject -> unit)) list =
    [
        "network hash", set "network" (String('0', 64))
        "input hash", set "input" (String('0', 64))
        "schema", set "schema" "lipverify/multipliers/2"
        "norm", set "norm" "inf"
        "method", set "method" "analytic"
        "rigor", set "rigor" "probabilistic"
        "definition nominal → uniform", set "definition" "uniform"
        "radius × 2", (fun root -> set "radius" (2.0 * number root "radius") root)
        "radius negative", set "radius" -0.3
        "value lowered", (fun root -> set "value" (0.99 * number root "value") root)
        "value 0", set "value" 0.0
        "unknown field", set "note" "trust me"
        "field left out", (fun root -> root.Remove "value" |> ignore)
        "all multipliers × 2", mapMultipliers (fun t -> 2.0 * t)
        "all multipliers / 2", mapMultipliers (fun t -> 0.5 * t)
        "all multipliers negative", mapMultipliers (fun t -> -t)
        "all multipliers 0", mapMultipliers (fun _ -> 0.0)
        "all multipliers near the largest double", mapMultipliers (fun _ -> 1e308)
        "bend left out", (fun root -> (items root "bends").RemoveAt 0)
        "bend repeated", (fun root -> (items root "bends").Add((items root "bends" |> at 0).DeepClone()))
        "windows left out", (fun root -> (items root "windows").RemoveAt 0)
        "windows repeated", (fun root -> (items root "windows").Add((items root "windows" |> at 0).DeepClone()))
    ]

[<Tests>]
let tests =
    testList
        "MultiplierCertificate"
        [
            testTheory "Every certificate of a random network is accepted" [ 0; 1 ] (fun (definition: int) ->
                let definition = if definition = 0 then Nominal else Uniform
                let mutable written = 0

                Generators.check 150 RandomNetworks.network (fun case ->
                    match certificate definition case.Network case.Input case.Radius with
                    | None -> ()
                    | Some(_, bytes) ->
                        written <- written + 1

                        rejections case.Network case.Input bytes |> assertAccepted)

                printfn "%s" $"{written} certificates by multipliers"
                Expect.isGreaterThan written 30 "written")

            testCase "A value lowered by more than the multipliers leave is rejected" (fun () ->
                Generators.check 100 RandomNetworks.network (fun case ->
                    match certificate Nominal case.Network case.Input case.Radius with
                    | Some(bound, bytes) ->
                        changed bytes (set "value" (0.98 * bound.Value))
                        |> shouldBeRejected "value" case.Network case.Input
                    | None -> ()))

            testCase "A reach that is stated smaller than its multipliers show is rejected" (fun () ->
                let mutable tried = 0

                Generators.check 150 RandomNetworks.network (fun case ->
                    match certificate Nominal case.Network case.Input case.Radius with
                    | None -> ()
                    | Some(_, bytes) ->
                        let before = tried

                        let changed =
                            changed bytes (fun root ->
                                for reach in narrowed root do
                                    tried <- tried + 1
                                    let bounds = items reach "bounds"
                                    bounds[0] <- JsonValue.Create(0.1 * number' bounds 0))

                        if tried > before then
                            shouldBeRejected "reach" case.Network case.Input changed)

                printfn "%s" $"{tried} places with narrowed reaches"
                Expect.isGreaterThan tried 10 "tried")

            testCase "No multipliers make the checker accept less than a slope that is attained" (fun () ->
                let mutable tried = 0

                Generators.check 200 RandomNetworks.network (fun case ->
                    match certificate Nominal case.Network case.Input case.Radius with
                    | Some(_, bytes) ->
                        let draw = Generators.Draw(case.Seed + 1)
                        let size = Shape.size case.Input.Shape
                        let direction = Tensor.ofArray case.Input.Shape (draw.Gaussians size)

                        let attained =
                            LowerBound.along Generators.context Euclidean case.Network case.Input direction

                        if attained.Value > 0.0 then
                            tried <- tried + 1

                            for spread in [ 0.0; 0.1; 2.0 ] do
                                changed bytes (fun root ->
                                    set "value" (Math.BitDecrement attained.Value) root
                                    mapMultipliers (fun t -> t * exp (spread * draw.Gaussian())) root)
                                |> shouldBeRejected $"multipliers by {spread}" case.Network case.Input
                    | None -> ())

                Expect.isGreaterThan tried 20 "tried")

            testCase "The example is accepted, and rejected after any one change" (fun () ->
                let network, input = example

                Expect.isTrue
                    (rejections network input exampleCertificate = Ok [])
                    "rejections network input exampleCertificate = Ok []"

                for what, change in changes do
                    shouldBeRejected what network input (changed exampleCertificate change))

            testCase "Each multiplier by itself is needed" (fun () ->
                let network, input = example

                let root =
                    JsonNode.Parse(ReadOnlySpan exampleCertificate) |> nonNull |> _.AsObject()

                for b in 0 .. (bends root).Length - 1 do
                    for k in 0 .. (items (bendAt b root) "entries").Count - 1 do
                        let one (change: JsonArray -> unit) =
                            changed exampleCertificate (fun root -> change (items (bendAt b root) "multipliers"))

                        let with' (t: float) =
                            one (fun (multipliers: JsonArray) -> multipliers[k] <- JsonValue.Create t)

                        for t in [ -1.0; 0.0; 1e-12; 1e12 ] do
                            shouldBeRejected $"multiplier {k} of bend {b}: {t}" network input (with' t)

                        changed exampleCertificate (fun root ->
                            let bend = bendAt b root
                            (items bend "entries").RemoveAt k
                            (items bend "multipliers").RemoveAt k)
                        |> shouldBeRejected $"multiplier {k} of bend {b} left out" network input)

            testCase "A member of a pooling window that may win is needed" (fun () ->
                let network, input = example

                let windows (root: JsonObject) =
                    (items root "windows" |> at 0).AsArray()

                let root =
                    JsonNode.Parse(ReadOnlySpan exampleCertificate) |> nonNull |> _.AsObject()

                let mutable dropped = 0

                for w in 0 .. (windows root).Count - 1 do
                    let members = (windows root |> at w).AsArray()

                    if members.Count > 1 then
                        dropped <- dropped + 1

                        changed exampleCertificate (fun root ->
                            (windows root |> at w).AsArray().RemoveAt(members.Count - 1))
                        |> shouldBeRejected $"window {w}" network input

                Expect.isGreaterThan dropped 3 "dropped")

            testCase "A certificate proves nothing about a network with larger weights or another input" (fun () ->
                let network, input = example
                let other, _ = exampleWith 1.02
                shouldBeRejected "network" other input exampleCertificate

                let rehashed =
                    set "network" (CanonicalNetwork.hash other) |> changed exampleCertificate

                shouldBeRejected "network, with its hash" other input rehashed

                let moved = Tensor.map (fun x -> 0.5 * x) input

                let rehashed =
                    set "input" (CanonicalNetwork.inputHash moved) |> changed exampleCertificate

                shouldBeRejected "input, with its hash" network moved rehashed)

            testCase "A truncated certificate is unreadable, and never anything else" (fun () ->
                let network, input = example

                for length in 0..7 .. exampleCertificate.Length - 3 do
                    match rejections network input exampleCertificate[.. length - 1] with
                    | Error _ -> ()
                    | Ok _ -> failtest $"{length} bytes were read")

            testCase "A network whose changes take too many coefficients is refused before they are formed" (fun () ->
                let network = RandomNetworks.build [ 6000 ] [ Step("relu", Layer.relu) ]

                let input = Tensor.create [ 6000 ] 1.0

                let bytes =
                    changed exampleCertificate (fun root ->
                        set "network" (CanonicalNetwork.hash network) root
                        set "input" (CanonicalNetwork.inputHash input) root)

                match rejections network input bytes with
                | Ok [ only ] ->
                    Expect.stringStarts only "not checked: 6000 entries in terms of 6000 coordinates" "only"
                | other -> failtest $"{other}")
        ]
