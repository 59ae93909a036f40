/// The spectral norm of a small matrix to the last digits, by Jacobi's method on its Gram matrix.
module internal LipVerify.Core.ExactNorm

open System

/// Turns `gram` so that entry (p, q) vanishes.
let private rotate (gram: float[][]) p q =
    let apq = gram[p][q]

    if apq <> 0.0 then
        let theta = (gram[q][q] - gram[p][p]) / (2.0 * apq)

        let t =
            (if theta >= 0.0 then 1.0 else -1.0)
            / (abs theta + Math.Sqrt(theta * theta + 1.0))

        let c = 1.0 / Math.Sqrt(t * t + 1.0)
        let s = t * c

        for k in 0 .. gram.Length - 1 do
            let a, b = gram[k][p], gram[k][q]
            gram[k][p] <- c * a - s * b
            gram[k][q] <- s * a + c * b

        for k in 0 .. gram.Length - 1 do
            let a, b = gram[p][k], gram[q][k]
            gram[p][k] <- c * a - s * b
            gram[q][k] <- s * a + c * b

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

        let trace = Array.init n (fun i -> gram[i][i]) |> Array.sum

        let offDiagonal () =
            let mutable sum = 0.0

            for i in 0 .. n - 1 do
                for j in 0 .. n - 1 do
                    if i <> j then
                        sum <- sum + gram[i][j] * gram[i][j]

            sqrt sum

        let mutable sweeps = 0

        while sweeps < 30 && offDiagonal () > 1e-15 * trace do
            for p in 0 .. n - 2 do
                for q in p + 1 .. n - 1 do
                    rotate gram p q

            sweeps <- sweeps + 1

        // What is left beside the diagonal counts in full (Weyl).
        let top = Array.init n (fun i -> gram[i][i]) |> Array.max
        largest * sqrt (top + offDiagonal ())
