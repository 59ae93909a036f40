/// Numbers as text for readers. A bound that is shown says no more than the bound: upper bounds are rounded upward, lower bounds and
/// radii downward, whichever double the text would read back as. Values in files keep all their digits (`exact`).
module LipVerify.Core.Numbers.Figure

open System
open System.Globalization
open System.Numerics

/// The shortest text that reads back as the same double; `inf` and `nan` as most programs write them. For what is no bound, such as
/// an option, and for programs, which read the double: the text itself may lie on either side of it.
let exact (value: float) =
    if Double.IsPositiveInfinity value then "inf"
    elif Double.IsNegativeInfinity value then "-inf"
    elif Double.IsNaN value then "nan"
    else value.ToString("R", CultureInfo.InvariantCulture)

/// The double that `exact` wrote.
let tryParse (text: string) =
    match text with
    | "inf" -> Some Double.PositiveInfinity
    | "-inf" -> Some Double.NegativeInfinity
    | "nan" -> Some Double.NaN
    | _ ->
        match Double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture) with
        | true, value when Double.IsFinite value -> Some value
        | _ -> None

/// What becomes of digits for which there is no room.
type private Rounding =
    | Up
    | Down
    | Nearest

/// A positive rational number.
[<Struct>]
type private Fraction =
    {
        Numerator: BigInteger
        Denominator: BigInteger
    }

/// A positive finite double as what it is.
let private fraction (value: float) =
    let bits = BitConverter.DoubleToInt64Bits value
    let stored = bits &&& ((1L <<< 52) - 1L)
    let field = int (bits >>> 52)

    let mantissa, exponent =
        if field = 0 then
            stored, -1074
        else
            stored ||| (1L <<< 52), field - 1075

    {
        Numerator = BigInteger mantissa <<< max 0 exponent
        Denominator = BigInteger.One <<< max 0 -exponent
    }

let private powerOfTen (exponent: int) = BigInteger.Pow(BigInteger 10, exponent)

let private quotient rounding number =
    let mutable rest = BigInteger.Zero
    let whole = BigInteger.DivRem(number.Numerator, number.Denominator, &rest)

    let isRaised =
        match rounding with
        | Up -> not rest.IsZero
        | Down -> false
        | Nearest -> BigInteger 2 * rest >= number.Denominator

    if isRaised then whole + BigInteger.One else whole

/// The first digits of a number as an integer, and the power of ten of the first one, which is near `guess`.
let rec private leadingDigits rounding count number guess =
    let shift = count - 1 - guess

    let digits =
        quotient
            rounding
            {
                Numerator = number.Numerator * powerOfTen (max 0 shift)
                Denominator = number.Denominator * powerOfTen (max 0 -shift)
            }

    if digits < powerOfTen (count - 1) then
        leadingDigits rounding count number (guess - 1)
    elif digits >= powerOfTen count then
        leadingDigits rounding count number (guess + 1)
    else
        struct (digits, guess)

/// Digits as .NET's format `G` lays them out, without zeros at the end.
let private layOut count (digits: BigInteger) place =
    let digits = digits.ToString(CultureInfo.InvariantCulture)

    let trimmed (whole: string) (decimals: string) =
        match decimals.TrimEnd '0' with
        | "" -> whole
        | decimals -> $"{whole}.{decimals}"

    if place >= count || place < -5 then
        let sign = if place < 0 then "-" else "+"
        let exponent = (abs place).ToString("00", CultureInfo.InvariantCulture)
        $"{trimmed digits[..0] digits[1..]}E{sign}{exponent}"
    elif place < 0 then
        trimmed "0" (String('0', -place - 1) + digits)
    else
        trimmed digits[..place] digits[place + 1 ..]

let private positive rounding count number size =
    let struct (digits, place) = leadingDigits rounding count number (int (floor size))

    layOut count digits place

let private round towardPositive towardNegative count (value: float) =
    if not (Double.IsFinite value) then
        exact value
    elif value = 0.0 then
        "0"
    elif value > 0.0 then
        positive towardPositive count (fraction value) (log10 value)
    else
        "-" + positive towardNegative count (fraction -value) (log10 -value)

/// So many digits, never below the value: for upper bounds.
let upwardTo count value = round Up Down count value

/// So many digits, never above the value: for lower bounds and certified radii.
let downwardTo count value = round Down Up count value

/// So many digits, on either side of the value: for what is measured, and promises nothing.
let nearestTo count value = round Nearest Nearest count value

/// Six digits, never below the value.
let upward value = upwardTo 6 value

/// Six digits, never above the value.
let downward value = downwardTo 6 value

let private divide a b =
    {
        Numerator = a.Numerator * b.Denominator
        Denominator = a.Denominator * b.Numerator
    }

/// So many digits of `a/b`, never below it: how many times what is positive an upper bound is.
let ratioTo count (a: float) (b: float) =
    if Double.IsFinite a && Double.IsFinite b && a > 0.0 && b > 0.0 then
        positive Up count (divide (fraction a) (fraction b)) (log10 a - log10 b)
    else
        upwardTo count (a / b)

/// So many digits of `100·(a − b)/b`, never below it: by how many per cent an upper bound lies above what is positive.
let percentAboveTo count (a: float) (b: float) =
    if Double.IsFinite a && a > b && b > 0.0 then
        let ratio = divide (fraction a) (fraction b)

        let excess =
            { ratio with
                Numerator = BigInteger 100 * (ratio.Numerator - ratio.Denominator)
            }

        positive Up count excess (2.0 + log10 (a - b) - log10 b)
    else
        upwardTo count (100.0 * (a / b - 1.0))

/// A failure probability in two digits, not below it; but as it was asked for where it is the option itself. That is no less than
/// what is spent of it, since shares of it are rounded down by more than its text is (`Certification.share`).
let probability (value: float) =
    let nearest = nearestTo 2 value

    if tryParse nearest = Some value then
        nearest
    else
        upwardTo 2 value

/// A measured value with so many decimals.
let decimals (count: int) (value: float) =
    value.ToString($"F{count}", CultureInfo.InvariantCulture)
