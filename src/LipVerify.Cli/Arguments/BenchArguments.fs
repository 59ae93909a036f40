namespace LipVerify.Cli

open Argu

/// `lipverify bench [NAME]`
type BenchArguments =
    | [<MainCommand; Unique>] Name of NAME: string
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
            | Name _ ->
                "what to measure: kernels, spectral, bounds, baseline (the published procedure beside ours), growth, the name of a network, or a single workload; without it all but the longest."
            | Failure_Probability _ -> OptionUsage.failureProbability
            | Tolerance _ -> OptionUsage.tolerance
            | Rigor _ -> OptionUsage.rigor
            | Seed _ -> OptionUsage.seed
            | Engine _ -> OptionUsage.engine
            | Threads _ -> OptionUsage.threads
            | Json -> OptionUsage.json
            | Output _ -> OptionUsage.output
