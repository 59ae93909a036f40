namespace LipVerify.Cli

open Argu

/// `lipverify info MODEL`
type InfoArguments =
    | [<MainCommand; ExactlyOnce>] Model of MODEL: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-a")>] Architecture of A: string
    | [<Unique>] Json
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-o")>] Output of F: string

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Model _ -> OptionUsage.model
            | Architecture _ -> OptionUsage.architecture
            | Json -> OptionUsage.json
            | Output _ -> OptionUsage.output
