/// `lipverify bound`: one upper bound, layer by layer.
module LipVerify.Cli.BoundCommand

open System
open System.Diagnostics
open System.Globalization
open Argu
open LipVerify.Core
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
    match method.Scope, place.Input, place.Radius, place.Class with
    | ForAllInputs run, _, _, _ -> run query |> Result.mapError Usage
    | InBall run, Some input, Some radius, _ -> run query input radius |> Result.mapError Usage
    | InBall _, _, _, _ -> Error(Usage $"the method {method.Name} needs an input and a radius")
    | OfOneOutput _, _, _, None -> Error(Usage $"the method {method.Name} needs an output")
    | OfOneOutput run, input, radius, Some output ->
        match input, radius with
        | Some input, Some radius -> BallAround(Tensor.values input, radius)
        | _ -> Everywhere
        |> run query output
        |> Result.mapError (fun problem -> Usage $"--method {method.Name}: {problem}")

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
            Definition =
                match method.Scope with
                | InBall _ -> query.Definition
                | ForAllInputs _
                | OfOneOutput _ -> Uniform
            Radius = place.Radius |> Option.map _.Value
            Method = method.Name
            Enclosure = query.Enclosure
            Result = found.Result
            Explanation = found.Explanation
            Lower = found.Lower
            Output =
                place.Input
                |> Option.map (Network.evaluate query.Context query.Network >> Tensor.values)
            Engine = query.Context.Engine.Name
            Elapsed = clock.Elapsed
        },
        found.Witness)

/// As the command does, without a certificate.
let compute model method query place =
    computeWithWitness model method query place |> Result.map fst

let private parseRadius (method: BoundMethod) (arguments: ParseResults<BoundArguments>) =
    match method.Scope, arguments.TryGetResult BoundArguments.Radius with
    | _, Some text ->
        Settings.radius text
        |> Result.map (fun radius ->
            match method.Scope with
            | ForAllInputs _ -> None // it holds for every radius
            | InBall _
            | OfOneOutput _ -> Some radius)
        |> Result.mapError Usage
    | InBall _, None -> Error(Usage $"--radius is missing: the method {method.Name} bounds a ball around the input")
    | _, None -> Ok None

let private isOfOneOutput (method: BoundMethod) =
    match method.Scope with
    | OfOneOutput _ -> true
    | InBall _
    | ForAllInputs _ -> false

let private parseClass (method: BoundMethod) (arguments: ParseResults<BoundArguments>) =
    match arguments.TryGetResult BoundArguments.Class with
    | None when isOfOneOutput method ->
        Error(Usage $"--class is missing: the method {method.Name} bounds one output, counted from 0")
    | None -> Ok None
    | Some _ when not (isOfOneOutput method) ->
        Error(
            Usage
                $"--class is there for the methods {BoundMethods.namesOf isOfOneOutput}; {method.Name} bounds all outputs together"
        )
    | Some text ->
        match Int32.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture) with
        | true, output -> Ok(Some output)
        | _ -> Error(Usage $"--class must be the number of an output, counted from 0, not \"{text}\"")

/// Refuses options that the method has no use for.
let private checkOptions (settings: Settings) (method: BoundMethod) certificate =
    let isBall = settings.Enclosure |> Option.forall ((=) Ball)

    if settings.Enclosure.IsSome && not method.TakesEnclosure then
        Error Settings.enclosureWithoutSlopes
    elif settings.TimeLimit.IsSome && not method.Searches then
        Error Settings.timeLimitWithoutSearch
    elif certificate && not method.HasCertificate then
        Error
            $"--certificate is there for the methods {BoundMethods.namesOf _.HasCertificate} only, not for {method.Name}"
    elif certificate && not isBall then
        Error "--certificate is there for --enclosure ball only: the checker replays the slopes of Algorithm 1 itself"
    elif not (List.contains settings.Norm method.Norms) then
        let others = BoundMethods.namesOf (_.Norms >> List.contains settings.Norm)
        Error $"--norm {Norm.label settings.Norm} is there for lipverify bound with the methods {others} only"
    else
        match method.Uncertified with
        | Some reason when settings.Certification.Deterministic -> Error $"--rigor certified is out of reach: {reason}"
        | _ -> Ok()
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
    | Some radius, Some witness ->
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
        do! checkOptions settings method certificate.IsSome
        let! output = parseClass method arguments
        let! radius = parseRadius method arguments

        let work context =
            result {
                let! loaded = Session.loadModel settings model
                let network = loaded.Network
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
                            Context = context
                            Network = network
                            Norm = settings.Norm
                            Definition = settings.Definition
                            Enclosure = settings.Enclosure |> Option.defaultValue Ball
                            TimeLimit = settings.TimeLimit
                            NeedsWitness = certificate.IsSome
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
