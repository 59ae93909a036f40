namespace LipVerify.Cli

open System
open System.Diagnostics
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Attacks
open LipVerify.Core.Enclosures
open LipVerify.Core.Methods

/// What the certified radii of one network share.
[<NoComparison; NoEquality>]
type CertifyJob =
    {
        Model: string
        Method: RadiusMethod
        Settings: Settings
        /// Whether to attack the inputs too, and the range of their pixels.
        Attacks: bool
        Clip: (float * float) option
        Context: Context
        Network: Network
        /// What was noticed while the model was loaded.
        Notices: string list
        /// The radius of an input, from what it may take.
        RadiusOf: Context -> Tensor -> Result<RadiusFound, string>
    }

    /// A global bound is one on the uniform constant.
    member job.Definition =
        match job.Method.Definition with
        | RadiusDefinition.Uniform -> Uniform
        | RadiusDefinition.Either
        | RadiusDefinition.Margins -> job.Settings.Definition

    /// Where slopes come from.
    member job.Enclosure = job.Settings.Enclosure |> Option.defaultValue Ball

module CertifyJob =

    let private queryOf (settings: Settings) network =
        {
            Network = network
            Definition = settings.Definition
            Enclosure = settings.Enclosure |> Option.defaultValue Ball
        }

    /// A job for a network; nothing is computed yet.
    let create (settings: Settings) (context: Context) model (method: RadiusMethod) network =
        {
            Model = model
            Method = method
            Settings = settings
            Attacks = false
            Clip = None
            Context = context
            Network = network
            Notices = []
            RadiusOf = method.Prepare(queryOf settings network)
        }

    let private attack (job: CertifyJob) (input: Tensor) =
        AttackCommand.boxOf job.Settings input job.Clip
        |> Result.mapError CommandError.text
        |> Result.map (fun box ->
            let effort = AttackEffort.fitting job.Network

            Attack.all
            |> List.map (AttackCommand.attempt job.Context job.Network input box effort))

    let private radiusOf (job: CertifyJob) input =
        let limit =
            job.Settings.TimeLimit
            |> Option.orElse (job.Method.Patience(queryOf job.Settings job.Network))

        job.RadiusOf (Context.within limit job.Context) input

    /// A constant that no double bounds shows nothing.
    let private requireFinite (found: RadiusFound) =
        match found.Result.Lipschitz with
        | Some bound when not (Double.IsFinite bound.Value) ->
            Error "the bound on the Lipschitz constant is beyond the range of double precision"
        | _ -> Ok found

    /// No input of another class is nearer than the certified radius.
    let private requireConsistent (report: CertifyReport) =
        match CertifyReport.nearest report with
        | Some example when example.Rigor = Certified ->
            Ends.below
                "the distance of an attack and the certified radius"
                (Bound.certified example.Distance)
                {
                    Value = report.Result.Radius
                    Rigor = report.Result.Rigor
                }
            |> ignore
        | _ -> ()

        report

    /// The certified radius of one input, or why there is none.
    let certify (job: CertifyJob) name (input: Tensor) : Result<CertifyReport, string> =
        let clock = Stopwatch.StartNew()

        let result =
            match Session.overflow job.Context job.Network input with
            | Some problem -> Error problem
            | None -> radiusOf job input |> Result.bind requireFinite

        let attacks =
            if job.Attacks then
                attack job input |> Result.map Some
            else
                Ok None

        result
        |> Result.bind (fun found -> attacks |> Result.map (fun attacks -> found, attacks))
        |> Result.map (fun (found, attacks) ->
            {
                Model = job.Model
                Input = name
                Definition = job.Definition
                Method = job.Method.Name
                Enclosure = job.Enclosure
                Result = found.Result
                Explanation = found.Explanation
                EndedByLimit = found.IsCut
                Attacks = attacks
                Engine = Session.engineText job.Context.Engine
                Elapsed = clock.Elapsed
            }
            |> requireConsistent)
