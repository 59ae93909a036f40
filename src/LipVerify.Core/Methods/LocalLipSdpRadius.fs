/// Certified radii from local LipSDP on margins (METHODS section 7): the class `c` holds where `f_c(x0) − f_j(x0) > ε·L_j` for the
/// local Lipschitz constant `L_j` of `f_c − f_j`, for every other class `j`.
module LipVerify.Core.LocalLipSdpRadius

open System
open System.Diagnostics
open LipVerify.Compute

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
let private worst (context: Context) network input output (isOver: unit -> bool) (radius: Radius) label =
    let linear = Margins.lowerBounds context network input radius label

    let rivals =
        [|
            for j in 0 .. linear.Length - 1 do
                if j <> label then
                    j
        |]

    let margins = rivals |> Array.map (fun j -> linear[j])

    if isOver () || Array.min margins > 0.0 then
        Array.min margins
    else
        let differences forms =
            AffineForms.combine forms (rivals |> Array.map (fun j -> struct (label, 1.0, j, -1.0)))

        match (LocalLipSdp.prepare context Nominal network input radius differences).Problem with
        | Error _ -> Array.min margins
        | Ok(before, lfr, _) ->
            let warm = ref None

            // A little above 0 will do, the exact margin would take more steps.
            let enough gap gamma =
                marginOf gap radius (before.Value * gamma) > 1e-3 * gap

            raiseAll margins (fun i ->
                let gap = gapTo output label rivals[i]
                let row = LinearFractional.selectOutputs [| i |] lfr

                match LocalLipSdp.proveUntil context row warm.Value (fun gamma -> isOver () || enough gap gamma) with
                | Some(struct (multipliers, proved)) ->
                    warm.Value <- Some multipliers

                    match proved with
                    | Some lipschitz -> marginOf gap radius (Propositions.composition before lipschitz).Value
                    | None -> Double.NegativeInfinity
                | None -> Double.NegativeInfinity)

/// Ends the search: how close, relatively, the radius shown and the one where showing it failed are.
let private gap = 2e-3

/// The radius that multipliers certify around `input`, at least that of linear functions alone. After `limit` no more multipliers
/// are sought. Networks with layers so large that their spectral norms need random vectors get the radius of linear functions. Fails
/// for a network with a single output.
let certify
    (context: Context)
    (network: Network)
    (input: Tensor)
    (limit: TimeSpan option)
    : Result<CertifiedRadius, string> =
    let clock = Stopwatch.StartNew()

    let isOver () =
        limit |> Option.exists (fun limit -> clock.Elapsed > limit)

    MarginRadius.crown context network input
    |> Result.bind (fun linear ->
        if
            linear.Radius = 0.0
            || linear.Radius >= CertifiedRadius.largest
            || CertifiedRadius.searchFor context network <> CertifiedRadius.deterministicSearch
        then
            Ok linear
        else
            let output = EnclosedTensor.evaluate context network input

            let start =
                match Radius.create linear.Radius with
                | Ok radius -> radius
                | Error problem -> invalidOp problem

            MarginRadius.search gap output start Certified (fun radius label ->
                let report (text: string) =
                    context.Report $"radius {radius.Value:G6}: {text}"

                worst { context with Report = report } network input output isOver radius label)
            |> Result.map (fun found ->
                if found.Radius >= linear.Radius then
                    { found with
                        Evaluations = found.Evaluations + linear.Evaluations
                    }
                else
                    linear))
