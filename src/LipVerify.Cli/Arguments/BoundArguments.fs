namespace LipVerify.Cli

open Argu
open LipVerify.Core.Methods

/// Names out of the registry, for help.
module private BoundNames =

    let others =
        BoundMethods.all
        |> List.map _.Name
        |> List.filter ((<>) BoundMethods.analytic.Name)
        |> String.concat ", "

    let certified =
        BoundMethods.all
        |> List.filter _.HasCertificate
        |> List.map _.Name
        |> String.concat ", "

/// `lipverify bound MODEL …`
type BoundArguments =
    | [<MainCommand; ExactlyOnce>] Model of MODEL: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-r")>] Radius of R: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-m")>] Method of M: string
    | [<Unique; EqualsAssignmentOrSpaced>] Class of K: string
    | [<Unique; EqualsAssignmentOrSpaced>] Certificate of F: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-a")>] Architecture of A: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-i")>] Input of X: string
    | [<Unique; EqualsAssignmentOrSpaced>] Resize of N: string
    | [<Unique; EqualsAssignmentOrSpaced>] Preprocess of P: string
    | [<Unique; EqualsAssignmentOrSpaced>] Mean of LIST: string
    | [<Unique; EqualsAssignmentOrSpaced>] Std of LIST: string
    | [<Unique; EqualsAssignmentOrSpaced>] Definition of D: string
    | [<Unique; EqualsAssignmentOrSpaced>] Enclosure of E: string
    | [<Unique; EqualsAssignmentOrSpaced>] Time_Limit of S: string
    | [<Unique; EqualsAssignmentOrSpaced>] Norm of NORM: string
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
            | Radius _ ->
                "radius of the ball around the input, in the norm of the (preprocessed) input; not needed for global bounds."
            | Method _ ->
                $"analytic (default), or another of: {BoundNames.others}. lipverify methods says what each is."
            | Class _ -> "the output that the methods for one output bound, counted from 0."
            | Certificate _ ->
                $"write a certificate to this file, for lipverify check: of {BoundNames.certified} (analytic with --enclosure ball)."
            | Architecture _ -> OptionUsage.architecture
            | Input _ -> OptionUsage.input
            | Resize _ -> OptionUsage.resize
            | Preprocess _ -> OptionUsage.preprocess
            | Mean _ -> OptionUsage.mean
            | Std _ -> OptionUsage.std
            | Definition _ -> OptionUsage.definition
            | Enclosure _ -> OptionUsage.enclosure "ball"
            | Time_Limit _ ->
                "seconds after which the method gives the best that it has proved (no limit; 300 for exact)."
            | Norm _ -> "2 (default), inf or 1; lipverify methods says which method takes which."
            | Failure_Probability _ -> OptionUsage.failureProbability
            | Tolerance _ -> OptionUsage.tolerance
            | Rigor _ -> OptionUsage.rigor
            | Seed _ -> OptionUsage.seed
            | Engine _ -> OptionUsage.engine
            | Threads _ -> OptionUsage.threads
            | Json -> OptionUsage.json
            | Output _ -> OptionUsage.output
