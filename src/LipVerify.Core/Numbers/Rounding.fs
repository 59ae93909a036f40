/// Directed rounding by one step, and the constants of floating-point error analysis (METHODS section 5).
/// IEEE 754 operations round to nearest, so the neighbour above a result bounds the exact value from above.
module LipVerify.Core.Numbers.Rounding

open System

/// The unit roundoff of double precision, 2⁻⁵³.
let unitRoundoff = Math.ScaleB(1.0, -53)

/// `a + b`, rounded upward.
let addUp (a: float) (b: float) =
    if a = 0.0 then b
    elif b = 0.0 then a
    else Math.BitIncrement(a + b)

/// `a·b` of non-negative factors, rounded upward; exact where a factor is 0 or 1.
let mulUp (a: float) (b: float) =
    if a = 1.0 then b
    elif b = 1.0 then a
    elif a = 0.0 || b = 0.0 then 0.0
    else Math.BitIncrement(a * b)

/// `a / b` for `a ≥ 0` and `b > 0`, rounded upward.
let divUp (a: float) (b: float) =
    if a = 0.0 then 0.0 else Math.BitIncrement(a / b)

/// `√a`, rounded upward.
let sqrtUp (a: float) =
    if a = 0.0 then 0.0 else Math.BitIncrement(sqrt a)

/// `a·2^exponent` for `a ≥ 0`, rounded upward; exact unless the result is subnormal.
let scaleUp (a: float) exponent =
    let scaled = Math.ScaleB(a, exponent)

    if Math.ScaleB(scaled, -exponent) < a then
        Math.BitIncrement scaled
    else
        scaled

/// `a·2^exponent` for `a ≥ 0`, rounded downward and to finite numbers; exact unless the result is subnormal or too large.
let scaleDown (a: float) exponent =
    let scaled = Math.ScaleB(a, exponent)

    if Math.ScaleB(scaled, -exponent) > a then
        Math.BitDecrement scaled
    else
        scaled

/// `γ_k = k·u / (1 − k·u)`, rounded upward: the relative error bound of `k` rounded operations in a row.
let gamma (k: int) =
    let ku = float k * unitRoundoff // exact: a power of two times an integer
    divUp ku (1.0 - ku |> Math.BitDecrement)
