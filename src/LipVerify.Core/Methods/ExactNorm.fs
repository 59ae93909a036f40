/// The spectral norm of a small matrix to the last digits, by Jacobi's method on its Gram matrix.
module internal LipVerify.Core.ExactNorm

open System

/// The spectral norm of a matrix given by its rows.
let ofRows (rows: float[][]) =
    let largest = rows |> Array.fold (Array.fold (fun best x -> max best (abs x))) 0.0

    if largest = 0.0 || rows.Length = 0 then
        0.0
    elif not (Double.IsFinite largest) then
        Double.PositiveInfinity
    else
        let scaled = rows |> Array.map (Array.map (fun x -> x / largest))

        let vectors =
            if rows.Length <= rows[0].Length then
                scaled
            else
                Array.init rows[0].Length (fun j -> scaled |> Array.map (fun row -> row[j]))

        let n = vectors.Length

        let gram =
            Array.init n (fun i -> Array.init n (fun j -> ReluChain.dot vectors[i] vectors[j]))

        SymmetricEigen.diagonalize gram |> ignore

        // What is left beside the diagonal counts in full (Weyl).
        let top = Array.init n (fun i -> gram[i][i]) |> Array.max
        largest * sqrt (top + SymmetricEigen.offDiagonal gram)
