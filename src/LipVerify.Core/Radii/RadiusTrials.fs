namespace LipVerify.Core.Radii

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Networks
open LipVerify.Core.Bounds

/// Trials of radii by Proposition 6 (METHODS section 2): what a Lipschitz bound over a ball shows, and which radius to try after that.
module internal RadiusTrials =

    /// The largest radius that is claimed: where a bound is 0, every radius keeps the class.
    let largest = 1e100

    let asRadius value =
        match Radius.create value with
        | Ok radius -> radius
        | Error problem -> invalidOp problem

    let keeps output bound radius =
        Propositions.keepsClass output (asRadius radius) bound

    /// `δ/(√2 L)`, the radius that a constant reaches.
    let reach threshold (lipschitz: float) =
        if lipschitz = 0.0 then infinity else threshold / lipschitz

    /// The largest radius that a constant keeps the class within, `δ/(√2 L)`: rounded, and then stepped to where it holds. The
    /// steps double: near the least doubles a step of the radius may not move the product.
    let keptBy output (bound: Bound) =
        let rec down radius step =
            if keeps output bound radius then
                radius
            else
                down (max 0.0 (Math.BitDecrement(radius * (1.0 - step)))) (2.0 * step)

        let radius = reach (Propositions.classThreshold output) bound.Value

        if radius >= largest && keeps output bound largest then
            largest
        else
            down (if radius >= 0.0 then min radius largest else 0.0) Rounding.unitRoundoff

    /// A bound over the ball of a radius.
    [<ReferenceEquality>]
    type Trial =
        {
            At: float
            Lipschitz: Bound
            /// The class holds at least this far: at `At`, or, by Proposition 1, as far as the bound over the larger ball allows.
            Kept: float
            /// Whether it holds at `At`.
            Holds: bool
        }

    let tryRadius output lipschitz radius =
        let holds = keeps output lipschitz radius

        {
            At = radius
            Lipschitz = lipschitz
            Kept =
                if holds then
                    radius
                else
                    min radius (keptBy output lipschitz)
            Holds = holds
        }

    let best trials = trials |> List.maxBy _.Kept

    /// The smallest radius above `radius` at which a trial failed.
    let failure radius trials =
        trials
        |> List.filter (fun trial -> not trial.Holds && trial.At > radius)
        |> List.map _.At
        |> List.sort
        |> List.tryHead

    /// `ln(ε·L/(δ/√2))`: grows with `ln ε` at least as fast, and is 0 at the radius sought.
    let excess threshold trial =
        log trial.At + log trial.Lipschitz.Value - log threshold

    /// Trials closer than this, relatively, say nothing about the slope: bounds are loose by up to 1e-8.
    let resolution = 1e-6

    /// The zero of the line through the last trial and an earlier one, on logarithmic scales.
    let secant threshold trials =
        let last = List.head trials

        trials
        |> List.tryFind (fun trial -> abs (log trial.At - log last.At) > resolution)
        |> Option.map (fun other ->
            let slope =
                (excess threshold last - excess threshold other) / (log last.At - log other.At)

            log last.At - excess threshold last / max 1.0 slope)

    /// The radius between `low`, which holds, and `high`, which does not, to try next. It aims a little above the zero: one trial
    /// there closes the gap from both sides. After trials that did not halve the gap, because bounds are loose or jump, it aims
    /// further and further above, up to the middle.
    let between threshold gap trials stalls low high =
        let zero = secant threshold trials |> Option.defaultValue (log low)
        let aim = max zero (log low) + gap / 4.0 * Math.Pow(8.0, float stalls)

        exp (if aim < log high then aim else (log low + log high) / 2.0)

    /// The radius to try after `trials` (last first).
    let next threshold gap trials stalls =
        let last = List.head trials
        let low = (best trials).Kept

        match failure low trials with
        | None -> min largest (reach threshold last.Lipschitz.Value * (1.0 + gap / 4.0))
        | Some high when low = 0.0 -> high * 1e-10
        | Some _ when trials.Tail.IsEmpty -> low
        | Some high -> between threshold gap trials stalls low high

    /// Trials in a row, the last first, that did not halve the gap.
    let rec stalls (widths: float list) =
        match widths with
        | now :: (before :: _ as rest) when now > before / 2.0 -> 1 + stalls rest
        | _ -> 0

    let width trials =
        let low = (best trials).Kept

        match failure low trials with
        | Some high when low > 0.0 -> high / low - 1.0
        | Some _ -> infinity
        | None when low >= largest -> 0.0
        | None -> infinity
