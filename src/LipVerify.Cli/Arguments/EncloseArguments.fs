namespace LipVerify.Cli

open Argu

/// `lipverify enclose MODEL …`
type EncloseArguments =
    | [<MainCommand; ExactlyOnce>] Model of MODEL: string
    | [<Mandatory; Unique; EqualsAssignmentOrSpaced; AltCommandLine("-r")>] Radius of R: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-a")>] Architecture of A: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-i")>] Input of X: string
    | [<Unique; EqualsAssignmentOrSpaced>] Resize of N: string
    | [<Unique; EqualsAssignmentOrSpaced>] Preprocess of P: string
    | [<Unique; EqualsAssignmentOrSpaced>] Mean of LIST: string
    | [<Unique; EqualsAssignmentOrSpaced>] Std of LIST: string
    | [<Unique; EqualsAssignmentOrSpaced>] Enclosure of E: string
    | [<Unique; EqualsAssignmentOrSpaced>] Time_Limit of S: string
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
            | Model _ -> OptionUsage.model
            | Radius _ -> "radius of the ball around the input, in the 2-norm of the (preprocessed) input."
            | Architecture _ -> OptionUsage.architecture
            | Input _ -> OptionUsage.input
            | Resize _ -> OptionUsage.resize
            | Preprocess _ -> OptionUsage.preprocess
            | Mean _ -> OptionUsage.mean
            | Std _ -> OptionUsage.std
            | Enclosure _ -> OptionUsage.enclosure "crown"
            | Time_Limit _ -> "seconds after which it gives the bounds that it has by then (no limit)."
            | Failure_Probability _ -> OptionUsage.failureProbability
            | Tolerance _ -> OptionUsage.tolerance
            | Rigor _ -> OptionUsage.rigor
            | Seed _ -> OptionUsage.seed
            | Engine _ -> OptionUsage.engine
            | Threads _ -> OptionUsage.threads
            | Json -> OptionUsage.json
            | Output _ -> OptionUsage.output
