namespace LipVerify.Tests

open System
open System.Numerics

/// An exact multiple of a power of two: doubles are such numbers, and sums and products stay so.
[<Struct>]
type Dyadic = { Mantissa: BigInteger; Exponent: int }

module Dyadic =
    /// A double.
    let ofFloat (x: float) =
        if x = 0.0 then
            {
                Mantissa = BigInteger.Zero
                Exponent = 0
            }
        else
            let exponent = max -1074 (Math.ILogB x - 52)

            {
                Mantissa = BigInteger(Math.ScaleB(Math.ScaleB(x, -exponent / 2), -exponent - -exponent / 2))
                Exponent = exponent
            }

    let add a b =
        let exponent = min a.Exponent b.Exponent
        let align d = d.Mantissa <<< (d.Exponent - exponent)

        {
            Mantissa = align a + align b
            Exponent = exponent
        }

    let multiply a b =
        {
            Mantissa = a.Mantissa * b.Mantissa
            Exponent = a.Exponent + b.Exponent
        }

    let sign d = d.Mantissa.Sign

    let negate d = { d with Mantissa = -d.Mantissa }

    let rectify d = if sign d > 0 then d else ofFloat 0.0

    /// `|computed − exact| ≤ error`.
    let isWithin (error: float) (computed: float) exact =
        let distance = add (ofFloat computed) (negate exact)
        let distance = if sign distance < 0 then negate distance else distance
        sign (add (ofFloat error) (negate distance)) >= 0

    let subtract a b = add a (negate b)

    /// `a ≤ b`.
    let isAtMost b a = sign (subtract b a) >= 0
