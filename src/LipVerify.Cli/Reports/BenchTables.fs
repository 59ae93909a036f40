/// What `lipverify bench` measured, as tables for a reader.
module LipVerify.Cli.BenchTables

open LipVerify.Core

let private giga = 1e9
let private mebi = 1048576.0

let private figure (value: float) = value.ToString "G4"

let private milliseconds seconds = (1e3 * seconds).ToString "F2"

let private mebibytes (bytes: int64) = (float bytes / mebi).ToString "F0"

let private ratio (value: float) = value.ToString "F2"

let private gigaflops measurement =
    (Measurement.rate measurement / giga).ToString "F1"

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
                     (timing.Bytes / timing.Measurement.Seconds / giga).ToString "F1"
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
                 (BenchReport.looseness measurement.Result - 1.0).ToString "G2"
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
                 figure measurement.Result.Value
                 Rigor.label measurement.Result.Rigor
                 string (Work.applications measurement.Work)
                 figure (Work.flops measurement.Work / giga)
                 measurement.Seconds.ToString "F3"
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
            bound.Value.ToString "G8"
            Rigor.label bound.Rigor
            string (Work.applications measurement.Work)
            measurement.Seconds.ToString "F3"
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
                estimate.RowNormSeconds.ToString "F3"
                estimate.PowerIterationSeconds.ToString "F3"
                (timing.Published.Seconds / timing.Ours.Seconds).ToString "F1" + "×"
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
                     measurement.Seconds.ToString "F3"
                     ratio (Measurement.rate measurement / peak)
                     mebibytes measurement.AllocatedBytes
                     mebibytes point.WorkingSetGrowth
                 ]))

    let exponents =
        BenchReport.exponents timing
        |> List.map (fun (name, exponent) -> $"{name} {exponent:F2}")
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

        $"{report.Elapsed.TotalSeconds:F0} s, {report.Description}"
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
