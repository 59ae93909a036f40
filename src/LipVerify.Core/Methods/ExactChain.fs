namespace LipVerify.Core

open LipVerify.Compute

/// `x ↦ W x + b` with its rows at hand.
[<ReferenceEquality>]
type internal ReluStep =
    {
        /// The rows of `W`.
        Rows: float[][]
        /// `b`.
        Bias: float[]
    }

/// A network as dense affine maps with a ReLU between each two: `W_K relu(… relu(W_1 x + b_1) …) + b_K`.
[<ReferenceEquality>]
type internal ReluChain =
    {
        /// The affine maps; all but the last are followed by a ReLU.
        Steps: ReluStep[]
    }

    /// ReLUs in total.
    member chain.Neurons =
        Array.sumBy (fun step -> step.Rows.Length) chain.Steps
        - (Array.last chain.Steps).Rows.Length

module internal ReluChain =

    /// The most weights of one step that are written out.
    let private most = 20_000_000L

    let private identity size =
        {
            Rows = Array.init size (fun i -> Array.init size (fun j -> if i = j then 1.0 else 0.0))
            Bias = Array.zeroCreate size
        }

    let dot (a: float[]) (b: float[]) =
        let mutable sum = 0.0

        for i in 0 .. a.Length - 1 do
            sum <- sum + a[i] * b[i]

        sum

    /// `Σ_i weights_i·rows_i`.
    let combination (weights: float[]) (rows: float[][]) =
        let sum = Array.zeroCreate<float> rows[0].Length

        for i in 0 .. rows.Length - 1 do
            let weight = weights[i]

            if weight <> 0.0 then
                let row = rows[i]

                for j in 0 .. sum.Length - 1 do
                    sum[j] <- sum[j] + weight * row[j]

        sum

    /// One after the other, without a ReLU between.
    let private compose (first: ReluStep) (second: ReluStep) =
        {
            Rows = second.Rows |> Array.map (fun row -> combination row first.Rows)
            Bias = Array.map2 (fun row b -> dot row first.Bias + b) second.Rows second.Bias
        }

    /// The matrix of an affine stage, column by column, and its value at 0.
    let private write (context: Context) (layers: PlacedLayer list) map =
        let inputs, outputs = LinearMap.inputs map, LinearMap.outputs map
        let basis = Array.zeroCreate<float>(inputs * inputs)

        for i in 0 .. inputs - 1 do
            basis[i * inputs + i] <- 1.0

        let columns = Array.zeroCreate<float>(inputs * outputs)
        LinearMap.apply context.Engine map inputs (HostStorage basis) (HostStorage columns)

        let origin =
            (HostStorage(Array.zeroCreate inputs) :> Storage, layers)
            ||> List.fold (fun x layer -> Layer.apply context.Engine layer.Layer 1 x)

        {
            Rows = Array.init outputs (fun i -> Array.init inputs (fun j -> columns[j * outputs + i]))
            Bias = Tensor.values (Tensor.ofStorage [ outputs ] origin)
        }

    /// The steps so far, last first, and the affine map since the last ReLU.
    let private add context state stage =
        state
        |> Result.bind (fun (steps, pending: ReluStep) ->
            match stage with
            | AffineStage(_, map, _) when
                int64 (LinearMap.inputs map)
                * max (int64 (LinearMap.inputs map)) (int64 (LinearMap.outputs map))
                    >
                    most
                ->
                Error "a layer is too large to be written out as a matrix"
            | AffineStage(layers, map, rectified) ->
                let step = compose pending (write context layers map)

                if rectified then
                    Ok(step :: steps, identity step.Rows.Length)
                else
                    Ok(steps, step)
            | ReluStage _ -> Ok(pending :: steps, identity pending.Rows.Length)
            | MaxPoolingStage _ -> Error "the network has max pooling"
            | SumStage _ -> Error "the network has sums of branches")

    /// The value of the chain at a point.
    let evaluate (chain: ReluChain) (x: float[]) =
        let apply (values: float[]) (step: ReluStep) =
            Array.map2 (fun row b -> dot row values + b) step.Rows step.Bias

        chain.Steps[1..]
        |> Array.fold (fun values step -> apply (values |> Array.map (max 0.0)) step) (apply x chain.Steps[0])

    /// The network as a chain, or why it is none.
    let ofNetwork context (network: Network) =
        let size = Shape.size network.InputShape

        if int64 size * int64 size > most then
            Error "the input is too large"
        else
            (Ok([], identity size), Stage.ofNetwork network)
            ||> List.fold (add context)
            |> Result.map (fun (steps, last) ->
                {
                    Steps = Array.ofList (List.rev (last :: steps))
                })

    /// Beyond this the regions take too long to bound.
    let private mostNeurons = 2000

    /// The chain on whose slopes branch and bound branches, or why it does not.
    let branched context network (radius: Radius) =
        ofNetwork context network
        |> Result.bind (fun chain ->
            if radius.Value = 0.0 then
                Error "the ball is a point"
            elif chain.Neurons > mostNeurons then
                Error $"it has more than {mostNeurons} ReLUs"
            else
                Ok chain)
