/// Curves as one web page that needs nothing from elsewhere: the plot, values under the pointer, and a table of them.
module LipVerify.Cli.CurvePage

open System
open System.IO
open System.Text
open System.Text.Json
open LipVerify.Core.Numbers
open LipVerify.Cli.SvgText

/// What the page shows.
type Page =
    {
        Heading: string
        /// Lines beneath the heading.
        Remarks: string list
        Picture: CurveLayout.Picture
        /// The radii, and at each the series, its value, and what the value promises.
        Rows: (float * (CurveLayout.Series * float * string) list) list
    }

let private resource (name: string) =
    let assembly = typeof<Page>.Assembly

    match assembly.GetManifestResourceStream name with
    | null -> invalidOp $"the program was built without its resource {name}"
    | stream ->
        use reader = new StreamReader(stream, Encoding.UTF8)
        reader.ReadToEnd()

/// The data of the script. The default encoder escapes what could end the element.
let private data page =
    let layout = CurveLayout.layout page.Picture
    use buffer = new MemoryStream()
    use writer = new Utf8JsonWriter(buffer)
    let round (value: float) = Math.Round(value, 2)

    let writeValue radius (series: CurveLayout.Series, value, _) =
        JsonText.object writer (fun () ->
            writer.WriteString("name", series.Name)
            writer.WriteString("text", $"{Side.sign series.Side} {Side.figure 6 series.Side value}")

            match CurveLayout.place layout (radius, value) with
            | Some(_, y) -> writer.WriteNumber("y", round y)
            | None -> writer.WriteNull "y")

    JsonText.object writer (fun () ->
        writer.WriteNumber("width", CurveLayout.width)
        writer.WriteNumber("top", layout.Top)
        writer.WriteNumber("bottom", layout.Bottom)

        JsonText.array writer "radii" page.Rows (fun (radius, values) ->
            JsonText.object writer (fun () ->
                writer.WriteString("text", Figure.nearestTo 6 radius)
                writer.WriteNumber("x", round (CurveLayout.horizontal layout radius))
                JsonText.array writer "values" values (writeValue radius))))

    writer.Flush()
    Encoding.UTF8.GetString(buffer.ToArray())

let private table page =
    let heading (series: CurveLayout.Series) =
        element "th" [ "scope", "col" ] $"{escape series.Name}<small>{Side.name series.Side}</small>"

    let cell (series: CurveLayout.Series, value, rigor: string) =
        element
            "td"
            [
                "title", $"{Side.sign series.Side} {Side.figure 17 series.Side value}, {rigor}"
            ]
            (Side.figure 6 series.Side value)

    let row (radius, values) =
        element
            "tr"
            []
            (element "th" [ "scope", "row" ] (Figure.nearestTo 6 radius)
             + (values |> List.map cell |> String.concat ""))

    let head =
        element "th" [ "scope", "col" ] "radius"
        + (page.Picture.Series |> List.map heading |> String.concat "")

    element
        "table"
        [ "class", "values" ]
        (element "thead" [] (element "tr" [] head)
         + element "tbody" [] (page.Rows |> List.map row |> String.concat ""))

/// Nothing may be loaded from anywhere.
let private policy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

let private focusable (svg: string) =
    svg.Replace("<svg ", "<svg tabindex=\"0\" role=\"img\" ")

/// The page as one HTML file.
let file page =
    let style, script = resource "page.css", resource "page.js"

    String.concat
        ""
        [
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            $"<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            element "title" [] (escape page.Heading)
            $"<style>\n{style}</style>\n</head>\n<body>\n"
            element "h1" [] (escape page.Heading)
            yield! page.Remarks |> List.map (fun remark -> element "p" [] (escape remark))
            "<div id=\"plot\">\n"
            focusable (CurvePlot.element page.Picture "<g id=\"cursor\"></g>\n")
            "<div id=\"tip\" aria-live=\"polite\" hidden></div>\n</div>\n"
            "<p class=\"hint\">Point at the plot for values, or select it and use the arrow keys; Escape hides them.</p>\n"
            $"<div class=\"scroll\">\n{table page}</div>\n"
            $"<script type=\"application/json\" id=\"data\">{data page}</script>\n"
            $"<script>\n{script}</script>\n</body>\n</html>\n"
        ]
