namespace LipVerify.Core.Activations

open System

/// The slopes `λ` that are possible in `σ(y) − σ(y′) = λ·(y − y′)`: `Lower ≤ λ ≤ Upper`.
[<Struct>]
type SlopeInterval =
    {
        /// No slope is below it.
        Lower: float
        /// No slope is above it.
        Upper: float
    }

/// A pre-activation: where its nominal value lies, and how far it can move from there.
[<Struct>]
type Excursion =
    {
        /// The nominal value `y0` is not below it.
        NominalLow: float
        /// The nominal value `y0` is not above it.
        NominalHigh: float
        /// `y − y0 ≥ −Down`.
        Down: float
        /// `y − y0 ≤ Up`.
        Up: float
    }

/// Intervals of slopes.
module SlopeIntervals =

    /// One slope alone.
    let single slope = { Lower = slope; Upper = slope }

    /// The slope 0 alone.
    let none = single 0.0

    /// The slope 1 alone.
    let all = single 1.0

    /// The largest absolute value of a slope: the Lipschitz constant.
    let size interval =
        max (abs interval.Lower) (abs interval.Upper)

    /// A center `c` and a half-width `ρ` with `[c − ρ, c + ρ] ⊇ [Lower, Upper]`; `ρ = 0` where there is one slope.
    let centered interval =
        if interval.Lower = interval.Upper then
            struct (interval.Lower, 0.0)
        else
            let center = 0.5 * (interval.Lower + interval.Upper)

            // One step above the rounded difference is above the exact one.
            struct (center,
                    max (Math.BitIncrement(interval.Upper - center)) (Math.BitIncrement(center - interval.Lower)))
