/// Enclosures of what bends (METHODS section 6), against values at points of the ball.
module LipVerify.Propositions.Enclosures

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Enclosures
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

let private kinds = [ Ball; Interval; Crown ]

let private enclose kind (case: NetworkCase) =
    LipVerify.Core.Bounds.Analytic.Enclosures.ofNetwork context kind case.Network case.Input case.Radius

/// The inputs of each stage that bends at one point, and the outputs, with rounding enclosed.
let internal valuesAt (network: Network) (x: float[]) =
    let apply layer value = EnclosedTensor.apply engine layer value

    let rec stage (found, value) next =
        match next with
        | AffineStage(layers, _, activations) ->
            let y = (value, layers) ||> List.fold (fun value layer -> apply layer value)

            match activations with
            | Some activations -> (layers.Head.Index, y) :: found, EnclosedTensor.activate engine activations y
            | None -> found, y
        | ActivationStage(layer, _) -> (layer.Index, value) :: found, apply layer value
        | MaxPoolingStage(layer, _) -> (layer.Index, value) :: found, apply layer value
        | SumStage branches ->
            let outcomes = branches |> List.map (List.fold stage ([], value))
            (outcomes |> List.collect fst) @ found, outcomes |> List.map snd |> List.reduce EnclosedTensor.add

    let start = EnclosedTensor.exact (Tensor.ofArray network.InputShape x)
    let found, output = (([], start), Stage.ofNetwork network) ||> List.fold stage
    Map.ofList found, output

/// Points of the ball that push single outputs as far up or down as gradient steps do.
let private extremes (draw: Draw) (network: Network) (center: float[]) radius =
    let outputs = Shape.size network.OutputShape

    let climb sign output =
        let step (x: float[]) =
            let linear = Linearization.at context network 1 (HostStorage x)

            let direction =
                linear.Pullback(HostStorage(Array.init outputs (fun i -> if i = output then sign else 0.0)))

            let gradient = Tensor.values (Tensor.ofStorage [ direction.Length ] direction)
            let size = norm gradient

            if size = 0.0 || not (Double.IsFinite size) then
                x
            else
                Array.map2 (fun c g -> c + g / size * radius * (1.0 - 1e-13)) center gradient

        // From beside the centre, where a kink would hide directions.
        let start = Array.map (fun c -> c + 0.1 * radius * draw.Gaussian()) center
        List.scan (fun x _ -> step x) start [ 1..3 ] |> List.tail

    [|
        for _ in 1..4 do
            let output = draw.Int(0, outputs - 1)
            yield! climb 1.0 output
            yield! climb -1.0 output
    |]
    |> within center radius

let internal pointsOf (case: NetworkCase) =
    let draw, center, radius =
        Draw case.Seed, Tensor.values case.Input, case.Radius.Value

    Array.append (candidates draw case.Network center radius) (extremes draw case.Network center radius)

/// Fails where values surely lie outside.
let internal assertInside (what: string) (enclosure: Enclosure) (values: EnclosedTensor) =
    let lower, upper = Tensor.values enclosure.Lower, Tensor.values enclosure.Upper
    let values, errors = Tensor.values values.Value, Tensor.values values.Error

    for i in 0 .. values.Length - 1 do
        if Double.IsFinite values[i] && Double.IsFinite errors[i] then
            Expect.isGreaterThanOrEqual (values[i] + errors[i]) lower[i] $"{what}, entry {i}, below"
            Expect.isLessThanOrEqual (values[i] - errors[i]) upper[i] $"{what}, entry {i}, above"

/// The largest width anywhere.
let private widest (result: NetworkEnclosure) =
    result.Output :: List.ofSeq result.Stages.Values
    |> List.map (Enclosure.widths >> Tensor.values >> Array.max)
    |> List.max

/// Fails where `inner` is wider by more than rounding explains. Spectral norms are loose by up to 1e-8 each, in no particular direction.
/// Interval arithmetic computes both ends from middles and reaches, so that some 20 roundings of the wider end, in this layer or
/// before, come to the other one.
let internal assertWithin what (outer: NetworkEnclosure) (inner: NetworkEnclosure) =
    let noise = 1e-14 * widest outer + 1e-150

    let assertNotAbove place (larger: Tensor) (smaller: Tensor) =
        Array.iter2
            (fun (larger: float) (smaller: float) ->
                Expect.isLessThanOrEqual smaller (larger * (1.0 + 1e-6) + noise) $"{what}, {place}")
            (Tensor.values larger)
            (Tensor.values smaller)

    let pairs =
        ("output", outer.Output, inner.Output)
        :: [
            for KeyValue(index, enclosure) in inner.Stages -> $"layer {index}", outer.Stages[index], enclosure
        ]

    for place, outer, inner in pairs do
        assertNotAbove $"{place}, below" outer.Fall inner.Fall
        assertNotAbove $"{place}, above" outer.Rise inner.Rise

[<Tests>]
let tests =
    testList
        "Enclosures"
        [
            statement
                "Enclosures: what bends, and the outputs, stay inside at points of the ball"
                120
                network
                (fun case ->
                    let enclosures = kinds |> List.map (fun kind -> enclose kind case)

                    for x in pointsOf case do
                        let stages, output = valuesAt case.Network x

                        for enclosure in enclosures do
                            let name = EnclosureKind.name enclosure.Kind
                            Expect.equal enclosure.Stages.Count stages.Count "count"

                            for KeyValue(index, values) in stages do
                                assertInside $"{name}, layer {index}" enclosure.Stages[index] values

                            assertInside $"{name}, output" enclosure.Output output)

            statement
                "Enclosures: deviations cover the changes of outputs, however small the ball"
                120
                network
                (fun case ->
                    let case =
                        { case with
                            Radius = radius (case.Radius.Value * Draw(case.Seed).Pick [ 1.0; 1e-3; 1e-9 ])
                        }

                    let enclosures = kinds |> List.map (fun kind -> enclose kind case)

                    for x in pointsOf case do
                        // Its own rounding is a fraction of the change.
                        let change =
                            IncrementEnclosure.difference
                                context
                                case.Network
                                case.Input
                                (Tensor.ofArray case.Input.Shape x)

                        let values, errors = Tensor.values change.Value, Tensor.values change.Error

                        for enclosure in enclosures do
                            let name = EnclosureKind.name enclosure.Kind

                            let fall, rise =
                                Tensor.values enclosure.Output.Fall, Tensor.values enclosure.Output.Rise

                            for i in 0 .. values.Length - 1 do
                                if Double.IsFinite values[i] && Double.IsFinite errors[i] then
                                    Expect.isLessThanOrEqual (values[i] - errors[i]) rise[i] $"{name}, entry {i}"
                                    Expect.isGreaterThanOrEqual (values[i] + errors[i]) (-fall[i]) $"{name}, entry {i}")

            statement "Enclosures: each kind lies within the weaker ones" 150 network (fun case ->
                let ball, interval = enclose Ball case, enclose Interval case

                assertWithin "interval in ball" ball interval
                assertWithin "crown in interval" interval (enclose Crown case))

            statement "Enclosures: balls and intervals grow with the radius" 100 network (fun case ->
                let smaller =
                    { case with
                        Radius = radius (case.Radius.Value * Draw(case.Seed).Real(0.1, 1.0))
                    }

                for kind in [ Ball; Interval ] do
                    assertWithin (EnclosureKind.name kind) (enclose kind case) (enclose kind smaller))

            statement
                "Enclosures: at radius 0 nothing moves, and the bounds are the nominal values with their rounding"
                80
                network
                (fun case ->
                    let case = { case with Radius = radius 0.0 }

                    for kind in Probes :: kinds do
                        let result = enclose kind case

                        for enclosure in result.Output :: List.ofSeq result.Stages.Values do
                            // What underflows in interval arithmetic is carried as a number far below any other.
                            Expect.all
                                (Tensor.values (Enclosure.widths enclosure))
                                (fun width -> width < 1e-140)
                                "widths"

                            let ends sign =
                                Tensor.map2
                                    (fun value error -> sign * value + error)
                                    enclosure.Nominal.Value
                                    enclosure.Nominal.Error
                                |> Tensor.values

                            let isTight (bound: float) (nominal: float) =
                                bound >= nominal && bound <= nominal + 1e-15 * abs nominal + 1e-140
                                || not (Double.IsFinite nominal)

                            Expect.isTrue
                                (Array.forall2 isTight (Tensor.values enclosure.Upper) (ends 1.0))
                                "Array.forall2 isTight (Tensor.values enclosure.Upper) (ends 1.0)"

                            Expect.isTrue
                                (Array.forall2 isTight (Tensor.map (~-) enclosure.Lower |> Tensor.values) (ends -1.0))
                                "")

            statement "Enclosures: those of one affine map are attained" 100 linearMapCase (fun case ->
                let network =
                    build (LinearMap.inputShape case.Map) [ Step("affine", Layer.linear case.Map) ]

                let reach =
                    RowNorms.rowNorms engine case.Map (Tensor.create (LinearMap.inputShape case.Map) 1.0)
                    |> Tensor.map (Rounding.mulUp case.Ball.Radius.Value)

                for kind in kinds do
                    let output =
                        (LipVerify.Core.Bounds.Analytic.Enclosures.ofNetwork
                            context
                            kind
                            network
                            case.Ball.Center
                            (radius case.Ball.Radius.Value))
                            .Output

                    Expect.isTrue (Tensor.values output.Rise = Tensor.values reach) (EnclosureKind.name kind)
                    Expect.isTrue (Tensor.values output.Fall = Tensor.values reach) (EnclosureKind.name kind))

            testCase "Enclosures: linear functions see that branches cancel, intervals do not" (fun () ->
                // y = relu(A x + b) − A x with all pre-activations far above 0 is b.
                let n = 4
                let weights = Draw(5).Gaussians(n * n)

                let dense factor =
                    Dense.create (Tensor.ofArray [ n; n ] (Array.map (fun w -> factor * w) weights))
                    |> Dense

                let far = Tensor.create [ n ] 100.0

                let network =
                    build
                        [ n ]
                        [
                            Sum
                                [
                                    Series [ Step("a", Affine(dense 1.0, far)); Step("relu", Layer.relu) ]
                                    Step("b", Layer.linear (dense -1.0))
                                ]
                            Step(
                                "head",
                                Layer.linear (Dense(Dense.create (Tensor.ofArray [ 1; n ] (Array.create n 1.0))))
                            )
                        ]

                let width kind =
                    (LipVerify.Core.Bounds.Analytic.Enclosures.ofNetwork
                        context
                        kind
                        network
                        (Tensor.create [ n ] 0.0)
                        (radius 1.0))
                        .Output
                    |> Enclosure.widths
                    |> Tensor.values
                    |> Array.head

                // What remains is rounding, of some 50 operations on numbers below 100.
                Expect.isLessThan (width Crown) 1e-11 "width Crown"
                Expect.isGreaterThan (width Interval) 1.0 "width Interval")
        ]
