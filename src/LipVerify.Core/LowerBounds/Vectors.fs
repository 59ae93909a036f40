/// Norms and distances of vectors, nearest and with directed rounding, safe from overflow and underflow of the squares.
module LipVerify.Core.LowerBounds.Vectors

open System
open System.Numerics
open LipVerify.Core.Numbers

/// Inside this range no sum of squares leaves the range of doubles, nor loses digits below it.
let private isOrdinary norm = norm > 1e-140 && norm < 1e140

/// The power of two of the largest entry.
let private exponentOf (v: ReadOnlySpan<float>) =
    let largest = Tensors.TensorPrimitives.MaxMagnitude v |> abs

    if largest > 0.0 && Double.IsFinite largest then
        Math.ILogB largest
    else
        0

/// `Σ (2^−e v_i)²`.
let private scaledSquares exponent (v: ReadOnlySpan<float>) =
    let mutable sum = 0.0

    for i in 0 .. v.Length - 1 do
        let scaled = Math.ScaleB(v[i], -exponent)
        sum <- sum + scaled * scaled

    sum

/// `‖v‖` up to rounding; 0 for the empty vector.
let norm (v: ReadOnlySpan<float>) =
    if v.Length = 0 then
        0.0
    else
        let direct = Tensors.TensorPrimitives.Norm v

        if isOrdinary direct then
            direct
        else
            let exponent = exponentOf v
            Math.ScaleB(sqrt (scaledSquares exponent v), exponent)

/// An upper bound on `‖v‖`.
let normUp (v: float[]) =
    if v.Length = 0 then
        0.0
    else
        let exponent = exponentOf (ReadOnlySpan v)
        let squares = scaledSquares exponent (ReadOnlySpan v)

        if squares = 0.0 then
            0.0
        else
            // The largest entry is scaled to [1, 2): what underflows beside it is far below the inflation.
            let inflation = 1.0 + 2.0 * Rounding.gamma (v.Length + 4)
            Rounding.scaleUp (Rounding.mulUp inflation (Rounding.sqrtUp squares)) exponent

/// A lower bound on `‖v‖`; 0 where an entry is not a finite number.
let normDown (v: float[]) =
    if v.Length = 0 || not (Array.forall Double.IsFinite v) then
        0.0
    else
        let exponent = exponentOf (ReadOnlySpan v)
        let squares = scaledSquares exponent (ReadOnlySpan v)
        let deflation = 1.0 - 2.0 * Rounding.gamma (v.Length + 4)
        let norm = Math.ScaleB(Math.BitDecrement(deflation * sqrt squares), exponent)
        let norm = if norm < 1e-300 then Math.BitDecrement norm else norm
        Math.Clamp(norm, 0.0, Double.MaxValue)
