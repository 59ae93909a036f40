namespace LipVerify.Cli

open Argu

/// The command line: each command with options of its own.
type Arguments =
    | [<CliPrefix(CliPrefix.None)>] Info of ParseResults<InfoArguments>
    | [<CliPrefix(CliPrefix.None)>] Methods of ParseResults<MethodsArguments>
    | [<CliPrefix(CliPrefix.None)>] Bound of ParseResults<BoundArguments>
    | [<CliPrefix(CliPrefix.None)>] Enclose of ParseResults<EncloseArguments>
    | [<CliPrefix(CliPrefix.None)>] Compare of ParseResults<CompareArguments>
    | [<CliPrefix(CliPrefix.None)>] Certify of ParseResults<CertifyArguments>
    | [<CliPrefix(CliPrefix.None)>] Curve of ParseResults<CurveArguments>
    | [<CliPrefix(CliPrefix.None)>] Check of ParseResults<CheckArguments>
    | [<CliPrefix(CliPrefix.None)>] Attack of ParseResults<AttackArguments>
    | [<CliPrefix(CliPrefix.None)>] Bench of ParseResults<BenchArguments>
    | [<CliPrefix(CliPrefix.None)>] Demo of ParseResults<DemoArguments>
    | [<Unique>] Version

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Info _ -> "list the layers of a network."
            | Methods _ -> "the methods that there are: what each bounds, in which norms."
            | Bound _ -> "an upper bound on a Lipschitz constant, layer by layer."
            | Enclose _ ->
                "bounds on the values inside a network over a ball: how many ReLUs are stable, layer by layer."
            | Compare _ -> "upper bounds by every method, in both definitions, beside the best lower bounds."
            | Certify _ -> "the largest radius within which the class of an input surely holds."
            | Curve _ -> "upper and lower bounds against the radius, as a table and a plot."
            | Check _ -> "check a certificate with a program that shares no code with the one that wrote it."
            | Attack _ -> "adversarial inputs: upper bounds on the least perturbation that changes the class."
            | Bench _ -> "speed of kernels, spectral norms and bounds, as ratios to the engine's own matrix product."
            | Demo _ -> "bounds, certified radius and curve of the bundled network."
            | Version -> "print the version."
