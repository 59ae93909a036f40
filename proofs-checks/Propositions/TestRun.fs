/// How both test programs run.
module LipVerify.Propositions.TestRun

open System
open System.Reflection
open Expecto

/// Runs the tests of the program that was started. `--filter TEXT` keeps those whose full name contains a text, whatever the case
/// of its letters; Expecto knows the other arguments (`--help` lists them), and none of its colours where no terminal is.
let main (defaults: CLIArguments list) (arguments: string[]) =
    let tests =
        Impl.testFromAssembly (nonNull (Assembly.GetEntryAssembly()))
        |> Option.defaultWith (fun () -> failwith "no tests were found")

    let rec split kept filters rest =
        match rest with
        | "--filter" :: text :: rest -> split kept (text :: filters) rest
        | argument :: rest -> split (argument :: kept) filters rest
        | [] -> List.rev kept, filters

    let others, filters = split [] [] (List.ofArray arguments)

    let wanted (names: string list) =
        let name = String.concat "." names

        filters = []
        || filters
           |> List.exists (fun text -> name.Contains(text, StringComparison.OrdinalIgnoreCase))

    let plain =
        if Console.IsOutputRedirected then
            [ Colours 0; No_Spinner ]
        else
            []

    Test.filter "." wanted tests
    |> runTestsWithCLIArgs (plain @ defaults) (Array.ofList others)
