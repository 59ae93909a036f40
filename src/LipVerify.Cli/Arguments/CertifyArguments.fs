namespace LipVerify.Cli

open Argu
open LipVerify.Core.Methods

/// Names out of the registry, for help.
module private RadiusNames =

    let others =
        RadiusMethods.all
        |> List.map _.Name
        |> List.filter ((<>) "analytic")
        |> String.concat ", "

/// `lipverify certify MODEL …`
type CertifyArguments =
    | [<MainCommand; ExactlyOnce>] Model of MODEL: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-m")>] Method of M: string
    | [<Unique>] Attacks
    | [<Unique; EqualsAssignmentOrSpaced>] Clip of RANGE: string
    | [<Unique; EqualsAssignmentOrSpaced>] Csv of F: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-a")>] Architecture of A: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-i")>] Input of X: string
    | [<Unique; EqualsAssignmentOrSpaced>] Resize of N: string
    | [<Unique; EqualsAssignmentOrSpaced>] Preprocess of P: string
    | [<Unique; EqualsAssignmentOrSpaced>] Mean of LIST: string
    | [<Unique; EqualsAssignmentOrSpaced>] Std of LIST: string
    | [<Unique; EqualsAssignmentOrSpaced>] Definition of D: string
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
            | Method _ ->
                $"what is behind the radius: analytic (default), or another of: {RadiusNames.others}. lipverify methods says what each is."
            | Attacks -> "attack the input too: the gap between what is certified and what is broken."
            | Clip _ -> "with --attacks: keep pixels in the range LOW,HIGH, before normalisation (no limit)."
            | Csv _ -> "write one line an input to this file."
            | Architecture _ -> OptionUsage.architecture
            | Input _ ->
                $"nominal input: a {LipVerify.Formats.InputSource.kinds}, or zeros, or random[?seed=N]; or a folder or a batch of them."
            | Resize _ -> OptionUsage.resize
            | Preprocess _ -> OptionUsage.preprocess
            | Mean _ -> OptionUsage.mean
            | Std _ -> OptionUsage.std
            | Definition _ -> OptionUsage.definition
            | Enclosure _ -> OptionUsage.enclosure "ball"
            | Time_Limit _ ->
                "seconds for each input (no limit; 120 for crown, local-lipsdp, structured and enclosures by probes)."
            | Failure_Probability _ -> OptionUsage.failureProbability
            | Tolerance _ -> OptionUsage.tolerance
            | Rigor _ -> OptionUsage.rigor
            | Seed _ -> OptionUsage.seed
            | Engine _ -> OptionUsage.engine
            | Threads _ -> OptionUsage.threads
            | Json -> OptionUsage.json
            | Output _ -> OptionUsage.output
