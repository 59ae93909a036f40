/// Certified radii from bounds on margins: a class holds on a ball where each `f_c − f_j` stays above 0 there. No constant stands
/// between, so that nothing is lost to directions in which other outputs move.
module LipVerify.Core.Radii.MarginRadius

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.Enclosures

/// A radius with the bound on the least margin over its ball.
[<Struct>]
type private Trial = { At: float; Margin: float }

/// The radius shown and the smallest at which showing it failed, and which of them moved last.
[<ReferenceEquality>]
type private Bracket =
    {
        /// The margin at the input.
        Nominal: float
        Low: Trial
        /// The largest radius shown before that.
        Before: Trial
        High: Trial option
        LowMoved: bool
        Trials: int
    }

/// Ends the search: the relative distance of both ends, and a number of trials.
let private gap = 1e-3

let private mostTrials = 48

/// The first trial, in parts of what one bound of Algorithm 1 shows: linear functions usually show more than that.
let private beyondQuick = 2.0

let private add bracket trial =
    let holds = trial.Margin > 0.0

    { bracket with
        Before = if holds then bracket.Low else bracket.Before
        Low = if holds then trial else bracket.Low
        High = if holds then bracket.High else Some trial
        LowMoved = holds
        Trials = bracket.Trials + 1
    }

/// Where the line through two trials meets 0.
let private zeroOf (a: Trial) (b: Trial) =
    a.At + (b.At - a.At) * (a.Margin / (a.Margin - b.Margin))

/// The middle, on the scale of the ends.
let private middle (low: Trial) (high: Trial) =
    if high.At > 4.0 * low.At && low.At > 0.0 then
        sqrt low.At * sqrt high.At
    else
        low.At / 2.0 + high.At / 2.0

/// Margins fall faster and faster: the line through the last two that hold meets 0 a little above the radius sought, that through both ends below
/// it. One after the other they draw the ends together; each is aimed a little further, so that the last two trials close the gap.
let private between bracket (high: Trial) =
    let low = bracket.Low
    let aside = 0.3 * gap

    let beyond =
        if bracket.LowMoved then
            zeroOf bracket.Before low * (1.0 + aside)
        else
            Double.PositiveInfinity

    let aim =
        if beyond < high.At then
            beyond
        else
            zeroOf low high * (1.0 - aside)

    let width = high.At - low.At

    if Double.IsFinite aim then
        Math.Clamp(aim, low.At + 0.02 * width, high.At - 0.02 * width)
    else
        middle low high

/// A radius above all that hold: doubled at first, and then faster and faster, but not beyond where the line from the input through the last margin
/// meets 0. Margins fall faster and faster, so that this lies above the radius sought, and trials far above it take the longest.
let private above bracket =
    let low = bracket.Low
    let steps = max 1.0 (Math.Pow(2.0, float bracket.Trials - 6.0))
    let furthest = low.At * Math.Pow(2.0, steps)
    let zero = low.At * bracket.Nominal / (bracket.Nominal - low.Margin)

    // Where nothing was lost yet there is no such line.
    let at =
        if zero < furthest then
            max zero (low.At * (1.0 + gap))
        else
            furthest

    min CertifiedRadius.largest at

/// The next radius; none at the end of the search.
let private next bracket =
    match bracket.High with
    | _ when bracket.Trials >= mostTrials -> None
    | None when bracket.Low.At >= CertifiedRadius.largest -> None
    | None -> Some(above bracket)
    | Some high when high.At <= bracket.Low.At * (1.0 + gap) -> None
    | Some high ->
        match between bracket high with
        | at when at > bracket.Low.At && at < high.At -> Some at
        | _ -> None

/// The largest radius over whose ball `margin` stays positive, by a search that begins at `start`. `margin` bounds the least margin of a class from
/// below, or says that the time is over: then the largest radius so far has to do.
let private search nominal (start: float) (margin: Radius -> float option) =
    let rec run bracket at =
        let trial =
            at
            |> Option.bind (fun at ->
                margin (CertifiedRadius.asRadius at)
                |> Option.map (fun margin -> { At = at; Margin = margin }))

        match trial with
        | None -> bracket
        | Some trial ->
            let bracket = add bracket trial
            run bracket (next bracket)

    run
        {
            Nominal = nominal
            Low = { At = 0.0; Margin = nominal }
            Before = { At = 0.0; Margin = nominal }
            High = None
            LowMoved = true
            Trials = 0
        }
        (Some start)

/// The radius that bounds on the margins by linear functions (`Margins`) certify around `input`: certified, whatever the size of
/// the layers. The time of the context ends the search with the largest radius shown so far, which is no less than what one bound of
/// Algorithm 1 shows, where that is certified. Fails for a network with a single output.
let crown (context: Context) (network: Network) (input: Tensor) : Result<CertifiedRadius, string> =
    let output = EnclosedTensor.evaluate context network input

    CertifiedRadius.withClasses output (fun () ->
        let label = CertifiedRadius.labelOf output
        let nominal = Propositions.topTwoGap output

        let margin (radius: Radius) =
            let report (text: string) =
                context.Report $"radius {Figure.nearestTo 6 radius.Value}: {text}"

            Context.attempt { context with Report = report } (fun context ->
                Margins.worst context network input radius label)

        let quick = CertifiedRadius.quick context network input output

        let found =
            search nominal (min CertifiedRadius.largest (beyondQuick * quick.Radius)) margin

        let known = if quick.Rigor = Certified then quick.Radius else 0.0

        {
            Label = Some label
            TopTwoGap = nominal
            Radius = max found.Low.At known
            Rigor = Certified
            Lipschitz = None
            NotShownAt = found.High |> Option.map _.At |> Option.filter (fun failed -> failed > known)
            Evaluations = found.Trials
        })
    |> Result.map (fun found -> { found with Lipschitz = None })
