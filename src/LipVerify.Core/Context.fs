namespace LipVerify.Core

open System
open System.Threading
open LipVerify.Compute

/// Where and how a computation runs: passed explicitly to everything that takes time.
[<NoEquality; NoComparison>]
type Context =
    {
        /// The engine that does the arithmetic.
        Engine: IEngine
        /// Ends the computation between two steps with `OperationCanceledException`.
        Cancellation: CancellationToken
        /// Receives one line a step of long work; the caller decides where it goes.
        Report: string -> unit
        /// Seed of every random draw.
        Seed: int
    }

module Context =

    /// Seed 0, no cancellation, no progress.
    let create (engine: IEngine) =
        {
            Engine = engine
            Cancellation = CancellationToken.None
            Report = ignore
            Seed = 0
        }

    /// Throws `OperationCanceledException` once cancellation was asked for.
    let check context =
        context.Cancellation.ThrowIfCancellationRequested()

    /// A context with everything set; progress lines go to `progress`.
    let configure (engine: IEngine) seed (cancellation: CancellationToken) (progress: IProgress<string>) =
        {
            Engine = engine
            Cancellation = cancellation
            Report = progress.Report
            Seed = seed
        }
