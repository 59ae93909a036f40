/// Certified radii from local LipSDP on margins (METHODS section 7): the class `c` holds where `f_c(x0) − f_j(x0) > ε·L_j` for the
/// local Lipschitz constant `L_j` of `f_c − f_j`, for every other class `j`.
module LipVerify.Core.Radii.LocalLipSdpRadius

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Multipliers.Representation
open LipVerify.Core.Bounds.Multipliers.Solver
open LipVerify.Core.Bounds.Multipliers

/// `f_c − f_j` at the nominal input, rounded downward.
let private gapTo (output: EnclosedTensor) label rival =
    let values, errors = Tensor.values output.Value, Tensor.values output.Error

    Math.BitDecrement(
        Math.BitDecrement(values[label] - errors[label])
        - Rounding.addUp values[rival] errors[rival]
    )

/// `gap − ε·L`, rounded downward.
let private marginOf (gap: float) (radius: Radius) (lipschitz: float) =
    Math.BitDecrement(gap - Rounding.mulUp radius.Value lipschitz)

/// A margin of this part of the gap will do: the exact one would take more steps.
let private least = 1e-3

/// Whether constants that get better step by step have reached `needed`, or plainly won't: they approach their limit geometrically,
/// and ten times what the last four steps gained is more than what is left.
let private decision (needed: float) =
    let recent = Collections.Generic.Queue<float>()
    let steps = ref 0

    fun (gamma: float) ->
        recent.Enqueue gamma
        steps.Value <- steps.Value + 1
        let before = if recent.Count > 4 then recent.Dequeue() else infinity

        gamma < needed
        || (steps.Value >= 10 && gamma - 10.0 * (before - gamma) > needed)

/// Raises the bounds on margins that are not positive, the lowest first, until all are or one cannot be raised above 0.
let private raiseAll (margins: float[]) (raise: int -> float) =
    let rec go tried =
        let lowest = seq { 0 .. margins.Length - 1 } |> Seq.minBy (fun i -> margins[i])

        if margins[lowest] > 0.0 || List.contains lowest tried then
            margins[lowest]
        else
            margins[lowest] <- max margins[lowest] (raise lowest)
            go (lowest :: tried)

    go []

/// A lower bound on the least margin between class `label` and the others over the ball: for each class the better one of linear
/// functions carried backward and of multipliers.
let private worst (context: Context) network input output (radius: Radius) label =
    let linear = Margins.lowerBounds context network input radius label

    let rivals =
        [|
            for j in 0 .. linear.Length - 1 do
                if j <> label then
                    j
        |]

    let margins = rivals |> Array.map (fun j -> linear[j])

    if Context.isOver context || Array.min margins > 0.0 then
        Array.min margins
    else
        let differences forms =
            AffineForms.combine forms (rivals |> Array.map (fun j -> struct (label, 1.0, j, -1.0)))

        match (LocalLipSdp.prepare context Nominal network input radius differences).Problem with
        | Error _ -> Array.min margins
        | Ok(before, lfr, _) ->
            let warm = ref None

            raiseAll margins (fun i ->
                let gap = gapTo output label rivals[i]
                let row = LinearFractional.selectOutputs [| i |] lfr

                let decided = decision (gap * (1.0 - least) / (radius.Value * before.Value))

                match MultiplierSearch.prove context row None warm.Value decided with
                | Some(struct (multipliers, proved)) ->
                    warm.Value <- Some multipliers

                    match proved with
                    | Some lipschitz -> marginOf gap radius (Propositions.composition before lipschitz).Value
                    | None -> Double.NegativeInfinity
                | None -> Double.NegativeInfinity)

/// Ends the search: how close, relatively, the radius shown and the one where showing it failed are.
let private gap = 0.01

/// The next radius is this much larger where none has failed yet. What lies far beyond the radius sought takes longest to try.
let private growth = 1.25

let private mostTrials = 24

/// The largest radius shown from `low` on, the smallest that failed, and the number of trials.
let private search (context: Context) (shows: float -> bool) low =
    let rec go low high trials =
        let isClose = high |> Option.exists (fun high -> high <= low * (1.0 + gap))

        if isClose || trials >= mostTrials || Context.isOver context then
            struct (low, high, trials)
        else
            let at =
                match high with
                | Some high -> sqrt low * sqrt high
                | None -> low * growth

            if shows at then
                go at high (trials + 1)
            elif Context.isOver context then
                // It may have failed for want of time.
                struct (low, high, trials + 1)
            else
                go low (Some at) (trials + 1)

    go low None 0

/// The part of the time that linear functions alone may take.
let private forLinear = 0.5

/// The radius that multipliers certify around `input`, at least that of linear functions alone. By the end of `limit` the largest radius shown
/// so far has to do. Networks with layers so large that their spectral norms need random vectors get the radius of linear functions. Fails
/// for a network with a single output.
let certify
    (context: Context)
    (network: Network)
    (input: Tensor)
    (limit: TimeSpan option)
    : Result<CertifiedRadius, string> =
    let context = Context.within limit context

    MarginRadius.crown (Context.withPart forLinear context) network input
    |> Result.map (fun linear ->
        match linear.Label with
        | Some label when
            linear.Radius > 0.0
            && linear.Radius < CertifiedRadius.largest / growth
            && CertifiedRadius.searchFor context network = CertifiedRadius.deterministicSearch
            ->
            let output = EnclosedTensor.evaluate context network input

            let shows at =
                match Radius.create at with
                | Error problem -> invalidOp problem
                | Ok radius ->
                    let report (text: string) =
                        context.Report $"radius {Figure.nearestTo 6 at}: {text}"

                    worst { context with Report = report } network input output radius label > 0.0

            let struct (radius, failed, trials) = search context shows linear.Radius

            { linear with
                Radius = radius
                NotShownAt = if radius = linear.Radius then linear.NotShownAt else failed
                Evaluations = linear.Evaluations + trials
            }
        | _ -> linear)
