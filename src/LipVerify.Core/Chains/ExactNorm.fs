/// Norms of small matrices to the last digits: the spectral norm by Jacobi's method on the Gram matrix, and the largest row sum.
module internal LipVerify.Core.Chains.ExactNorm

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

/// `max_j Σ_k |a_jk|`, the norm from the maximum norm to the maximum norm.
let largestRowSum (rows: float[][]) =
    rows |> Array.fold (fun best row -> max best (Array.sumBy abs row)) 0.0
