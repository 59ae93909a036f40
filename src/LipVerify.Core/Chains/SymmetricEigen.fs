/// Eigenvalues and eigenvectors of small symmetric matrices, by Jacobi's method.
module internal LipVerify.Core.Chains.SymmetricEigen

open System

/// Turns the matrix, given by its rows, so that entry (p, q) vanishes, and the eigenvectors with it.
let private rotate (matrix: float[][]) (vectors: float[][]) p q =
    let apq = matrix[p][q]

    if apq <> 0.0 then
        let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * apq)

        let t =
            (if theta >= 0.0 then 1.0 else -1.0)
            / (abs theta + Math.Sqrt(theta * theta + 1.0))

        let c = 1.0 / Math.Sqrt(t * t + 1.0)
        let s = t * c

        let mix (row: float[]) =
            let a, b = row[p], row[q]
            row[p] <- c * a - s * b
            row[q] <- s * a + c * b

        Array.iter mix matrix
        Array.iter mix vectors

        for k in 0 .. matrix.Length - 1 do
            let a, b = matrix[p][k], matrix[q][k]
            matrix[p][k] <- c * a - s * b
            matrix[q][k] <- s * a + c * b

/// What is left beside the diagonal, in the Frobenius norm.
let offDiagonal (matrix: float[][]) =
    let mutable sum = 0.0

    for i in 0 .. matrix.Length - 1 do
        for j in 0 .. matrix.Length - 1 do
            if i <> j then
                sum <- sum + matrix[i][j] * matrix[i][j]

    sqrt sum

/// Makes `matrix` diagonal in place, down to the last digits; the columns of the result are the eigenvectors.
let diagonalize (matrix: float[][]) : float[][] =
    let n = matrix.Length

    let vectors =
        Array.init n (fun i -> Array.init n (fun j -> if i = j then 1.0 else 0.0))

    let size = matrix |> Array.sumBy (Array.sumBy (fun x -> x * x)) |> sqrt
    let mutable sweeps = 0

    while sweeps < 30 && offDiagonal matrix > 1e-15 * size do
        for p in 0 .. n - 2 do
            for q in p + 1 .. n - 1 do
                rotate matrix vectors p q

        sweeps <- sweeps + 1

    vectors

/// Eigenvalues, the largest first, each with its eigenvector.
let decompose (matrix: float[][]) : struct (float * float[])[] =
    let work = Array.map Array.copy matrix
    let vectors = diagonalize work

    Array.init matrix.Length (fun j -> struct (work[j][j], vectors |> Array.map (fun row -> row[j])))
    |> Array.sortByDescending (fun struct (value, _) -> value)
