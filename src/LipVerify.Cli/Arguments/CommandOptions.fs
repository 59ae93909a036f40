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

/// The first option of a command line that its command has no use for, with those that have, or that stands before its command. Words that no
/// command knows as an option are left to the parser.
let misplaced command (words: string list) =
    let before = words |> List.takeWhile ((<>) command) |> List.length

    words
    |> List.indexed
    |> List.tryPick (fun (index, word) ->
        let option = word.Split('=')[0]

        let takers =
            commands.Value
            |> List.filter (fun other -> List.contains option (ofCommand other))

        if takers.IsEmpty then
            None
        elif not (List.contains command takers) then
            Some $"lipverify {command} has no use for {option}, which is there for {enumerate takers}"
        elif index < before then
            Some $"{option} belongs behind the command: lipverify {command} … {option}"
        else
            None)
