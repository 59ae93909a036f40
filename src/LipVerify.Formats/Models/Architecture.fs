namespace LipVerify.Formats

open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Compute

/// A sequential architecture, to be filled with the tensors of a state dict.
[<NoComparison>]
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

    /// The most values that the outputs of all layers have together: ten times those of VGG-16. A description of a few bytes
    /// must not ask for more memory than there is.
    let private mostValues = int64 TensorLimit.Values

    let private axis input (kernel, stride, padding, dilation, ceilMode) =
        WindowAxis(input, kernel, stride, padding, padding, dilation, ceilMode)

    let private axes (height, width) (window: WindowSpec) ceilMode =
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

    /// An output of `values` values where there is room for as many: before it is allocated.
    let private requireRoom room (values: int) =
        require (int64 values <= room) (fun () ->
            $"with its output of {values} values the layers have more than {mostValues} together, the most that is taken")

    let private pooling room name shape window ceilMode make =
        result {
            let! struct (channels, height, width) = image name shape
            let struct (rows, columns) = axes (height, width) window ceilMode
            let geometry = PoolingGeometry(channels, rows, columns)
            geometry.Validate()
            do! requireRoom room geometry.OutputSize
            return make geometry
        }

    let private averagePooling countPadding geometry =
        Layer.linear (AveragePooling(AveragePooling.create geometry countPadding))

    let private adaptivePooling room shape (height, width) =
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

                do! requireRoom room (channels * height * width)
                return averagePooling false (PoolingGeometry(channels, part inHeight height, part inWidth width))
        }

    let private single layer = Result.map List.singleton layer

    /// The layers of `spec`, whose output has at most `room` values where they are allocated with it.
    let private layersOf (parameters: ParameterSource) room (shape: Shape) spec : Result<Layer list, string> =
        match spec with
        | Conv2d(name, inputs, outputs, window, groups, hasBias) ->
            result {
                let! struct (_, height, width) = image name shape
                let struct (rows, columns) = axes (height, width) window false
                let geometry = ConvolutionGeometry(inputs, outputs, rows, columns, groups)
                geometry.Validate()
                do! requireRoom room geometry.OutputSize

                let! weights =
                    parameters $"{name}.weight" [ outputs; inputs / groups; fst window.Kernel; snd window.Kernel ]

                let! bias = bias parameters name outputs hasBias
                return [ Layer.convolution geometry weights bias ]
            }
        | Linear(name, inputs, outputs, hasBias) ->
            result {
                do! requireRoom room outputs
                let! weights = parameters $"{name}.weight" [ outputs; inputs ]
                let! bias = bias parameters name outputs hasBias
                return [ Layer.dense weights bias ]
            }
        | BatchNorm2d(name, channels, epsilon) ->
            requireRoom room (Shape.size shape)
            |> Result.bind (fun () -> batchNorm parameters name channels epsilon shape)
        | ActivationLayer activation -> Ok [ Layer.activation activation ]
        | MaxPool2d(window, ceilMode) -> pooling room "max pooling" shape window ceilMode Layer.maxPooling |> single
        | AvgPool2d(window, ceilMode, countPadding) ->
            pooling room "average pooling" shape window ceilMode (averagePooling countPadding)
            |> single
        | AdaptiveAvgPool2d(height, width) -> adaptivePooling room shape (height, width) |> single
        | Flatten -> Ok [ Reshape [ Shape.size shape ] ]
        | Dropout -> Ok [ Identity ]

    let private kind spec =
        match spec with
        | Conv2d(name, _, _, _, _, _)
        | Linear(name, _, _, _)
        | BatchNorm2d(name, _, _) -> name
        | ActivationLayer activation -> (activation.Name.Split '(')[0]
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
    let private tryLayers parameters room shape index (name, spec) =
        let place problem = $"layer {index} ({name}): {problem}"

        try
            LayerSpec.validate spec
            |> Result.bind (fun () -> layersOf parameters room shape spec)
            |> Result.mapError place
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
                let! (steps, shape, room) = state
                let! layers = tryLayers parameters room shape index (name, spec)

                let! output =
                    (Ok shape, layers)
                    ||> List.fold (fun shape layer -> shape |> Result.bind (fun shape -> Layer.outputShape shape layer))
                    |> Result.mapError (fun problem -> $"layer {index} ({name}) {problem}")

                return List.fold (append name) steps layers, output, room - int64 (Shape.size output)
            }

        let count = architecture.Layers.Length

        if count > Network.mostLayers then
            Error $"an architecture of {count} layers; at most {Network.mostLayers} are taken"
        else
            result {
                let! (steps, _, _) =
                    List.zip (names architecture.Layers) architecture.Layers
                    |> List.indexed
                    |> List.fold add (Ok([], architecture.Input, mostValues))

                return! Network.create architecture.Input (Series(List.rev steps))
            }
