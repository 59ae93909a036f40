module LipVerify.Cli.Program

[<EntryPoint>]
let main _ = 0
