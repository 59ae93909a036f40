namespace LipVerify.Cli

open Argu

/// `lipverify demo`
type DemoArguments =
    | [<Unique; EqualsAssignmentOrSpaced>] Folder of F: string
    | [<Unique; EqualsAssignmentOrSpaced>] Definition of D: string
    | [<Unique; EqualsAssignmentOrSpaced>] Failure_Probability of D: string
    | [<Unique; EqualsAssignmentOrSpaced>] Tolerance of T: string
    | [<Unique; EqualsAssignmentOrSpaced>] Rigor of RIGOR: string
    | [<Unique; EqualsAssignmentOrSpaced>] Seed of N: string
    | [<Unique; EqualsAssignmentOrSpaced>] Engine of E: string
    | [<Unique; EqualsAssignmentOrSpaced>] Threads of N: string
    | [<Unique>] Json
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-o")>] Output of F: string

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Folder _ -> "where the curve goes (a new folder among the system's temporary ones)."
            | Definition _ -> OptionUsage.definition
            | Failure_Probability _ -> OptionUsage.failureProbability
            | Tolerance _ -> OptionUsage.tolerance
            | Rigor _ -> OptionUsage.rigor
            | Seed _ -> OptionUsage.seed
            | Engine _ -> OptionUsage.engine
            | Threads _ -> OptionUsage.threads
            | Json -> OptionUsage.json
            | Output _ -> OptionUsage.output
