module LipVerify.Propositions.Program

[<EntryPoint>]
let main arguments = TestRun.main [] arguments
