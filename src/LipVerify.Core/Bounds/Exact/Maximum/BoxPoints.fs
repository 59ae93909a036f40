namespace LipVerify.Core.Bounds.Exact.Maximum

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Chains

/// What a network does at points `x0 + ε s`, `|s| ≤ 1`, of a box: Jacobians and slopes that are attained there, as lower ends.
[<Sealed>]
type internal BoxPoints(ball: ReluBall) =
    let chain, center, radius = ball.Chain, ball.Center, ball.Radius

    /// The rounding of a Jacobian's rows, with room to spare.
    let widen = 1.0 + 1e-11

    /// A bound on rounding relative to the sums of sizes; pre-activations within it count as kinks.
    let precision =
        let widest =
            chain.Steps
            |> Array.map (fun step -> max step.Rows.Length step.Rows[0].Length)
            |> Array.max

        8.0 * Rounding.gamma ((widest + 8) * chain.Steps.Length)

    let place (s: float[]) =
        Array.map2 (fun c s -> c + radius * s) center s

    /// The pre-activations with the sums of sizes behind them, layer by layer, the outputs last.
    let walk (x: float[]) =
        let mutable values, sizes = x, Array.map abs x

        chain.Steps
        |> Array.map (fun step ->
            let y = Array.map2 (fun row b -> ReluChain.dot row values + b) step.Rows step.Bias

            let size =
                Array.map2
                    (fun row b -> Array.fold2 (fun sum w size -> sum + abs w * size) (abs b) row sizes)
                    step.Rows
                    step.Bias

            values <- y |> Array.map (max 0.0)
            // A value that is 0 by rounding alone is known no better than the sizes behind it.
            sizes <- Array.map2 (fun y size -> if y > -precision * size then size else 0.0) y size
            struct (y, size))

    let sizesOfSteps =
        chain.Steps |> Array.map (fun step -> step.Rows |> Array.map (Array.map abs))

    /// `Σ_k |J_jk|` over the rows of the last map, for slopes layer by layer, less what may be rounding.
    let rowSums (slopes: bool[][]) =
        (Array.last chain.Steps).Rows
        |> Array.map (fun row ->
            let mutable row = row
            let mutable size = Array.map abs row

            for layer in slopes.Length - 1 .. -1 .. 0 do
                let kept values =
                    Array.map2 (fun keep x -> if keep then x else 0.0) slopes[layer] values

                row <- ReluChain.combination (kept row) chain.Steps[layer].Rows
                size <- ReluChain.combination (kept size) sizesOfSteps[layer]

            Array.sumBy abs row - precision * Array.sum size)

    let origin = walk center

    /// The pre-activation of a ReLU at a point.
    member _.PreActivation (s: float[]) layer i =
        let struct (y, _) = (walk (place s))[layer]
        y[i]

    /// `‖J(x)‖∞` at a point that surely lies on no kink; 0 elsewhere.
    member _.Jacobian(s: float[]) =
        let hidden = (walk (place s))[.. chain.Steps.Length - 2]

        let isSmooth =
            hidden
            |> Array.forall (fun (struct (y, size)) ->
                Array.forall2 (fun y size -> y = 0.0 && size = 0.0 || abs y > precision * size) y size)

        let largest =
            if isSmooth then
                hidden
                |> Array.map (fun (struct (y, _)) -> y |> Array.map (fun y -> y > 0.0))
                |> rowSums
                |> Array.max
            else
                0.0

        if Double.IsFinite largest then
            max 0.0 (largest / widen)
        else
            0.0

    /// `‖f(x) − f(x0)‖∞ / ‖x − x0‖∞`, less what may be rounding.
    member _.Slope(s: float[]) =
        let x = place s

        let distance =
            Array.fold2 (fun largest x c -> max largest (abs (x - c))) 0.0 x center

        if distance = 0.0 then
            0.0
        else
            let struct (y, size) = Array.last (walk x)
            let struct (y0, size0) = Array.last origin

            let change =
                Array.init y.Length (fun j -> abs (y[j] - y0[j]) - precision * (size[j] + size0[j]))
                |> Array.max

            let slope = change / distance / widen
            if Double.IsFinite slope then max slope 0.0 else 0.0

    /// Ascends from random points of the box by steps that are drawn around the best so far, shorter and shorter; less far once
    /// `isOver`.
    member _.Ascend (context: Context) isOver (value: float[] -> float) =
        let random = Random context.Seed
        let n = center.Length

        let draw () =
            Array.init n (fun _ -> 2.0 * random.NextDouble() - 1.0)

        let starts =
            seq {
                yield Array.zeroCreate n

                for _ in 1..100 do
                    let s = draw ()
                    yield s
                    // A hair inside, where the pieces at the corner are smooth.
                    yield s |> Array.map (fun x -> (1.0 - 1e-6) * (if x < 0.0 then -1.0 else 1.0))
            }

        let nearby length =
            Array.map (fun s ->
                let step = length * (2.0 * random.NextDouble() - 1.0)

                if random.Next 3 = 0 then
                    s
                else
                    max -1.0 (min 1.0 (s + step)))

        let climb struct (top, start) =
            let mutable best, top = start, top

            for round in 0..119 do
                if not (isOver ()) then
                    Context.check context
                    let next = nearby (0.5 * 0.4 ** float (round / 20)) best
                    let reached = value next

                    if reached > top then
                        best <- next
                        top <- reached

            top

        let evaluated =
            [|
                for s in starts do
                    Context.check context

                    if not (isOver ()) then
                        struct (value s, s)
            |]

        evaluated
        |> Array.sortByDescending (fun (struct (value, _)) -> value)
        |> Array.truncate 6
        |> Array.map climb
        |> Array.fold max 0.0
