/// `lipverify bound`: one upper bound, layer by layer.
module LipVerify.Cli.BoundCommand

open System
open System.Diagnostics
open Argu
open LipVerify.Core
open LipVerify.Formats

/// As `compute`; multipliers come with a witness where one is needed.
let private computeWithWitness
    context
    model
    method
    definition
    enclosure
    timeLimit
    needsWitness
    (network: Network)
    input
    radius
    : BoundReport * MultiplierWitness option =
    let clock = Stopwatch.StartNew()
    let mutable witness = None

    let result, explanation =
        match method, input, radius with
        | "analytic", Some input, Some radius ->
            Analytic.boundWith context enclosure definition network input radius, None
        | "local-lipsdp", Some input, Some radius when needsWitness ->
            let struct (found, proof) =
                LocalLipSdp.boundWithWitness context definition network input radius timeLimit

            witness <- proof
            found.Result, Some found.Explanation
        | "local-lipsdp", Some input, Some radius ->
            let found = LocalLipSdp.bound context definition network input radius timeLimit
            found.Result, Some found.Explanation
        | _ -> Global.bound context network, None

    {
        Model = model
        Norm = Euclidean
        Definition = definition
        Radius = radius |> Option.map _.Value
        Method = method
        Enclosure = enclosure
        Result = result
        Explanation = explanation
        Output = input |> Option.map (Network.evaluate context network >> Tensor.values)
        Engine = context.Engine.Name
        Elapsed = clock.Elapsed
    },
    witness

/// Computes a bound and times it; the output at the nominal input comes with it.
let compute context model method definition enclosure timeLimit (network: Network) input radius : BoundReport =
    computeWithWitness context model method definition enclosure timeLimit false network input radius
    |> fst

let private parseRadius (arguments: ParseResults<BoundArguments>) =
    match arguments.TryGetResult BoundArguments.Radius with
    | Some text -> Settings.radius text |> Result.map Some |> Result.mapError Usage
    | None -> Ok None

let private checkMethod (settings: Settings) (arguments: ParseResults<BoundArguments>) method radius =
    match method, radius with
    | _ when settings.Norm = Maximum -> Settings.requireEuclidean settings.Norm |> Result.mapError Usage
    | _ when arguments.Contains BoundArguments.Class ->
        let methods = String.concat ", " PolynomialBound.names
        Error(Usage $"--class is there for the methods {methods}; {method} bounds all outputs together")
    | "global", _
    | "local-lipsdp", _ when settings.Enclosure.IsSome -> Error(Usage Settings.enclosureWithoutSlopes)
    | "global", _
    | "analytic", _ when settings.TimeLimit.IsSome -> Error(Usage Settings.timeLimitWithoutSearch)
    | "analytic", _ when
        arguments.Contains BoundArguments.Certificate
        && settings.Enclosure |> Option.exists (fun kind -> kind <> Ball)
        ->
        Error(
            Usage
                "--certificate is there for --enclosure ball only: the checker replays the slopes of Algorithm 1 itself"
        )
    | "global", _ -> Ok()
    | "analytic", Some _
    | "local-lipsdp", Some _ -> Ok()
    | "analytic", None
    | "local-lipsdp", None -> Error(Usage $"--radius is missing: the method {method} bounds a ball around the input")
    | _ ->
        let others = String.concat ", " PolynomialBound.names

        Error(
            Usage
                $"--method must be analytic, local-lipsdp, lipsdp-neuron, lipsdp-layer, exact, fastlip, global, seqlip, seqlip-exact, seqlip-greedy or one of {others}, not \"{method}\""
        )

/// The nominal input: needed for a local bound, evaluated beside a global one where it is given.
let private inputFor (settings: Settings) method network =
    if method = "global" && settings.Input.IsNone then
        Ok None
    else
        Session.loadInput settings network |> Result.map Some

/// Writes the certificate of a bound where one was asked for.
let private certify definition network (input: Tensor option) radius (report: BoundReport) witness path =
    let input = input |> Option.defaultWith (fun () -> Tensor.vector [||])

    match radius, witness with
    | Some radius, Some witness ->
        CertificateFile.writeMultipliers network input definition radius report.Result.Bound witness
    | Some radius, None when report.Method <> "global" ->
        Certificate.local definition radius report.Result
        |> CertificateFile.write network input
    | _ -> Certificate.``global`` report.Result |> CertificateFile.write network input
    |> Result.mapError (fun problem -> Usage $"--certificate: {problem}")
    |> Result.bind (fun bytes -> Files.write path (ReadOnlyMemory bytes) |> Result.mapError File)

let private runLayerwise (settings: Settings) (arguments: ParseResults<BoundArguments>) method radius =
    let model = arguments.GetResult BoundArguments.Model
    let enclosure = settings.Enclosure |> Option.defaultValue Ball

    checkMethod settings arguments method radius
    |> Result.bind (fun () ->
        Session.run settings (fun context ->
            Session.loadModel settings model
            |> Result.bind (fun network ->
                inputFor settings method network
                |> Result.bind (fun input ->
                    let report, witness =
                        computeWithWitness
                            context
                            model
                            method
                            settings.Definition
                            enclosure
                            settings.TimeLimit
                            (arguments.Contains BoundArguments.Certificate)
                            network
                            input
                            radius

                    arguments.TryGetResult BoundArguments.Certificate
                    |> Option.map (certify settings.Definition network input radius report witness)
                    |> Option.defaultValue (Ok())
                    |> Result.bind (fun () ->
                        if settings.Json then
                            JsonText.document (fun writer -> BoundReport.write writer report)
                        else
                            BoundReport.text report
                        |> Session.deliver settings)))))

/// Runs the command.
let run (settings: Settings) (arguments: ParseResults<BoundArguments>) : Result<unit, CommandError> =
    let method = arguments.GetResult(BoundArguments.Method, "analytic")

    parseRadius arguments
    |> Result.bind (fun radius ->
        match PolynomialBound.tryFind method with
        | Some polynomial -> PolynomialCommand.run settings arguments method polynomial radius
        | None when (LipSdpCommand.tryFind method).IsSome ->
            LipSdpCommand.run settings arguments method (LipSdpCommand.tryFind method).Value
        | None when method = "exact" -> ExactCommand.run settings arguments radius
        | None when method = "fastlip" -> FastLipCommand.run settings arguments radius
        | None ->
            match SeqLipCommand.tryFind method with
            | Some maximum -> SeqLipCommand.run settings arguments method maximum
            | None -> runLayerwise settings arguments method radius)
