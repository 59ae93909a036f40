module LipVerify.Tests.CoreLowerBoundTests

open LipVerify.Compute
open LipVerify.Core
open LipVerify.Propositions.Generators
open LipVerify.Propositions.Oracles
open NUnit.Framework

let private values (storage: Storage) =
    Tensor.values (Tensor.ofStorage [ storage.Length ] storage)

let private dot (a: float[]) (b: float[]) =
    Array.fold2 (fun sum x y -> sum + x * y) 0.0 a b

[<Test>]
let ``pushforward and pullback are adjoint, row by row`` () =
    check 150 network (fun case ->
        let draw = Draw case.Seed
        let n, m = case.Input.Length, Shape.size case.Network.OutputShape
        let points = draw.Gaussians(3 * n)
        let linear = Linearization.at context case.Network 3 (HostStorage points)
        let v, w = draw.Gaussians(3 * n), draw.Gaussians(3 * m)

        let pushed, pulled =
            values (linear.Pushforward(HostStorage v)), values (linear.Pullback(HostStorage w))
        // Without cancellation: the Jacobian is at most the global constant.
        let largest = (Global.bound context case.Network).Bound.Value

        for row in 0..2 do
            let part (a: float[]) size = a[row * size .. row * size + size - 1]
            let vi, wi = part v n, part w m
            let difference = abs (dot (part pushed m) wi - dot vi (part pulled n))
            Assert.That(difference, Is.LessThanOrEqualTo(1e-11 * largest * norm vi * norm wi)))

[<Test>]
let ``the value of a linearization is that of the network`` () =
    check 100 network (fun case ->
        let points =
            Array.init 3 (fun k -> (Draw(case.Seed + k)).Gaussians case.Input.Length)

        let linear =
            Linearization.at context case.Network 3 (HostStorage(Array.concat points))

        let expected = evaluateAll case.Network points |> Array.concat
        Assert.That((values linear.Value = expected), Is.True))

[<Test>]
let ``inside a linear piece the pushforward is the difference of values`` () =
    check 120 network (fun case ->
        let draw = Draw case.Seed
        let x, y = draw.Gaussians case.Input.Length, draw.Gaussians case.Input.Length

        let at s =
            Array.map2 (fun a b -> a + s * (b - a)) x y

        for s, t in knots case.Network x y |> Array.pairwise |> Array.truncate 6 do
            // The knots are rounded: the inner half of a piece that is not too short surely lies on one piece.
            if t - s > 1e-6 then
                let inner w = at (s + w * (t - s))
                let ends = [| inner 0.25; inner 0.75 |]
                let linear = Linearization.at context case.Network 1 (HostStorage(inner 0.5))
                let moved = Array.map2 (-) ends[1] ends[0]
                let pushed = values (linear.Pushforward(HostStorage moved))

                let reached, errors =
                    evaluateAll case.Network ends, evaluationErrors case.Network ends

                let difference = Array.map2 (-) (Array.map2 (-) reached[1] reached[0]) pushed
                Assert.That(norm difference, Is.LessThanOrEqualTo(2.0 * (errors[0] + errors[1]) + 1e-12 * norm pushed)))

/// A network over a restricted ball: some zeros of the centre stay zero.
let private restricted seed =
    let case = network seed
    let draw = Draw(seed + 2)

    let mask =
        Tensor.values case.Input
        |> Array.map (fun c -> if c = 0.0 && draw.Chance 0.5 then 0.0 else 1.0)

    let ball =
        { RestrictedBall.whole case.Input (radius (min 100.0 case.Radius.Value)) with
            Mask = Tensor.ofArray case.Input.Shape mask
        }

    case, ball

let private assertInside (ball: RestrictedBall) (witness: Tensor) =
    let center, mask = Tensor.values ball.Center, Tensor.values ball.Mask
    let moved = Array.map2 (-) (Tensor.values witness) center
    // The sum with the centre is rounded.
    let rounding =
        2.0
        * Rounding.unitRoundoff
        * (norm center + ball.Radius.Value)
        * sqrt (float center.Length)

    Assert.That(norm moved, Is.LessThanOrEqualTo(ball.Radius.Value * (1.0 + 1e-12) + rounding))

    Array.iter2
        (fun d (m: float) ->
            if d = 0.0 then
                Assert.That(m, Is.Zero))
        mask
        moved

[<Test>]
let ``slopes by sampling and ascent lie in the ball and come out again at their witness`` () =
    check 100 restricted (fun (case, ball) ->
        let seeded = { context with Seed = case.Seed }

        for attained in
            [
                LowerBounds.sampling seeded case.Network ball 20
                LowerBounds.gradientAscent seeded case.Network ball 3 10
            ] do
            assertInside ball attained.Witness

            match slopes case.Network (Tensor.values ball.Center) [| Tensor.values attained.Witness |] with
            | [| slope |] ->
                Assert.That(attained.Value, Is.EqualTo(slope.Value).Within(1e-12 * slope.Value + 2.0 * slope.Noise))
            | _ -> Assert.That(attained.Value, Is.Zero))

[<Test>]
let ``ascent does not end below where it started`` () =
    check 60 restricted (fun (case, ball) ->
        let reached steps =
            (LowerBounds.gradientAscent context case.Network ball 3 steps).Value

        Assert.That(reached 8, Is.GreaterThanOrEqualTo(reached 0)))

[<Test>]
let ``Jacobians by sampling are those of their witness, over the coordinates that may move`` () =
    check 100 restricted (fun (case, ball) ->
        let attained =
            LowerBounds.jacobianSampling { context with Seed = case.Seed } case.Network ball 4 30

        assertInside ball attained.Witness

        let m = Shape.size case.Network.OutputShape
        // Four copies, as four points were drawn: at a kink the rounding of a row decides, and it may differ with the batch.
        let copies = Array.replicate 4 (Tensor.values attained.Witness) |> Array.concat
        let linear = Linearization.at context case.Network 4 (HostStorage copies)

        let columns =
            Tensor.values ball.Mask
            |> Array.mapi (fun j d -> Array.init copies.Length (fun i -> if i % ball.Mask.Length = j then d else 0.0))
            |> Array.map (fun basis -> Array.chunkBySize m (values (linear.Pushforward(HostStorage basis))))

        let exact =
            Seq.init 4 (fun row -> columns |> Array.map (fun column -> column[row]) |> spectralNorm)
            |> Seq.max

        Assert.That(attained.Value, Is.LessThanOrEqualTo(exact * (1.0 + 1e-10))))

[<Test>]
let ``lower bounds repeat for one seed`` () =
    check 20 restricted (fun (case, ball) ->
        let value seed =
            (LowerBounds.gradientAscent { context with Seed = seed } case.Network ball 3 5).Value

        Assert.That(value 3, Is.EqualTo(value 3)))
