/// Lower bounds in the maximum norm and the 1-norm, in exact arithmetic, and the vectors behind them.
module LipVerify.Tests.CoreNormedLowerBoundTests

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.NormedBalls
open LipVerify.Tests.DyadicNumbers
open Expecto
open LipVerify.Propositions.Expectations

let private brief = { Starts = 6; Rounds = 2; Steps = 5 }

/// The norms in which sizes are sums or maxima, exact numbers.
let private exactNorms = [ Maximum; Taxicab ]

let private magnitude d =
    if Dyadic.sign d < 0 then Dyadic.negate d else d

/// `‖v‖` in exact arithmetic.
let private exactSize norm (v: Dyadic[]) =
    match norm with
    | Maximum ->
        v
        |> Array.fold
            (fun best x ->
                if Dyadic.isAtMost best (magnitude x) then
                    best
                else
                    magnitude x)
            (Dyadic.ofFloat 0.0)
    | Taxicab -> v |> Array.fold (fun sum x -> Dyadic.add sum (magnitude x)) (Dyadic.ofFloat 0.0)
    | Euclidean -> invalidArg (nameof norm) "a root"

let private bounds norm (case: NetworkCase) ball definition =
    let context = { context with Seed = case.Seed }

    [
        LowerBounds.sampling context norm definition case.Network ball 20
        LowerBounds.gradientAscent context norm definition case.Network ball brief
        LowerBounds.best context norm definition case.Network ball brief
    ]

/// `value·‖step‖ ≤ ‖change‖`.
let private assertAttained norm (value: float) step change =
    let claimed = Dyadic.multiply (Dyadic.ofFloat value) (exactSize norm step)
    Expect.isTrue (claimed |> Dyadic.isAtMost (exactSize norm change)) "above the exact slope"

/// A vector of up to twenty entries, of all sizes, some of them 0.
let private vector seed =
    let draw = Draw seed
    let scale = draw.Pick [ 1.0; 1.0; 1e-300; 1e300; 1e-20 ]

    Array.init (draw.Int(1, 20)) (fun _ ->
        if draw.Chance 0.2 then
            0.0
        else
            scale * draw.Power(-3.0, 3.0) * draw.Gaussian())

[<Tests>]
let tests =
    testList
        "CoreNormedLowerBound"
        [
            testCase
                "lower bounds in the maximum norm and the 1-norm are attained inside the ball, in exact arithmetic"
                (fun () ->
                    let mutable certified = 0

                    let assertInside norm (ball: RestrictedBall) x =
                        let moved = differences x ball.Center

                        Expect.isTrue
                            (exactSize norm moved |> Dyadic.isAtMost (Dyadic.ofFloat ball.Radius.Value))
                            "outside the ball"

                        Array.iter2
                            (fun d m ->
                                if d = 0.0 then
                                    Expect.equal (Dyadic.sign m) 0 "Dyadic.sign m")
                            (Tensor.values ball.Mask)
                            moved

                    let assertBound norm definition (case: NetworkCase) (ball: RestrictedBall) (bound: LowerBound) =
                        let isExact = bound.Rigor = Certified && isDyadic case.Network

                        match bound.Attainment with
                        | Between(x, y) ->
                            assertInside norm ball x
                            assertInside norm ball y

                            if definition = Nominal then
                                Expect.isTrue
                                    (Tensor.values y = Tensor.values ball.Center)
                                    "Tensor.values y = Tensor.values ball.Center"

                            if isExact then
                                certified <- certified + 1

                                Array.map2
                                    Dyadic.subtract
                                    (evaluateExactly case.Network (Tensor.values x))
                                    (evaluateExactly case.Network (Tensor.values y))
                                |> assertAttained norm bound.Value (differences x y)
                        | Along(x, v) ->
                            Expect.isTrue
                                (Tensor.values x = Tensor.values ball.Center)
                                "Tensor.values x = Tensor.values ball.Center"

                            Expect.isGreaterThan ball.Radius.Value 0.0 "value"

                            if isExact then
                                certified <- certified + 1

                                derivativeExactly case.Network (Tensor.values x) (Tensor.values v)
                                |> assertAttained norm bound.Value (Tensor.values v |> Array.map Dyadic.ofFloat)
                        | Nowhere -> Expect.equal bound.Value 0 "value"

                    check 80 restrictedNetwork (fun (case, ball) ->
                        for norm in exactNorms do
                            for definition in [ Nominal; Uniform ] do
                                for bound in bounds norm case ball definition do
                                    assertBound norm definition case ball bound)

                    Expect.isGreaterThan certified 100 "certified")

            statement "lower bounds in each norm repeat for one seed" 10 restrictedNetwork (fun (case, ball) ->
                for norm in norms do
                    for definition in [ Nominal; Uniform ] do
                        let values () =
                            bounds norm case ball definition |> List.map _.Value

                        Expect.isTrue (values () = values ()) "values () = values ()")

            statement "sizes rounded downward and upward hold the exact size" 300 vector (fun v ->
                for norm in exactNorms do
                    let exact = exactSize norm (Array.map Dyadic.ofFloat v)
                    let low, high = NormedVectors.sizeDown norm v, NormedVectors.sizeUp norm v

                    Expect.isTrue
                        (Dyadic.ofFloat low |> Dyadic.isAtMost exact)
                        "Dyadic.ofFloat low |> Dyadic.isAtMost exact"

                    if Double.IsFinite high then
                        Expect.isTrue
                            (exact |> Dyadic.isAtMost (Dyadic.ofFloat high))
                            "exact |> Dyadic.isAtMost (Dyadic.ofFloat high)"

                    if Double.IsFinite high then
                        Expect.isGreaterThanOrEqual low (high * (1.0 - 1e-13)) "low"

                    Expect.isInRange
                        (NormedVectors.size norm (ReadOnlySpan v))
                        (low * (1.0 - 1e-13), high * (1.0 + 1e-13))
                        "NormedVectors.size norm (ReadOnlySpan v)")

            statement
                "distances rounded upward are never below the exact ones"
                200
                (fun seed -> vector seed, Draw(seed + 9))
                (fun (v, draw) ->
                    let x = Tensor.vector v

                    let y =
                        x |> Tensor.map (fun c -> if draw.Chance 0.3 then c else c + draw.Gaussian())

                    for norm in exactNorms do
                        let exact = exactSize norm (differences x y)

                        Expect.isTrue
                            (exact |> Dyadic.isAtMost (Dyadic.ofFloat (NormedVectors.distanceUp norm x y)))
                            "")

            statement "the furthest point of a ball attains the dual norm" 200 vector (fun w ->
                for norm in norms do
                    let v = NormedVectors.furthest norm w
                    let product = Array.fold2 (fun sum a b -> sum + a * b) 0.0 v w
                    let dual = Norm.dual norm w

                    if Double.IsFinite dual then
                        Expect.isWithin (1e-12 * dual) product dual "product"

                        Expect.isLessThanOrEqual
                            (NormedVectors.size norm (ReadOnlySpan v))
                            (1.0 + 1e-12)
                            "NormedVectors.size norm (ReadOnlySpan v)")

            statement
                "a projection lies in the ball, and no point of the ball is nearer"
                200
                (fun seed -> vector seed, Draw(seed + 4))
                (fun (v, draw) ->
                    let largest = v |> Array.fold (fun best x -> max best (abs x)) 0.0

                    if largest > 1e-100 && largest < 1e100 then
                        for norm in norms do
                            let radius = largest * draw.Power(-2.0, 1.5)
                            let projected = Array.copy v
                            NormedVectors.project norm radius (Span projected)

                            Expect.isLessThanOrEqual
                                (NormedVectors.size norm (ReadOnlySpan projected))
                                (radius * (1.0 + 1e-12))
                                "NormedVectors.size norm (ReadOnlySpan projected)"

                            // The point nearest to v: every other lies on the far side of the plane through it.
                            let normal = Array.map2 (-) v projected

                            for point in pointsIn norm draw 10 (Array.zeroCreate v.Length) radius do
                                let over = Array.map3 (fun n a b -> n * (a - b)) normal point projected |> Array.sum

                                Expect.isLessThanOrEqual
                                    over
                                    (1e-9 * largest * radius)
                                    $"{Norm.label norm}-norm, radius {radius}")

            statement "samples lie in the ball of each norm, and fill it" 20 Draw (fun draw ->
                let size = draw.Int(1, 4)

                let ball =
                    RestrictedBall.whole (Tensor.create [ size ] 0.0) (radius (draw.Power(-3.0, 3.0)))

                for norm in norms do
                    let sizes =
                        BallSamples.draw context norm ball 0 400
                        |> Array.chunkBySize size
                        |> Array.map (fun v -> sizeIn norm v / ball.Radius.Value)

                    Expect.isLessThanOrEqual (Array.max sizes) (1.0 + 1e-12) "Array.max sizes"
                    // The ball of half the radius has 2⁻ⁿ of the volume: 400·2⁻ⁿ samples, give or take six deviations.
                    let share = Math.Pow(0.5, float size)
                    let inner = sizes |> Array.filter (fun size -> size <= 0.5) |> Array.length |> float
                    Expect.isWithin (6.0 * sqrt (400.0 * share)) inner (400.0 * share) "inner")
        ]
