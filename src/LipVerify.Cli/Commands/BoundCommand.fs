/// `lipverify bound`: one upper bound, layer by layer.
module LipVerify.Cli.BoundCommand

open System
open System.Diagnostics
open System.Globalization
open Argu
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Certificates
open LipVerify.Core.Methods
open LipVerify.Solvers
open LipVerify.Formats

/// Where a method is to bound.
[<NoComparison; NoEquality>]
type BoundPlace =
    {
        /// The nominal input.
        Input: Tensor option
        Radius: Radius option
        /// The output, for methods that bound one.
        Class: int option
    }

/// Runs a method at a place that `checkPlace` lets pass.
let private find (method: BoundMethod) query place =
    let ball = Option.map2 (fun input radius -> input, radius) place.Input place.Radius

    BoundMethod.run method query ball place.Class
    |> Result.mapError (fun problem ->
        if BoundMethod.isOfOneOutput method then
            Usage $"--method {method.Name}: {problem}"
        else
            Usage problem)

/// What was bounded how, and that the time did not suffice where it did not.
let private explain (query: BoundQuery) (found: BoundFound) =
    match found.Explanation with
    | how when not (found.IsCut || Context.isOver query.Context) -> how
    | Some how -> Some $"{how}; the time limit ended it"
    | None -> Some "the time limit ended it: what was left is bounded coarsely"

/// Computes a bound and times it; the output at the nominal input comes with it.
let private computeWithWitness model (method: BoundMethod) (query: BoundQuery) place =
    let clock = Stopwatch.StartNew()

    find method query place
    |> Result.bind (BoundFound.requireFinite >> Result.mapError Usage)
    |> Result.map (fun found ->
        {
            Model = model
            Norm = query.Norm
            Class = place.Class
            Definition = BoundMethod.definitionOf query.Definition place.Radius.IsSome method
            Radius = place.Radius |> Option.map _.Value
            Method = method.Name
            Enclosure = query.Enclosure
            Result = found.Result
            Explanation = explain query found
            Lower = found.Lower
            Output =
                place.Input
                |> Option.map (Network.evaluate query.Context query.Network >> Tensor.values)
            Engine = Session.engineText query.Context.Engine
            Elapsed = clock.Elapsed
        },
        found.Witness)

/// As the command does, without a certificate.
let compute model method query place =
    computeWithWitness model method query place |> Result.map fst

let private parseRadius (method: BoundMethod) (arguments: ParseResults<BoundArguments>) =
    match method.Scope, arguments.TryGetResult BoundArguments.Radius with
    | InBall _, None -> Error(Usage $"--radius is missing: the method {method.Name} bounds a ball around the input")
    | _, None -> Ok None
    | _, Some text -> Settings.radius text |> Result.map Some |> Result.mapError Usage

let private parseClass (method: BoundMethod) (arguments: ParseResults<BoundArguments>) =
    match arguments.TryGetResult BoundArguments.Class with
    | None when BoundMethod.isOfOneOutput method ->
        Error(Usage $"--class is missing: the method {method.Name} bounds one output, counted from 0")
    | None -> Ok None
    | Some text ->
        match Int32.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture) with
        | true, output -> Ok(Some output)
        | _ -> Error(Usage $"--class must be the number of an output, counted from 0, not \"{text}\"")

/// Refuses options that the method has no use for, with these values or at all.
let private checkOptions (settings: Settings) (arguments: ParseResults<BoundArguments>) (method: BoundMethod) =
    let isBall = settings.Enclosure |> Option.forall ((=) Ball)
    let certifies = arguments.Contains BoundArguments.Certificate
    let hasBall = arguments.Contains BoundArguments.Radius

    let values () =
        if certifies && not isBall then
            Error
                "--certificate is there for --enclosure ball only: the checker replays the slopes of Algorithm 1 itself"
        elif not (List.contains settings.Norm method.Norms) then
            let others = BoundMethods.namesOf (_.Norms >> List.contains settings.Norm)
            Error $"--norm {Norm.label settings.Norm} is there for the methods {others} only"
        elif
            settings.Input.IsSome
            && not (BoundMethod.needsBall method || hasBall || settings.Json || certifies)
        then
            Error
                $"--method {method.Name} has no use for --input without --radius or --json, which shows the output there; leave it out"
        else
            match method.Uncertified with
            | Some reason when settings.Certification.Deterministic ->
                Error $"--rigor certified is out of reach: {reason}"
            | _ -> Ok()

    MethodOptions.check BoundMethods.all method settings.Given
    |> Result.bind values
    |> Result.bind (fun () ->
        match BoundMethod.definitionOf Nominal hasBall method, method.Scope with
        | Nominal, _ -> Ok()
        | Uniform, InBallOrForAll _ -> Settings.refuseNominal $"the method {method.Name} without --radius" settings
        | Uniform, _ -> Settings.refuseNominal $"the method {method.Name}" settings)
    |> Result.mapError Usage

/// The nominal input: the centre of a ball; without a ball its output stands beside the bound where it is given.
let private loadInput (settings: Settings) context (radius: Radius option) network =
    if radius.IsNone && settings.Input.IsNone then
        Ok None
    else
        Session.loadNominal settings context network |> Result.map Some

/// Writes the certificate of a bound.
let private certify definition network place (report: BoundReport) witness path =
    let input = place.Input |> Option.defaultWith (fun () -> Tensor.vector [||])

    match place.Radius, witness with
    | radius, Some(OfLoop witness) ->
        StructuredCertificate.write network input definition radius report.Result.Bound witness
    | Some radius, Some(OfMultipliers witness) ->
        CertificateFile.writeMultipliers network input definition radius report.Result.Bound witness
    | Some radius, None ->
        Certificate.local definition radius report.Result
        |> CertificateFile.write network input
    | None, _ -> Certificate.``global`` report.Result |> CertificateFile.write network input
    |> Result.mapError (fun problem -> Usage $"--certificate: {problem}")
    |> Result.bind (fun bytes -> Files.write path (ReadOnlyMemory bytes) |> Result.mapError File)

let private runMethod (settings: Settings) (arguments: ParseResults<BoundArguments>) (method: BoundMethod) =
    let model = arguments.GetResult BoundArguments.Model
    let certificate = arguments.TryGetResult BoundArguments.Certificate

    result {
        do! checkOptions settings arguments method
        let! output = parseClass method arguments
        let! radius = parseRadius method arguments

        do!
            certificate
            |> Option.map (fun path ->
                {
                    OutputFiles.Option = "--certificate"
                    OutputFiles.Path = path
                })
            |> Option.toList
            |> OutputFiles.check settings model

        let work context =
            result {
                let! loaded = Session.loadModel settings model
                let network = loaded.Network

                do!
                    match CanonicalNetwork.unknownToChecker network with
                    | Some problem when certificate.IsSome -> Error(Usage $"--certificate: {problem}")
                    | _ -> Ok()

                let context = Session.forNetwork settings network context
                let! input = loadInput settings context radius network

                let place =
                    {
                        Input = input
                        Radius = radius
                        Class = output
                    }

                let! report, witness =
                    computeWithWitness
                        model
                        method
                        {
                            Context = Context.within (settings.TimeLimit |> Option.orElse method.Patience) context
                            Network = network
                            Norm = settings.Norm
                            Definition = settings.Definition
                            Enclosure = settings.Enclosure |> Option.defaultValue Ball
                            NeedsWitness = certificate.IsSome
                            Solvers = InstalledSolvers.all
                        }
                        place

                do!
                    certificate
                    |> Option.map (certify settings.Definition network place report witness)
                    |> Option.defaultValue (Ok())

                let report =
                    { report with
                        Output = report.Output |> Option.map loaded.OutputsOf
                    }

                return!
                    if settings.Json then
                        JsonText.document (fun writer -> BoundReport.write writer report)
                    else
                        BoundReport.text report
                    |> Session.deliver settings loaded.Notices
            }

        return! Session.run settings work
    }

/// Runs the command.
let run (settings: Settings) (arguments: ParseResults<BoundArguments>) : Result<unit, CommandError> =
    let name = arguments.GetResult(BoundArguments.Method, "analytic")

    match BoundMethods.tryFind name with
    | Some method -> runMethod settings arguments method
    | None ->
        let names = BoundMethods.namesOf (fun _ -> true)
        Error(Usage $"--method must be one of {names}, not \"{name}\"")
