namespace LipVerify.Cli

open Argu

/// `lipverify curve MODEL …`
type CurveArguments =
    | [<MainCommand; ExactlyOnce>] Model of MODEL: string
    | [<Mandatory; Unique; EqualsAssignmentOrSpaced; AltCommandLine("-r")>] Radii of LIST: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-m")>] Methods of LIST: string
    | [<Unique; EqualsAssignmentOrSpaced>] Csv of F: string
    | [<Unique; EqualsAssignmentOrSpaced>] Plot of F: string
    | [<Unique; EqualsAssignmentOrSpaced>] Html of F: string
    | [<Unique; EqualsAssignmentOrSpaced>] Title of TEXT: string
    | [<Unique; EqualsAssignmentOrSpaced>] Samples of N: string
    | [<Unique; EqualsAssignmentOrSpaced>] Starts of N: string
    | [<Unique>] Restart
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
            | Radii _ -> "A:B:N for N radii from A to B, A:B:N:log for logarithmic steps, or radii separated by commas."
            | Methods _ ->
                "upper bounds by methods of bound in the 2-norm, crown-analytic (slopes of --enclosure crown), and lower bounds gradient and sampling, separated by commas (global,analytic,gradient,sampling)."
            | Csv _ -> "write one row a point to this file as it is finished; a rerun goes on from there."
            | Plot _ -> "write the curves to this file as an SVG picture."
            | Html _ -> "write them to this file as an interactive page."
            | Title _ -> "a title for the plot."
            | Samples _ -> "points that sampling draws for each radius (1000)."
            | Starts _ ->
                "searches of gradient ascent side by side (as many as suit the size of the network, 72 at most)."
            | Restart -> "begin anew where the CSV file exists."
            | Architecture _ -> OptionUsage.architecture
            | Input _ -> OptionUsage.input
            | Resize _ -> OptionUsage.resize
            | Preprocess _ -> OptionUsage.preprocess
            | Mean _ -> OptionUsage.mean
            | Std _ -> OptionUsage.std
            | Definition _ -> OptionUsage.definition
            | Enclosure _ -> OptionUsage.enclosure "ball"
            | Time_Limit _ -> "seconds for each point of a method that searches (no limit; 300 for exact)."
            | Failure_Probability _ -> OptionUsage.failureProbability
            | Tolerance _ -> OptionUsage.tolerance
            | Rigor _ -> OptionUsage.rigor
            | Seed _ -> OptionUsage.seed
            | Engine _ -> OptionUsage.engine
            | Threads _ -> OptionUsage.threads
            | Json -> OptionUsage.json
            | Output _ -> OptionUsage.output
