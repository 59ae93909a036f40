/// Computes the points of a curve.
module LipVerify.Cli.CurvePoints

open System.Collections.Generic
open System.Diagnostics
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Methods
open LipVerify.Solvers

/// The network and the input of a curve.
[<NoComparison; NoEquality>]
type Subject =
    {
        Context: Context
        Definition: Definition
        /// What the slopes come from of methods that take an enclosure.
        Enclosure: EnclosureKind
        /// What a point may take.
        TimeLimit: System.TimeSpan option
        Network: Network
        Input: Tensor
    }

let private effort (plan: CurvePlan) (network: Network) =
    let fitting = Effort.fitting network

    match plan.Starts with
    | Some starts -> { fitting with Starts = starts }
    | None -> fitting

let private ofLowerBound (bound: LowerBound) : Bound =
    {
        Value = bound.Value
        Rigor = bound.Rigor
    }

let private upperBound subject radius (method: BoundMethod, enclosure) =
    let query =
        {
            Context = Context.within (subject.TimeLimit |> Option.orElse method.Patience) subject.Context
            Network = subject.Network
            Norm = Euclidean
            Definition = subject.Definition
            Enclosure = enclosure |> Option.defaultValue subject.Enclosure
            NeedsWitness = false
            Solvers = InstalledSolvers.all
        }

    BoundMethod.run method query (Some(subject.Input, radius)) None
    |> Result.map _.Result.Bound

let private compute (plan: CurvePlan) subject (radius: Radius) method : Result<Bound, string> =
    let {
            Context = context
            Definition = definition
            Network = network
        } =
        subject

    let ball =
        RestrictedBall.whole (Tensor.reshape network.InputShape subject.Input) radius

    match method with
    | UpperBound _ -> CurveMethod.registered method |> Option.get |> upperBound subject radius
    | GradientAscent ->
        LowerBounds.gradientAscent context Euclidean definition network ball (effort plan network)
        |> ofLowerBound
        |> Ok
    | RandomSampling ->
        LowerBounds.sampling context Euclidean definition network ball plan.Samples
        |> ofLowerBound
        |> Ok

let private rowOf (plan: CurvePlan) subject (point: CurvePoint) =
    let clock = Stopwatch.StartNew()

    match Radius.create point.Radius with
    | Error problem -> invalidOp problem
    | Ok radius ->
        compute plan subject radius point.Method
        |> Result.bind (fun bound ->
            if System.Double.IsFinite bound.Value then
                Ok
                    {
                        Point = point
                        Value = bound.Value
                        Rigor = Rigor.label bound.Rigor
                        Seconds = clock.Elapsed.TotalSeconds
                    }
            else
                Error "the bound is beyond the range of double precision")
        |> Result.mapError (fun problem ->
            $"{CurveMethod.name point.Method} at radius {Figure.nearestTo 6 point.Radius}: {problem}")

/// A slope that is attained in a ball is attained in every larger one around the same centre: where the search of a lower bound
/// finds less than its row at the radius before, that row's value holds here too, with its rigor.
let private carriedFrom (before: CurveRow option) (row: CurveRow) =
    match before with
    | Some before when CurveMethod.side row.Point.Method = Lower && before.Value > row.Value ->
        { row with
            Value = before.Value
            Rigor = before.Rigor
        }
    | _ -> row

/// Seconds that points will take, from the mean of those of the same method so far; a bound over all inputs is computed once.
let private remaining (finished: CurveRow seq) (points: CurvePoint list) =
    let means =
        finished
        |> Seq.groupBy _.Point.Method
        |> Seq.map (fun (method, rows) -> method, rows |> Seq.averageBy _.Seconds)
        |> Map.ofSeq

    let cost (point: CurvePoint) =
        match Map.tryFind point.Method means with
        | Some _ when CurveMethod.isConstant point.Method -> Some 0.0
        | mean -> mean

    let costs = points |> List.map cost

    if means.IsEmpty || List.contains None costs then
        None
    else
        Some(costs |> List.choose id |> List.sum)

let private progressLine (rows: IReadOnlyCollection<CurveRow>) (points: CurvePoint list) =
    let total = rows.Count + points.Length

    let rest =
        match remaining rows points with
        | Some seconds -> $", about {Progress.duration seconds} left"
        | None -> ""

    let point = points.Head

    $"{Progress.bar rows.Count total} {rows.Count} of {total} points{rest}  radius {Figure.nearestTo 4 point.Radius}, {CurveMethod.name point.Method}"

/// Holds a row against the others of its radius: upper bounds against what is attained. Lower bounds do not fall with the radius, so that
/// the rows at smaller ones ask for no more.
let private requireConsistent (rows: CurveRow seq) (row: CurveRow) =
    let subject (row: CurveRow) =
        $"{CurveMethod.name row.Point.Method} at radius {Figure.exact row.Point.Radius}"

    for other in rows do
        if other.Point.Radius = row.Point.Radius then
            match CurveMethod.side row.Point.Method, CurveMethod.side other.Point.Method with
            | Upper, Lower -> Ends.below (subject row) (CurveRow.bound row) (CurveRow.bound other) |> ignore
            | Lower, Upper -> Ends.below (subject other) (CurveRow.bound other) (CurveRow.bound row) |> ignore
            | _ -> ()

    row

/// Computes the points of a plan that come after `finished`, the rows that there are already, and hands each row to `emit` as
/// it is finished. A row depends on its point and the rows before alone, so that it does not matter where a run was interrupted.
/// Gives all rows, or why a point has no bound.
let run
    (plan: CurvePlan)
    subject
    (finished: CurveRow list)
    (emit: CurveRow -> unit)
    : Result<CurveRow list, CommandError> =
    let rows = ResizeArray finished

    /// The row of a method at the largest radius so far, which is at most those to come.
    let latest method =
        match rows.FindLastIndex(fun row -> row.Point.Method = method) with
        | -1 -> None
        | index -> Some rows[index]

    let rec go points =
        match points with
        | [] -> Ok(List.ofSeq rows)
        | point :: rest ->
            let line = progressLine rows points
            subject.Context.Report line

            let subject =
                { subject with
                    Context =
                        { subject.Context with
                            Report = fun text -> subject.Context.Report $"{line}, {text}"
                        }
                }

            let row =
                match latest point.Method with
                | Some row when CurveMethod.isConstant point.Method -> Ok { row with Point = point }
                | before ->
                    let beside = rows |> Seq.skip (max 0 (rows.Count - plan.Methods.Length))

                    rowOf plan subject point
                    |> Result.map (carriedFrom before >> requireConsistent beside)

            match row with
            | Ok row ->
                emit row
                rows.Add row
                go rest
            | Error problem -> Error(Usage problem)

    plan.Points |> List.skip finished.Length |> go
