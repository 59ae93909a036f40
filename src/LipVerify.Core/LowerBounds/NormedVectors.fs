/// Vectors in any of the norms: sizes, nearest and with directed rounding, and the points of a ball nearest to a vector or furthest in a direction.
module LipVerify.Core.LowerBounds.NormedVectors

open System
open System.Numerics
open LipVerify.Core.Numbers
open LipVerify.Core.Computation

/// `‖v‖` up to rounding; 0 for the empty vector.
let size norm (v: ReadOnlySpan<float>) =
    match norm with
    | _ when v.Length = 0 -> 0.0
    | Euclidean -> Vectors.norm v
    | Maximum -> abs (Tensors.TensorPrimitives.MaxMagnitude v)
    | Taxicab -> Tensors.TensorPrimitives.SumOfMagnitudes v

let private largest (v: float[]) =
    v |> Array.fold (fun largest x -> max largest (abs x)) 0.0

/// An upper bound on `‖v‖`.
let sizeUp norm (v: float[]) =
    match norm with
    | Euclidean -> Vectors.normUp v
    | Maximum -> largest v
    | Taxicab -> v |> Array.fold (fun sum x -> Rounding.addUp sum (abs x)) 0.0

/// A lower bound on `‖v‖`; 0 where an entry is not a finite number.
let sizeDown norm (v: float[]) =
    let addDown (sum: float) (x: float) =
        if sum = 0.0 then x
        elif x = 0.0 then sum
        else Math.BitDecrement(sum + x)

    match norm with
    | Euclidean -> Vectors.normDown v
    | _ when not (Array.forall Double.IsFinite v) -> 0.0
    | Maximum -> largest v
    | Taxicab -> v |> Array.fold (fun sum x -> addDown sum (abs x)) 0.0

/// An upper bound on `‖x − y‖`.
let distanceUp norm (x: Tensor) (y: Tensor) =
    let difference a b =
        if a = b then 0.0 else Math.BitIncrement(abs (a - b))

    Array.map2 difference (Tensor.values x) (Tensor.values y) |> sizeUp norm

/// A point `v` of the unit ball where `wᵀv` is largest, up to rounding: `w/‖w‖`, the signs of `w`, or the unit vector of its largest entry; 0 where
/// `w` is 0 or not finite.
let furthest norm (w: float[]) : float[] =
    let length = size Euclidean (ReadOnlySpan w)

    if not (length > 0.0 && Double.IsFinite length) then
        Array.zeroCreate w.Length
    else
        match norm with
        | Euclidean -> w |> Array.map (fun x -> x / length)
        | Maximum -> w |> Array.map (fun x -> float (sign x))
        | Taxicab ->
            let top = Tensors.TensorPrimitives.IndexOfMaxMagnitude(ReadOnlySpan w)
            Array.init w.Length (fun i -> if i = top then float (sign w[i]) else 0.0)

/// How much the magnitudes of `v` shrink in the projection to `‖v‖₁ ≤ radius` (Duchi, Shalev-Shwartz, Singer & Chandra 2008).
let private threshold (v: ReadOnlySpan<float>) (radius: float) =
    let descending = v.ToArray() |> Array.map abs
    Array.Sort descending
    Array.Reverse descending
    let mutable sum = 0.0
    let mutable threshold = 0.0

    for i in 0 .. descending.Length - 1 do
        sum <- sum + descending[i]
        let shrink = (sum - radius) / float (i + 1)

        if descending[i] > shrink then
            threshold <- shrink

    threshold

/// Replaces `v` by the nearest point (in the 2-norm) of the ball `‖v‖ ≤ radius`, up to rounding.
let project norm radius (v: Span<float>) =
    let length = size norm (Span.op_Implicit v)

    if length > radius then
        match norm with
        | Euclidean -> Tensors.TensorPrimitives.Multiply(Span.op_Implicit v, radius / length, v)
        | Maximum ->
            for i in 0 .. v.Length - 1 do
                v[i] <- Math.Clamp(v[i], -radius, radius)
        | Taxicab ->
            let threshold = threshold (Span.op_Implicit v) radius

            for i in 0 .. v.Length - 1 do
                v[i] <- float (sign v[i]) * max 0.0 (abs v[i] - threshold)
