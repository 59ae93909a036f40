/// Certified radii from the structured bound on margins (METHODS section 14b): the class holds where it loses less than its lead over every other.
module LipVerify.Core.Radii.StructuredRadius

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Structured

/// The part of the time for the radius that Algorithm 1 certifies.
let private forAnalytic = 0.2

/// The part of the time that is left which one trial may take, so that there are several.
let private part = 0.4

/// Trials at most. The failure probability is shared out among them beforehand.
let private mostTrials = 8

/// Ends the search: how close, relatively, the radius shown and the one where showing it failed are.
let private gap = 0.05

/// The next radius is at most this much larger.
let private growth = 2.0

/// Of what a lead that is lost in proportion would allow, the next radius takes a part: what is lost grows faster than the radius.
let private caution = 0.9

/// The larger of two radii. Where both rest on draws, which of them it is depends on all of these.
let private larger (analytic: CertifiedRadius) (found: CertifiedRadius) =
    let best, other =
        if found.Radius > analytic.Radius then
            found, analytic
        else
            analytic, found

    { best with
        Rigor =
            match best.Rigor with
            | Certified -> Certified
            | rigor -> Rigor.combine rigor other.Rigor
        Evaluations = analytic.Evaluations + found.Evaluations
    }

/// What was shown, the smallest radius at which showing more failed, and the number of trials.
[<Struct>]
type private Shown =
    {
        Radius: float
        Failed: float option
        Trials: int
    }

/// The largest radius from `start` on at which `lost` is below 1; it gives nothing where nothing was proved.
let rec private search (context: Context) (lost: int -> float -> float option) (shown: Shown) at =
    let isClose =
        shown.Failed
        |> Option.exists (fun failed -> failed <= shown.Radius * (1.0 + gap))

    if shown.Trials = mostTrials || isClose || Context.isOver context then
        shown
    else
        let trials = shown.Trials + 1

        match lost trials at with
        | Some part when part < 1.0 ->
            let further = at * min growth (max (1.0 + gap) (caution / part))

            let next =
                match shown.Failed with
                | Some failed when further >= failed -> sqrt at * sqrt failed
                | _ -> further

            search
                context
                lost
                { shown with
                    Radius = at
                    Trials = trials
                }
                (min CertifiedRadius.largest next)
        | _ when Context.isOver context -> { shown with Trials = trials }
        | _ ->
            let shown =
                { shown with
                    Failed = Some at
                    Trials = trials
                }

            search context lost shown (sqrt shown.Radius * sqrt at)

/// The radius that structured bounds on margins certify around `input`, by search from the one that Algorithm 1 certifies, and never below that
/// one; and whether the time ended it, or one of its bounds, so that more of it might show more. Fails for a network with a single output; raises
/// `Spectral.NotCertifiableException` where draws are not allowed.
let certify
    (context: Context)
    definition
    (network: Network)
    (input: Tensor)
    : Result<struct (CertifiedRadius * bool), string> =
    if context.Certification.Deterministic then
        raise (Spectral.NotCertifiableException "the structured bound rests on random draws")

    let half = Context.share 2 context

    let searchFrom (analytic: CertifiedRadius) label =
        let context = Context.forComputation 1 half
        let shared = Context.share mostTrials context

        let lost trial at =
            let report (text: string) =
                context.Report $"radius {Figure.nearestTo 6 at}: {text}"

            let trial =
                { shared with Report = report }
                |> Context.forComputation trial
                |> Context.withPart part

            StructuredMargins.lost trial definition network input (CertifiedRadius.asRadius at) label

        let shown =
            search
                context
                lost
                {
                    Radius = analytic.Radius
                    Failed = None
                    Trials = 0
                }
                (min CertifiedRadius.largest (growth * analytic.Radius))

        larger
            analytic
            { analytic with
                Radius = shown.Radius
                Rigor = Probabilistic context.Certification.FailureProbability
                Lipschitz = None
                NotShownAt = shown.Failed
                Evaluations = shown.Trials
            }

    CertifiedRadius.analytic (half |> Context.forComputation 0 |> Context.withPart forAnalytic) definition network input
    |> Result.map (fun analytic ->
        match analytic.Label with
        // Where nothing is decided, or everything is kept, there is nothing to search for.
        | Some label when analytic.Radius > 0.0 && analytic.Radius < CertifiedRadius.largest ->
            searchFrom analytic label
        | _ -> analytic)
    |> Result.map (fun found -> struct (found, Context.isOver context))
