/// Numbers as text for readers. Computed values in files keep all their digits (`exact`).
module LipVerify.Cli.Figure

open System
open System.Globalization

/// The shortest text that reads back as the same double; `inf` and `nan` as most programs write them.
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

/// Six digits, never above the value: a radius that was shown must not grow by being printed.
let downward (value: float) =
    let text (value: float) =
        value.ToString("G6", CultureInfo.InvariantCulture)

    let rec below (candidate: float) step =
        let shown = text candidate

        if not (Double.IsFinite value) || float shown <= value then
            shown
        else
            below (value - step * abs value) (2.0 * step)

    below value 1e-6

/// A time span in words, to the unit that matters.
let duration (seconds: float) =
    if seconds < 90.0 then $"{seconds:F0} s"
    elif seconds < 5400.0 then $"{seconds / 60.0:F0} min"
    else $"{seconds / 3600.0:F1} h"
