namespace LipVerify.Formats

open LipVerify.Core
open LipVerify.Compute

/// Extents of a square or rectangular window and how it moves, in elements: (vertical, horizontal).
type WindowSpec =
    {
        /// Taps.
        Kernel: int * int
        /// Distance between neighbouring windows.
        Stride: int * int
        /// Virtual elements on each side.
        Padding: int * int
        /// Distance between neighbouring taps.
        Dilation: int * int
    }

/// One layer of a known architecture. Names are prefixes of parameters in the state dict: `conv1` has `conv1.weight`.
type LayerSpec =
    /// A convolution with weights `name.weight`, shape `outputs × inputs/groups × kernel`, and, with `bias`, `name.bias`.
    | Conv2d of name: string * inputs: int * outputs: int * window: WindowSpec * groups: int * bias: bool
    /// A fully connected layer with weights `name.weight`, shape `outputs × inputs`, and, with `bias`, `name.bias`.
    | Linear of name: string * inputs: int * outputs: int * bias: bool
    /// Batch normalisation at inference: `weight`, `bias`, `running_mean`, `running_var` under `name`.
    | BatchNorm2d of name: string * channels: int * epsilon: float
    /// `max(x, 0)`.
    | ReluLayer
    /// Max pooling.
    | MaxPool2d of window: WindowSpec * ceilMode: bool
    /// Average pooling.
    | AvgPool2d of window: WindowSpec * ceilMode: bool * countPadding: bool
    /// Average pooling to the given output, whose extents must divide those of the input.
    | AdaptiveAvgPool2d of height: int * width: int
    /// All values in one row.
    | Flatten
    /// The identity at inference.
    | Dropout

/// A sequential architecture, to be filled with the tensors of a state dict.
type Architecture =
    {
        /// Name, as given on the command line.
        Name: string
        /// Shape of one input.
        Input: Shape
        /// Layers in order.
        Layers: LayerSpec list
    }

/// Values for the parameters of an architecture: name and expected shape to a tensor, or why there is none.
type ParameterSource = string -> Shape -> Result<Tensor, string>

module Architecture =

    let private axis input (kernel, stride, padding, dilation, ceilMode) =
        WindowAxis(input, kernel, stride, padding, padding, dilation, ceilMode)

    let private axes (height, width) window ceilMode =
        let part pick extent =
            axis extent (pick window.Kernel, pick window.Stride, pick window.Padding, pick window.Dilation, ceilMode)

        struct (part fst height, part snd width)

    let private bias (parameters: ParameterSource) name outputs wanted =
        if wanted then
            parameters $"{name}.bias" [ outputs ]
        else
            Ok(Tensor.create [ outputs ] 0.0)

    let private batchNorm (parameters: ParameterSource) name channels epsilon (shape: Shape) =
        result {
            let! weight = parameters $"{name}.weight" [ channels ]
            let! bias = parameters $"{name}.bias" [ channels ]
            let! mean = parameters $"{name}.running_mean" [ channels ]
            let! variance = parameters $"{name}.running_var" [ channels ]

            if Tensor.values variance |> Array.exists (fun v -> not (v + epsilon > 0.0)) then
                return! Error $"{name}.running_var: a variance is negative"
            else
                return BatchNormalization.layers shape weight bias mean variance epsilon
        }

    let private image name (shape: Shape) =
        match shape with
        | [ channels; height; width ] -> Ok struct (channels, height, width)
        | _ -> Error $"{name} needs an input channels × height × width, but gets {Shape.text shape}"

    let private pooling name shape window ceilMode make =
        result {
            let! struct (channels, height, width) = image name shape
            let struct (rows, columns) = axes (height, width) window ceilMode
            return make (PoolingGeometry(channels, rows, columns))
        }

    let private averagePooling countPadding geometry =
        Layer.linear (AveragePooling(AveragePooling.create geometry countPadding))

    let private adaptivePooling shape (height, width) =
        result {
            let! struct (channels, inHeight, inWidth) = image "adaptive average pooling" shape

            if inHeight % height <> 0 || inWidth % width <> 0 then
                return!
                    Error
                        $"adaptive average pooling from {inHeight}×{inWidth} to {height}×{width} needs extents that divide"
            elif (inHeight, inWidth) = (height, width) then
                return Identity
            else
                let part extent out =
                    WindowAxis(extent, extent / out, extent / out)

                return averagePooling false (PoolingGeometry(channels, part inHeight height, part inWidth width))
        }

    let private single layer = Result.map List.singleton layer

    let private layersOf (parameters: ParameterSource) (shape: Shape) spec : Result<Layer list, string> =
        match spec with
        | Conv2d(name, inputs, outputs, window, groups, hasBias) ->
            result {
                let! struct (_, height, width) = image name shape
                let struct (rows, columns) = axes (height, width) window false

                let! weights =
                    parameters $"{name}.weight" [ outputs; inputs / groups; fst window.Kernel; snd window.Kernel ]

                let! bias = bias parameters name outputs hasBias

                return
                    [
                        Layer.convolution (ConvolutionGeometry(inputs, outputs, rows, columns, groups)) weights bias
                    ]
            }
        | Linear(name, inputs, outputs, hasBias) ->
            result {
                let! weights = parameters $"{name}.weight" [ outputs; inputs ]
                let! bias = bias parameters name outputs hasBias
                return [ Layer.dense weights bias ]
            }
        | BatchNorm2d(name, channels, epsilon) -> batchNorm parameters name channels epsilon shape
        | ReluLayer -> Ok [ Relu ]
        | MaxPool2d(window, ceilMode) -> pooling "max pooling" shape window ceilMode Layer.maxPooling |> single
        | AvgPool2d(window, ceilMode, countPadding) ->
            pooling "average pooling" shape window ceilMode (averagePooling countPadding)
            |> single
        | AdaptiveAvgPool2d(height, width) -> adaptivePooling shape (height, width) |> single
        | Flatten -> Ok [ Reshape [ Shape.size shape ] ]
        | Dropout -> Ok [ Identity ]

    let private kind spec =
        match spec with
        | Conv2d(name, _, _, _, _, _)
        | Linear(name, _, _, _)
        | BatchNorm2d(name, _, _) -> name
        | ReluLayer -> "relu"
        | MaxPool2d _ -> "maxpool"
        | AvgPool2d _
        | AdaptiveAvgPool2d _ -> "avgpool"
        | Flatten -> "flatten"
        | Dropout -> "dropout"

    /// Layers have the name of their parameters, others that of their kind with a running number: `relu1`, `maxpool2`.
    let private names (specs: LayerSpec list) =
        let step counts spec =
            match spec with
            | Conv2d _
            | Linear _
            | BatchNorm2d _ -> kind spec, counts
            | _ ->
                let kind = kind spec
                let number = 1 + (counts |> Map.tryFind kind |> Option.defaultValue 0)
                $"{kind}{number}", counts |> Map.add kind number

        specs |> List.mapFold step Map.empty |> fst

    /// The layers of `spec`, with failed constructor checks turned into one line that names them.
    let private tryLayers parameters shape index (name, spec) =
        let place problem = $"layer {index} ({name}): {problem}"

        try
            layersOf parameters shape spec |> Result.mapError place
        with
        | :? System.ArgumentException as failure -> Error(place failure.Message)
        | :? System.OverflowException -> Error(place "its tensors would hold more than 2^31 values")

    /// Puts `layer` behind `steps`, last first. What a batch normalisation subtracts goes into the bias before it where that is exact.
    let private append name steps layer =
        match steps, layer with
        | Step(before, affine) :: earlier, Affine(Diagonal scale, term) when
            Array.forall ((=) 1.0) (Tensor.values scale)
            && (Layer.tryAdd term affine).IsSome
            ->
            Step(before, (Layer.tryAdd term affine).Value) :: earlier
        | _ -> Step(name, layer) :: steps

    /// The network of an architecture with the given parameters, or the first layer that does not fit and why.
    let build (parameters: ParameterSource) (architecture: Architecture) : Result<Network, string> =
        let add state (index, (name, spec)) =
            result {
                let! (steps, shape) = state
                let! layers = tryLayers parameters shape index (name, spec)

                let! output =
                    (Ok shape, layers)
                    ||> List.fold (fun shape layer -> shape |> Result.bind (fun shape -> Layer.outputShape shape layer))
                    |> Result.mapError (fun problem -> $"layer {index} ({name}) {problem}")

                return List.fold (append name) steps layers, output
            }

        result {
            let! (steps, _) =
                List.zip (names architecture.Layers) architecture.Layers
                |> List.indexed
                |> List.fold add (Ok([], architecture.Input))

            return! Network.create architecture.Input (Series(List.rev steps))
        }
