namespace LipVerify.Cli

open System
open System.Text.Json
open LipVerify.Core.Numbers
open LipVerify.Core.Spectral

/// What `lipverify bench` measured.
[<NoComparison; NoEquality>]
type BenchReport =
    {
        Engine: string
        Description: string
        Threads: int
        Rates: MatrixProductRate list
        Results: BenchResult list
        /// Names that the default leaves out; empty where a name was given.
        LeftOut: string list
        Elapsed: TimeSpan
    }

module BenchReport =

    let private giga = 1e9

    let private pick choose report = report.Results |> List.choose choose

    /// Timings of kernels.
    let kernels =
        pick (function
            | KernelResult timing -> Some timing
            | _ -> None)

    /// Timings of spectral norms.
    let spectral =
        pick (function
            | SpectralResult timing -> Some timing
            | _ -> None)

    /// Timings of whole bounds.
    let bounds =
        pick (function
            | BoundResult timing -> Some timing
            | _ -> None)

    /// Bounds against the published procedure.
    let baselines =
        pick (function
            | BaselineResult timing -> Some timing
            | _ -> None)

    /// Series of growing networks.
    let growth =
        pick (function
            | GrowthResult timing -> Some timing
            | _ -> None)

    /// The best rate of a matrix product, in operations a second.
    let peak report = MatrixProductRate.peak report.Rates

    /// The word for a method of spectral norms.
    let method (norm: Spectral.SpectralNorm) =
        match norm.Method with
        | Spectral.CholeskyCertificate -> "cholesky"
        | Spectral.LanczosCertificate -> "lanczos"
        | Spectral.AbsoluteNorms -> "absolute-norms"
        | Spectral.Zero -> "zero"
        | Spectral.DiagonalMaximum -> "diagonal-maximum"

    /// The word for what was applied.
    let operation (timing: KernelTiming) =
        match timing.Operation with
        | Workloads.Apply -> "apply"
        | Workloads.Adjoint -> "adjoint"

    /// Certified over attained value.
    let looseness (norm: Spectral.SpectralNorm) = norm.Bound.Value / norm.Attained

    /// How time and memory grow: as what grows to these powers.
    let exponents (timing: GrowthTiming) =
        let against value =
            timing.Points
            |> List.map (fun point -> float (Growth.extent timing.Series point), value point)
            |> Growth.exponent

        [
            "time", against _.Measurement.Seconds
            "flops", against (fun point -> Work.flops point.Measurement.Work)
            "allocated", against (fun point -> float point.Measurement.AllocatedBytes)
            "workingSet", against (fun point -> float point.WorkingSetGrowth)
        ]

    let private writeCount (writer: Utf8JsonWriter) (name: string, count: KernelCount) =
        writer.WritePropertyName name

        JsonText.object writer (fun () ->
            writer.WriteNumber("calls", count.Calls)
            writer.WriteNumber("vectors", count.Vectors)
            writer.WriteNumber("flops", count.Flops))

    /// The figures that all measurements share.
    let private writeFigures (writer: Utf8JsonWriter) peak (measurement: Measurement<'a>) =
        let rate = Measurement.rate measurement
        JsonText.number writer "seconds" measurement.Seconds
        writer.WriteNumber("repetitions", measurement.Repetitions)
        JsonText.number writer "flops" (Work.flops measurement.Work)
        JsonText.number writer "gflops" (rate / giga)
        JsonText.number writer "ratio" (rate / peak)
        writer.WriteNumber("applications", Work.applications measurement.Work)
        writer.WriteNumber("allocatedBytes", measurement.AllocatedBytes)
        writer.WriteNumber("peakWorkingSetBytes", measurement.PeakWorkingSetBytes)
        writer.WritePropertyName "work"
        JsonText.object writer (fun () -> Work.kernels measurement.Work |> List.iter (writeCount writer))

    let private writeBound (writer: Utf8JsonWriter) (bound: Bound) =
        JsonText.number writer "value" bound.Value
        writer.WriteString("rigor", Rigor.label bound.Rigor)

    let private writeKernel (writer: Utf8JsonWriter) peak (timing: KernelTiming) =
        writer.WriteString("name", timing.Name)
        writer.WriteString("kind", timing.Kind)
        writer.WriteString("operation", operation timing)
        writer.WriteNumber("vectors", timing.Vectors)
        JsonText.number writer "gigabytesPerSecond" (timing.Bytes / timing.Measurement.Seconds / giga)
        writeFigures writer peak timing.Measurement

    let private writeSpectral (writer: Utf8JsonWriter) peak (timing: SpectralTiming) =
        let norm = timing.Measurement.Result
        writer.WriteString("name", timing.Name)
        writer.WriteString("kind", timing.Kind)
        writer.WriteString("method", method norm)
        writeBound writer norm.Bound
        JsonText.number writer "attained" norm.Attained
        JsonText.number writer "certifiedOverAttained" (looseness norm)
        writer.WriteNumber("certificateApplications", norm.Applications)
        writeFigures writer peak timing.Measurement

    let private writeBoundTiming (writer: Utf8JsonWriter) peak (timing: BoundTiming) =
        writer.WriteString("name", timing.Name)
        writeBound writer timing.Measurement.Result
        writeFigures writer peak timing.Measurement

    let private writeBaseline (writer: Utf8JsonWriter) peak (timing: BaselineTiming) =
        let estimate = timing.Published.Result
        writer.WriteString("name", timing.Name)
        JsonText.number writer "timeRatio" (timing.Published.Seconds / timing.Ours.Seconds)
        writer.WritePropertyName "ours"

        JsonText.object writer (fun () ->
            writeBound writer timing.Ours.Result
            writeFigures writer peak timing.Ours)

        writer.WritePropertyName "published"

        JsonText.object writer (fun () ->
            writeBound writer estimate.Value
            JsonText.number writer "rowNormSeconds" estimate.RowNormSeconds
            JsonText.number writer "powerIterationSeconds" estimate.PowerIterationSeconds
            writeFigures writer peak timing.Published)

    let private writeGrowth (writer: Utf8JsonWriter) peak (timing: GrowthTiming) =
        writer.WriteString("name", Growth.name timing.Series)

        JsonText.array writer "points" timing.Points (fun point ->
            JsonText.object writer (fun () ->
                writer.WriteNumber("channels", point.Channels)
                writer.WriteNumber("side", point.Side)
                writer.WriteNumber("workingSetGrowthBytes", point.WorkingSetGrowth)
                writeBound writer point.Measurement.Result
                writeFigures writer peak point.Measurement))

        writer.WritePropertyName "exponents"

        JsonText.object writer (fun () ->
            for name, exponent in exponents timing do
                JsonText.number writer name exponent)

    let private writeGroup (writer: Utf8JsonWriter) peak name (timings: 'a list) write =
        if not timings.IsEmpty then
            JsonText.array writer name timings (fun timing ->
                JsonText.object writer (fun () -> write writer peak timing))

    /// Writes the object `lipverify/bench/1`; a group that was not asked for is left out.
    let write (writer: Utf8JsonWriter) report =
        let peak, radius = peak report, Workloads.radius

        JsonText.object writer (fun () ->
            writer.WriteString("schema", "lipverify/bench/1")
            writer.WriteString("engine", report.Engine)
            writer.WriteString("description", report.Description)
            writer.WriteNumber("threads", report.Threads)
            JsonText.number writer "radius" radius.Value
            JsonText.number writer "peakGflops" (peak / giga)

            JsonText.array writer "matrixProduct" report.Rates (fun rate ->
                JsonText.object writer (fun () ->
                    writer.WriteNumber("size", rate.Size)
                    writer.WriteString("when", rate.When)
                    writeFigures writer peak rate.Measurement))

            writeGroup writer peak "kernels" (kernels report) writeKernel
            writeGroup writer peak "spectral" (spectral report) writeSpectral
            writeGroup writer peak "bounds" (bounds report) writeBoundTiming
            writeGroup writer peak "baseline" (baselines report) writeBaseline
            writeGroup writer peak "growth" (growth report) writeGrowth
            JsonText.array writer "leftOut" report.LeftOut (fun name -> writer.WriteStringValue name)
            JsonText.number writer "elapsedSeconds" report.Elapsed.TotalSeconds)
