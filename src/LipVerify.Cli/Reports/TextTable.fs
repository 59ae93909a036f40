/// Tables for a terminal.
module LipVerify.Cli.TextTable

open System.IO
open Spectre.Console

/// Columns that no terminal width squeezes: results are often read from a pipe.
let private width = 160

/// A table with a header and rows, first three columns flush left when they hold text; ends with a line break.
let render (header: string list) (rows: string list list) =
    let table = Table(Border = TableBorder.Simple)

    for title in header do
        table.AddColumn(TableColumn(Markup.Escape title).NoWrap()) |> ignore

    for row in rows do
        table.AddRow(row |> List.map Markup.Escape |> Array.ofList) |> ignore

    use writer = new StringWriter()

    let console =
        AnsiConsole.Create(
            AnsiConsoleSettings(
                Ansi = AnsiSupport.No,
                ColorSystem = ColorSystemSupport.NoColors,
                Out = AnsiConsoleOutput writer
            )
        )

    console.Profile.Width <- width
    console.Write table
    writer.ToString()
