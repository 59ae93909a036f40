/// How long multipliers are sought, and what those found prove.
module internal LipVerify.Core.Bounds.Multipliers.Solver.MultiplierSearch

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Bounds.Multipliers.Representation

/// What the multipliers are worth: how close to the best they shall come.
let private tolerance (lfr: LinearFractional) =
    if lfr.Uncertain <= 64 then 1e-5 else 1e-3

/// Steps that improve the bound by less than this, relatively, end the search for multipliers.
let private worthwhile = 1e-4

/// Whether what is left of the time suffices for one more step and for the proof, which takes about as long as the longest step.
type private Pace(deadline: Deadline) =
    let clock = Diagnostics.Stopwatch.StartNew()
    let mutable longest = TimeSpan.Zero

    /// Whether there was no time for one more step.
    member val IsOut = false with get, set

    member pace.AllowsAnotherStep() =
        longest <- max longest clock.Elapsed
        clock.Restart()

        pace.IsOut <-
            match Deadline.left deadline with
            | None -> false
            | Some left -> left <= 2.0 * longest

        not pace.IsOut

/// Solves until the best is near, progress fades, `isOver` says of the constant so far that it is good enough, or there is no time for more.
let private solve (context: Context) (pace: Pace) (lfr: LinearFractional) ties warm (isOver: float -> bool) =
    let recent = Collections.Generic.Queue<float>()

    MultiplierSolver.solveTied context lfr ties warm (fun progress ->
        let gamma = progress.Multipliers.Gamma
        context.Report $"{lfr.Uncertain} multipliers, step {progress.Steps}: {Figure.upward gamma}"
        recent.Enqueue gamma
        let before = if recent.Count > 4 then recent.Dequeue() else infinity
        let fades = before - gamma < worthwhile * gamma

        let isNear =
            progress.Gap <= tolerance lfr || (progress.Gap <= 5e-3 && lfr.Uncertain > 64)

        not (isOver gamma)
        && progress.Steps < 200
        && not (isNear && (fades || progress.Gap <= tolerance lfr))
        && pace.AllowsAnotherStep())

/// What `prove` gives, and whether more time might have given better.
let proveInTime (context: Context) lfr ties warm isOver =
    let pace = Pace context.Deadline

    let found =
        Context.attempt context (fun context ->
            solve context pace lfr ties warm isOver
            |> Option.map (fun multipliers -> struct (multipliers, MultiplierProof.tryProve context lfr multipliers)))
        |> Option.flatten

    struct (found, pace.IsOut || Context.isOver context)

/// Multipliers, shared where `ties` says so, and what they prove; none where nothing moves the outputs, or the time is over before a proof.
let prove (context: Context) lfr ties warm isOver =
    let struct (found, _) = proveInTime context lfr ties warm isOver
    found
