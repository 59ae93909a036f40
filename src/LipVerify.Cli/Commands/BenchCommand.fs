/// `lipverify bench`: how fast kernels, spectral norms and whole bounds are, as ratios to the engine's own matrix product.
module LipVerify.Cli.BenchCommand

open System.Diagnostics
open Argu
open LipVerify.Core.Computation

/// Runs the workloads one after the other; each says where it is.
let private measure (context: Context) (items: BenchItem list) =
    items
    |> List.mapi (fun i item ->
        let place = $"{i + 1}/{items.Length} {item.Group} {item.Name}"
        context.Report place
        let report (text: string) = context.Report $"{place}: {text}"
        item.Run { context with Report = report })
    |> List.concat

let private produce (context: Context) leftOut items : BenchReport =
    let clock = Stopwatch.StartNew()

    let before = MatrixProductRate.measure context "before"
    let results = measure context items
    let after = MatrixProductRate.measure context "after"

    {
        Engine = context.Engine.Name
        Description = context.Engine.Description
        Threads = context.Engine.Threads
        Rates = before @ after
        Results = results
        LeftOut = leftOut
        Elapsed = clock.Elapsed
    }

/// Runs the command.
let run (settings: Settings) (arguments: ParseResults<BenchArguments>) : Result<unit, CommandError> =
    let name = arguments.TryGetResult BenchArguments.Name
    let leftOut = if name.IsNone then BenchPlan.leftOut else []

    BenchPlan.select name
    |> Result.mapError Usage
    |> Result.bind (fun items -> OutputFiles.check settings "" [] |> Result.map (fun () -> items))
    |> Result.bind (fun items ->
        Session.run settings (fun context ->
            let report = produce context leftOut items

            if settings.Json then
                JsonText.document (fun writer -> BenchReport.write writer report)
            else
                BenchTables.text report
            |> Session.deliver settings []))
