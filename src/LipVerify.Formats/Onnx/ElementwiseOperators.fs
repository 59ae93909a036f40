namespace LipVerify.Formats.OnnxGraph

open System
open LipVerify.Core
open LipVerify.Formats

/// Operators that treat every entry on its own: arithmetic with constants, batch normalisation, Relu.
module internal ElementwiseOperators =

    /// The constant `c` spread over `x`, and the shape of the outcome. The constant must not enlarge `x`.
    let private spread (context: NodeContext) (x: Computed) (c: Tensor) =
        match Constants.broadcastShape x.Shape c.Shape with
        | None -> Error $"combines shapes {Shape.text x.Shape} and {Shape.text c.Shape}, which do not broadcast"
        | Some shape when
            Extents.shape (List.map int64 shape) |> Result.map Shape.size
            <> Ok(Shape.size x.Shape)
            ->
            Error
                $"broadcasts a computed tensor of shape {Shape.text x.Shape} to {Shape.text shape}; only constants may be broadcast"
        | Some shape ->
            context.Charge(int64 (Shape.size shape))
            |> Result.map (fun () -> shape, Constants.broadcast shape c)

    let private fill (values: float[]) value = Array.create values.Length value

    let private finite (what: string) (values: float[]) =
        require (Array.forall Double.IsFinite values) (fun () -> $"{what} is not finite")

    let private addConstant (context: NodeContext) x c =
        result {
            let! shape, c = spread context x c
            return! Chain.addBias context shape x c
        }

    let private subtractConstant (context: NodeContext) x c =
        result {
            let! shape, c = spread context x c
            return! Chain.addBias context shape x (Array.map (~-) c)
        }

    let private subtractFromConstant (context: NodeContext) c x =
        result {
            let! shape, c = spread context x c
            return! Chain.scale context shape x (fill c -1.0) c
        }

    let private multiply (context: NodeContext) x c =
        result {
            let! shape, c = spread context x c
            return! Chain.scale context shape x c (fill c 0.0)
        }

    let private divide (context: NodeContext) x c =
        result {
            let! shape, c = spread context x c
            do! require (not (Array.contains 0.0 c)) (fun () -> "divides by 0")
            let factor = Array.map (fun value -> 1.0 / value) c
            do! finite "the reciprocal of the divisor" factor
            return! Chain.scale context shape x factor (fill c 0.0)
        }

    /// Two operands of which one is constant; `both` serves two computed ones.
    let private binary (context: NodeContext) constantRight constantLeft both =
        result {
            do! Attributes.only [] context
            do! Attributes.atMost 2 context
            let! a = Attributes.input 0 context
            let! b = Attributes.input 1 context

            match a, b with
            | Computed x, Computed y -> return! both context x y |> Result.map Computed
            | Computed x, _ ->
                let! c = Attributes.reals 1 context
                return! constantRight context x c |> Result.map Computed
            | _, Computed x ->
                let! c = Attributes.reals 0 context
                return! constantLeft context c x |> Result.map Computed
            | Unavailable reason, _
            | _, Unavailable reason -> return! Error reason
            | Constant _, Constant _ -> return! Error "has two constant operands, which is not supported"
        }

    let private twoComputed _ _ _ =
        Error "combines two computed tensors; one operand must be constant (only Add may join two branches)"

    let private swap operation (context: NodeContext) c x = operation context x c

    /// Add of a constant (a bias), or of two branches (a residual sum).
    let add (context: NodeContext) =
        binary context addConstant (swap addConstant) Chain.sum

    /// Sub of or from a constant.
    let sub (context: NodeContext) =
        binary context subtractConstant subtractFromConstant twoComputed

    /// Mul by a constant.
    let mul (context: NodeContext) =
        binary context multiply (swap multiply) twoComputed

    /// Div by a constant: multiplication by its reciprocal, rounded to double precision.
    let div (context: NodeContext) =
        binary
            context
            divide
            (fun _ _ _ -> Error "divides a constant by a computed tensor, which is not supported")
            twoComputed

    let private perChannel name channels (tensor: Tensor) =
        require (tensor.Shape = [ channels ]) (fun () ->
            $"has a {name} of shape {Shape.text tensor.Shape} for {channels} channels")

    let private spreadChannels (shape: Shape) (values: float[]) =
        let inner = Shape.size (List.skip 2 shape)
        Array.init (values.Length * inner) (fun i -> values[i / inner])

    /// BatchNormalization at inference: `gamma/√(var + eps)` as a diagonal and `beta − mean·scale` as its bias, in double
    /// precision.
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
                do! require (not negative) (fun () -> "has a negative variance")
                do! require (epsilon >= 0.0) (fun () -> $"attribute 'epsilon' is {epsilon}; it must not be negative")

                let deviation =
                    Tensor.values variance |> Array.map (fun value -> sqrt (value + epsilon))

                let scale = Array.map2 (/) (Tensor.values gamma) deviation

                let shift =
                    Array.map3 (fun b m s -> b - m * s) (Tensor.values beta) (Tensor.values mean) scale

                do! finite "the scale gamma / sqrt(variance + epsilon)" scale
                do! finite "the bias" shift
                do! context.Charge(2L * int64 (Shape.size x.Shape))

                let! normalised =
                    Chain.scale context x.Shape x (spreadChannels x.Shape scale) (spreadChannels x.Shape shift)

                return Computed normalised
            | shape -> return! Error $"takes a tensor of shape {Shape.text shape}; 1 × channels × … is needed"
        }

    /// Relu.
    let relu (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [] context
            do! Attributes.atMost 1 context
            let! x = Attributes.computed 0 context
            return Computed(Chain.append context x.Link.Extents x.Shape x Layer.Relu)
        }

    /// Softmax and LogSoftmax, which only the end of a network may have: dropped, so that the outputs are the logits.
    let softmax (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "axis" ] context
            do! Attributes.atMost 1 context
            let! x = Attributes.computed 0 context

            do! require context.IsLast (fun () -> "is supported only as the last node, where it is dropped")

            context.Notice
                $"the final {context.Node.Operator} is dropped: outputs, bounds and margins are those of the logits before it"

            return Computed(Chain.view context x.Shape x)
        }
