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
        /// How spectral norms are to be proved.
        Certification: Certification
    }

module Context =

    /// Seed 0, no cancellation, no progress.
    let create (engine: IEngine) =
        {
            Engine = engine
            Cancellation = CancellationToken.None
            Report = ignore
            Seed = 0
            Certification = Certification.standard
        }

    /// Throws `OperationCanceledException` once cancellation was asked for.
    let check context =
        context.Cancellation.ThrowIfCancellationRequested()

    /// The context of one of `count` computations that may each draw random vectors: its share of the failure probability.
    let share count context =
        { context with
            Certification = Certification.share count context.Certification
        }

    /// The context of computation `index`, with draws of its own: an operator may depend on the bounds computed before it, and
    /// so on their draws, but not on those that certify it.
    let forComputation index context =
        { context with
            Seed = (context.Seed * 1_000_003 + index + 1) &&& Int32.MaxValue
        }

    /// A context with everything set; progress lines go to `progress`.
    let configure (engine: IEngine) seed certification (cancellation: CancellationToken) (progress: IProgress<string>) =
        {
            Engine = engine
            Cancellation = cancellation
            Report = progress.Report
            Seed = seed
            Certification = certification
        }
