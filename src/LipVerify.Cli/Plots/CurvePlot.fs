/// Curves of bounds against the radius as an SVG picture that also reads in black-and-white print: upper bounds are solid lines
/// with filled markers, lower bounds dashed lines with open ones.
module LipVerify.Cli.CurvePlot

open LipVerify.Cli.CurveLayout
open LipVerify.Cli.SvgText

type private Style =
    {
        Color: string
        Dash: string option
        Marker: Marker.Shape
        Filled: bool
    }

/// Colours of Okabe and Ito, which differ in lightness and for the colour-blind.
let private styles side =
    match side with
    | Upper ->
        [
            "#000000", None, Marker.Square
            "#0072b2", None, Marker.Circle
            "#cc79a7", None, Marker.Diamond
            "#56b4e9", None, Marker.Triangle
        ]
    | Lower ->
        [
            "#d55e00", Some "7 4", Marker.Triangle
            "#009e73", Some "2 3", Marker.Diamond
            "#e69f00", Some "9 3 2 3", Marker.Circle
            "#000000", Some "4 4", Marker.Square
        ]

let private styleOf picture (series: Series) =
    let rank =
        picture.Series
        |> List.filter (fun other -> other.Side = series.Side)
        |> List.findIndex (fun other -> other.Name = series.Name)

    let choices = styles series.Side
    let color, dash, marker = choices[rank % choices.Length]

    {
        Color = color
        Dash = dash
        Marker = marker
        Filled = series.Side = Upper
    }

let private marker style =
    Marker.draw style.Marker style.Color style.Filled []

let private stroke style =
    [
        "fill", "none"
        "stroke", style.Color
        "stroke-width", "1.8"
        "stroke-linejoin", "round"
        for dash in Option.toList style.Dash do
            "stroke-dasharray", dash
    ]

/// Markers closer than this would run into each other.
let private markerDistance = 22.0

/// The first and the last point, and between them those that are not too close.
let private marked (points: (float * float) list) =
    let distance (ax, ay) (bx, by) =
        sqrt ((ax - bx) * (ax - bx) + (ay - by) * (ay - by))

    let keep (kept: (float * float) list) point =
        match kept with
        | before :: _ when distance before point < markerDistance -> kept
        | _ -> point :: kept

    match points with
    | [] -> []
    | _ -> List.fold keep [] points |> List.rev

let private curve picture layout (series: Series) =
    let style = styleOf picture series
    let points = series.Points |> List.choose (place layout)

    let path =
        points
        |> List.map (fun (x, y) -> $"{coordinate x},{coordinate y}")
        |> String.concat " "

    element
        "g"
        [ "class", "curve" ]
        ((if points.IsEmpty then
              ""
          else
              empty "polyline" (("points", path) :: stroke style))
         + (marked points |> List.map (marker style) |> String.concat ""))

let private small = [ "font-size", "12" ]

let private tickLabel place pairs (tick: Tick) =
    match tick.Label, tick.Exponent with
    | None, _ -> ""
    | Some label, None -> text place (small @ pairs) label
    | Some label, Some exponent ->
        let x, y = place

        let exponent = (string exponent).Replace('-', '−')
        let power = $"<tspan dy=\"-5\" font-size=\"9\">{exponent}</tspan>"

        element "text" ([ "x", coordinate x; "y", coordinate y ] @ small @ pairs) (escape label + power)

let private gridColor = "#e2e2e2"
let private frameColor = "#333333"

let private verticalTick layout (tick: Tick) =
    let x = horizontal layout tick.Value

    let size = if tick.Label.IsSome then 6.0 else 3.0

    String.concat
        ""
        [
            if tick.Label.IsSome then
                line (x, layout.Top) (x, layout.Bottom) [ "stroke", gridColor ]
            line (x, layout.Bottom) (x, layout.Bottom + size) [ "stroke", frameColor ]
            tickLabel (x, layout.Bottom + 20.0) [ "text-anchor", "middle" ] tick
        ]

let private horizontalTick layout (tick: Tick) =
    let y =
        layout.Bottom - Axis.position layout.Y tick.Value * (layout.Bottom - layout.Top)

    let size = if tick.Label.IsSome then 6.0 else 3.0

    String.concat
        ""
        [
            if tick.Label.IsSome then
                line (layout.Left, y) (layout.Right, y) [ "stroke", gridColor ]
            line (layout.Left - size, y) (layout.Left, y) [ "stroke", frameColor ]
            tickLabel (layout.Left - 10.0, y + 4.0) [ "text-anchor", "end" ] tick
        ]

let private frame layout =
    empty
        "rect"
        [
            "x", coordinate layout.Left
            "y", coordinate layout.Top
            "width", coordinate (layout.Right - layout.Left)
            "height", coordinate (layout.Bottom - layout.Top)
            "fill", "none"
            "stroke", frameColor
        ]

/// The title of the axis of radii.
let radiusTitle =
    "radius of the ball around the input (2-norm, units of the preprocessed input)"

/// The title of the axis of values.
let valueTitle = "Lipschitz constant (output units per input unit)"

let private titles picture layout =
    let x, y = (layout.Left + layout.Right) / 2.0, (layout.Top + layout.Bottom) / 2.0
    let centred = [ "text-anchor", "middle"; "font-size", "13" ]

    String.concat
        ""
        [
            for title in Option.toList picture.Title do
                text (width / 2.0, 26.0) [ "text-anchor", "middle"; "font-size", "16"; "font-weight", "bold" ] title
            text (x, height - 14.0) centred radiusTitle
            text (20.0, y) (("transform", $"rotate(-90 20 {coordinate y})") :: centred) valueTitle
        ]

/// What the legend says of a curve.
let legendText (series: Series) =
    let side = Side.name series.Side

    if series.Points |> List.exists isShown || series.Points.IsEmpty then
        $"{series.Name} ({side})"
    else
        $"{series.Name} ({side}, nothing above 0)"

let private legend picture layout =
    let entry index series =
        let style = styleOf picture series
        let column, row = index / legendRows picture, index % legendRows picture

        let x =
            layout.Left + float column * (layout.Right - layout.Left) / float legendColumns

        let y =
            layout.Top - 6.0 - legendRow * float (legendRows picture)
            + legendRow * (float row + 0.5)

        line (x, y) (x + 36.0, y) (stroke style)
        + marker style (x + 18.0, y)
        + text (x + 44.0, y + 4.0) [ "font-size", "13" ] (legendText series)

    picture.Series |> List.mapi entry |> String.concat ""

let private description picture =
    let names = picture.Series |> List.map legendText |> String.concat ", "
    $"Bounds on a Lipschitz constant against the radius of the ball: {names}."

/// The SVG element; `extra` goes on top of the curves.
let element picture (extra: string) =
    let layout = layout picture

    let body =
        String.concat
            ""
            [
                "\n"
                SvgText.element
                    "title"
                    []
                    (escape (picture.Title |> Option.defaultValue "Lipschitz bounds against the radius"))
                SvgText.element "desc" [] (escape (description picture))
                empty "rect" [ "width", "100%"; "height", "100%"; "fill", "#ffffff" ]
                layout.X.Ticks |> List.map (verticalTick layout) |> String.concat ""
                layout.Y.Ticks |> List.map (horizontalTick layout) |> String.concat ""
                picture.Series |> List.map (curve picture layout) |> String.concat ""
                frame layout
                titles picture layout
                legend picture layout
                extra
            ]

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
        body

/// The picture as an SVG file.
let file picture =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + element picture ""
