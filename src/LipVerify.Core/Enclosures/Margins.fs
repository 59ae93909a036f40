/// Lower bounds on the margins between a class and the others over a ball, from linear functions carried backward alone
/// (METHODS section 6): no spectral norm is needed, and so no random vector.
module LipVerify.Core.Enclosures.Margins

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks

let rec private stage (context: Context) (reach: Reach) stage =
    Context.check context

    match stage with
    | AffineStage(layers, map, activations) ->
        let place (text: string) =
            context.Report $"layer {layers.Head.Index} ({layers.Head.Name}): {text}"

        let context = { context with Report = place }

        let nominal =
            (reach.Nominal, layers)
            ||> List.fold (fun enclosed layer -> EnclosedTensor.apply context.Engine layer enclosed)

        let image = Reach.affine context.Engine None layers.Head map nominal reach

        match activations with
        | Some activations ->
            Reach.beforeActivation context activations image
            |> Reach.activate context.Engine activations
        | None -> image
    | ActivationStage(_, activations) ->
        Reach.beforeActivation context activations reach
        |> Reach.activate context.Engine activations
    | MaxPoolingStage(layer, geometry) ->
        let inputs = Reach.beforeMaxPooling context geometry reach
        let nominal = EnclosedTensor.apply context.Engine layer inputs.Nominal
        Reach.maxPooling geometry nominal inputs
    | SumStage branches -> branches |> List.map (series context reach) |> Reach.sum reach

and private series context reach stages =
    (reach, stages) ||> List.fold (stage context)

/// Lower bounds on `f_c − f_j` over the ball of the given radius around `input`, for each class `j`; 0 for `j = c` itself. Rounding
/// is enclosed. A bound that left the range of doubles is `−∞`.
let lowerBounds (context: Context) (network: Network) (input: Tensor) (radius: Radius) (label: int) : float[] =
    let center = EnclosedTensor.exact (Tensor.reshape network.InputShape input)

    let output =
        series context (Reach.start Euclidean Crown center radius.Value) (Stage.ofNetwork network)

    let values, errors =
        Tensor.values output.Nominal.Value, Tensor.values output.Nominal.Error

    let fill j (coefficients: Memory<float>) =
        if j <> label then
            coefficients.Span[j] <- 1.0
            coefficients.Span[label] <- -1.0

    let losses =
        Backward.upperBounds context output.Steps Euclidean radius.Value values.Length values.Length fill

    let margin j loss =
        let least = -(Rounding.addUp -values[label] errors[label])
        let rival = Rounding.addUp values[j] errors[j]
        let margin = -(Rounding.addUp (Rounding.addUp -least rival) loss)

        if j = label then 0.0
        elif Double.IsNaN margin then Double.NegativeInfinity
        else margin

    Array.mapi margin losses

/// The least of the bounds on the margins between a class and the others; infinite where there are no others.
let worst context network input radius label =
    lowerBounds context network input radius label
    |> Array.indexed
    |> Array.filter (fun (j, _) -> j <> label)
    |> Array.map snd
    |> Array.fold min Double.PositiveInfinity
