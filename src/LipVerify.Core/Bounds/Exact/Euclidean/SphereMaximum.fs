/// Where `‖A z + b‖` is largest on a sphere `‖z‖ = r`: the stationary points with `(μI − AᵀA) z = Aᵀb` that can be local maxima.
/// There are at most two: one with `μ` above all eigenvalues, and one between the two largest (Martínez 1994, Local minimizers of
/// quadratic functions on Euclidean balls and spheres).
module internal LipVerify.Core.Bounds.Exact.Euclidean.SphereMaximum

open System
open LipVerify.Core.Chains

/// Halvings of an interval until its ends agree to the last digits.
let private halvings = 120

/// Where a function that falls from above `level` at `low` to below it at `high` passes it; both ends positive.
let private crossing (f: float -> float) level low high =
    let mutable low, high = low, high

    for _ in 1..halvings do
        let middle =
            if high > 4.0 * low then
                sqrt low * sqrt high
            else
                0.5 * (low + high)

        if f middle > level then low <- middle else high <- middle

    0.5 * (low + high)

/// Where a convex function on `[low, high]` is least, by thirds: the best point that was met, since a function that falls up to a pole has its least
/// value next to it, and none on it.
let private lowest (f: float -> float) low high =
    let mutable low, high = low, high
    let mutable at, least = low, Double.PositiveInfinity

    let meet x =
        let value = f x

        if value < least then
            at <- x
            least <- value

        value

    for _ in 1..halvings do
        let a, b = low + (high - low) / 3.0, high - (high - low) / 3.0
        if meet a < meet b then high <- b else low <- a

    at

/// The candidates in two or more dimensions.
let private inSpace (rows: float[][]) (b: float[]) (r: float) : float[] list =
    let size = rows[0].Length
    let columns = Array.init size (fun j -> rows |> Array.map (fun row -> row[j]))
    let q = columns |> Array.map (fun column -> ReluChain.dot column b)

    let eigen =
        Array.init size (fun i -> Array.init size (fun j -> ReluChain.dot columns[i] columns[j]))
        |> SymmetricEigen.decompose

    let struct (top, _) = eigen[0]
    let gaps = eigen |> Array.map (fun struct (value, _) -> top - value)
    let along = eigen |> Array.map (fun struct (_, v) -> ReluChain.dot v q)
    let vectors = eigen |> Array.map (fun struct (_, v) -> v)

    /// `‖(μI − AᵀA)⁻¹ Aᵀb‖²` at `μ = top + t`.
    let length t =
        Array.fold2 (fun sum gap a -> sum + (if a = 0.0 then 0.0 else Math.Pow(a / (t + gap), 2.0))) 0.0 gaps along

    let point t =
        let z =
            ReluChain.combination (Array.map2 (fun gap a -> if a = 0.0 then 0.0 else a / (t + gap)) gaps along) vectors

        let norm = sqrt (ReluChain.dot z z)
        z |> Array.map (fun x -> x * r / norm)

    let highest = sqrt (ReluChain.dot q q) / r

    let above =
        if highest > 0.0 && length (1e-18 * highest) > r * r then
            [ point (crossing length (r * r) (1e-18 * highest) highest) ]
        else
            // `Aᵀb` has no part along the first eigenvector: both of its directions fill what is missing.
            let z =
                ReluChain.combination
                    (Array.map2 (fun gap a -> if gap > 1e-14 * top then a / gap else 0.0) gaps along)
                    vectors

            let rest = sqrt (max 0.0 (r * r - ReluChain.dot z z))

            [ rest; -rest ]
            |> List.map (fun step -> Array.map2 (fun x v -> x + step * v) z vectors[0])

    let between =
        if gaps[1] > 1e-14 * top && along[0] <> 0.0 then
            let below s = length -s
            let valley = lowest below 0.0 gaps[1]

            if below valley < r * r then
                [ point -(crossing below (r * r) (1e-18 * valley) valley) ]
            else
                []
        else
            []

    above @ between

/// The points of the sphere that can be local maxima of `‖A z + b‖`; the rows of `A` are `rows`.
let candidates (rows: float[][]) (b: float[]) (r: float) : float[] list =
    if rows[0].Length = 1 then
        [ [| r |]; [| -r |] ]
    else
        inSpace rows b r
