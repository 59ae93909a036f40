/// Values beside each other as dots on a logarithmic axis, which has no 0 for bars to start from, as an SVG picture that also reads
/// in black-and-white print: upper bounds are filled, lower bounds drawn in outline, and the shape says what a value promises.
module LipVerify.Cli.DotPlot

open System
open LipVerify.Core.Numbers
open LipVerify.Cli.SvgText

/// One value.
type Dot =
    {
        Label: string
        Side: Side
        Bound: Bound
    }

/// Dots under a heading of their own.
type Group = { Heading: string; Dots: Dot list }

let private width = 760.0
let private left, right = 250.0, width - 84.0
let private row = 20.0
let private heading = 30.0
let private top = 44.0

/// A logarithmic axis has no place for zeros.
let private isShown dot =
    Double.IsFinite dot.Bound.Value && dot.Bound.Value > 0.0

let private groupHeight group = heading + row * float group.Dots.Length

let private horizontal axis value =
    left + Axis.position axis value * (right - left)

let private shape rigor =
    match rigor with
    | Certified -> Marker.Circle
    | Probabilistic _ -> Marker.Diamond
    | Numerical -> Marker.Square
    | Estimate -> Marker.Triangle

let private mark side rigor pairs place =
    match side with
    | Upper -> Marker.draw (shape rigor) "#0072b2" true pairs place
    | Lower -> Marker.draw (shape rigor) "#d55e00" false pairs place

let private small = [ "font-size", "11" ]

let private drawDot axis y dot =
    let label =
        text (left - 10.0, y + 14.0) [ "text-anchor", "end"; "font-size", "12" ] dot.Label

    let middle = y + 10.0
    let value = Side.figure 5 dot.Side dot.Bound.Value

    if isShown dot then
        let x = horizontal axis dot.Bound.Value

        label
        + line (left, middle) (x, middle) [ "stroke", "#b8b8b8"; "stroke-dasharray", "1 3" ]
        + mark dot.Side dot.Bound.Rigor [ "class", "dot" ] (x, middle)
        + text (x + 9.0, y + 14.0) small $"{Side.sign dot.Side} {value}"
    else
        label + text (left + 9.0, y + 14.0) small $"{Side.sign dot.Side} {value}"

let private drawGroup axis y group =
    let title =
        text (left, y + 20.0) [ "font-size", "13"; "font-weight", "bold" ] group.Heading

    let dots =
        group.Dots
        |> List.mapi (fun i dot -> drawDot axis (y + heading + row * float i) dot)

    String.concat "" (title :: dots)

let private ticks axis bottom =
    [
        for tick in axis.Ticks do
            match tick.Label with
            | None -> ()
            | Some label ->
                let x = horizontal axis tick.Value

                let exponent =
                    match tick.Exponent with
                    | Some exponent ->
                        let digits = (string exponent).Replace('-', '−')
                        $"<tspan dy=\"-5\" font-size=\"9\">{digits}</tspan>"
                    | None -> ""

                line (x, top) (x, bottom) [ "stroke", "#e2e2e2" ]

                SvgText.element
                    "text"
                    [
                        "x", coordinate x
                        "y", coordinate (bottom + 18.0)
                        "text-anchor", "middle"
                        "font-size", "12"
                    ]
                    (escape label + exponent)
    ]
    |> String.concat ""

/// The marks that occur, with what they stand for, side by side.
let private legend y (groups: Group list) =
    let kinds =
        groups
        |> List.collect _.Dots
        |> List.map (fun dot -> dot.Side, dot.Bound.Rigor)
        |> List.distinctBy (fun (side, rigor) -> side, shape rigor)

    let step = (width - 40.0) / float (max 4 kinds.Length)

    kinds
    |> List.mapi (fun i (side, rigor) ->
        let x = 26.0 + step * float i

        mark side rigor [] (x, y - 4.0)
        + text (x + 10.0, y) [ "font-size", "12" ] $"{Side.name side}, {Rigor.label rigor}")
    |> String.concat ""

/// The picture as an SVG file.
let file (title: string) (groups: Group list) =
    let shown =
        groups |> List.collect _.Dots |> List.filter isShown |> List.map _.Bound.Value

    let axis = Axis.covering Logarithmic shown
    let bottom = top + (groups |> List.sumBy groupHeight) + 8.0
    let height = bottom + 72.0
    let places = (top, groups) ||> List.scan (fun y group -> y + groupHeight group)

    let body =
        String.concat
            ""
            [
                "\n"
                SvgText.element "title" [] (escape title)
                empty "rect" [ "width", "100%"; "height", "100%"; "fill", "#ffffff" ]
                text (width / 2.0, 26.0) [ "text-anchor", "middle"; "font-size", "16"; "font-weight", "bold" ] title
                ticks axis bottom
                line (left, bottom) (right, bottom) [ "stroke", "#333333" ]
                yield! List.map2 (drawGroup axis) (List.take groups.Length places) groups
                text
                    ((left + right) / 2.0, bottom + 36.0)
                    [ "text-anchor", "middle"; "font-size", "13" ]
                    "Lipschitz constant"
                legend (height - 12.0) groups
            ]

    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    + SvgText.element
        "svg"
        [
            "xmlns", "http://www.w3.org/2000/svg"
            "viewBox", $"0 0 {coordinate width} {coordinate height}"
            "width", coordinate width
            "height", coordinate height
            "font-family", "Helvetica, Arial, sans-serif"
            "fill", "#111111"
        ]
        body
