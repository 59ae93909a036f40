namespace LipVerify.Core.Numbers

open System

/// A closed interval of real numbers; an end that is not known is infinite.
[<Struct>]
type Interval =
    {
        /// No number of it is below.
        Low: float
        /// No number of it is above.
        High: float
    }

/// Interval arithmetic, rounded outward.
module Interval =

    /// The interval `[low, high]`; an end that is no number is infinite.
    let ofEnds (low: float) (high: float) =
        {
            Low = if Double.IsNaN low then Double.NegativeInfinity else low
            High = if Double.IsNaN high then Double.PositiveInfinity else high
        }

    /// One number.
    let point (x: float) = { Low = x; High = x }

    /// One step outward.
    let private outward (low: float) (high: float) =
        ofEnds (Math.BitDecrement low) (Math.BitIncrement high)

    let private isZero interval =
        interval.Low = 0.0 && interval.High = 0.0

    /// `x ± relative·|x|`, rounded outward, and with room for what few operations lose by underflow.
    let around relative (x: float) =
        let error = relative * abs x + 8.0 * Double.Epsilon
        outward (x - error) (x + error)

    /// `−x`.
    let negate interval =
        {
            Low = -interval.High
            High = -interval.Low
        }

    /// `x + y`.
    let add a b =
        if isZero a then b
        elif isZero b then a
        else outward (a.Low + b.Low) (a.High + b.High)

    /// `x − y`.
    let subtract a b = add a (negate b)

    // 0 times what is not known is 0: an infinite end stands for some number.
    let private product (a: float) (b: float) =
        if a = 0.0 || b = 0.0 then 0.0 else a * b

    /// `x·y`.
    let multiply a b =
        if isZero a || isZero b then
            point 0.0
        elif a.Low = 1.0 && a.High = 1.0 then
            b
        elif b.Low = 1.0 && b.High = 1.0 then
            a
        else
            let p, q, r, s =
                product a.Low b.Low, product a.Low b.High, product a.High b.Low, product a.High b.High

            outward (min (min p q) (min r s)) (max (max p q) (max r s))

    /// `a / b` for a divisor that is positive.
    let divide a b =
        if isZero a then
            point 0.0
        else
            let low = if a.Low >= 0.0 then a.Low / b.High else a.Low / b.Low
            let high = if a.High >= 0.0 then a.High / b.Low else a.High / b.High
            outward low high

    /// The smallest interval around both.
    let hull a b =
        {
            Low = min a.Low b.Low
            High = max a.High b.High
        }

    /// What both allow; the first where they exclude each other by no more than their own rounding.
    let meet a b =
        let low, high = max a.Low b.Low, min a.High b.High
        if low <= high then { Low = low; High = high } else a

    /// The numbers between `low` and `high` that the interval has.
    let clamp low high interval =
        {
            Low = min high (max low interval.Low)
            High = min high (max low interval.High)
        }
