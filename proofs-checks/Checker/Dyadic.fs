/// Doubles as integers with a common power of two, `z·2^-exponent`, without rounding.
module LipVerify.Checker.Dyadic

open System
open System.Numerics

/// A finite double `m·2^e`, with `m` odd or 0.
let private parts (value: float) =
    if value = 0.0 then
        BigInteger.Zero, 0
    else
        let bits = BitConverter.DoubleToInt64Bits value
        let biased = int ((bits >>> 52) &&& 0x7FFL)
        let fraction = bits &&& 0xFFFFFFFFFFFFFL

        let mantissa, exponent =
            if biased = 0 then
                fraction, -1074
            else
                fraction ||| (1L <<< 52), biased - 1075

        let zeros = BitOperations.TrailingZeroCount mantissa
        let odd = BigInteger(mantissa >>> zeros)
        (if bits < 0L then -odd else odd), exponent + zeros

/// The least exponent, at least 0, with which all these doubles are integers.
let exponentOf (values: float seq) =
    (0, values) ||> Seq.fold (fun least value -> max least (-(snd (parts value))))

/// `value·2^exponent`, which must be an integer.
let integerOf exponent (value: float) =
    let mantissa, e = parts value
    mantissa <<< (exponent + e)

/// One double by itself: its integer and its exponent.
let ofDouble value =
    let exponent = exponentOf [ value ]
    integerOf exponent value, exponent

/// The double next to `z·2^-exponent`, up to a rounding or two; for searches, not for proofs.
let nearest exponent (z: BigInteger) =
    let excess = max 0 (int (z.GetBitLength()) - 62)
    Math.ScaleB(float (int64 (z >>> excess)), excess - exponent)

/// `⌈√z⌉` of an integer that is not negative.
let rootAbove (z: BigInteger) =
    if z.IsZero then
        z
    else
        // Newton's method from above falls until it reaches ⌊√z⌋.
        let rec descend (root: BigInteger) =
            let next = (root + z / root) >>> 1
            if next >= root then root else descend next

        let root = descend (BigInteger.One <<< (int (z.GetBitLength()) / 2 + 1))
        if root * root = z then root else root + BigInteger.One

/// `⌈a/b⌉` for `a ≥ 0` and `b > 0`.
let quotientAbove (a: BigInteger) (b: BigInteger) = (a + b - BigInteger.One) / b
