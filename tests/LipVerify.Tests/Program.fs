module LipVerify.Tests.Program

open Expecto

/// One after another: many of these tests take the console, an environment variable or a folder for themselves.
[<EntryPoint>]
let main arguments =
    LipVerify.Propositions.TestRun.main [ Sequenced ] arguments
