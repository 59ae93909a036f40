/// Gradient ascent on the logarithm of the slope, of many members side by side.
module internal LipVerify.Core.LowerBounds.SlopeSteps

open System
open System.Numerics.Tensors
open LipVerify.Core.Numbers
open LipVerify.Core.LowerBounds.SlopeSearch

/// Share of the velocity that a step keeps.
let private momentum = 0.7

/// The first step, relative to the distance of the ends; the last one is a hundredth of it.
let private firstStep = 0.3

/// Moves the ends by `length·distance` in the direction of the velocity.
let private stepAlong (velocity: Span<float>) length distance (ending: Span<float>) =
    let size = Vectors.norm (Span.op_Implicit velocity)

    if size > 0.0 && Double.IsFinite size then
        TensorPrimitives.MultiplyAdd(
            Span.op_Implicit velocity,
            length * distance / size,
            Span.op_Implicit ending,
            ending
        )
    else
        velocity.Clear()

/// `a + b` of two ends.
let private sum search (member': ReadOnlySpan<float>) =
    let n = search.Center.Length
    let sum = member'.Slice(0, n).ToArray()
    TensorPrimitives.Add(ReadOnlySpan sum, member'.Slice n, Span sum)
    sum

/// Moves the separation of the ends by `length·distance` to where a step of that size in the norm gains most, and draws it together again, to
/// a distance that grows or shrinks as the slope does along it; the middle of two ends is moved by a step of the same size.
let private stepFurthest search (gradient: ReadOnlySpan<float>) (velocity: Span<float>) length (ending: Span<float>) =
    let n, norm = search.Center.Length, search.Norm
    let s = separation search (Span.op_Implicit ending)
    let distance = NormedVectors.size norm (ReadOnlySpan s)
    let ends = float search.Ends

    // The derivative of the logarithm of the change along the logarithm of the distance.
    let rate =
        TensorPrimitives.Dot(ReadOnlySpan(separation search gradient), ReadOnlySpan s)
        / ends

    if not (Double.IsFinite rate && Double.IsFinite distance) then
        velocity.Clear()
    else
        let step (velocity: float[]) =
            NormedVectors.furthest norm velocity
            |> Array.map (fun d -> length * distance * d)

        let next = Array.map2 (+) s (step (separation search (Span.op_Implicit velocity)))
        NormedVectors.project norm (distance * (1.0 + length * Math.Clamp(rate - 1.0, -1.0, 1.0))) (Span next)

        if search.Ends = 1 then
            next.CopyTo ending
        else
            let turn = step (sum search (Span.op_Implicit velocity))
            let total = sum search (Span.op_Implicit ending)

            for k in 0 .. n - 1 do
                let middle = 0.5 * total[k] + turn[k]
                ending[k] <- middle + 0.5 * next[k]
                ending[n + k] <- middle - 0.5 * next[k]

/// Steps of normalised length along the gradient with momentum, growing smaller; the best point of each member is kept. Once `isOver` no
/// more steps than the first are taken.
let climb context isOver search nominal steps (start: float[]) =
    let width = search.Ends * search.Center.Length
    let population = Array.copy start
    let velocity = Array.zeroCreate population.Length
    let best = Array.zeroCreate (population.Length / width)
    let reached = Array.copy population

    for step in seq { 0..steps } |> Seq.takeWhile (fun step -> step = 0 || not (isOver ())) do
        let struct (slopes, gradient) = look context search nominal population

        let length =
            firstStep
            * (0.01 + 0.495 * (1.0 + cos (Math.PI * float step / float (max 1 steps))))

        for row in 0 .. best.Length - 1 do
            if slopes[row] > best[row] then
                best[row] <- slopes[row]
                (readOnly population width row).CopyTo(span reached width row)

            let distance =
                separation search (readOnly population width row)
                |> fun s -> NormedVectors.size search.Norm (ReadOnlySpan s)

            let speed = span velocity width row
            TensorPrimitives.Multiply(Span.op_Implicit speed, momentum, speed)

            TensorPrimitives.MultiplyAdd(
                readOnly gradient width row,
                (1.0 - momentum) * distance,
                Span.op_Implicit speed,
                speed
            )

            match search.Norm with
            | Euclidean -> stepAlong speed length distance (span population width row)
            | Maximum
            | Taxicab -> stepFurthest search (readOnly gradient width row) speed length (span population width row)

        project search population

    Array.init best.Length (fun row ->
        {
            Slope = best[row]
            Displacements = (readOnly reached width row).ToArray()
        })
