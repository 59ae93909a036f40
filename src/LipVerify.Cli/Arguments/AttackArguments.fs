namespace LipVerify.Cli

open Argu

/// `lipverify attack MODEL …`
type AttackArguments =
    | [<MainCommand; ExactlyOnce>] Model of MODEL: string
    | [<Unique; EqualsAssignmentOrSpaced>] Attack of A: string
    | [<Unique; EqualsAssignmentOrSpaced>] Clip of RANGE: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-a")>] Architecture of A: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-i")>] Input of X: string
    | [<Unique; EqualsAssignmentOrSpaced>] Resize of N: string
    | [<Unique; EqualsAssignmentOrSpaced>] Preprocess of P: string
    | [<Unique; EqualsAssignmentOrSpaced>] Mean of LIST: string
    | [<Unique; EqualsAssignmentOrSpaced>] Std of LIST: string
    | [<Unique; EqualsAssignmentOrSpaced>] Seed of N: string
    | [<Unique; EqualsAssignmentOrSpaced>] Engine of E: string
    | [<Unique; EqualsAssignmentOrSpaced>] Threads of N: string
    | [<Unique>] Json
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-o")>] Output of F: string

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Model _ -> OptionUsage.model
            | Attack _ ->
                "fgsm, ifgsm (fast gradient sign, once or iterated), gradient (ascent towards each class), pgd (projected descent, DDN), cw (Carlini & Wagner) or all (default). With --output F.npy or F.png the nearest adversarial input is saved."
            | Clip _ -> "keep pixels in the range LOW,HIGH, before normalisation: 0,1 for pictures (no limit)."
            | Architecture _ -> OptionUsage.architecture
            | Input _ -> OptionUsage.input
            | Resize _ -> OptionUsage.resize
            | Preprocess _ -> OptionUsage.preprocess
            | Mean _ -> OptionUsage.mean
            | Std _ -> OptionUsage.std
            | Seed _ -> OptionUsage.seed
            | Engine _ -> OptionUsage.engine
            | Threads _ -> OptionUsage.threads
            | Json -> OptionUsage.json
            | Output _ -> OptionUsage.output
