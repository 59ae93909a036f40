namespace LipVerify.Cli

open System
open System.Diagnostics
open System.Threading
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation

/// How long a workload is repeated.
type Effort =
    {
        /// Repetitions end when this time is over …
        Seconds: float
        /// … but not before there are so many.
        Least: int
        /// So many at most.
        Most: int
    }

/// What one workload took. Counts are those of one run.
type Measurement<'a> =
    {
        Result: 'a
        /// The median of the repetitions.
        Seconds: float
        Repetitions: int
        Work: Work
        /// Managed memory allocated by one run, freed in between or not.
        AllocatedBytes: int64
        /// The largest working set of the process while it ran, sampled. It holds what earlier workloads left behind, too.
        PeakWorkingSetBytes: int64
    }

module Measurement =

    /// The middle value; the mean of the two middle ones of an even number.
    let median (values: float seq) =
        let sorted = values |> Seq.sort |> Array.ofSeq
        let middle = sorted.Length / 2

        if sorted.Length % 2 = 1 then
            sorted[middle]
        else
            0.5 * (sorted[middle - 1] + sorted[middle])

    /// Floating-point operations a second.
    let rate measurement =
        Work.flops measurement.Work / measurement.Seconds

    let private seconds work =
        let clock = Stopwatch.StartNew()
        let result = work ()
        result, clock.Elapsed.TotalSeconds

    /// Runs `work` once and then, where that was short, until the effort is spent. The first run warms up (code is compiled,
    /// memory is touched) and does not count, unless it alone took the whole effort.
    let private repeat (context: Context) effort work =
        Context.check context
        let result, first = seconds work

        let rec more (times: float list) spent result =
            let enough =
                times.Length >= effort.Most
                || times.Length >= effort.Least && spent >= effort.Seconds

            if enough then
                result, times
            else
                Context.check context
                let result, time = seconds work
                more (time :: times) (spent + time) result

        if first >= effort.Seconds then
            result, [ first ]
        else
            more [] 0.0 result

    let private samplingInterval = TimeSpan.FromMilliseconds 10.0

    /// The largest working set of the process while `work` runs.
    let private watchingMemory work =
        let mutable peak = Environment.WorkingSet
        let console = obj ()

        let sample _ =
            lock console (fun () -> peak <- max peak Environment.WorkingSet)

        use _ = new Timer(sample, null, samplingInterval, samplingInterval)
        let result = work ()
        sample null
        result, peak

    /// Measures `work` on the engine of the context.
    let run (context: Context) effort (work: Context -> 'a) : Measurement<'a> =
        let engine = CountingEngine context.Engine
        let context = { context with Engine = engine }

        let counted () =
            engine.Reset()
            let before = GC.GetTotalAllocatedBytes true
            let result = work context
            // A device may still be at it.
            engine.Inner.Finish()
            result, GC.GetTotalAllocatedBytes true - before

        let ((result, allocated), times), peak =
            watchingMemory (fun () -> repeat context effort counted)

        {
            Result = result
            Seconds = median times
            Repetitions = times.Length
            Work = engine.Work
            AllocatedBytes = allocated
            PeakWorkingSetBytes = peak
        }

/// The engine's own rate on the product of square matrices, which everything else is held against.
type MatrixProductRate =
    {
        Size: int
        /// `before` or `after` the workloads: the two tell a machine whose load changed.
        When: string
        Measurement: Measurement<unit>
    }

module MatrixProductRate =

    let private effort = { Seconds = 0.5; Least = 5; Most = 50 }

    let private one (context: Context) time size =
        let matrix stream =
            MatrixView.Of(HostStorage(Gaussian.draw 0 stream (size * size)), size)

        let a, b = matrix 0, matrix 1
        let c = MatrixView.Of(context.Engine.Allocate(size * size), size)

        {
            Size = size
            When = time
            Measurement =
                Measurement.run context effort (fun context ->
                    context.Engine.MatrixMultiply(false, false, size, size, size, 1.0, a, b, 0.0, c))
        }

    /// Multiplies matrices of two sizes.
    let measure (context: Context) time =
        [ 1000; 2000 ]
        |> List.map (fun size ->
            context.Report $"matrix product {size}"
            one context time size)

    /// The best rate, in operations a second.
    let peak (rates: MatrixProductRate list) =
        rates |> List.map (fun rate -> Measurement.rate rate.Measurement) |> List.max
