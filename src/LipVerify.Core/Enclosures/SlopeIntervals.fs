namespace LipVerify.Core.Enclosures

open System
open LipVerify.Core.Numbers

/// The slopes `λ` that are possible in `relu(y) − relu(y0) = λ·(y − y0)`: `0 ≤ Lower ≤ λ ≤ Upper ≤ 1`.
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

/// Slope intervals of scalar ReLUs (METHODS section 7), rounded outward.
module SlopeIntervals =

    /// The slope 0 alone.
    let none = { Lower = 0.0; Upper = 0.0 }

    /// The slope 1 alone.
    let all = { Lower = 1.0; Upper = 1.0 }

    let private unit value = min 1.0 value

    /// `(relu(y0 + up) − relu(y0)) / up` for the largest nominal value: chords of a convex function steepen with either end.
    let private steepest excursion =
        let high = excursion.NominalHigh

        if Rounding.addUp high excursion.Up <= 0.0 then
            0.0
        elif high >= 0.0 then
            1.0
        else
            unit (Rounding.divUp (Rounding.addUp high excursion.Up) excursion.Up)

    /// `(relu(y0) − relu(y0 − down)) / down` for the smallest nominal value, rounded downward.
    let private flattest excursion =
        let low = excursion.NominalLow

        if low <= 0.0 then
            // At the kink the ReLU is the identity only for inputs that surely do not fall.
            if low = 0.0 && excursion.Down = 0.0 then 1.0 else 0.0
        elif low >= excursion.Down then
            1.0
        else
            max 0.0 (Math.BitDecrement(low / excursion.Down))

    /// The slopes between the nominal value and any other (`Nominal`), or between any two values (`Uniform`).
    let ofExcursion definition excursion =
        let lower, upper =
            match definition with
            | Nominal -> flattest excursion, steepest excursion
            | Uniform ->
                (if excursion.NominalLow >= excursion.Down then 1.0 else 0.0),
                (if Rounding.addUp excursion.NominalHigh excursion.Up <= 0.0 then
                     0.0
                 else
                     1.0)

        // A pre-activation that cannot move has every slope.
        {
            Lower = min lower upper
            Upper = upper
        }

    /// A center `c` and a half-width `ρ` with `[c − ρ, c + ρ] ⊇ [Lower, Upper]`; `ρ = 0` where there is one slope.
    let centered interval =
        if interval.Lower = interval.Upper then
            struct (interval.Lower, 0.0)
        else
            let center = 0.5 * (interval.Lower + interval.Upper)

            // One step above the rounded difference is above the exact one.
            struct (center,
                    max (Math.BitIncrement(interval.Upper - center)) (Math.BitIncrement(center - interval.Lower)))
