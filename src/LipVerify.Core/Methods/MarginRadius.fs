/// Certified radii from bounds on margins: a class holds on a ball where each `f_c − f_j` stays above 0 there. No constant stands
/// between, so that nothing is lost to directions in which other outputs move.
module LipVerify.Core.MarginRadius

open System

/// A radius with the bound on the least margin over its ball.
[<Struct>]
type private Trial = { At: float; Margin: float }

/// The radius shown and the smallest at which showing it failed, and which of them moved last.
[<ReferenceEquality>]
type private Bracket =
    {
        Low: Trial
        High: Trial option
        LowMoved: bool
        Trials: int
    }

/// Ends the search: the relative distance of both ends, and a number of trials.
let private gap = 1e-5

let private mostTrials = 48

/// Halves what is known of the end that stays: the next zero is then aimed beyond it (the Illinois method).
let private halved trial =
    { trial with
        Margin = trial.Margin / 2.0
    }

let private add bracket trial =
    let holds = trial.Margin > 0.0
    let stalls = bracket.Trials > 1 && bracket.LowMoved = holds

    { bracket with
        Low =
            if holds then trial
            elif stalls then halved bracket.Low
            else bracket.Low
        High =
            if not holds then Some trial
            elif stalls then Option.map halved bracket.High
            else bracket.High
        LowMoved = holds
        Trials = bracket.Trials + 1
    }

/// The zero of the line through both ends, kept off them. The middle where that says little: margins fall faster and faster, so
/// that far above the zero the line meets it much too early.
let private between (low: Trial) (high: Trial) =
    let share = low.Margin / (low.Margin - high.Margin)
    let isStraight = high.Margin > -8.0 * low.Margin && share >= 0.0 && share <= 1.0

    if isStraight then
        low.At + (high.At - low.At) * Math.Clamp(share, 0.02, 0.98)
    elif high.At > 4.0 * low.At && low.At > 0.0 then
        sqrt low.At * sqrt high.At
    else
        low.At / 2.0 + high.At / 2.0

/// A radius above all that hold: doubled at first, and then faster and faster.
let private above bracket =
    let steps = max 1.0 (Math.Pow(2.0, float bracket.Trials - 6.0))
    min CertifiedRadius.largest (bracket.Low.At * Math.Pow(2.0, steps))

/// The next radius; none at the end of the search.
let private next bracket =
    match bracket.High with
    | _ when bracket.Trials >= mostTrials -> None
    | None when bracket.Low.At >= CertifiedRadius.largest -> None
    | None -> Some(above bracket)
    | Some high when high.At <= bracket.Low.At * (1.0 + gap) -> None
    | Some high ->
        match between bracket.Low high with
        | at when at > bracket.Low.At && at < high.At -> Some at
        | _ -> None

/// Searches for the largest radius over whose ball `margin` stays positive, from `start` on. `output` are the nominal outputs,
/// and `margin` bounds the least margin of the given class from below. What it gives promises `rigor`. Fails for a single output.
let search
    (output: EnclosedTensor)
    (start: Radius)
    rigor
    (margin: Radius -> int -> float)
    : Result<CertifiedRadius, string> =
    CertifiedRadius.withClasses output (fun () ->
        let label = CertifiedRadius.labelOf output

        let rec run bracket =
            match next bracket with
            | None -> bracket
            | Some at ->
                add
                    bracket
                    {
                        At = at
                        Margin = margin (CertifiedRadius.asRadius at) label
                    }
                |> run

        let nominal =
            {
                At = 0.0
                Margin = Propositions.topTwoGap output
            }

        let first =
            {
                At = start.Value
                Margin = margin start label
            }

        let found =
            {
                Low = nominal
                High = None
                LowMoved = true
                Trials = 0
            }
            |> fun bracket -> add bracket first
            |> run

        {
            Label = Some label
            TopTwoGap = Propositions.topTwoGap output
            Radius = found.Low.At
            Rigor = rigor
            Lipschitz = None
            NotShownAt = found.High |> Option.map _.At
            Evaluations = found.Trials
        })
    |> Result.map (fun found -> { found with Lipschitz = None })

/// The radius that bounds on the margins by linear functions (`Margins`) certify around `input`: certified, whatever the size of
/// the layers. Fails for a network with a single output.
let crown (context: Context) (network: Network) (input: Tensor) : Result<CertifiedRadius, string> =
    let output = EnclosedTensor.evaluate context network input

    search output (CertifiedRadius.startFor input) Certified (fun radius label ->
        let report (text: string) =
            context.Report $"radius {Figure.nearestTo 6 radius.Value}: {text}"

        Margins.worst { context with Report = report } network input radius label)
