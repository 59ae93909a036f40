/// `lipverify bound` with the methods that bound one output by polynomial optimisation.
module LipVerify.Cli.PolynomialCommand

open System.Diagnostics
open System.Globalization
open Argu
open LipVerify.Core
open LipVerify.Solvers

/// Options that these methods have no use for.
let private checkOptions (settings: Settings) (arguments: ParseResults<BoundArguments>) name =
    if settings.Enclosure.IsSome then
        Error(Usage Settings.enclosureWithoutSlopes)
    elif settings.TimeLimit.IsSome then
        Error(Usage Settings.timeLimitWithoutSearch)
    elif arguments.Contains BoundArguments.Certificate then
        Error(Usage $"--certificate is there for the methods analytic and global only, not for {name}")
    elif settings.Certification.Deterministic then
        Error(Usage $"--rigor certified is out of reach: bounds of the method {name} are numerical")
    else
        Ok()

let private classOf (arguments: ParseResults<BoundArguments>) name =
    match arguments.TryGetResult BoundArguments.Class with
    | None -> Error(Usage $"--class is missing: the method {name} bounds one output, counted from 0")
    | Some text ->
        match System.Int32.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture) with
        | true, output -> Ok output
        | _ -> Error(Usage $"--class must be the number of an output, counted from 0, not \"{text}\"")

/// The nominal input: the centre of the ball, evaluated beside a global bound where it is given.
let private inputFor (settings: Settings) (radius: Radius option) network =
    if radius.IsNone && settings.Input.IsNone then
        Ok None
    else
        Session.loadInput settings network |> Result.map Some

let private compute context (settings: Settings) model name method output radius (network: Network) input =
    let clock = Stopwatch.StartNew()

    let region =
        match radius, input with
        | Some radius, Some center -> BallAround(Tensor.values center, radius)
        | _ -> Everywhere

    PolynomialBound.compute context InstalledSolvers.all method settings.Norm network output region
    |> Result.mapError (fun problem -> Usage $"--method {name}: {problem}")
    |> Result.map (fun bound ->
        {
            Model = model
            Norm = settings.Norm
            Class = output
            Radius = radius |> Option.map _.Value
            Method = name
            Bound = bound
            Output = input |> Option.map (Network.evaluate context network >> Tensor.values)
            Engine = context.Engine.Name
            Elapsed = clock.Elapsed
        })

/// Runs the command with a method of this name; without a radius the bound is global.
let run (settings: Settings) (arguments: ParseResults<BoundArguments>) name method radius : Result<unit, CommandError> =
    let model = arguments.GetResult BoundArguments.Model

    checkOptions settings arguments name
    |> Result.bind (fun () -> classOf arguments name)
    |> Result.bind (fun output ->
        Session.run settings (fun context ->
            Session.loadModel settings model
            |> Result.bind (fun network ->
                inputFor settings radius network
                |> Result.bind (compute context settings model name method output radius network))
            |> Result.bind (fun report ->
                if settings.Json then
                    JsonText.document (fun writer -> PolynomialReport.write writer report)
                else
                    PolynomialReport.text report
                |> Session.deliver settings)))
