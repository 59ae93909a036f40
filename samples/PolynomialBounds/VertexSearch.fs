/// A lower bound on the maximum of `tᵀ Wᵀ u` over slopes `u ∈ {0, 1}` and signs `t`, which is `max ‖Wᵀu‖₁`: ascent from random slopes,
/// one slope at a time.
module LipVerify.Samples.PolynomialBounds.VertexSearch

open System

/// `Σ |s_j + change·row_j|`.
let private moved (sums: float[]) (row: float[]) change =
    let mutable total = 0.0

    for j in 0 .. sums.Length - 1 do
        total <- total + abs (sums[j] + change * row[j])

    total

/// Flips slopes while the norm grows.
let private ascend (rows: float[][]) (slopes: float[]) =
    let sums =
        Array.init rows[0].Length (fun j -> rows |> Seq.mapi (fun i row -> slopes[i] * row[j]) |> Seq.sum)

    let mutable best = Array.sumBy abs sums
    let mutable isMoving = true

    while isMoving do
        isMoving <- false

        for i in 0 .. rows.Length - 1 do
            let change = 1.0 - 2.0 * slopes[i]
            let value = moved sums rows[i] change

            if value > best * (1.0 + 1e-12) then
                best <- value
                slopes[i] <- slopes[i] + change
                isMoving <- true

                for j in 0 .. sums.Length - 1 do
                    sums[j] <- sums[j] + change * rows[i][j]

    best

/// The best value of `starts` ascents.
let maximum seed starts (weights: float[,]) =
    let random = Random seed
    let rows = Array.init (Array2D.length1 weights) (fun i -> weights[i, *])

    Seq.init starts (fun _ -> Array.init rows.Length (fun _ -> float (random.Next 2)))
    |> Seq.map (ascend rows)
    |> Seq.max
