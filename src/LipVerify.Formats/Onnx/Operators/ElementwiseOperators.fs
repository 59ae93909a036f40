namespace LipVerify.Formats.OnnxGraph

open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Formats

/// Batch normalisation and the softmaxes.
module internal ElementwiseOperators =

    let private perChannel name channels (tensor: Tensor) =
        require (tensor.Shape = [ channels ]) (fun () ->
            $"has a {name} of shape {Shape.text tensor.Shape} for {channels} channels")

    let private spreadChannels (shape: Shape) (values: float[]) =
        let inner = Shape.size (List.skip 2 shape)
        Array.init (values.Length * inner) (fun i -> values[i / inner])

    /// BatchNormalization at inference: `−mean` joins the bias of the layer before where that is exact; the factors
    /// `gamma/√(var + eps)`, with what rounding takes from them, and `beta` are a layer of their own.
    let batchNormalization (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "epsilon"; "is_test"; "momentum"; "spatial"; "training_mode" ] context
            do! Attributes.must "is_test" 1 context
            do! Attributes.must "spatial" 1 context
            do! Attributes.must "training_mode" 0 context
            do! Attributes.atMost 5 context
            let! x = Attributes.computed 0 context
            let! epsilon = Attributes.real "epsilon" (float 1e-5f) context
            let! gamma = Attributes.reals 1 context
            let! beta = Attributes.reals 2 context
            let! mean = Attributes.reals 3 context
            let! variance = Attributes.reals 4 context

            match x.Shape with
            | 1 :: channels :: _ ->
                do! perChannel "scale" channels gamma
                do! perChannel "bias" channels beta
                do! perChannel "mean" channels mean
                do! perChannel "variance" channels variance
                let negative = Tensor.values variance |> Array.exists (fun value -> value < 0.0)
                do! require (not negative) (fun () -> "has a negative variance, which is not supported")
                do! require (epsilon >= 0.0) (fun () -> $"attribute 'epsilon' is {epsilon}; it must not be negative")

                do! context.Charge(3L * int64 (Shape.size x.Shape))
                let extents = x.Link.Extents

                let spread (tensor: Tensor) =
                    spreadChannels x.Shape (Tensor.values tensor)

                let! centred =
                    Chain.addBias { context with OutputShared = false } x.Shape x (spread mean |> Array.map (~-))

                let factors =
                    Quotients.perDeviation extents (spread gamma) (spread variance) epsilon

                let normalised =
                    Layer.affine factors (Tensor.ofArray extents (spread beta))
                    |> Chain.append context extents x.Shape centred

                return Computed normalised
            | shape -> return! Error $"takes a tensor of shape {Shape.text shape}; 1 × channels × … is needed"
        }

    // Until operator set 12 over all axes from `axis` on, by default 1; later along one axis, by default the last.
    let private softmaxOver (context: NodeContext) (shape: Shape) : Result<Softmax, string> =
        let size (shape: Shape) = Shape.size shape

        result {
            let! axis = Attributes.integer "axis" (if context.Opset < 13L then 1 else -1) context
            let place = if axis < 0 then axis + shape.Length else axis

            do!
                require (place >= 0 && place < shape.Length) (fun () ->
                    $"attribute 'axis' is {axis} for {shape.Length} axes")

            let outer, rest = List.splitAt place shape

            return
                if context.Opset < 13L then
                    {
                        Outer = size outer
                        Classes = size rest
                        Inner = 1
                    }
                else
                    {
                        Outer = size outer
                        Classes = rest.Head
                        Inner = size rest.Tail
                    }
        }

    /// Softmax, which only the end of a network may have: left out, so that bounds are those of the logits.
    let softmax (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "axis" ] context
            do! Attributes.atMost 1 context
            let! x = Attributes.computed 0 context
            do! require context.IsLast (fun () -> "is supported only as the last node, where it is left out")
            let! softmax = softmaxOver context x.Shape
            context.LeaveOut softmax

            context.Notice
                "the final Softmax is left out: bounds, margins and enclosures are those of the logits before it; outputs that are shown are the probabilities behind it"

            return Computed(Chain.view context x.Shape x)
        }

    /// LogSoftmax, which may stretch by more than what is before it.
    let logSoftmax (context: NodeContext) : Result<Value, string> =
        Error
            $"LogSoftmax is not supported: of n outputs its own Lipschitz constant is √n; take the node out, so that '{context.Node.Inputs[0]}' is the output: classes and margins stay the same"
