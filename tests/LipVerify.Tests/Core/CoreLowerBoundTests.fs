/// Lower bounds: attained inside the ball, never above the truth, and found where they should be.
module LipVerify.Tests.CoreLowerBoundTests

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open LipVerify.Tests.DyadicNumbers
open Expecto
open LipVerify.Propositions.Expectations

/// A short search: properties hold for any.
let private brief = { Starts = 6; Rounds = 2; Steps = 5 }

let private withSeed seed = { context with Seed = seed }

let private square (value: float) =
    Dyadic.multiply (Dyadic.ofFloat value) (Dyadic.ofFloat value)

/// `‖x − x0‖ ≤ ε` in exact arithmetic, and nothing moves that may not.
let private assertInside (ball: RestrictedBall) (x: Tensor) =
    let moved = differences x ball.Center
    Expect.isTrue (Dyadic.squares moved |> Dyadic.isAtMost (square ball.Radius.Value)) "outside the ball"

    Array.iter2
        (fun d m ->
            if d = 0.0 then
                Expect.equal (Dyadic.sign m) 0 "Dyadic.sign m")
        (Tensor.values ball.Mask)
        moved

let private bounds (case: NetworkCase) ball definition =
    let context = withSeed case.Seed

    [
        LowerBounds.sampling context Euclidean definition case.Network ball 20
        LowerBounds.gradientAscent context Euclidean definition case.Network ball brief
        LowerBounds.best context Euclidean definition case.Network ball brief
    ]

/// Between the input and another at a distance of any size, often one that is lost beside the input.
let private pairs seed =
    let case = network seed
    let draw = Draw(seed + 5)
    let offset = draw.Pick [ 0.0; 0.0; 1e8; 1e-8 ]
    let x = Tensor.values case.Input |> Array.map (fun c -> c + offset)
    let distance = draw.Power(-16.0, 3.0)

    let y =
        x
        |> Array.map (fun c ->
            if draw.Chance 0.2 then
                c
            else
                c + distance * draw.Gaussian())

    case, Tensor.ofArray case.Input.Shape x, Tensor.ofArray case.Input.Shape y

let private assertEncloses (enclosed: EnclosedTensor) (exact: Dyadic[]) =
    Array.iteri2
        (fun i value error ->
            if Double.IsFinite value && Double.IsFinite error then
                Expect.isTrue (Dyadic.isWithin error value exact[i]) $"output {i}: {value:R} ± {error:R}")
        (Tensor.values enclosed.Value)
        (Tensor.values enclosed.Error)

let private dense rows columns weights bias =
    Layer.dense (Tensor.ofArray [ rows; columns ] weights) (Tensor.vector bias)

/// `relu(w·x + b)`.
let private neuron (weights: float[]) bias =
    let weights = Tensor.ofArray [ 1; weights.Length ] weights

    build
        [ weights.Length ]
        [
            Step("fc", Layer.dense weights (Tensor.vector [| bias |]))
            Step("relu", Layer.relu)
        ]

[<Tests>]
let tests =
    testList
        "CoreLowerBound"
        [
            statement
                "lower bounds are attained inside the ball, in exact arithmetic"
                100
                restrictedNetwork
                (fun (case, ball) ->
                    for definition in [ Nominal; Uniform ] do
                        for bound in bounds case ball definition do
                            match bound.Attainment with
                            | Between(x, y) ->
                                assertInside ball x
                                assertInside ball y

                                if definition = Nominal then
                                    Expect.isTrue
                                        (Tensor.values y = Tensor.values ball.Center)
                                        "Tensor.values y = Tensor.values ball.Center"

                                if bound.Rigor = Certified && isDyadic case.Network then
                                    let change =
                                        Array.map2
                                            Dyadic.subtract
                                            (evaluateExactly case.Network (Tensor.values x))
                                            (evaluateExactly case.Network (Tensor.values y))

                                    let claimed =
                                        Dyadic.multiply (square bound.Value) (Dyadic.squares (differences x y))

                                    Expect.isTrue
                                        (claimed |> Dyadic.isAtMost (Dyadic.squares change))
                                        "above the exact slope"
                            | Along(x, v) ->
                                Expect.isTrue
                                    (Tensor.values x = Tensor.values ball.Center)
                                    "Tensor.values x = Tensor.values ball.Center"

                                Expect.isGreaterThan ball.Radius.Value 0.0 "value"

                                Array.iter2
                                    (fun d (m: float) ->
                                        if d = 0.0 then
                                            Expect.equal m 0 "m")
                                    (Tensor.values ball.Mask)
                                    (Tensor.values v)

                                if bound.Rigor = Certified && isDyadic case.Network then
                                    let change = derivativeExactly case.Network (Tensor.values x) (Tensor.values v)
                                    let length = Tensor.values v |> Array.map Dyadic.ofFloat |> Dyadic.squares
                                    let claimed = Dyadic.multiply (square bound.Value) length

                                    Expect.isTrue
                                        (claimed |> Dyadic.isAtMost (Dyadic.squares change))
                                        "above the exact derivative"
                            | Nowhere -> Expect.equal bound.Value 0 "value")

            statement
                "exact differences of outputs lie inside their enclosure, at every distance"
                200
                pairs
                (fun (case, x, y) ->
                    if isDyadic case.Network then
                        let enclosed = IncrementEnclosure.difference context case.Network x y

                        let exact =
                            Array.map2
                                Dyadic.subtract
                                (evaluateExactly case.Network (Tensor.values y))
                                (evaluateExactly case.Network (Tensor.values x))

                        assertEncloses enclosed exact)

            testCase "enclosures of small differences are far smaller than the rounding of the outputs" (fun () ->
                // Without kinks nearby, the rounding is relative to the difference and not to the outputs.
                check 50 Draw (fun draw ->
                    let n = draw.Int(1, 20)

                    let layer () =
                        Layer.dense
                            (Tensor.ofArray [ n; n ] (draw.Gaussians(n * n)))
                            (Tensor.vector (Array.init n (fun _ -> 1e6 + draw.Gaussian())))

                    let network =
                        build [ n ] [ Step("fc", layer ()); Step("relu", Layer.relu); Step("fc", layer ()) ]

                    let x = Tensor.vector (draw.Gaussians n)
                    let y = x |> Tensor.map (fun c -> c + 1e-9 * draw.Gaussian())
                    let enclosed = IncrementEnclosure.difference context network x y
                    let value = norm (Tensor.values enclosed.Value)

                    Expect.isLessThan
                        (norm (Tensor.values enclosed.Error))
                        (1e-10 * value + 1e-20)
                        "norm (Tensor.values enclosed.Error)"))

            statement
                "exact derivatives along rays lie inside their enclosure, at kinks too"
                200
                pairs
                (fun (case, x, _) ->
                    if isDyadic case.Network then
                        let direction = (Draw(case.Seed + 7)).Gaussians x.Length

                        let enclosed =
                            IncrementEnclosure.derivative context case.Network x (Tensor.ofArray x.Shape direction)

                        derivativeExactly case.Network (Tensor.values x) direction
                        |> assertEncloses enclosed)

            testCase "on one input, no lower bound exceeds the exact constant and ascent comes close to it" (fun () ->
                let missed = ref 0

                check 100 (networkOver [ 1 ]) (fun case ->
                    // At kinks by rounding the oracle's knots lie too close to tell apart, so that nominal inputs move off them a little.
                    let center =
                        [| (Tensor.values case.Input)[0] + 1e-3 * (Draw case.Seed).Gaussian() |]

                    let distance = case.Radius.Value

                    if distance > 0.0 && distance < 1e6 then
                        let ends = [| [| center[0] - distance |]; [| center[0] + distance |] |]

                        let exact = knotPoints case.Network ends[0] ends[1] |> slopes case.Network center

                        let largest = exact |> Array.fold (fun best slope -> max best slope.Value) 0.0
                        let noise = exact |> Array.fold (fun worst slope -> max worst slope.Noise) 0.0

                        let reached =
                            LowerBounds.best
                                (withSeed case.Seed)
                                Euclidean
                                Nominal
                                case.Network
                                (RestrictedBall.whole (Tensor.vector center) case.Radius)
                                brief

                        Expect.isLessThanOrEqual reached.Value (largest * (1.0 + relative) + noise) "value"

                        if reached.Value < 0.5 * largest - noise then
                            missed.Value <- missed.Value + 1)
                // The exact constant is at a kink that a short search may miss, but not often.
                Expect.isLessThan missed.Value 50 "value")

            testCase "ascent gains on where it started" (fun () ->
                let totals = [| 0.0; 0.0 |]

                check 40 Draw (fun draw ->
                    let n = draw.Int(4, 12)

                    let layer () =
                        Layer.dense
                            (Tensor.ofArray [ n; n ] (draw.Gaussians(n * n)))
                            (Tensor.vector (draw.Gaussians n))

                    let network =
                        build [ n ] [ Step("fc", layer ()); Step("relu", Layer.relu); Step("fc", layer ()) ]

                    let ball =
                        RestrictedBall.whole (Tensor.vector (draw.Gaussians n)) (radius (draw.Power(0.0, 1.0)))

                    [ 0; 20 ]
                    |> List.iteri (fun i steps ->
                        let effort = { brief with Rounds = 1; Steps = steps }

                        let reached =
                            LowerBounds.gradientAscent context Euclidean Nominal network ball effort

                        totals[i] <- totals[i] + reached.Value))

                Expect.isGreaterThan totals[1] totals[0] "totals[1]")

            statement "lower bounds repeat for one seed" 20 restrictedNetwork (fun (case, ball) ->
                for definition in [ Nominal; Uniform ] do
                    let values () =
                        bounds case ball definition |> List.map _.Value

                    Expect.isTrue (values () = values ()) "values () = values ()")

            statement "at radius zero every lower bound is zero" 30 network (fun case ->
                let ball = RestrictedBall.whole case.Input (radius 0.0)

                for definition in [ Nominal; Uniform ] do
                    for bound in bounds case ball definition do
                        Expect.equal bound.Value 0 "value")

            testCase "a ReLU at zero is a kink, and its formal Jacobian no lower bound" (fun () ->
                // f(x) = relu(x) − relu(−x)·0: the pre-activations at 0 are 0.
                let network =
                    build
                        [ 1 ]
                        [
                            Step("fc", dense 2 1 [| 1.0; -1.0 |] [| 0.0; 0.0 |])
                            Step("relu", Layer.relu)
                        ]

                let ball = RestrictedBall.whole (Tensor.vector [| 0.0 |]) (radius 1.0)

                match NominalJacobian.lowerBound context Euclidean network ball with
                | Ok bound -> failwith $"{bound.Value} where the network bends"
                | Error kinks ->
                    Expect.isTrue
                        (kinks |> List.map _.Layer.Name = [ "relu" ])
                        "kinks |> List.map _.Layer.Name = [ \"relu\" ]"

                    Expect.equal kinks.Head.Outputs 2 "outputs")

            testCase "a pooling window that ties is a kink, unless its members are constant" (fun () ->
                let pooling =
                    Layer.maxPooling (PoolingGeometry(1, WindowAxis(1, 1), WindowAxis(2, 2)))

                let network bias =
                    build
                        [ 1; 1; 2 ]
                        [
                            Step(
                                "diagonal",
                                Affine(Diagonal(Tensor.create [ 1; 1; 2 ] 1.0), Tensor.create [ 1; 1; 2 ] bias)
                            )
                            Step("relu", Layer.relu)
                            Step("pool", pooling)
                        ]

                let ball = RestrictedBall.whole (Tensor.create [ 1; 1; 2 ] 0.0) (radius 0.5)

                match NominalJacobian.lowerBound context Euclidean (network 1.0) ball with
                | Ok bound -> failwith $"{bound.Value} where a window ties"
                | Error kinks ->
                    Expect.isTrue
                        (kinks |> List.map _.Layer.Name = [ "pool" ])
                        "kinks |> List.map _.Layer.Name = [ \"pool\" ]"

                match NominalJacobian.lowerBound context Euclidean (network -1.0) ball with
                | Ok bound -> Expect.equal bound.Value 0 "value"
                | Error _ -> failwith "both members are inactive around the input")

            testCase
                "where the network is differentiable its Jacobian is a lower bound that short differences confirm"
                (fun () ->
                    let decided = ref 0

                    check 150 network (fun case ->
                        let draw = Draw(case.Seed + 3)
                        let moved = case.Input |> Tensor.map (fun c -> c + 1e-2 * draw.Gaussian())
                        let ball = RestrictedBall.whole moved (radius 1e-3)

                        match NominalJacobian.lowerBound (withSeed case.Seed) Euclidean case.Network ball with
                        | Error _ -> ()
                        | Ok bound ->
                            decided.Value <- decided.Value + 1

                            Expect.isLessThanOrEqual
                                bound.Value
                                (Global.bound context case.Network).Bound.Value
                                "value"

                            match bound.Attainment with
                            | Along(x, v) ->
                                let both =
                                    [ v; Tensor.map (fun d -> -d) v ]
                                    |> List.map (LowerBound.along context Euclidean case.Network x)
                                // The derivative of a differentiable function is odd.
                                Expect.isWithin (1e-9 * both[0].Value) both[0].Value (both[1].Value) "value"
                            | _ -> ())

                    Expect.isGreaterThan decided.Value 20 "value")

            statement "rounding behind a kink does not pass for a slope" 60 Draw (fun draw ->
                let n = draw.Int(1, 4)
                let weights = Array.init n (fun _ -> draw.Real(0.1, 1.0))
                let center = Array.init n (fun _ -> draw.Power(-2.0, 2.0))

                let network =
                    neuron weights -(Array.fold2 (fun sum w c -> sum + w * c) 0.0 weights center)

                let ball =
                    RestrictedBall.whole (Tensor.vector center) (radius (draw.Power(-15.0, -9.0)))

                for definition in [ Nominal; Uniform ] do
                    let lower = LowerBounds.best context Euclidean definition network ball brief
                    Expect.isLessThanOrEqual lower.Value (norm weights * (1.0 + 1e-9)) $"{definition}")

            testCase "values that leave the range of doubles certify no slope" (fun () ->
                let huge = 1.7e308
                let network = neuron [| huge; huge; -huge; -huge |] -huge
                let x, y = Tensor.vector [| 1.05; 1.0; 1.0; 1.0 |], Tensor.create [ 4 ] 1.0
                Expect.equal (LowerBound.between context Euclidean network x y).Value 0 "value"

                let steep =
                    build
                        [ 1 ]
                        [
                            Step("fc", Layer.dense (Tensor.create [ 2; 1 ] 1.7e303) (Tensor.create [ 2 ] 0.0))
                        ]

                let slope =
                    LowerBound.between context Euclidean steep (Tensor.vector [| 1e5 |]) (Tensor.vector [| 0.0 |])

                Expect.isLessThanOrEqual slope.Value (1.7e303 * sqrt 2.0) "value")
        ]
