/// What `lipverify bench` measured, as tables for a reader.
module LipVerify.Cli.BenchTables

open LipVerify.Core.Numbers

let private giga = 1e9
let private mebi = 1048576.0

let private figure = Figure.nearestTo 4

let private milliseconds seconds = Figure.decimals 2 (1e3 * seconds)

let private mebibytes (bytes: int64) = Figure.decimals 0 (float bytes / mebi)

let private ratio = Figure.decimals 2

let private gigaflops measurement =
    Figure.decimals 1 (Measurement.rate measurement / giga)

let private productTable (report: BenchReport) =
    TextTable.render
        [
            TextTable.Words "matrix product"
            TextTable.Words "when"
            TextTable.Figures "ms"
            TextTable.Figures "GF/s"
            TextTable.Figures "runs"
        ]
        (report.Rates
         |> List.map (fun rate ->
             [
                 $"{rate.Size}×{rate.Size}×{rate.Size}"
                 rate.When
                 milliseconds rate.Measurement.Seconds
                 gigaflops rate.Measurement
                 string rate.Measurement.Repetitions
             ]))

let private kernelTable peak (timings: KernelTiming list) =
    TextTable.render
        [
            TextTable.Words "kernel"
            TextTable.Words "operation"
            TextTable.Figures "vectors"
            TextTable.Figures "ms"
            TextTable.Figures "GF/s"
            TextTable.Figures "of peak"
            TextTable.Figures "GB/s"
            TextTable.Figures "runs"
        ]
        (timings
         |> List.map (fun timing ->
             [
                 timing.Name
                 BenchReport.operation timing
                 string timing.Vectors
                 milliseconds timing.Measurement.Seconds
                 gigaflops timing.Measurement
                 ratio (Measurement.rate timing.Measurement / peak)
                 if timing.Kind = "dense" then
                     Figure.decimals 1 (timing.Bytes / timing.Measurement.Seconds / giga)
                 else
                     ""
                 string timing.Measurement.Repetitions
             ]))

let private spectralTable peak (timings: SpectralTiming list) =
    TextTable.render
        [
            TextTable.Words "spectral norm"
            TextTable.Words "method"
            TextTable.Figures "certified/attained − 1"
            TextTable.Figures "applications"
            TextTable.Figures "ms"
            TextTable.Figures "GF/s"
            TextTable.Figures "of peak"
            TextTable.Figures "runs"
        ]
        (timings
         |> List.map (fun timing ->
             let measurement = timing.Measurement

             [
                 timing.Name
                 BenchReport.method measurement.Result
                 Figure.upwardTo 2 (BenchReport.looseness measurement.Result - 1.0)
                 string (Work.applications measurement.Work)
                 milliseconds measurement.Seconds
                 gigaflops measurement
                 ratio (Measurement.rate measurement / peak)
                 string measurement.Repetitions
             ]))

let private boundTable peak (timings: BoundTiming list) =
    TextTable.render
        [
            TextTable.Words "bound of"
            TextTable.Figures "Lipschitz ≤"
            TextTable.Words "rigor"
            TextTable.Figures "applications"
            TextTable.Figures "GF"
            TextTable.Figures "s"
            TextTable.Figures "GF/s"
            TextTable.Figures "of peak"
            TextTable.Figures "MiB"
            TextTable.Figures "runs"
        ]
        (timings
         |> List.map (fun timing ->
             let measurement = timing.Measurement

             [
                 timing.Name
                 Figure.upwardTo 4 measurement.Result.Value
                 Rigor.label measurement.Result.Rigor
                 string (Work.applications measurement.Work)
                 figure (Work.flops measurement.Work / giga)
                 Figure.decimals 3 measurement.Seconds
                 gigaflops measurement
                 ratio (Measurement.rate measurement / peak)
                 mebibytes measurement.PeakWorkingSetBytes
                 string measurement.Repetitions
             ]))

let private baselineRows (timing: BaselineTiming) =
    let row what (bound: Bound) (measurement: Measurement<'a>) more =
        [
            timing.Name
            what
            (match bound.Rigor with
             | Estimate -> Figure.nearestTo 8 bound.Value
             | _ -> Figure.upwardTo 8 bound.Value)
            Rigor.label bound.Rigor
            string (Work.applications measurement.Work)
            Figure.decimals 3 measurement.Seconds
        ]
        @ more

    let estimate = timing.Published.Result

    [
        row "ours" timing.Ours.Result timing.Ours [ ""; ""; "" ]
        row
            "published"
            estimate.Value
            timing.Published
            [
                Figure.decimals 3 estimate.RowNormSeconds
                Figure.decimals 3 estimate.PowerIterationSeconds
                Figure.decimals 1 (timing.Published.Seconds / timing.Ours.Seconds) + "×"
            ]
    ]

let private baselineTable (timings: BaselineTiming list) =
    TextTable.render
        [
            TextTable.Words "against the published procedure"
            TextTable.Words "whose"
            TextTable.Figures "Lipschitz"
            TextTable.Words "rigor"
            TextTable.Figures "applications"
            TextTable.Figures "s"
            TextTable.Figures "row norms s"
            TextTable.Figures "power iteration s"
            TextTable.Figures "time"
        ]
        (timings |> List.collect baselineRows)

let private growthTable peak (timing: GrowthTiming) =
    let table =
        TextTable.render
            [
                TextTable.Words(Growth.name timing.Series)
                TextTable.Figures "applications"
                TextTable.Figures "s"
                TextTable.Figures "of peak"
                TextTable.Figures "allocated MiB"
                TextTable.Figures "working set + MiB"
            ]
            (timing.Points
             |> List.map (fun point ->
                 let measurement = point.Measurement

                 [
                     $"{point.Channels} channels, {point.Side}×{point.Side}"
                     string (Work.applications measurement.Work)
                     Figure.decimals 3 measurement.Seconds
                     ratio (Measurement.rate measurement / peak)
                     mebibytes measurement.AllocatedBytes
                     mebibytes point.WorkingSetGrowth
                 ]))

    let exponents =
        BenchReport.exponents timing
        |> List.map (fun (name, exponent) -> $"{name} {Figure.decimals 2 exponent}")
        |> String.concat ", "

    table
    + $"grows as a power of the {(Growth.name timing.Series).Split('-')[1]}: {exponents}\n"

let private remarks (report: BenchReport) =
    [
        "of peak: floating-point operations of the kernels over time, as a ratio to the best matrix product above."

        if not (BenchReport.baselines report).IsEmpty then
            "published: Algorithm 1 with rows from transposed convolutions of basis vectors and 100 steps of power iteration, on this engine; an estimate that proves nothing."

        if not report.LeftOut.IsEmpty then
            let commands =
                report.LeftOut
                |> List.map (fun name -> $"lipverify bench {name}")
                |> String.concat ", "

            $"Left out because they take minutes: {commands}"

        $"{Figure.decimals 0 report.Elapsed.TotalSeconds} s, {report.Description}"
    ]

/// The report for a reader.
let text (report: BenchReport) =
    let peak = BenchReport.peak report

    let group render timings =
        if List.isEmpty timings then [] else [ render timings ]

    [
        productTable report
        yield! BenchReport.kernels report |> group (kernelTable peak)
        yield! BenchReport.spectral report |> group (spectralTable peak)
        yield! BenchReport.bounds report |> group (boundTable peak)
        yield! BenchReport.baselines report |> group baselineTable
        yield! BenchReport.growth report |> List.map (growthTable peak)
        yield! remarks report
        ""
    ]
    |> String.concat "\n"
