namespace LipVerify.Core.Numbers

open System
open System.Numerics

/// An exact multiple of a power of two: doubles are such numbers, and their sums and products stay so.
[<Struct; NoComparison>]
type Dyadic =
    {
        /// An integer.
        Mantissa: BigInteger
        /// The power of two that it is multiplied by.
        Exponent: int
    }

module Dyadic =

    /// 0.
    let zero =
        {
            Mantissa = BigInteger.Zero
            Exponent = 0
        }

    /// The value of a finite double.
    let ofFloat (x: float) =
        if x = 0.0 then
            zero
        else
            let exponent = max -1074 (Math.ILogB x - 52)

            {
                Mantissa = BigInteger(Math.ScaleB(Math.ScaleB(x, -exponent / 2), -exponent - -exponent / 2))
                Exponent = exponent
            }

    /// −1, 0 or 1.
    let sign d = d.Mantissa.Sign

    /// `a + b`.
    let add a b =
        if sign a = 0 then
            b
        elif sign b = 0 then
            a
        else
            let exponent = min a.Exponent b.Exponent
            let align d = d.Mantissa <<< (d.Exponent - exponent)

            {
                Mantissa = align a + align b
                Exponent = exponent
            }

    /// `−d`.
    let negate d = { d with Mantissa = -d.Mantissa }

    /// `a − b`.
    let subtract a b = add a (negate b)

    /// `a·b`.
    let multiply a b =
        {
            Mantissa = a.Mantissa * b.Mantissa
            Exponent = a.Exponent + b.Exponent
        }

    /// `max(d, 0)`.
    let rectify d = if sign d > 0 then d else zero

    /// Whether `a ≤ b`.
    let isAtMost b a = sign (subtract b a) >= 0

    /// Below this in size `toFloat` tells the sign alone.
    let smallest = Math.ScaleB(1.0, -960)

    /// The double of the same sign within `2⁻⁵²` of the value, relative to it; values below `smallest` in size become `±smallest`.
    let toFloat d =
        // The excess over 62 bits is cut off, which leaves far less than the rounding of what remains.
        let excess = int (d.Mantissa.GetBitLength()) - 62

        let value =
            if excess <= 0 then
                Math.ScaleB(float d.Mantissa, d.Exponent)
            else
                Math.ScaleB(float (d.Mantissa >>> excess), d.Exponent + excess)

        if sign d <> 0 && abs value < smallest then
            Math.CopySign(smallest, float (sign d))
        else
            value

    /// Whether a double is the value.
    let isFloat d (x: float) =
        Double.IsFinite x && sign (subtract d (ofFloat x)) = 0

    /// `Σ_i weights_i·values_i`.
    let combination (weights: float[]) (values: Dyadic[]) =
        (zero, weights, values)
        |||> Array.fold2 (fun sum weight value ->
            if weight = 0.0 || sign value = 0 then
                sum
            else
                add sum (multiply (ofFloat weight) value))
