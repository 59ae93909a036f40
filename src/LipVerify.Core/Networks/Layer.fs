namespace LipVerify.Core.Networks

open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Activations

/// One layer: an immutable value. Adding a kind means one case here and its clause in the functions that match on it.
[<ReferenceEquality>]
type Layer =
    /// `x ↦ A x + b`; the bias has one value an output coordinate.
    | Affine of map: LinearMap * bias: Tensor
    /// `x ↦ σ(x)`, entry by entry.
    | Activation of EntryActivations
    /// The largest value of each window; padding never wins.
    | MaxPooling of PoolingGeometry
    /// The same values under another shape (flatten, reshape, squeeze).
    | Reshape of Shape
    /// The identity: dropout at inference.
    | Identity

module Layer =

    /// A bias of one value a channel (or one an output), spread over all outputs of the map.
    let private spreadBias map (bias: Tensor) =
        let shape = LinearMap.outputShape map
        let size = Shape.size shape

        if bias.Length = size then
            Tensor.reshape shape bias
        elif bias.Length = List.head shape then
            let perChannel = size / bias.Length
            let values = Tensor.values bias
            Tensor.ofArray shape (Array.init size (fun i -> values[i / perChannel]))
        else
            invalidArg (nameof bias) $"a bias of {bias.Length} values does not fit the output {Shape.text shape}"

    /// An affine layer. The bias has one value an output, or one a channel.
    let affine map bias = Affine(map, spreadBias map bias)

    /// An affine layer without bias.
    let linear map =
        Affine(map, Tensor.create (LinearMap.outputShape map) 0.0)

    /// A fully connected layer from weights `outputs × inputs` and `outputs` biases.
    let dense weights bias =
        affine (Dense(Dense.create weights)) bias

    /// A convolutional layer with one bias a channel.
    let convolution geometry weights bias =
        affine (Convolution(Convolution.create geometry weights)) bias

    // Exact where one of the terms is 0 or the rounding error of the sum (Knuth's two-sum) is.
    let private addsExactly (a: float) (b: float) =
        let sum = a + b
        let part = sum - a
        (a - (sum - part)) + (b - part) = 0.0

    /// `x ↦ layer(x) + term` as one layer: an affine one whose bias takes the term without rounding.
    let tryAdd (term: Tensor) layer =
        match layer with
        | Affine(map, bias) when Array.forall2 addsExactly (Tensor.values bias) (Tensor.values term) ->
            Some(Affine(map, Tensor.map2 (+) bias (Tensor.reshape bias.Shape term)))
        | _ -> None

    /// The same activation for all entries.
    let activation kind = Activation(EntryActivations.all kind)

    /// `x ↦ max(x, 0)`, entry by entry.
    let relu = activation Relu.activation

    /// Max pooling over the windows of `geometry`.
    let maxPooling (geometry: PoolingGeometry) =
        geometry.Validate()
        MaxPooling geometry

    let rec private mapKind map =
        match map with
        | Dense _ -> "dense"
        | Convolution _ -> "conv2d"
        | AveragePooling _ -> "avgpool2d"
        | Sparse _ -> "sparse"
        | Diagonal _ -> "diagonal"
        | Scaled(_, map) -> mapKind map + "+diagonal"
        | Rounded(_, map) -> mapKind map

    /// The kind in reports: `conv2d`, `dense`, `maxpool2d`, …
    let kind layer =
        match layer with
        | Affine(map, _) -> mapKind map
        | Activation activations -> activations.Name
        | MaxPooling _ -> "maxpool2d"
        | Reshape _ -> "reshape"
        | Identity -> "identity"

    /// Why the parts of a linear map do not fit each other.
    let rec private misfit map =
        match map with
        | Scaled(scale, map) when scale.Length <> LinearMap.outputs map ->
            Some $"has a scale of {scale.Length} values for {LinearMap.outputs map} outputs"
        | Scaled(_, map) -> misfit map
        | Rounded(roundings, _) when roundings < 0 -> Some $"has {roundings} roundings"
        | Rounded(_, map) -> misfit map
        | Dense _
        | Convolution _
        | AveragePooling _
        | Sparse _
        | Diagonal _ -> None

    /// What is wrong with a layer by itself: its cases are public, so that one may be put together without the
    /// functions above.
    let private defect layer =
        match layer with
        | Affine(map, bias) ->
            let outputs = LinearMap.outputs map

            match misfit map with
            | None when bias.Length <> outputs -> Some $"has a bias of {bias.Length} values for {outputs} outputs"
            | problem -> problem
        | MaxPooling geometry ->
            try
                geometry.Validate()
                None
            with :? System.ArgumentException as problem ->
                Some $"is no pooling layer: {problem.Message}"
        | Reshape shape when shape |> List.exists (fun extent -> extent < 1) ->
            Some $"cannot reshape to {Shape.text shape}: extents must be positive"
        | Reshape _
        | Activation _
        | Identity -> None

    /// The output shape of a layer that is right by itself.
    let private fit (input: Shape) layer : Result<Shape, string> =
        let require (expected: Shape) output =
            if input = expected then
                Ok output
            else
                Error $"expects an input of {Shape.text expected}, but gets {Shape.text input}"

        match layer with
        | Affine(map, _) -> require (LinearMap.inputShape map) (LinearMap.outputShape map)
        | MaxPooling geometry ->
            let channels = geometry.Channels

            require
                [ channels; geometry.Rows.Input; geometry.Columns.Input ]
                [ channels; geometry.Rows.Output; geometry.Columns.Output ]
        | Reshape shape when Shape.size shape = Shape.size input -> Ok shape
        | Reshape shape ->
            Error
                $"cannot reshape {Shape.text input} ({Shape.size input} values) to {Shape.text shape} ({Shape.size shape} values)"
        | Activation activations ->
            match activations.Size with
            | Some size when size <> Shape.size input ->
                Error $"has activations for {size} values, but gets {Shape.text input} ({Shape.size input} values)"
            | _ -> Ok input
        | Identity -> Ok input

    /// The shape that the layer makes of `input`, or why the two do not fit.
    let outputShape (input: Shape) layer : Result<Shape, string> =
        match defect layer with
        | Some problem -> Error problem
        | None -> fit input layer

    /// `y ← layer(x)` for each row of a batch; the result is a fresh block unless the layer leaves values as they are.
    let apply (engine: IEngine) layer batch (x: Storage) : Storage =
        match layer with
        | Affine(map, bias) ->
            let y = engine.Allocate(Checked.(*) batch (LinearMap.outputs map))
            LinearMap.apply engine map batch x y
            engine.AddToRows(y, batch, bias.Storage, y)
            y
        | Activation activations when activations.IsRelu ->
            let y = engine.Allocate x.Length
            engine.Rectify(x, y)
            y
        | Activation activations ->
            EntryActivations.values activations (Tensor.values (Tensor.ofStorage [ x.Length ] x)) batch
        | MaxPooling geometry ->
            let y = engine.Allocate(Checked.(*) batch geometry.OutputSize)
            engine.MaxPool(&geometry, x, batch, y, null)
            y
        | Reshape _
        | Identity -> x

    /// The weight tensors of a linear map.
    let rec private weights map =
        match map with
        | Dense dense -> [ dense.Weights ]
        | Convolution convolution -> [ convolution.Weights ]
        | AveragePooling _ -> []
        | Sparse sparse -> [ sparse.Values ]
        | Diagonal scale -> [ scale ]
        | Scaled(scale, map) -> scale :: weights map
        | Rounded(_, map) -> weights map

    /// The parameters behind values that may have been spread over channels.
    let private storedCount (spread: Tensor) =
        let values = Tensor.values spread
        let channels = List.head spread.Shape
        let perChannel = values.Length / channels

        let isSpread =
            Seq.forall (fun i -> values[i] = values[i / perChannel * perChannel]) (seq { 0 .. values.Length - 1 })

        if isSpread then channels else values.Length

    /// The number of weights and biases; one that is shared by a channel counts once, and a scale of ones is none.
    let parameterCount layer =
        match layer with
        | Affine((AveragePooling _ | Sparse _), _) -> 0
        | Affine(map, bias) ->
            let isIdentity (tensor: Tensor) =
                Array.forall ((=) 1.0) (Tensor.values tensor)

            let scales, weights =
                weights map
                |> List.partition (fun (tensor: Tensor) -> tensor.Shape = bias.Shape)

            let scales = scales |> List.filter (isIdentity >> not)

            List.sumBy (fun (tensor: Tensor) -> tensor.Length) weights
            + List.sumBy storedCount (bias :: scales)
        | Activation activations -> activations.Parameters
        | MaxPooling _
        | Reshape _
        | Identity -> 0

    /// Where a layer holds a weight or bias that is not a finite number.
    let nonFinite layer =
        match layer with
        | Affine(map, _) when not (List.forall Tensor.isFinite (weights map)) -> Some "weights"
        | Affine(_, bias) when not (Tensor.isFinite bias) -> Some "bias"
        | _ -> None
