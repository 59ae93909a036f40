/// Pieces of SVG and HTML as text.
module LipVerify.Cli.SvgText

open System
open System.Globalization
open System.IO
open System.Text

/// Text safe inside elements and attributes of XML and HTML; characters that XML does not have become `?`.
let escape (text: string) =
    let escaped = StringBuilder()

    for rune in text.EnumerateRunes() do
        match rune.Value with
        | 38 -> escaped.Append "&amp;"
        | 60 -> escaped.Append "&lt;"
        | 62 -> escaped.Append "&gt;"
        | 34 -> escaped.Append "&quot;"
        | 39 -> escaped.Append "&#39;"
        | code when Rune.IsControl rune || code = 0xFFFD || code &&& 0xFFFE = 0xFFFE -> escaped.Append '?'
        | _ -> escaped.Append rune
        |> ignore

    escaped.ToString()

/// The name of a file without its folders, which are no one's business where a picture is shown; other names as they are.
let fileName (source: string) =
    match Path.GetFileName(source.TrimEnd('/', '\\')) with
    | null
    | "" -> source
    | name -> name

/// A coordinate with two decimals.
let coordinate (value: float) =
    (Math.Round(value, 2) + 0.0).ToString("0.##", CultureInfo.InvariantCulture)

let private attributes (pairs: (string * string) list) =
    pairs
    |> List.map (fun (name, value) -> $" {name}=\"{escape value}\"")
    |> String.concat ""

/// An element without content.
let empty name pairs = $"<{name}{attributes pairs}/>\n"

/// An element around markup.
let element name pairs (content: string) =
    $"<{name}{attributes pairs}>{content}</{name}>\n"

/// A straight line.
let line (x1, y1) (x2, y2) pairs =
    empty
        "line"
        ([
            "x1", coordinate x1
            "y1", coordinate y1
            "x2", coordinate x2
            "y2", coordinate y2
         ]
         @ pairs)

/// A text at a place, which is escaped.
let text (x, y) pairs (content: string) =
    element "text" ([ "x", coordinate x; "y", coordinate y ] @ pairs) (escape content)
