/// What the commands take, as Argu knows it from their types.
module LipVerify.Cli.CommandOptions

open Argu

/// The parser of command lines.
let parser = lazy ArgumentParser.Create<Arguments>(programName = "lipverify")

let private subParsers =
    lazy
        (parser.Value.GetSubCommandParsers()
         |> List.choose (fun sub -> sub.ParentInfo |> Option.map (fun parent -> parent.Name.Value, sub)))

/// The names of the commands.
let commands =
    lazy
        (parser.Value.GetArgumentCases()
         |> List.map _.Name.Value
         |> List.filter (fun name -> List.exists (fst >> (=) name) subParsers.Value))

/// The arguments of a command, in the order of its type.
let casesOf command =
    subParsers.Value
    |> List.tryFind (fun (name, _) -> name = command)
    |> Option.map (fun (_, sub) -> sub.GetArgumentCases())
    |> Option.defaultValue []

/// The options of a command, by all of their names: `--radius`, `-r`.
let ofCommand command =
    casesOf command
    |> List.filter (fun case -> not case.IsMainCommand)
    |> List.collect _.CommandLineNames.Value

/// `a, b and c`.
let enumerate (names: string list) =
    match List.rev names with
    | [] -> "nothing"
    | [ only ] -> only
    | last :: others ->
        let others = others |> List.rev |> String.concat ", "
        $"{others} and {last}"

/// Why a command refuses an option of a command line, with those that have it; words that no command knows as an option are left to the
/// parser.
let refusal command (words: string list) =
    words
    |> List.tryPick (fun word ->
        let option = word.Split('=')[0]

        let takers =
            commands.Value
            |> List.filter (fun other -> List.contains option (ofCommand other))

        if takers.IsEmpty || List.contains command takers then
            None
        else
            Some $"lipverify {command} has no use for {option}, which is there for {enumerate takers}")
