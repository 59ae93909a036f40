/// Bounds as text. The shortest text that reads back as a double may lie below it, and so would not be a bound any more.
module LipVerify.Checker.Decimals

open System
open System.Globalization
open System.Numerics

/// A number that is no bound as it was read: the shortest text that reads back as it.
let asRead (value: float) =
    value.ToString("R", CultureInfo.InvariantCulture)

/// A positive double as a quotient of integers: its mantissa is one, up to a power of two.
let private quotient (value: float) =
    let exponent = max -1074 (Math.ILogB value - 52)
    let half = exponent / 2
    let mantissa = Math.ScaleB(Math.ScaleB(value, -half), half - exponent)
    BigInteger mantissa <<< max 0 exponent, BigInteger.One <<< max 0 -exponent

/// `⌈10^decimals·n/d⌉`.
let private ceiling (n: BigInteger, d: BigInteger) decimals =
    let ten = BigInteger 10
    let mutable rest = BigInteger.Zero

    let whole =
        BigInteger.DivRem(n * BigInteger.Pow(ten, max 0 decimals), d * BigInteger.Pow(ten, max 0 -decimals), &rest)

    if rest.IsZero then whole else whole + BigInteger.One

/// `digits·10^−decimals` as one writes it.
let private layOut (digits: string) decimals =
    let point = digits.Length - decimals

    if decimals >= 0 && point > 0 then
        digits.Insert(point, ".").TrimEnd '.'
    elif decimals >= 0 && point > -5 then
        "0." + String('0', -point) + digits
    else
        let sign = if point <= 0 then "-" else "+"
        digits.Insert(1, ".").TrimEnd '.' + $"E{sign}{abs (point - 1)}"

/// The shortest text that reads back as a double that is not negative, and is not below it.
let upward (value: float) =
    if value > 0.0 && Double.IsFinite value then
        let number, first = quotient value, int (floor (log10 value))

        Seq.initInfinite (fun more ->
            let decimals = more - first
            layOut (string (ceiling number decimals)) decimals)
        |> Seq.find (fun text -> Double.Parse(text, CultureInfo.InvariantCulture) = value)
    else
        asRead value
