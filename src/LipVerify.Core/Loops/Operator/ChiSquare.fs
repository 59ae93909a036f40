/// How small sums of squares of standard normal draws can be.
module LipVerify.Core.Loops.Operator.ChiSquare

open System

/// A `q > 0` with `P(χ²_m ≤ q) ≤ failure`, by Chernoff's bound `P(χ²_m ≤ x·m) ≤ (x·e^{1−x})^{m/2}` for `x < 1`; a few per cent below the
/// quantile for some hundred draws.
let lowerQuantile (draws: int) (failure: float) : float =
    // The logarithm of the bound, from above: its terms err by a few units in their last places.
    let exponent x =
        0.5 * float draws * (log x + 1.0 - x + 4e-16 * (abs (log x) + 2.0))

    let allowed = log failure * (1.0 + 1e-14) - 1e-14

    let rec bisect low high steps =
        let middle = sqrt (low * high)

        if steps = 0 then
            low
        elif exponent middle <= allowed then
            bisect middle high (steps - 1)
        else
            bisect low middle (steps - 1)

    if not (failure > 0.0 && failure < 1.0) then
        invalidArg (nameof failure) $"a failure probability lies between 0 and 1, not at {failure}"

    if draws < 3 then
        invalidArg (nameof draws) $"{draws} draws do not prove every failure probability that a double can be"

    // x = 1 proves nothing, so the upper end is never reached; the lower one proves e^{−300·m}.
    Math.BitDecrement(float draws * bisect 1e-300 1.0 100 * (1.0 - 1e-12))
