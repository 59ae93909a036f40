/// Diagonal maps with factors that divide. Most quotients are equal to no double: such factors are rounded away from 0, and the
/// map says so (`Rounded`), so that every bound on it is one on the map that was meant.
module LipVerify.Core.LinearMaps.Quotients

open System
open LipVerify.Core.Computation

/// Factors outside this range are refused: below, one rounding is no longer relative.
let private least, largest = Math.ScaleB(1.0, -900), Math.ScaleB(1.0, 900)

/// A positive number from above, and the roundings that it is at most off by.
[<Struct>]
type private FromAbove = { Value: float; Roundings: int }

// Within the range, the error of a quotient or root is a fused multiplication away, exactly.

let private divide (a: float) (b: float) roundings =
    let q = a / b

    match Math.FusedMultiplyAdd(q, b, -a) with
    | 0.0 -> { Value = q; Roundings = roundings }
    | error ->
        {
            Value = (if error > 0.0 then q else Math.BitIncrement q)
            Roundings = roundings + 2
        }

/// `√(v + e)` from below, and the roundings that it is at most off by.
let private rootOfSum (v: float) (e: float) =
    let sum = v + e
    // Knuth's two-sum.
    let part = sum - v
    let lost = (v - (sum - part)) + (e - part)
    let below = if lost < 0.0 then Math.BitDecrement sum else sum
    let root = sqrt below

    match Math.FusedMultiplyAdd(root, root, -below) with
    | 0.0 when lost = 0.0 -> struct (root, 0)
    | error -> struct ((if error > 0.0 then Math.BitDecrement root else root), 4)

let private inRange (x: float) = abs x >= least && abs x <= largest

let private diagonal shape (factors: FromAbove[]) (signs: float[]) =
    let values =
        Array.map2 (fun factor sign -> Math.CopySign(factor.Value, sign)) factors signs

    let scale = Diagonal(Tensor.ofArray shape values)

    match factors |> Array.map _.Roundings |> Array.max with
    | 0 -> scale
    | roundings -> Rounded(roundings, scale)

let private refuse what value =
    invalidArg (nameof value) $"{what} {value} is outside the range 2^-900 … 2^900"

/// `x ↦ x / d`, entry by entry, for inputs of the given shape; all `d` within 2⁻⁹⁰⁰ … 2⁹⁰⁰ in size.
let reciprocals (shape: Shape) (divisors: float[]) : LinearMap =
    let factor d =
        if inRange d then
            divide 1.0 (abs d) 0
        else
            refuse "the divisor" d

    diagonal shape (Array.map factor divisors) divisors

/// `x ↦ g x / √(v + e)`, entry by entry, for inputs of the given shape; `v + e`, and `g` and the factor where they are not 0, within
/// 2⁻⁹⁰⁰ … 2⁹⁰⁰ in size.
let perDeviation (shape: Shape) (gains: float[]) (variances: float[]) (e: float) : LinearMap =
    let factor (g: float) (v: float) =
        let struct (root, roundings) = rootOfSum v e

        if not (inRange (v + e)) then
            refuse "the variance and epsilon" (v + e)
        elif g = 0.0 then
            { Value = 0.0; Roundings = 0 }
        elif not (inRange g && inRange (g / root)) then
            refuse "the gain, or its quotient with the deviation," g
        else
            divide (abs g) root roundings

    diagonal shape (Array.map2 factor gains variances) gains
