/// Which options of the command line a method has a use for, by its entry in the registry.
module LipVerify.Cli.MethodOptions

open LipVerify.Core.Methods

/// Options that not every method has a use for, with the methods that do.
let private users: (string * (BoundMethod -> bool)) list =
    [
        "--enclosure", _.TakesEnclosure
        "--radius", BoundMethod.takesBall
        "--class", BoundMethod.isOfOneOutput
        "--certificate", _.HasCertificate
        "--failure-probability", _.ProvesNorms
        "--tolerance", _.ProvesNorms
        "--seed", _.ProvesNorms
    ]

/// Refuses options that a method has no use for; `all` are those that may have one.
let check all method (given: string list) : Result<unit, string> =
    match
        users
        |> List.tryFind (fun (option, uses) -> List.contains option given && not (uses method))
    with
    | None -> Ok()
    | Some(option, uses) ->
        let takers =
            match all |> List.filter uses |> List.map _.Name with
            | [ only ] -> $"the method {only}"
            | several -> $"the methods {CommandOptions.enumerate several}"

        let why =
            if option = "--certificate" then
                "; bounds of other methods have no certificate format yet"
            else
                ""

        Error $"--method {method.Name} has no use for {option}, which is there for {takers}{why}"
