namespace LipVerify.Formats.OnnxGraph

open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Formats

/// ConvTranspose over images and sequences: the adjoint of a convolution, by its entries.
module internal ConvTransposeOperator =

    /// Along one axis: the taps that reach an output, with the inputs that they take.
    let private taps input kernel stride dilation before output : struct (int * int)[][] =
        Array.init output (fun o ->
            [|
                for tap in 0 .. kernel - 1 do
                    let from = o + before - tap * dilation

                    if from >= 0 && from % stride = 0 && from / stride < input then
                        struct (tap, from / stride)
            |])

    /// ConvTranspose.
    let convTranspose (context: NodeContext) : Result<Value, string> =
        result {
            do!
                Attributes.only
                    [
                        "auto_pad"
                        "dilations"
                        "group"
                        "kernel_shape"
                        "output_padding"
                        "pads"
                        "strides"
                    ]
                    context

            do! Attributes.atMost 3 context
            let! mode = Attributes.text "auto_pad" "NOTSET" context

            do!
                require (mode = "NOTSET") (fun () ->
                    $"attribute 'auto_pad' is '{mode}'; only explicit padding is supported")

            let! x = Attributes.computed 0 context
            let! image = Windows.image context x
            let! weights = Attributes.reals 1 context
            let! bias = Attributes.optionalReals 2 context
            let! groups = Attributes.integer "group" 1 context
            let rank = image.Spatial.Length
            let! strides = Attributes.integersOf rank "strides" 1 context
            let! dilations = Attributes.integersOf rank "dilations" 1 context
            let! pads = Attributes.integersOf (2 * rank) "pads" 0 context
            let! further = Attributes.integersOf rank "output_padding" 0 context

            match weights.Shape with
            | inputs :: perGroup :: kernel when
                kernel.Length = rank
                && inputs = image.Channels
                && groups > 0
                && inputs % groups = 0
                ->
                let positive = List.forall (fun value -> value > 0 && value < 65536)
                let natural = List.forall (fun value -> value >= 0 && value < 65536)

                do!
                    require (positive strides && positive dilations && natural pads && natural further) (fun () ->
                        "has a stride, dilation or padding out of range")

                let spatial =
                    List.init rank (fun axis ->
                        strides[axis] * (image.Spatial[axis] - 1)
                        + further[axis]
                        + (kernel[axis] - 1) * dilations[axis]
                        + 1
                        - pads[axis]
                        - pads[axis + rank])

                let channels = perGroup * groups
                let! extents = Extents.shape (List.map int64 (channels :: spatial))
                let shape = 1 :: extents

                let axes =
                    Array.init rank (fun axis ->
                        taps image.Spatial[axis] kernel[axis] strides[axis] dilations[axis] pads[axis] spatial[axis])

                let inputsPerGroup = inputs / groups
                let values, kernels = Tensor.values weights, Array.ofList kernel

                let inputExtents, outcome =
                    Array.ofList (image.Channels :: image.Spatial), Array.ofList extents

                let row position =
                    let index = Selections.indexOf outcome position
                    let channel = index[0]
                    let group = channel / perGroup

                    /// Taps and inputs along all axes.
                    let places =
                        ([| struct (0, 0) |], [ 0 .. rank - 1 ])
                        ||> List.fold (fun places axis ->
                            Array.allPairs places (Array.item index[axis + 1] axes[axis])
                            |> Array.map (fun (struct (tap, place), struct (further, input)) ->
                                struct (tap * kernels[axis] + further, place * inputExtents[axis + 1] + input)))

                    let kernelSize, imageSize =
                        Array.fold (*) 1 kernels, Array.fold (*) 1 inputExtents[1..]

                    [|
                        for input in group * inputsPerGroup .. (group + 1) * inputsPerGroup - 1 do
                            let block = (input * perGroup + channel % perGroup) * kernelSize

                            for struct (tap, place) in places do
                                let weight = values[block + tap]

                                if weight <> 0.0 then
                                    struct (input * imageSize + place, weight)
                    |]

                let most =
                    axes
                    |> Array.map (fun taps -> taps |> Array.map Array.length |> Array.max)
                    |> Array.fold (*) inputsPerGroup

                let source = Chain.reshape context.Layer (List.ofArray inputExtents) image.Source

                let! linear =
                    Selections.linear (if bias.IsSome then Attributes.inside context else context) shape source most row

                match bias with
                | None -> return Computed linear
                | Some bias ->
                    do!
                        require (bias.Length = channels) (fun () ->
                            $"has a bias of {bias.Length} values for {channels} channels")

                    let spread = Shape.size spatial
                    let bias = Tensor.values bias
                    let term = Array.init (channels * spread) (fun i -> bias[i / spread])
                    return! Chain.addBias context shape linear term |> Result.map Computed
            | shape ->
                return! Error $"has weights of shape {Shape.text shape} for an input of shape {Shape.text x.Shape}"
        }
