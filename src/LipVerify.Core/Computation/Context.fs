namespace LipVerify.Core.Computation

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
        /// Ends searches and refinements, which then give the best that they have.
        Deadline: Deadline
        /// Receives one line a step of long work; the caller decides where it goes.
        Report: string -> unit
        /// Seed of every random draw.
        Seed: int
        /// How spectral norms are to be proved.
        Certification: Certification
    }

module Context =

    /// Seed 0, no cancellation, no deadline, no progress.
    let create (engine: IEngine) =
        {
            Engine = engine
            Cancellation = CancellationToken.None
            Deadline = Deadline.never
            Report = ignore
            Seed = 0
            Certification = Certification.standard
        }

    /// Throws `OperationCanceledException` once cancellation was asked for.
    let check context =
        context.Cancellation.ThrowIfCancellationRequested()

    /// Whether the time of the context is over.
    let isOver context = Deadline.isOver context.Deadline

    /// The context for what has to end after `limit`, and by the deadline of `context` anyway.
    let within (limit: TimeSpan option) context =
        match limit with
        | None -> context
        | Some limit ->
            { context with
                Deadline = Deadline.earlier context.Deadline (Deadline.after limit)
            }

    /// The context for what may take this part of the time that is left.
    let withPart (part: float) context =
        context |> within (Deadline.left context.Deadline |> Option.map ((*) part))

    /// Timers do not run longer.
    let private longestTimer = TimeSpan.FromMilliseconds(float Int32.MaxValue)

    /// What `work` gives, or none where the time of `context` is over first. For steps that have nothing to show before they are done:
    /// they know of no deadline, and are ended as if they were cancelled. Cancellation of `context` itself is passed on.
    let attempt (context: Context) (work: Context -> 'a) : 'a option =
        match Deadline.left context.Deadline with
        | None -> Some(work context)
        | Some left when left = TimeSpan.Zero -> None
        | Some left ->
            use timer = CancellationTokenSource.CreateLinkedTokenSource context.Cancellation
            timer.CancelAfter(min left longestTimer)

            try
                Some(
                    work
                        { context with
                            Engine = context.Engine.EndedBy timer.Token
                            Cancellation = timer.Token
                            Deadline = Deadline.never
                        }
                )
            with :? OperationCanceledException when
                timer.IsCancellationRequested
                && not context.Cancellation.IsCancellationRequested ->
                // Timers count whole milliseconds: without a result the time is over by the finer clock, too.
                SpinWait.SpinUntil(fun () -> isOver context)
                None

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
            Deadline = Deadline.never
            Report = progress.Report
            Seed = seed
            Certification = certification
        }
