namespace LipVerify.Core.Radii

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic

/// The largest radius within which Proposition 6 was found to keep the class of an input.
[<NoComparison>]
type CertifiedRadius =
    {
        /// Position of the largest output; none where rounding leaves open which one it is.
        Label: int option
        /// The gap `δ` between the two largest outputs, rounded downward; negative where the class is undecided.
        TopTwoGap: float
        /// No input within this radius (2-norm, in units of the preprocessed input) changes the class. 0 where the class is
        /// undecided, and then nothing is claimed.
        Radius: float
        /// What the radius promises. A failure probability is for all evaluations of the search together.
        Rigor: Rigor
        /// The Lipschitz bound that shows it, over a ball of this radius or a larger one around the input; none where bounds on
        /// margins do, and where the class is undecided.
        Lipschitz: Bound option
        /// The smallest radius beyond it at which the search failed to show that the class holds; none where it failed nowhere.
        NotShownAt: float option
        /// Lipschitz bounds, or bounds on margins, that were computed.
        Evaluations: int
    }

/// How long a search for a certified radius goes on.
type RadiusSearch =
    {
        /// The most Lipschitz bounds that are computed. The failure probability is shared out among them beforehand.
        Evaluations: int
        /// Ends the search: the relative gap between the radius shown and the one where showing it failed.
        Gap: float
    }

/// Certified radii by Proposition 6 (METHODS section 2), for Lipschitz bounds of any method.
module CertifiedRadius =

    /// The largest radius that is claimed: where a bound is 0, every radius keeps the class.
    let largest = RadiusTrials.largest

    let internal asRadius = RadiusTrials.asRadius

    /// Why a network with a single output has no certified radius.
    let singleOutput =
        "the network has a single output, so there is no class that a radius could keep"

    /// The search for bounds without random draws: both ends meet to 1e-9.
    let deterministicSearch = { Evaluations = 96; Gap = 1e-9 }

    /// The search for bounds with random draws: each evaluation costs failure probability, and each is loose by about 1e-3.
    let randomSearch = { Evaluations = 12; Gap = 1e-3 }

    /// The search that suits a network: whether a spectral norm may need random vectors is known from its layers.
    let searchFor (context: Context) (network: Network) =
        let mayDraw (placed: PlacedLayer) =
            match placed.Layer with
            | Affine(map, _) when (LinearMap.tryRowScaling map).IsSome -> false
            | Affine(map, _) -> Spectral.mayDraw map
            | Activation _
            | MaxPooling _
            | Reshape _
            | Identity -> false

        if
            not context.Certification.Deterministic
            && Network.layers network |> List.exists mayDraw
        then
            randomSearch
        else
            deterministicSearch

    let private isDecided output =
        Propositions.keepsClass output (asRadius 0.0) Bound.zero

    let internal labelOf (output: EnclosedTensor) =
        Tensor.values output.Value |> Array.indexed |> Array.maxBy snd |> fst

    let private undecided output =
        {
            Label = None
            TopTwoGap = Propositions.topTwoGap output
            Radius = 0.0
            Rigor = Certified
            Lipschitz = None
            NotShownAt = Some 0.0
            Evaluations = 0
        }

    /// A radius above one that holds at which it does not, by steps that double.
    let private failsAbove output bound radius =
        let rec up radius step =
            if radius >= largest then
                None
            elif RadiusTrials.keeps output bound radius then
                up (Math.BitIncrement(radius * (1.0 + step))) (2.0 * step)
            else
                Some radius

        up (Math.BitIncrement radius) Rounding.unitRoundoff

    let internal withClasses (output: EnclosedTensor) (find: unit -> CertifiedRadius) =
        if output.Value.Length < 2 then Error singleOutput
        elif not (isDecided output) then Ok(undecided output)
        else Ok(find ())

    /// The radius that one constant for all inputs certifies: `δ/(√2 L)`, to the last bit. Fails for a single output.
    let ofConstant (output: EnclosedTensor) (lipschitz: Bound) : Result<CertifiedRadius, string> =
        withClasses output (fun () ->
            let radius = RadiusTrials.keptBy output lipschitz

            {
                Label = Some(labelOf output)
                TopTwoGap = Propositions.topTwoGap output
                Radius = radius
                Rigor = lipschitz.Rigor
                Lipschitz = Some lipschitz
                NotShownAt = failsAbove output lipschitz radius
                Evaluations = 1
            })

    let private answer (context: Context) output trials =
        let proof = RadiusTrials.best trials

        {
            Label = Some(labelOf output)
            TopTwoGap = Propositions.topTwoGap output
            Radius = proof.Kept
            Rigor =
                match proof.Lipschitz.Rigor with
                // It was chosen among all that were drawn, so the union bound over all that may be drawn is what holds.
                | Probabilistic _ -> Probabilistic context.Certification.FailureProbability
                | rigor -> rigor
            Lipschitz = Some proof.Lipschitz
            NotShownAt = RadiusTrials.failure proof.Kept trials
            Evaluations = trials.Length
        }

    /// Searches for the largest radius by trials of `bound`, which gives a Lipschitz bound over the ball of a radius, from `start`
    /// on, until the time of the context is over: the first trial has to make do with what it has by then, and others do not count where they
    /// are not finished. Every trial has draws and a share of the failure probability of its own: their sum is at most that of `context`.
    /// Fails for a single output.
    let search
        (context: Context)
        (plan: RadiusSearch)
        (output: EnclosedTensor)
        (start: Radius)
        (bound: Context -> Radius -> Bound)
        : Result<CertifiedRadius, string> =
        let threshold = Propositions.classThreshold output
        let shared = Context.share plan.Evaluations context

        let trial (shared: Context) index at =
            let report (text: string) =
                context.Report $"radius {Figure.nearestTo 6 at}: {text}"

            let context = Context.forComputation index { shared with Report = report }
            RadiusTrials.tryRadius output (bound context (asRadius at)) at

        let rec run trials (widths: float list) =
            let at = RadiusTrials.next threshold plan.Gap trials (RadiusTrials.stalls widths)

            if
                widths.Head <= plan.Gap
                || trials.Length >= plan.Evaluations
                || trials |> List.exists (fun trial -> trial.At = at)
            then
                answer context output trials
            else
                match Context.attempt shared (fun shared -> trial shared trials.Length at) with
                | None -> answer context output trials
                | Some trial ->
                    let trials = trial :: trials
                    run trials (RadiusTrials.width trials :: widths)

        withClasses output (fun () ->
            let first = [ trial shared 0 start.Value ]
            run first [ RadiusTrials.width first ])

    /// A thousandth of the length of the input, or 1: a radius on the scale where classes usually change.
    let internal startFor (input: Tensor) =
        let length =
            Numerics.Tensors.TensorPrimitives.Norm(ReadOnlySpan(Tensor.values input))

        asRadius (
            if length > 0.0 && Double.IsFinite length then
                min (1e-3 * length) 1e50
            else
                1.0
        )

    /// The part of the time for `quick`.
    let private forQuick = 0.2

    /// What one bound of Algorithm 1, over the ball of the start, shows of a decided class: found soon, and a start for searches whose trials take longer
    /// as the radius grows. Where it shows nothing, the radius is that of the start, and promises nothing.
    let internal quick (context: Context) (network: Network) (input: Tensor) output =
        let start = startFor input

        let bound =
            (Analytic.bound (Context.withPart forQuick context) Nominal network input start).Bound

        match (RadiusTrials.tryRadius output bound start.Value).Kept with
        | kept when kept > 0.0 -> {| Radius = kept; Rigor = bound.Rigor |}
        | _ ->
            {|
                Radius = start.Value
                Rigor = Estimate
            |}

    /// The radius that Algorithm 1, with slopes from enclosures of this kind, certifies around `input`, by search, and at how many of the radii
    /// that were tried enclosures are not of this kind, where there are such. Fails for a network with a single output.
    let analyticExplained
        (context: Context)
        kind
        definition
        (network: Network)
        (input: Tensor)
        : Result<struct (CertifiedRadius * string option), string> =
        let output = EnclosedTensor.evaluate context network input
        let replaced = ResizeArray<string>()

        let plan =
            if kind = Probes then
                randomSearch
            else
                searchFor context network

        search context plan output (startFor input) (fun context radius ->
            let struct (result, explanation) =
                Analytic.boundExplained context kind definition network input radius

            Option.iter replaced.Add explanation
            result.Bound)
        |> Result.map (fun found ->
            let explanation =
                Seq.tryLast replaced
                |> Option.map (fun last -> $"at {replaced.Count} of {found.Evaluations} radii that were tried {last}")

            struct (found, explanation))

    /// As `analyticExplained`, without the explanation.
    let analyticWith context kind definition network input : Result<CertifiedRadius, string> =
        analyticExplained context kind definition network input
        |> Result.map (fun (struct (found, _)) -> found)

    /// The radius that Algorithm 1 certifies around `input`, by search. Fails for a network with a single output.
    let analytic context definition network input =
        analyticWith context Ball definition network input

    /// The radius that the global constant certifies around `input`. Fails for a network with a single output.
    let ``global`` (context: Context) (network: Network) (input: Tensor) : Result<CertifiedRadius, string> =
        ofConstant (EnclosedTensor.evaluate context network input) (Global.bound context network).Bound
