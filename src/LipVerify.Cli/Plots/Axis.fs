namespace LipVerify.Cli

open System
open System.Globalization

/// How values are laid out along an axis.
type AxisScale =
    | Linear
    | Logarithmic

/// A mark on an axis. A label may be a power of ten, with its exponent apart.
type Tick =
    {
        Value: float
        /// None for a minor mark.
        Label: string option
        Exponent: int option
    }

/// The range of an axis and its marks.
type Axis =
    {
        Scale: AxisScale
        Low: float
        High: float
        Ticks: Tick list
    }

module Axis =

    /// Where a value lies between the ends, 0 … 1.
    let position axis (value: float) =
        match axis.Scale with
        | Linear -> (value - axis.Low) / (axis.High - axis.Low)
        | Logarithmic -> (log10 value - log10 axis.Low) / (log10 axis.High - log10 axis.Low)

    let private plain (value: float) =
        value.ToString("0.############", CultureInfo.InvariantCulture)

    let private major value label =
        {
            Value = value
            Label = Some label
            Exponent = None
        }

    let private minor value =
        {
            Value = value
            Label = None
            Exponent = None
        }

    /// `digit·10^decade`, the double nearest to it.
    let private decimalOf digit decade =
        Double.Parse($"{digit}e{decade}", CultureInfo.InvariantCulture)

    /// 1, 2 or 5 times a power of ten: the least that gives at most `most` steps over a range.
    let private step most range =
        let rough = range / float most
        let decade = int (floor (log10 rough))

        [ 1, decade; 2, decade; 5, decade; 1, decade + 1; 2, decade + 1 ]
        |> List.map (fun (digit, decade) -> decimalOf digit decade)
        |> List.find (fun candidate -> candidate >= rough * (1.0 - 1e-9))

    let private general (value: float) =
        let size = abs value

        if size = 0.0 || size >= 1e-4 && size < 1e6 then
            plain value
        else
            value.ToString("0.###e0", CultureInfo.InvariantCulture)

    let private linearTicks low high =
        let step = step 8 (high - low)

        // Rounded, so that 0.30000000000000004 is 0.3.
        let value k =
            Double.Parse((float k * step).ToString("G12", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)

        [
            for k in int64 (ceil (low / step - 1e-9)) .. int64 (floor (high / step + 1e-9)) ->
                major (value k) (general (value k))
        ]

    /// `digit·10^decade`, written out where all labels of the axis are short, else as a power.
    let private decimalLabel written digit decade =
        let value = decimalOf digit decade

        if written then
            major value (plain value)
        else
            {
                Value = value
                Label = Some(if digit = 1 then "10" else $"{digit}·10")
                Exponent = Some decade
            }

    let private logTicks low high =
        let first, last = int (floor (log10 low)), int (ceil (log10 high))
        let decades = log10 high - log10 low
        let written = first >= -4 && last <= 5
        let stride = max 1 (int (ceil (decades / 9.0)))

        let labelled digit =
            if decades <= 0.7 then true
            elif decades <= 2.6 then digit = 2 || digit = 5
            else false

        [
            for decade in first..last do
                if decade % stride = 0 then
                    decimalLabel written 1 decade
                elif stride > 1 then
                    minor (decimalOf 1 decade)

                if stride = 1 then
                    for digit in 2..9 do
                        if labelled digit then
                            decimalLabel written digit decade
                        else
                            minor (decimalOf digit decade)
        ]

    let private logarithmic low high =
        // At least half a decade, so that a flat curve does not look steep.
        let middle = (log10 low + log10 high) / 2.0
        let half = max 0.25 ((log10 high - log10 low) / 2.0 * 1.06)

        let low, high =
            max 1e-300 (Math.Pow(10.0, middle - half)), min 1e300 (Math.Pow(10.0, middle + half))

        {
            Scale = Logarithmic
            Low = low
            High = high
            Ticks =
                logTicks low high
                |> List.filter (fun tick -> tick.Value >= low && tick.Value <= high)
        }

    let private linear low high =
        let range = if high > low then high - low else max 1.0 (abs high)
        let low, high = low - 0.02 * range, high + 0.02 * range

        {
            Scale = Linear
            Low = low
            High = high
            Ticks = linearTicks low high
        }

    /// An axis that shows all values, which must be finite, and positive for a logarithmic one; 1 … 10 where there are none.
    let covering scale (values: float list) =
        match scale, values with
        | _, [] -> logarithmic 1.0 10.0
        | Logarithmic, _ -> logarithmic (List.min values) (List.max values)
        | Linear, _ -> linear (List.min values) (List.max values)
