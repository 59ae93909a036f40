namespace LipVerify.Cli

open Argu

/// `lipverify bound MODEL …`
type BoundArguments =
    | [<MainCommand; ExactlyOnce>] Model of MODEL: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-r")>] Radius of R: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-m")>] Method of M: string
    | [<Unique; EqualsAssignmentOrSpaced>] Class of K: string
    | [<Unique; EqualsAssignmentOrSpaced>] Certificate of F: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-a")>] Architecture of A: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-i")>] Input of X: string
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
                "analytic (Algorithm 1 of Avant & Morgansen, the default), local-lipsdp (multipliers for the slopes that are not known: tight, for networks up to a few thousand units), structured (the norm of the whole network as an operator that is never formed, with a weight for each such slope: tight at small radii, for networks of any size; over all inputs without --radius), lipsdp-neuron or lipsdp-layer (multipliers for all inputs, one multiplier a neuron or a layer), exact (branch and bound from there on, with both ends; for small chains of affine maps and ReLUs; also with --norm inf), fastlip (entries of the Jacobian, also with --norm inf and 1), recurjac (the same by a recursion, tighter), global (product of the layers' spectral norms), seqlip (SeqLip of Scaman & Virmaux, which takes maps in pairs; an upper bound), seqlip-exact (all vertices of its maxima, for layers of few ReLUs) or seqlip-greedy (an estimate, no bound); or for one output of a small network of dense layers shor, hr2, lasserre2, lipopt3 or lipopt4 (polynomial optimisation; global without --radius)."
            | Class _ -> "the output that the methods for one output bound, counted from 0."
            | Certificate _ ->
                "write a certificate to this file, for lipverify check: of the methods analytic (with --enclosure ball), global, local-lipsdp and structured."
            | Architecture _ -> OptionUsage.architecture
            | Input _ -> OptionUsage.input
            | Preprocess _ -> OptionUsage.preprocess
            | Mean _ -> OptionUsage.mean
            | Std _ -> OptionUsage.std
            | Definition _ -> OptionUsage.definition
            | Enclosure _ -> OptionUsage.enclosure "ball"
            | Time_Limit _ ->
                "seconds after which the method gives the best that it has proved (no limit; 300 for exact)."
            | Norm _ ->
                "2 (default); inf with the methods exact, fastlip, recurjac and those for one output, 1 with fastlip and recurjac."
            | Failure_Probability _ -> OptionUsage.failureProbability
            | Tolerance _ -> OptionUsage.tolerance
            | Rigor _ -> OptionUsage.rigor
            | Seed _ -> OptionUsage.seed
            | Engine _ -> OptionUsage.engine
            | Threads _ -> OptionUsage.threads
            | Json -> OptionUsage.json
            | Output _ -> OptionUsage.output
