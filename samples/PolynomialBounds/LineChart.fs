/// A few curves as an SVG picture that also reads in black and white.
module LipVerify.Samples.PolynomialBounds.LineChart

open LipVerify.Cli
open LipVerify.Cli.SvgText

/// One curve.
type Curve =
    {
        Name: string
        /// Dashed, for lower bounds.
        Dashed: bool
        Points: (float * float) list
    }

/// What is plotted, and how its axes are laid out.
type Chart =
    {
        Title: string
        Across: string * AxisScale
        Up: string * AxisScale
        Curves: Curve list
    }

let private width, height = 640.0, 420.0
let private left, right, bottom = 76.0, 620.0, 364.0
let private legendRow = 20.0

/// Colours of Okabe and Ito, which differ in lightness and for the colour-blind.
let private colors = [ "#000000"; "#0072b2"; "#cc79a7"; "#d55e00"; "#009e73" ]

let private top chart =
    50.0 + legendRow * float ((chart.Curves.Length + 1) / 2)

let private stroke index (curve: Curve) =
    [
        "fill", "none"
        "stroke", colors[index % colors.Length]
        "stroke-width", "1.8"
        if curve.Dashed then
            "stroke-dasharray", "7 4"
    ]

let private marker index curve (x, y) =
    let color = colors[index % colors.Length]

    let pairs =
        [
            "fill", (if curve.Dashed then "#ffffff" else color)
            "stroke", color
            "stroke-width", "1.4"
        ]

    match index % 3 with
    | 0 -> empty "circle" ([ "cx", coordinate x; "cy", coordinate y; "r", "3.6" ] @ pairs)
    | 1 ->
        let corner = [ "x", coordinate (x - 3.2); "y", coordinate (y - 3.2) ]
        empty "rect" (corner @ [ "width", "6.4"; "height", "6.4" ] @ pairs)
    | _ ->
        let corners =
            $"{coordinate x},{coordinate (y - 4.6)} {coordinate (x + 4.6)},{coordinate y} {coordinate x},{coordinate (y + 4.6)} {coordinate (x - 4.6)},{coordinate y}"

        empty "polygon" (("points", corners) :: pairs)

let private label (tick: Tick) =
    match tick.Label, tick.Exponent with
    | Some text, None -> escape text
    | Some text, Some exponent -> $"{escape text}<tspan dy=\"-5\" font-size=\"9\">{exponent}</tspan>"
    | None, _ -> ""

let private tickText (x, y) anchor tick =
    element
        "text"
        [
            "x", coordinate x
            "y", coordinate y
            "font-size", "12"
            "text-anchor", anchor
        ]
        (label tick)

/// The picture as an SVG file.
let file chart =
    let top = top chart
    let points = chart.Curves |> List.collect _.Points
    let across = Axis.covering (snd chart.Across) (points |> List.map fst)
    let up = Axis.covering (snd chart.Up) (points |> List.map snd)

    let horizontal value =
        left + Axis.position across value * (right - left)

    let vertical value =
        bottom - Axis.position up value * (bottom - top)

    let grid = [ "stroke", "#e2e2e2" ]
    let axisTitle = [ "text-anchor", "middle"; "font-size", "13" ]

    let ticks =
        [
            for tick in across.Ticks do
                if tick.Label.IsSome then
                    let x = horizontal tick.Value
                    line (x, top) (x, bottom) grid
                    tickText (x, bottom + 18.0) "middle" tick
            for tick in up.Ticks do
                if tick.Label.IsSome then
                    let y = vertical tick.Value
                    line (left, y) (right, y) grid
                    tickText (left - 8.0, y + 4.0) "end" tick
        ]

    let curves =
        chart.Curves
        |> List.mapi (fun index curve ->
            let places = curve.Points |> List.map (fun (x, y) -> horizontal x, vertical y)

            let path =
                places
                |> List.map (fun (x, y) -> $"{coordinate x},{coordinate y}")
                |> String.concat " "

            empty "polyline" (("points", path) :: stroke index curve)
            + (places |> List.map (marker index curve) |> String.concat ""))

    let legend =
        chart.Curves
        |> List.mapi (fun index curve ->
            let x = left + float (index % 2) * (right - left) / 2.0
            let y = 46.0 + legendRow * float (index / 2)

            line (x, y) (x + 36.0, y) (stroke index curve)
            + marker index curve (x + 18.0, y)
            + text (x + 44.0, y + 4.0) [ "font-size", "13" ] curve.Name)

    let middle = (top + bottom) / 2.0

    let body =
        [
            SvgText.element "title" [] (escape chart.Title)
            empty "rect" [ "width", "100%"; "height", "100%"; "fill", "#ffffff" ]
            yield! ticks
            line (left, bottom) (right, bottom) [ "stroke", "#333333" ]
            line (left, top) (left, bottom) [ "stroke", "#333333" ]
            yield! curves
            yield! legend
            text (width / 2.0, 24.0) [ "text-anchor", "middle"; "font-size", "15" ] chart.Title
            text ((left + right) / 2.0, height - 14.0) axisTitle (fst chart.Across)
            text (18.0, middle) (("transform", $"rotate(-90 18 {coordinate middle})") :: axisTitle) (fst chart.Up)
        ]
        |> String.concat ""

    SvgText.element
        "svg"
        [
            "xmlns", "http://www.w3.org/2000/svg"
            "viewBox", $"0 0 {coordinate width} {coordinate height}"
            "width", coordinate width
            "height", coordinate height
            "font-family", "Helvetica, Arial, sans-serif"
            "fill", "#111111"
        ]
        ("\n" + body)
