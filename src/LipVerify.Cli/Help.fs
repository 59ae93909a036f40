/// What `--help` prints: the commands, or what one command takes and no more.
module LipVerify.Cli.Help

open Argu

/// Columns of the text.
let private width = 100

/// Where explanations begin.
let private margin = 32

/// Words in lines of at most so many columns.
let private wrap columns (text: string) =
    let add (lines: string list) (word: string) =
        match lines with
        | line :: others when line.Length + 1 + word.Length <= columns -> $"{line} {word}" :: others
        | _ -> word :: lines

    text.Split ' ' |> Array.fold add [] |> List.rev

/// A term with its explanation beside it, or beneath where the term is long.
let private entry (term: string) (explanation: string) =
    let lines = wrap (width - margin) explanation
    let indented = lines |> List.map (fun line -> String.replicate margin " " + line)
    let term = "    " + term

    if term.Length < margin then
        term.PadRight margin + lines.Head :: indented.Tail
    else
        term :: indented

/// The word for the value of an option, where it takes one.
let private valueOf (case: ArgumentCaseInfo) =
    case.UnionCaseInfo.GetFields()
    |> Array.tryHead
    |> Option.map (fun field -> field.Name)

let private nameOf (case: ArgumentCaseInfo) = case.CommandLineNames.Value.Head

let private optionEntry (case: ArgumentCaseInfo) =
    let names = String.concat ", " case.CommandLineNames.Value

    let term =
        match valueOf case with
        | Some value -> $"{names} {value}"
        | None -> names

    entry term case.Description.Value

let private mainEntry (case: ArgumentCaseInfo) =
    entry (valueOf case |> Option.defaultValue "") case.Description.Value

let private synopsis command (cases: ArgumentCaseInfo list) =
    let words =
        cases
        |> List.choose (fun case ->
            match valueOf case with
            | Some value when case.IsMainCommand -> Some(if case.IsMandatory.Value then value else $"[{value}]")
            | Some value when case.IsMandatory.Value -> Some $"{nameOf case} {value}"
            | _ -> None)

    $"""USAGE: lipverify {command} {String.concat " " (words @ [ "[OPTIONS]" ])}"""

/// What a command takes.
let ofCommand command =
    let cases = CommandOptions.casesOf command
    let main, options = cases |> List.partition _.IsMainCommand

    let summary =
        CommandOptions.parser.Value.GetArgumentCases()
        |> List.find (fun case -> case.Name.Value = command)

    [
        synopsis command cases
        ""
        yield! wrap width summary.Description.Value
        ""
        yield! main |> List.collect mainEntry

        if not main.IsEmpty then
            ""

        "OPTIONS:"
        ""
        yield! options |> List.collect optionEntry
        yield! entry "--help, -h" "print this."
    ]

/// The commands, each in a line.
let ofProgram () =
    let cases = CommandOptions.parser.Value.GetArgumentCases()

    [
        "Guaranteed bounds on Lipschitz constants of ReLU networks."
        ""
        "USAGE: lipverify COMMAND …"
        ""
        "COMMANDS:"
        ""
        for command in CommandOptions.commands.Value do
            let case = cases |> List.find (fun case -> case.Name.Value = command)
            yield! entry command case.Description.Value
        ""
        "lipverify COMMAND --help says what a command takes; lipverify --version prints the version."
    ]
