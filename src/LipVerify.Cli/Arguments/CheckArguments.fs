namespace LipVerify.Cli

open Argu

/// `lipverify check CERTIFICATE --model MODEL …`
type CheckArguments =
    | [<MainCommand; ExactlyOnce>] Certificate of CERTIFICATE: string
    | [<Mandatory; Unique; EqualsAssignmentOrSpaced>] Model of MODEL: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-a")>] Architecture of A: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-i")>] Input of X: string
    | [<Unique; EqualsAssignmentOrSpaced>] Preprocess of P: string
    | [<Unique; EqualsAssignmentOrSpaced>] Mean of LIST: string
    | [<Unique; EqualsAssignmentOrSpaced>] Std of LIST: string
    | [<Unique; EqualsAssignmentOrSpaced>] Coq of F: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-o")>] Output of F: string

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Certificate _ -> "a certificate that lipverify bound --certificate wrote."
            | Model _ ->
                "the network that it is about: an .onnx, .pt, .pth, .ckpt or .safetensors file, or zoo:NAME[?seed=N]."
            | Architecture _ -> OptionUsage.architecture
            | Input _ -> OptionUsage.input
            | Preprocess _ -> OptionUsage.preprocess
            | Mean _ -> OptionUsage.mean
            | Std _ -> OptionUsage.std
            | Coq _ ->
                "write the instance for the checker that is proved in proofs-checks/coq to this file: of chains of dense layers; as a Coq file where the name ends in .v."
            | Output _ -> OptionUsage.output
