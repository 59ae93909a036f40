/// Unevaluated sums of two doubles, four vectors side by side, and what linear maps make of them. Rounding is of the order of 1e-32.
module LipVerify.Checker.Twofold

open System
open System.Runtime.Intrinsics
open LipVerify.Checker.LiveMatrix

/// Vectors side by side: one in each lane of a register.
let lanes = 4

/// One coordinate of the vectors: high parts, and low parts of at most `2⁻⁵³` of them.
[<Struct; NoComparison>]
type Twofold =
    {
        High: Vector256<float>
        Low: Vector256<float>
    }

let zero =
    {
        High = Vector256.Zero
        Low = Vector256.Zero
    }

/// `(a + b) − fl(a + b)` for each vector.
let inline sumErrors (a: Vector256<float>) (b: Vector256<float>) (s: Vector256<float>) =
    let bVirtual = s - a
    (a - (s - bVirtual)) + (b - bVirtual)

/// `a·b − fl(a·b)` for each vector.
let inline productErrors (a: Vector256<float>) (b: Vector256<float>) (p: Vector256<float>) =
    Vector256.FusedMultiplyAdd(a, b, -p)

let inline normalise high low =
    let sum = high + low

    {
        High = sum
        Low = sumErrors high low sum
    }

/// The relative error of one `scaled` or `plus`, generously: at most five roundings of low parts.
let error = Math.ScaleB(1.0, -100)

/// `a·x`, with an error of at most `error·|a||x|`.
let inline scaled (a: float) (x: Twofold) =
    let a = Vector256.Create a
    let p = a * x.High
    normalise p (productErrors a x.High p + a * x.Low)

/// `x + y`, with an error of at most `error·(|x| + |y|)`.
let inline plus (x: Twofold) (y: Twofold) =
    let sum = x.High + y.High
    normalise sum (sumErrors x.High y.High sum + (x.Low + y.Low))

/// `M x`. The errors of products and of sums of high parts are exact; rounding in the sum of low parts leaves an error of at
/// most `2(n + 2)²u²` times `Σ|a||x|` for `n` entries.
let multiply (matrix: Matrix) (x: Twofold[]) (result: Twofold[]) =
    inParallel matrix.RowCount (fun i ->
        let mutable high = Vector256<float>.Zero
        let mutable low = Vector256<float>.Zero

        for k in matrix.Starts[i] .. matrix.Starts[i + 1] - 1 do
            let a = Vector256.Create matrix.Values[k]
            let y = x[matrix.Indices[k]]
            let p = a * y.High
            let sum = high + p
            low <- low + ((sumErrors high p sum + productErrors a y.High p) + a * y.Low)
            high <- sum

        result[i] <- normalise high low)

/// The relative error of `multiply`.
let multiplicationError (matrix: Matrix) =
    let n = float (longestRow matrix)
    2.0 * (n + 2.0) * (n + 2.0) * Math.ScaleB(1.0, -106)
