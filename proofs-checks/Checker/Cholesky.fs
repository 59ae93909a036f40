/// Shows `‖M‖ ≤ c` by one Cholesky factorisation of `c²I − MMᵀ` in plain floating point and a bound on its rounding.
module LipVerify.Checker.Cholesky

open System
open System.Runtime.Intrinsics
open LipVerify.Checker.Directed
open LipVerify.Checker.LiveMatrix

/// A larger side is not factorised: the factor takes 1.1 GB at this one.
let sideLimit = 16_384

/// `Σ_{k<n} a_k b_k` in 16 interleaved sums.
let private dot (a: float[]) (b: float[]) n =
    let mutable s0 = Vector256<float>.Zero
    let mutable s1 = Vector256<float>.Zero
    let mutable s2 = Vector256<float>.Zero
    let mutable s3 = Vector256<float>.Zero
    let mutable k = 0

    while k + 16 <= n do
        s0 <- s0 + Vector256.LoadUnsafe &a[k] * Vector256.LoadUnsafe &b[k]
        s1 <- s1 + Vector256.LoadUnsafe &a[k + 4] * Vector256.LoadUnsafe &b[k + 4]
        s2 <- s2 + Vector256.LoadUnsafe &a[k + 8] * Vector256.LoadUnsafe &b[k + 8]
        s3 <- s3 + Vector256.LoadUnsafe &a[k + 12] * Vector256.LoadUnsafe &b[k + 12]
        k <- k + 16

    let mutable sum = Vector256.Sum((s0 + s1) + (s2 + s3))

    while k < n do
        sum <- sum + a[k] * b[k]
        k <- k + 1

    sum

/// Roundings that a product in `dot` goes through at most: its own, its sum, joining the sums, and the remainder.
let private depth n = float (n / 16 + 23)

/// The lower triangle of `MMᵀ`, row by row.
let private gram (rows: Matrix) (columns: Matrix) =
    let lower = Array.init rows.RowCount (fun i -> Array.zeroCreate<float>(i + 1))

    inParallel rows.RowCount (fun i ->
        let sums = lower[i]

        for k in rows.Starts[i] .. rows.Starts[i + 1] - 1 do
            let a, column = rows.Values[k], rows.Indices[k]
            let mutable m = columns.Starts[column]

            while m < columns.Starts[column + 1] && columns.Indices[m] <= i do
                let j = columns.Indices[m]
                sums[j] <- sums[j] + a * columns.Values[m]
                m <- m + 1)

    lower

/// Rows that are eliminated at a time.
let private block = 64

/// Turns a lower triangle into its Cholesky factor; false where a pivot is not positive.
let private factorise (matrix: float[][]) =
    let n = matrix.Length

    let eliminate first last i =
        let row = matrix[i]

        for j in first .. last - 1 do
            row[j] <- (row[j] - dot row matrix[j] j) / matrix[j][j]

    let isPositive first i =
        eliminate first i i
        let row = matrix[i]
        let pivot = row[i] - dot row row i
        row[i] <- sqrt pivot
        pivot > 0.0

    seq { 0..block .. n - 1 }
    |> Seq.forall (fun first ->
        let last = min n (first + block)
        inParallel (last - first) (fun k -> eliminate 0 first (first + k))
        seq { first .. last - 1 } |> Seq.forall (isPositive first))

let private sumOfSquares (values: float[]) =
    let mutable sum = 0.0

    for x in values do
        sum <- addUp sum (mulUp x x)

    sum

/// Relative error of `k` roundings, from above for `k < 2⁵⁰`.
let private gamma k =
    k * Math.ScaleB(1.0, -53) * (1.0 + 1e-2)

/// Whether `‖M‖ ≤ c` is shown, for the rows and columns of `M`, with no more rows than columns.
/// `product` bounds `‖|M|‖²`.
///
/// The computed `Ĝ` differs from `G = MMᵀ` by `γ_m|M||M|ᵀ` entry by entry, so by `γ_m·min(‖M‖_F², ‖|M|‖²)` in norm. If the
/// factorisation of `A = c²I − Ĝ − sI` gives `L`, with `a_ij − Σ_{k<j} l_ik l_jk` rounded to `l_ij l_jj` (or `l_jj²`), then
/// `|A − LLᵀ|_ij ≤ γ_d Σ_k |l_ik||l_jk| ≤ γ_d ‖l_i‖‖l_j‖`, so `A ⪰ LLᵀ − γ_d‖L‖_F²`, and `c²I − G ⪰ 0` if `s` outweighs both.
let dominates (rows: Matrix) (columns: Matrix) product c =
    let n = rows.RowCount
    let square = mulDown c c
    let lower = gram rows columns
    let squares = min product (sumOfSquares rows.Values)
    // What underflows is below the last term, for a `c` near 1.
    let gramError =
        gamma (float (longestRow rows) + 2.0) * squares + Math.ScaleB(1.0, -700)

    let rounding = gamma (depth n + 4.0)
    let trace = Seq.sum (seq { for i in 0 .. n - 1 -> max 0.0 (square - lower[i][i]) })
    let shift = gramError + rounding * trace * (1.0 + 1e-2)

    for i in 0 .. n - 1 do
        let row = lower[i]

        for j in 0 .. i - 1 do
            row[j] <- -row[j]

        row[i] <- addDown (addDown square -row[i]) -shift

    factorise lower
    && shift
       >= addUp gramError (mulUp rounding (lower |> Array.map sumOfSquares |> Array.fold addUp 0.0))
