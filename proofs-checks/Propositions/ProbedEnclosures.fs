/// Enclosures by reaches that random vectors prove (METHODS section 14), against values at points of the ball, exact rows, and what they promise.
module LipVerify.Propositions.ProbedEnclosures

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Enclosures
open LipVerify.Core.Loops.Operator
open LipVerify.Core.Loops.Reaches
open LipVerify.Core.Bounds.Analytic
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Enclosures
open LipVerify.Propositions.StructuredLoops
open LipVerify.Propositions.StructuredProbes
open LipVerify.Propositions.StructuredReaches
open Expecto
open LipVerify.Propositions.Expectations

let private enclose context (case: NetworkCase) =
    LipVerify.Core.Bounds.Analytic.Enclosures.ofNetwork context Probes case.Network case.Input case.Radius

/// The nominal values of a stage with deviations in both directions.
let private around (nominal: EnclosedTensor) (reach: Tensor) =
    let reach = Tensor.reshape nominal.Value.Shape reach
    Enclosure.ofDeviations nominal reach reach

/// By unit vectors, and by Gaussian ones that networks of this size would not need.
let private probings: (string * (LoopPlan -> Loop -> Probing)) list =
    [
        "unit vectors", (fun _ _ -> UnitVectors)
        "Gaussian vectors", (fun _ _ -> GaussianVectors 100)
    ]

/// The same kinds of everything, and the same bounds.
let private assertSame (a: NetworkEnclosure) (b: NetworkEnclosure) =
    let values (result: NetworkEnclosure) =
        [
            for enclosure in result.Output :: List.ofSeq result.Stages.Values do
                Tensor.values enclosure.Fall
                Tensor.values enclosure.Rise
        ]

    Expect.isTrue (values a = values b) "values a = values b"

/// Whether a reach is shorter than that of the exact row.
let private isShort (factor: float) (proved: PlaceReach[]) (exact: PlaceReach[]) =
    let shorter = Array.exists2 (fun (p: float) e -> factor * p < e * (1.0 - 1e-9))

    Array.exists2
        (fun (proved: PlaceReach) (exact: PlaceReach) ->
            shorter proved.Entries exact.Entries || shorter proved.Pairs exact.Pairs)
        proved
        exact

/// The mean width before the last ReLU.
let private lastWidth (result: NetworkEnclosure) =
    (Map.toList result.Stages |> List.last |> snd)
    |> Enclosure.widths
    |> Tensor.values
    |> Array.average

[<Tests>]
let tests =
    testList
        "ProbedEnclosures"
        [
            testCase "Probes: every input of what bends, and every output, keeps to its reach by itself" (fun () ->
                let mutable proofs = 0

                check 40 local (fun case ->
                    let center, output = valuesAt case.Network (Tensor.values case.Input)
                    let points = pointsOf case

                    for name, probing in probings do
                        match ProbedReaches.findWith probing context case.Network case.Input case.Radius with
                        | Error _ -> ()
                        | Ok reaches ->
                            proofs <- proofs + 1

                            for KeyValue(index, reach) in reaches.Stages do
                                Expect.isTrue (Tensor.isFinite reach) $"{name}, layer {index}"

                            for x in points do
                                let values, outputs = valuesAt case.Network x

                                for KeyValue(index, reach) in reaches.Stages do
                                    assertInside $"{name}, layer {index}" (around center[index] reach) values[index]

                                assertInside $"{name}, output" (around output reaches.Output) outputs)

                // Most networks have reaches that can be proved.
                Expect.isGreaterThan proofs 40 "proofs")

            statement "Probes: deviations cover the changes of outputs, however small the ball" 30 local (fun case ->
                let case =
                    { case with
                        Radius = radius (case.Radius.Value * Draw(case.Seed).Pick [ 1.0; 1e-3; 1e-9 ])
                    }

                let output = (enclose context case).Output
                let fall, rise = Tensor.values output.Fall, Tensor.values output.Rise

                for x in pointsOf case do
                    // Its own rounding is a fraction of the change.
                    let change =
                        IncrementEnclosure.difference
                            context
                            case.Network
                            case.Input
                            (Tensor.ofArray case.Input.Shape x)

                    let values, errors = Tensor.values change.Value, Tensor.values change.Error

                    for i in 0 .. values.Length - 1 do
                        if Double.IsFinite values[i] && Double.IsFinite errors[i] then
                            Expect.isLessThanOrEqual (values[i] - errors[i]) rise[i] $"entry {i} of {case.Text}"
                            Expect.isGreaterThanOrEqual (values[i] + errors[i]) (-fall[i]) $"entry {i} of {case.Text}")

            statement
                "Probes: whatever bends has a reach, except pooling whose ReLU is moved behind it"
                60
                network
                (fun case ->
                    let plan = planOf case.Network case.Input

                    let rec entered stages =
                        match stages with
                        | [] -> []
                        | AffineStage(layers, _, Some _) :: MaxPoolingStage _ :: rest ->
                            layers.Head.Index :: entered rest
                        | AffineStage(layers, _, Some _) :: rest -> layers.Head.Index :: entered rest
                        | AffineStage _ :: rest -> entered rest
                        | (ActivationStage(layer, _) | MaxPoolingStage(layer, _)) :: rest ->
                            layer.Index :: entered rest
                        | SumStage branches :: rest -> List.collect entered branches @ entered rest

                    let expected = entered (Stage.ofNetwork case.Network) |> List.sort
                    Expect.isTrue (plan.Entered |> Map.toList |> List.map fst = expected) case.Text

                    // The entries are those of the layer: they have its nominal values.
                    let values, _ = valuesAt case.Network (Tensor.values case.Input)

                    for KeyValue(index, place) in plan.Entered do
                        match plan.Places[place] with
                        | ActivationPlace(nominal, _)
                        | RoundPlace(nominal, _, _) ->
                            Expect.isTrue (Tensor.values nominal.Value = Tensor.values values[index].Value) case.Text)

            testCase "Probes: enclosures hold at all radii, within intervals, and say where they are these" (fun () ->
                let mutable probed, replaced = 0, 0

                check 60 network (fun case ->
                    let result = enclose context case

                    let intervals =
                        LipVerify.Core.Bounds.Analytic.Enclosures.ofNetwork
                            context
                            Interval
                            case.Network
                            case.Input
                            case.Radius

                    assertWithin "probes in intervals" intervals result

                    match result.Kind, result.Explanation with
                    | Probes, None -> probed <- probed + 1
                    | Interval, Some reason ->
                        replaced <- replaced + 1
                        Expect.stringContains reason "intervals" "reason"
                    | _ -> failtest $"{result.Kind} with {result.Explanation}"

                    for x in pointsOf case do
                        let stages, output = valuesAt case.Network x

                        for KeyValue(index, values) in stages do
                            assertInside $"layer {index} of {case.Text}" result.Stages[index] values

                        assertInside $"output of {case.Text}" result.Output output)

                Expect.isGreaterThan probed 20 "probed"
                Expect.isGreaterThan replaced 0 "replaced")

            statement
                "Probes: the failure probability is within what is allowed, and includes that of the reaches"
                15
                local
                (fun case ->
                    for failure in [ 1e-9; 0.1 ] do
                        let context =
                            { context with
                                Certification =
                                    { context.Certification with
                                        FailureProbability = failure
                                    }
                            }

                        let struct (bound, result) =
                            Analytic.boundAndEnclosure context Probes Nominal case.Network case.Input case.Radius

                        let rigors =
                            bound.Bound.Rigor :: [ for layer in bound.Layers -> layer.Lipschitz.Rigor ]

                        for rigor in result.Rigor :: rigors do
                            let promised = Rigor.failureProbability rigor
                            Expect.isLessThanOrEqual promised failure "promised"

                            // Half of it is for the reaches.
                            if result.Kind = Probes then
                                Expect.isGreaterThanOrEqual promised (0.49 * failure) "promised")

            testCase "Probes: where draws are not allowed they are refused" (fun () ->
                let context =
                    { context with
                        Certification =
                            { context.Certification with
                                Deterministic = true
                            }
                    }

                Expect.thrown<Spectral.NotCertifiableException>(fun () -> enclose context (tiny 1) |> ignore)
                |> ignore)

            testCase
                "Probes: without time, in a point, and where reaches grow without end, intervals serve, and the reason is told"
                (fun () ->
                    let case = tiny 3

                    /// Increments leave the range of doubles.
                    let beyond =
                        let steep = Dense(Dense.create (Tensor.ofArray [ 3; 3 ] (Array.create 9 1e160)))

                        { case with
                            Network =
                                build
                                    [ 3 ]
                                    [
                                        Step("first", Layer.linear steep)
                                        Step("relu", Layer.relu)
                                        Step("second", Layer.linear steep)
                                        Step("relu", Layer.relu)
                                    ]
                            Input = Tensor.vector [| 0.0; 0.0; 0.0 |]
                            Radius = radius 1.0
                        }

                    let intervals (case: NetworkCase) =
                        LipVerify.Core.Bounds.Analytic.Enclosures.ofNetwork
                            context
                            Interval
                            case.Network
                            case.Input
                            case.Radius

                    for case, reason in
                        [
                            { case with Radius = radius 0.0 }, "the ball is a point"
                            beyond, "no reaches were found"
                        ] do
                        let result = enclose context case
                        Expect.equal result.Kind Interval "kind"

                        Expect.stringContains
                            (result.Explanation |> Option.defaultValue "")
                            reason
                            "result.Explanation |> Option.defaultValue \"\""

                        assertSame (intervals case) result

                    let result = enclose (Context.within (Some TimeSpan.Zero) context) case
                    Expect.equal result.Kind Interval "kind"

                    Expect.stringContains
                        (result.Explanation |> Option.defaultValue "")
                        "the time was over"
                        "result.Explanation |> Option.defaultValue \"\"")

            testCase "Probes: a computation that is cancelled ends" (fun () ->
                use source = new Threading.CancellationTokenSource()
                source.Cancel()

                let context =
                    { context with
                        Cancellation = source.Token
                    }

                Expect.thrown<OperationCanceledException>(fun () -> enclose context (tiny 1) |> ignore)
                |> ignore)

            testCase "Probes: reaches of all entries fail no more often than they promise" (fun () ->
                let failure, trials, vectors = 0.1, 60, 16
                let mutable proofs, short, unwidened = 0, 0, 0

                for seed in 1..trials do
                    let case = tiny seed
                    let plan = planOf case.Network case.Input
                    let single = failure / float LoopReach.parts

                    match
                        LoopReach.findWith
                            (effortFor plan seed)
                            (fun _ -> GaussianVectors vectors)
                            { context with Seed = seed }
                            norms
                            Nominal
                            plan
                            [||]
                            case.Radius.Value
                            single
                    with
                    | None -> ()
                    | Some proved ->
                        proofs <- proofs + 1
                        let exact = reachesOf plan proved case.Radius.Value

                        if isShort 1.0 proved.Reaches exact then
                            short <- short + 1

                        // As long as the vectors found them: without the quantile they would be too short in most networks.
                        let entries = proved.Reaches |> Array.sumBy _.Entries.Length

                        let found =
                            sqrt (ChiSquare.lowerQuantile vectors (single / float entries) / float vectors)

                        if isShort found proved.Reaches exact then
                            unwidened <- unwidened + 1

                Expect.isGreaterThan proofs (trials / 4) "proofs"
                let most = mostFailures proofs failure
                Expect.isLessThanOrEqual (float short) most "float short"
                Expect.isGreaterThan (float unwidened) most "float unwidened")

            testCase "Probes: behind several layers reaches are well below intervals" (fun () ->
                for seed in 1..3 do
                    let struct (network, input) = generalChain (Draw seed) [ 10; 20; 20; 20; 3 ]

                    let width kind =
                        LipVerify.Core.Bounds.Analytic.Enclosures.ofNetwork context kind network input (radius 0.01)
                        |> lastWidth

                    Expect.isLessThan (width Probes) (0.7 * width Interval) $"seed {seed}")
        ]
