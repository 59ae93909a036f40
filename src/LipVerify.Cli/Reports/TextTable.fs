/// Tables for a terminal.
module LipVerify.Cli.TextTable

open System
open System.IO
open Spectre.Console

/// A column by its title.
type Column =
    /// Text, flush left.
    | Words of string
    /// Numbers, flush right.
    | Figures of string

/// No terminal width squeezes the columns: results are often read from a pipe.
let private width = 10_000

let private column kind =
    let build (title: string) (alignment: Justify) =
        TableColumn(Markup.Escape title, NoWrap = true, Alignment = Nullable alignment)

    match kind with
    | Words title -> build title Justify.Left
    | Figures title -> build title Justify.Right

/// Names come from files: a control character must not reach the terminal.
let private cell (text: string) =
    text
    |> String.map (fun c -> if Char.IsControl c then '?' else c)
    |> Markup.Escape

/// The lines of what Spectre renders, without its blank lines around the table and blanks at the ends.
let private tidy (rendered: string) =
    rendered.Split '\n'
    |> Array.map _.TrimEnd()
    |> Array.filter (fun line -> line <> "")
    |> Array.map (fun line -> line + "\n")
    |> String.concat ""

/// A table with a header and rows; every line ends with a line break.
let render (columns: Column list) (rows: string list list) =
    let table = Table(Border = TableBorder.Simple)

    for kind in columns do
        table.AddColumn(column kind) |> ignore

    for row in rows do
        table.AddRow(row |> List.map cell |> Array.ofList) |> ignore

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
    tidy (writer.ToString())
