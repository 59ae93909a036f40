/// Rows of figures as CSV and as Markdown.
module LipVerify.Samples.PolynomialBounds.Tables

open System.Globalization
open System.IO

/// A figure with four significant digits.
let short (value: float) =
    value.ToString("G4", CultureInfo.InvariantCulture)

/// A figure in full.
let full (value: float) =
    value.ToString("R", CultureInfo.InvariantCulture)

/// Writes a CSV file; no cell has a comma.
let writeCsv path (header: string list) (rows: string list list) =
    let lines = header :: rows |> List.map (String.concat ",")
    File.WriteAllText(path, (lines |> String.concat "\n") + "\n")

/// Prints a Markdown table.
let print (header: string list) (rows: string list list) =
    let line cells =
        printfn "| %s |" (String.concat " | " cells)

    line header
    line (header |> List.map (fun _ -> "---"))
    List.iter line rows
    printfn ""
