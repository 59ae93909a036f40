/// Upper bounds on `max eᵀ M σ` over `|e_l| ≤ 1`, `|σ_k| ≤ 1`, by the dual of Grothendieck's relaxation: for any `p, q > 0` it is at most
/// `√(Σ p Σ q)·‖diag(p)^−½ M diag(q)^−½‖₂`. With the sums of magnitudes as `p` and `q` that is never above `Σ |M|` (Schur's test).
module internal LipVerify.Core.Bounds.Exact.Maximum.SignForm

open System
open LipVerify.Core.Chains

/// Times that `p` and `q` are moved towards where the bound is lower.
let private rounds = 3

/// How far they are moved.
let private step = 0.25

let private reciprocalRoot x = if x > 0.0 then 1.0 / sqrt x else 0.0

/// `diag(p)^−½ M diag(q)^−½`.
let private scaled (rows: float[][]) (p: float[]) (q: float[]) =
    let right = q |> Array.map reciprocalRoot

    Array.map2
        (fun row p ->
            let left = reciprocalRoot p
            Array.map2 (fun x right -> left * x * right) row right)
        rows
        p

/// Top singular vectors, roughly.
let private singularVectors (rows: float[][]) (start: float[]) =
    let normalise (v: float[]) =
        let length = sqrt (ReluChain.dot v v)

        if length > 0.0 then
            v |> Array.map (fun x -> x / length)
        else
            v

    let mutable v = normalise start
    let mutable u = [||]

    for _ in 1..6 do
        u <- rows |> Array.map (fun row -> ReluChain.dot row v) |> normalise
        v <- ReluChain.combination u rows |> normalise

    struct (u, v)

/// Weights moved towards the squares of a singular vector: where the gradient of the bound is zero they agree.
let private towards (vector: float[]) (weights: float[]) =
    let total = Array.sum weights
    Array.map2 (fun w x -> (1.0 - step) * w + step * total * x * x) weights vector

/// True where all eigenvalues of a symmetric matrix lie below `top`: `top·1 − A` has a Cholesky factor.
let private isBelow (gram: float[][]) top =
    let n = gram.Length
    let factor = Array.init n (fun _ -> Array.zeroCreate<float> n)
    let mutable holds = true
    let mutable j = 0

    while holds && j < n do
        let row = factor[j]
        let mutable pivot = top - gram[j][j]

        for k in 0 .. j - 1 do
            pivot <- pivot - row[k] * row[k]

        holds <- pivot > 1e-12 * top

        if holds then
            row[j] <- sqrt pivot

            for i in j + 1 .. n - 1 do
                let other = factor[i]
                let mutable sum = -gram[i][j]

                for k in 0 .. j - 1 do
                    sum <- sum - other[k] * row[k]

                other[j] <- sum / row[j]

        j <- j + 1

    holds

/// How far above the Rayleigh quotient the square of the norm is tried.
let private margins = [ 0.004; 0.012; 0.04; 0.12; 0.4; 1.5 ]

/// The spectral norm from above, near to it where `v` is near to the singular vector.
let private norm (rows: float[][]) (v: float[]) =
    let image = rows |> Array.map (fun row -> ReluChain.dot row v)
    let quotient = ReluChain.dot image image

    let vectors =
        if rows.Length <= v.Length then
            rows
        else
            Array.init v.Length (fun k -> rows |> Array.map (fun row -> row[k]))

    let gram =
        vectors
        |> Array.mapi (fun i a ->
            Array.init vectors.Length (fun j -> if j <= i then ReluChain.dot a vectors[j] else 0.0))

    for i in 0 .. gram.Length - 1 do
        for j in i + 1 .. gram.Length - 1 do
            gram[i][j] <- gram[j][i]

    margins
    |> List.map (fun margin -> quotient * (1.0 + margin))
    |> List.tryFind (isBelow gram)
    |> Option.map sqrt
    |> Option.defaultValue Double.PositiveInfinity

/// The bound, for the rows of `M`; infinite where it was not found.
let bound (rows: float[][]) =
    let rows = rows |> Array.filter (Array.exists (fun x -> x <> 0.0))

    if rows.Length = 0 then
        0.0
    else
        let mutable p = rows |> Array.map (Array.sumBy abs)

        let mutable q =
            Array.init rows[0].Length (fun k -> rows |> Array.sumBy (fun row -> abs row[k]))

        let mutable v = q |> Array.map sqrt
        let mutable best = Double.PositiveInfinity

        for _ in 0..rounds do
            let matrix = scaled rows p q
            let struct (left, right) = singularVectors matrix v
            let value = sqrt (Array.sum p) * sqrt (Array.sum q) * norm matrix right

            if value < best then
                best <- value

            v <- right
            p <- towards left p
            q <- towards right q

        best * (1.0 + 1e-11)
