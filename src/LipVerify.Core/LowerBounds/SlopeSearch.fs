/// Pairs of inputs of a ball, or inputs against its centre, and the slopes of a network between them.
module internal LipVerify.Core.LowerBounds.SlopeSearch

open System
open System.Numerics.Tensors
open LipVerify.Core.Numbers
open LipVerify.Core.Networks

/// What is searched.
[<ReferenceEquality>]
type Search =
    {
        Network: Network
        /// The norm of inputs and outputs.
        Norm: Norm
        Center: float[]
        Mask: float[]
        Radius: float
        /// Displacements that move: 1 against the nominal input, 2 between pairs.
        Ends: int
    }

/// Displacements of one or two inputs from the centre, one behind the other, and the slope between them (or to the centre).
[<ReferenceEquality>]
type Candidate =
    { Slope: float; Displacements: float[] }

/// A row of the given size, to be written.
let span (values: float[]) size row = Span(values, row * size, size)

/// A row of the given size.
let readOnly (values: float[]) size row = ReadOnlySpan(values, row * size, size)

/// `a − b`, or `a` where the other end is the centre.
let separation search (member': ReadOnlySpan<float>) =
    let n = search.Center.Length
    let difference = member'.Slice(0, n).ToArray()

    if search.Ends = 2 then
        TensorPrimitives.Subtract(ReadOnlySpan difference, member'.Slice n, Span difference)

    difference

/// Draws each end back into the ball, and keeps still what may not move.
let project search (population: float[]) =
    let n = search.Center.Length

    for row in 0 .. population.Length / n - 1 do
        let ending = span population n row
        TensorPrimitives.Multiply(Span.op_Implicit ending, ReadOnlySpan search.Mask, ending)

        if not (Double.IsFinite(NormedVectors.size search.Norm (Span.op_Implicit ending))) then
            ending.Clear()
        else
            NormedVectors.project search.Norm search.Radius ending

/// The gradient of `log ‖v‖`: `v/‖v‖²`, or the furthest point of the dual ball over `‖v‖`; 0 where that is no number.
let private logarithmic norm (v: float[]) : float[] =
    let size = NormedVectors.size norm (ReadOnlySpan v)

    if not (size > 0.0 && Double.IsFinite size) then
        Array.zeroCreate v.Length
    else
        match norm with
        | Euclidean -> v |> Array.map (fun x -> x / size / size)
        | Maximum
        | Taxicab -> NormedVectors.furthest (Norm.conjugate norm) v |> Array.map (fun x -> x / size)

/// Slopes of the members, and the gradients of their logarithms. In the maximum norm and the 1-norm these are gradients of the logarithm
/// of the change alone: the distance of the ends is left to the steps.
let look context search (nominal: float[]) (population: float[]) =
    let n, m = search.Center.Length, nominal.Length
    let points = population |> Array.mapi (fun k d -> search.Center[k % n] + d)

    let change (outputs: float[]) row =
        Array.init m (fun k ->
            let other =
                if search.Ends = 2 then
                    outputs[(2 * row + 1) * m + k]
                else
                    nominal[k]

            outputs[search.Ends * row * m + k] - other)

    // The opposite at the second end.
    let weigh _ (outputs: float[]) =
        Array.init (outputs.Length / (m * search.Ends)) (fun row ->
            let weights = logarithmic search.Norm (change outputs row)

            if search.Ends = 2 then
                Array.append weights (Array.map (~-) weights)
            else
                weights)
        |> Array.concat

    let struct (outputs, gradient) =
        Points.pull context search.Network search.Ends points weigh

    let width = search.Ends * n
    let slopes = Array.zeroCreate (population.Length / width)

    for row in 0 .. slopes.Length - 1 do
        let s = separation search (readOnly population width row)
        let distance = NormedVectors.size search.Norm (ReadOnlySpan s)

        let slope =
            NormedVectors.size search.Norm (ReadOnlySpan(change outputs row)) / distance

        slopes[row] <- if Double.IsFinite slope then slope else 0.0

        for k in 0 .. width - 1 do
            let towards =
                if search.Norm = Euclidean then
                    s[k % n] / distance / distance
                else
                    0.0

            let sign = if k < n then 1.0 else -1.0
            let at = row * width + k
            gradient[at] <- search.Mask[k % n] * (gradient[at] - sign * towards)

    struct (slopes, gradient)
