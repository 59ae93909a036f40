/// Shows `‖M‖ ≤ c` by one Cholesky factorisation of `c²I − MMᵀ` in plain floating point and a bound on its rounding.
module LipVerify.Checker.Cholesky

open System
open System.Runtime.Intrinsics
open LipVerify.Checker.Directed
open LipVerify.Checker.LiveMatrix

/// More entries of a factor are not formed: they take 1.1 GB.
let entryLimit = 1L <<< 27

/// Row `i` of a lower triangle from column `First` on.
type private Row = { First: int; Values: float[] }

/// `Σ_{k<n} a_{i+k} b_{j+k}` in 16 interleaved sums.
let private dot (a: float[]) i (b: float[]) j n =
    let mutable s0 = Vector256<float>.Zero
    let mutable s1 = Vector256<float>.Zero
    let mutable s2 = Vector256<float>.Zero
    let mutable s3 = Vector256<float>.Zero
    let mutable k = 0

    while k + 16 <= n do
        s0 <- s0 + Vector256.LoadUnsafe &a[i + k] * Vector256.LoadUnsafe &b[j + k]
        s1 <- s1 + Vector256.LoadUnsafe &a[i + k + 4] * Vector256.LoadUnsafe &b[j + k + 4]
        s2 <- s2 + Vector256.LoadUnsafe &a[i + k + 8] * Vector256.LoadUnsafe &b[j + k + 8]
        s3 <- s3 + Vector256.LoadUnsafe &a[i + k + 12] * Vector256.LoadUnsafe &b[j + k + 12]
        k <- k + 16

    let mutable sum = Vector256.Sum((s0 + s1) + (s2 + s3))

    while k < n do
        sum <- sum + a[i + k] * b[j + k]
        k <- k + 1

    sum

/// `Σ_{k<j} a_k b_k` over the columns that both rows have.
let private dotBefore (a: Row) (b: Row) j =
    let first = max a.First b.First

    if first < j then
        dot a.Values (first - a.First) b.Values (first - b.First) (j - first)
    else
        0.0

/// Roundings that a product in `dot` goes through at most: its own, its sum, joining the sums, and the remainder.
let private depth n = float (n / 16 + 23)

/// The lower triangle of `MMᵀ`, row by row, each from where it starts.
let private gram (rows: Matrix) (columns: Matrix) (firsts: int[]) =
    let lower =
        Array.init rows.RowCount (fun i ->
            {
                First = firsts[i]
                Values = Array.zeroCreate<float>(i + 1 - firsts[i])
            })

    inParallel rows.RowCount (fun i ->
        let { First = first; Values = sums } = lower[i]

        for k in rows.Starts[i] .. rows.Starts[i + 1] - 1 do
            let a, column = rows.Values[k], rows.Indices[k]
            let mutable m = columns.Starts[column]

            while m < columns.Starts[column + 1] && columns.Indices[m] <= i do
                let j = columns.Indices[m] - first
                sums[j] <- sums[j] + a * columns.Values[m]
                m <- m + 1)

    lower

/// Rows that are eliminated at a time.
let private block = 64

/// Turns a lower triangle into its Cholesky factor, which starts where the triangle does; false where a pivot is not positive.
let private factorise (matrix: Row[]) =
    let n = matrix.Length

    let eliminate first last i =
        let row = matrix[i]

        for j in max first row.First .. last - 1 do
            let above = matrix[j]
            let pivot = above.Values[j - above.First]
            let k = j - row.First
            row.Values[k] <- (row.Values[k] - dotBefore row above j) / pivot

    let isPositive first i =
        eliminate first i i
        let row = matrix[i]
        let last = i - row.First
        let pivot = row.Values[last] - dotBefore row row i
        row.Values[last] <- sqrt pivot
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

/// Whether `‖M‖ ≤ c` is shown, for the rows and columns of `M`; row `i` of `MMᵀ` starts at `firsts[i]`. `product` bounds `‖|M|‖²`.
///
/// The computed `Ĝ` differs from `G = MMᵀ` by `γ_m|M||M|ᵀ` entry by entry, so by `γ_m·min(‖M‖_F², ‖|M|‖²)` in norm. If the
/// factorisation of `A = c²I − Ĝ − sI` gives `L`, with `a_ij − Σ_{k<j} l_ik l_jk` rounded to `l_ij l_jj` (or `l_jj²`), then
/// `|A − LLᵀ|_ij ≤ γ_d Σ_k |l_ik||l_jk| ≤ γ_d ‖l_i‖‖l_j‖`, so `A ⪰ LLᵀ − γ_d‖L‖_F²`, and `c²I − G ⪰ 0` if `s` outweighs both.
let dominates (rows: Matrix) (columns: Matrix) (firsts: int[]) product c =
    let square = mulDown c c
    let lower = gram rows columns firsts
    let squares = min product (sumOfSquares rows.Values)
    // What underflows is below the last term, for a `c` near 1.
    let gramError =
        gamma (float (longestRow rows) + 2.0) * squares + Math.ScaleB(1.0, -700)

    let longest = lower |> Array.map _.Values.Length |> Array.max
    let rounding = gamma (depth longest + 4.0)

    let trace =
        Seq.sum (seq { for row in lower -> max 0.0 (square - Array.last row.Values) })

    let shift = gramError + rounding * trace * (1.0 + 1e-2)

    for { Values = values } in lower do
        let last = values.Length - 1

        for j in 0 .. last - 1 do
            values[j] <- -values[j]

        values[last] <- addDown (addDown square -values[last]) -shift

    factorise lower
    && shift
       >= addUp gramError (mulUp rounding (lower |> Array.map (_.Values >> sumOfSquares) |> Array.fold addUp 0.0))
