namespace LipVerify.Cli

open Argu

/// `lipverify methods`
type MethodsArguments =
    | [<Unique>] Json
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-o")>] Output of F: string

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Json -> OptionUsage.json
            | Output _ -> OptionUsage.output
