module LipVerify.Tests.Program

/// Lists of tests that take the console, an environment variable, a folder or the memory of the process for themselves are sequenced; the others
/// run in parallel.
[<EntryPoint>]
let main arguments =
    LipVerify.Propositions.TestRun.main [] arguments
