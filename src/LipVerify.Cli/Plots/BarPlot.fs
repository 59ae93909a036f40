/// Values beside each other as horizontal bars on a logarithmic axis, as an SVG picture that also reads in black-and-white
/// print: upper bounds are filled, lower bounds drawn in outline alone.
module LipVerify.Cli.BarPlot

open System
open LipVerify.Cli.SvgText

/// One bar.
type Bar =
    {
        Label: string
        Side: Side
        Value: float
    }

/// Bars under a heading of their own.
type Group = { Heading: string; Bars: Bar list }

let private width = 760.0
let private left, right = 250.0, width - 84.0
let private row = 20.0
let private heading = 30.0
let private top = 44.0

let private isShown bar =
    Double.IsFinite bar.Value && bar.Value > 0.0

let private groupHeight group = heading + row * float group.Bars.Length

let private horizontal axis value =
    left + Axis.position axis value * (right - left)

let private bar axis y (bar: Bar) =
    let label =
        text (left - 10.0, y + 14.0) [ "text-anchor", "end"; "font-size", "12" ] bar.Label

    if isShown bar then
        let finish = horizontal axis bar.Value
        let fill = if bar.Side = Upper then "#0072b2" else "#ffffff"
        let stroke = if bar.Side = Upper then "#0072b2" else "#d55e00"

        let shape =
            empty
                "rect"
                [
                    "x", coordinate left
                    "y", coordinate (y + 4.0)
                    "width", coordinate (finish - left)
                    "height", "12"
                    "fill", fill
                    "stroke", stroke
                ]

        label
        + shape
        + text (finish + 6.0, y + 14.0) [ "font-size", "11" ] (bar.Value.ToString "G5")
    else
        label
        + text (left + 6.0, y + 14.0) [ "font-size", "11" ] (Figure.exact bar.Value)

let private drawGroup axis y group =
    let title =
        text (left, y + 20.0) [ "font-size", "13"; "font-weight", "bold" ] group.Heading

    let bars =
        group.Bars
        |> List.mapi (fun i each -> bar axis (y + heading + row * float i) each)

    String.concat "" (title :: bars)

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

/// The picture as an SVG file.
let file (title: string) (groups: Group list) =
    let shown = groups |> List.collect _.Bars |> List.filter isShown |> List.map _.Value

    let axis = Axis.covering Logarithmic shown
    let bottom = top + (groups |> List.sumBy groupHeight) + 8.0
    let height = bottom + 48.0
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
                    ((left + right) / 2.0, height - 10.0)
                    [ "text-anchor", "middle"; "font-size", "13" ]
                    "Lipschitz constant: upper bounds filled, what is attained in outline"
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
