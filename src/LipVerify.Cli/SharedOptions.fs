/// Which of the options that may follow any command a command has a use for. What it has no use for is refused: an option that
/// changes nothing would be believed to have changed something.
module LipVerify.Cli.SharedOptions

let private model = [ "--architecture" ]
let private input = [ "--input"; "--preprocess"; "--mean"; "--std" ]

/// How spectral norms are proved, and what is drawn.
let private proofs = [ "--failure-probability"; "--tolerance"; "--rigor"; "--seed" ]
let private engine = [ "--engine"; "--threads" ]
let private report = [ "--json"; "--output" ]

/// The commands with the options that they share with others.
let private ofCommands =
    [
        "info", model @ report
        "bound",
        model
        @ input
        @ [ "--definition"; "--enclosure"; "--time-limit"; "--norm" ]
        @ proofs
        @ engine
        @ report
        "enclose", model @ input @ [ "--enclosure"; "--time-limit" ] @ proofs @ engine @ report
        "compare", model @ input @ [ "--time-limit" ] @ proofs @ engine @ report
        "certify",
        model
        @ input
        @ [ "--definition"; "--enclosure"; "--time-limit" ]
        @ proofs
        @ engine
        @ report
        "curve",
        model
        @ input
        @ [ "--definition"; "--enclosure"; "--time-limit" ]
        @ proofs
        @ engine
        @ report
        "check", model @ input @ [ "--output" ]
        "attack", model @ input @ [ "--seed" ] @ engine @ report
        "bench", proofs @ engine @ report
        "demo", [ "--definition" ] @ proofs @ engine @ report
    ]

/// The names of the commands.
let commands = ofCommands |> List.map fst

/// The options that a command shares with others.
let ofCommand name =
    ofCommands
    |> List.tryFind (fun (command, _) -> command = name)
    |> Option.map snd
    |> Option.defaultValue []

/// `a, b and c`.
let enumerate (names: string list) =
    match List.rev names with
    | [] -> "nothing"
    | [ only ] -> only
    | last :: others ->
        let others = others |> List.rev |> String.concat ", "
        $"{others} and {last}"

/// Refuses options that a command has no use for.
let check command (given: string list) : Result<unit, string> =
    let used = ofCommand command

    match given |> List.tryFind (fun option -> not (List.contains option used)) with
    | None -> Ok()
    | Some option ->
        let takers =
            commands |> List.filter (fun other -> List.contains option (ofCommand other))

        Error $"lipverify {command} has no use for {option}, which is there for {enumerate takers}"
