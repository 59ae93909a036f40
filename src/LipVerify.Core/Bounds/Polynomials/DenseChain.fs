namespace LipVerify.Core.Bounds.Polynomials

open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Chains

/// An affine map by the entries of its matrix.
[<ReferenceEquality>]
type DenseLayer =
    {
        /// `outputs × inputs`.
        Weights: float[,]
        /// One value an output.
        Bias: float[]
    }

/// A network `x ↦ C·relu(A_l·…·relu(A_1 x + b_1)…) + d` by its matrices: small ones only.
[<ReferenceEquality>]
type DenseChain =
    {
        /// The layers in front of ReLUs, first to last.
        Hidden: DenseLayer list
        /// `C` and `d`.
        Output: DenseLayer
    }

module DenseChain =

    /// No matrix has more entries.
    let largestMatrix = 1 <<< 23

    let private unsuitable =
        "it bounds networks of affine layers with a ReLU between any two, and the last one affine"

    let private matrix (engine: IEngine) map =
        let rows, columns = LinearMap.outputs map, LinearMap.inputs map

        match map with
        | Dense dense ->
            let values = Tensor.values dense.Weights
            Array2D.init rows columns (fun i j -> values[i * columns + j])
        | _ ->
            let units = Array.zeroCreate (columns * columns)

            for j in 0 .. columns - 1 do
                units[j * columns + j] <- 1.0

            let images = engine.Allocate(columns * rows)
            LinearMap.apply engine map columns (HostStorage units) images
            let values = Tensor.ofStorage [ columns; rows ] images |> Tensor.values
            Array2D.init rows columns (fun i j -> values[j * rows + i])

    let private layer (engine: IEngine) (layers: PlacedLayer list) map =
        let rows, columns = LinearMap.outputs map, LinearMap.inputs map

        if int64 columns * int64 (max rows columns) > int64 largestMatrix then
            Error $"the layer {layers.Head.Name} is too large: {rows} × {columns}"
        else
            let zero: Storage = HostStorage(Array.zeroCreate columns)

            let image =
                (zero, layers)
                ||> List.fold (fun x placed -> Layer.apply engine placed.Layer 1 x)

            Ok
                {
                    Weights = matrix engine map
                    Bias = Tensor.ofStorage [ rows ] image |> Tensor.values
                }

    let rec private collect engine hidden stages =
        match stages with
        | [ AffineStage(layers, map, None) ] when not (List.isEmpty hidden) ->
            layer engine layers map
            |> Result.map (fun output ->
                {
                    Hidden = List.rev hidden
                    Output = output
                })
        | AffineStage(layers, map, Some activations) :: rest when activations.IsRelu ->
            layer engine layers map
            |> Result.bind (fun layer -> collect engine (layer :: hidden) rest)
        | _ -> Error unsuitable

    /// The matrices of a network, or why it has none of this kind.
    let ofNetwork (context: Context) (network: Network) =
        collect context.Engine [] (Stage.ofNetwork network)

    /// Why a network is not of this kind.
    let internal because reason = $"{unsuitable}: {reason}"

    /// The matrices of a chain in its units, or why it is not of this kind.
    let internal ofUnits (chain: ReluChain) =
        let layer (step: ReluStep) =
            {
                Weights = array2D step.Rows
                Bias = step.Bias
            }

        let isTooLarge (step: ReluStep) =
            int64 step.Rows.Length * int64 step.Rows[0].Length > int64 largestMatrix

        let hidden, output = Array.splitAt (chain.Steps.Length - 1) chain.Steps

        if hidden.Length = 0 then
            Error unsuitable
        elif Array.exists isTooLarge chain.Steps then
            Error "a layer is too large"
        else
            Ok
                {
                    Hidden = hidden |> Array.map layer |> List.ofArray
                    Output = layer output[0]
                }
