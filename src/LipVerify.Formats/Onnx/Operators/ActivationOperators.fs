namespace LipVerify.Formats.OnnxGraph

open System
open LipVerify.Core.Computation
open LipVerify.Core.Activations
open LipVerify.Core.Networks
open LipVerify.Formats

/// Activations, entry by entry.
module internal ActivationOperators =

    /// The activation behind the input of a node, and what it is called in products.
    let private knownBehind (context: NodeContext) step (kind: Activation) =
        result {
            let! x = Attributes.computed 0 context

            return
                Layer.activation kind
                |> Chain.append context x.Link.Extents x.Shape x
                |> Chain.known step
                |> Computed
        }

    let private behind context kind = knownBehind context None kind

    /// An operator without attributes.
    let private step name kind (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [] context
            do! Attributes.atMost 1 context
            return! knownBehind context name kind
        }

    let private plain kind = step None kind

    let relu = plain Relu.activation
    let sigmoid = step (Some Logistic) Sigmoid.activation
    let tanh = step (Some Tangent) Tanh.activation
    let erf = step (Some ErrorFunction) Erf.activation
    let softplus = step (Some LogExp) Softplus.activation
    let softsign = plain Softsign.activation
    let hardSwish = plain HardSwish.activation
    let mish = plain Mish.activation
    let absolute = plain (LeakyRelu.activation -1.0)

    /// An operator with one number, and a value that it has where the node does not say.
    let private withNumber name fallback (kind: float -> Activation) (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ name ] context
            do! Attributes.atMost 1 context
            let! number = Attributes.real name fallback context
            return! behind context (kind number)
        }

    let leakyRelu = withNumber "alpha" (float 0.01f) LeakyRelu.activation
    let elu = withNumber "alpha" 1.0 Elu.elu
    let celu = withNumber "alpha" 1.0 Elu.celu

    /// Swish, for the factor 1.
    let swish (context: NodeContext) : Result<Value, string> =
        result {
            let! alpha = Attributes.real "alpha" 1.0 context
            do! require (alpha = 1.0) (fun () -> $"attribute 'alpha' is {alpha}; only 1 is supported")
            return! withNumber "alpha" 1.0 (fun _ -> Silu.activation) context
        }

    /// Selu.
    let selu (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "alpha"; "gamma" ] context
            do! Attributes.atMost 1 context
            let! alpha = Attributes.real "alpha" 1.67326319217681884765625 context
            let! gamma = Attributes.real "gamma" 1.05070102214813232421875 context
            return! behind context (Elu.selu alpha gamma)
        }

    /// HardSigmoid.
    let hardSigmoid (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "alpha"; "beta" ] context
            do! Attributes.atMost 1 context
            let! alpha = Attributes.real "alpha" (float 0.2f) context
            let! beta = Attributes.real "beta" 0.5 context
            return! knownBehind context (Some(Ramp(alpha, beta))) (HardSigmoid.activation alpha beta)
        }

    /// Gelu.
    let gelu (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "approximate" ] context
            do! Attributes.atMost 1 context

            match! Attributes.text "approximate" "none" context with
            | "none" -> return! behind context Gelu.activation
            | "tanh" -> return! behind context Gelu.byTanh
            | other -> return! Error $"attribute 'approximate' is '{other}'; 'none' and 'tanh' are known"
        }

    /// Clip, whose bounds are attributes until operator set 11 and inputs from there on.
    let clip (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "max"; "min" ] context
            do! Attributes.atMost 3 context
            let! low = Attributes.real "min" Double.NegativeInfinity context
            let! high = Attributes.real "max" Double.PositiveInfinity context

            let bound index attribute =
                Attributes.optionalReals index context
                |> Result.bind (fun given ->
                    match given with
                    | None -> Ok attribute
                    | Some tensor when tensor.Length = 1 -> Ok(Array.head (Tensor.values tensor))
                    | Some tensor -> Error $"has a bound of shape {Shape.text tensor.Shape}; a number is needed")

            let! low = bound 1 low
            let! high = bound 2 high
            let! x = Attributes.computed 0 context

            // The default bounds of files before operator set 11 are the ends of single precision.
            let isEnd (value: float) = Math.Abs value >= float Single.MaxValue

            if isEnd low && isEnd high && low < high then
                return Computed(Chain.view context x.Shape x)
            else
                do! require (low < high) (fun () -> $"clips between {low} and {high}, which leaves no number or one")

                let low = if isEnd low then Double.NegativeInfinity else low
                let high = if isEnd high then Double.PositiveInfinity else high
                return! knownBehind context (Some(Between(low, high))) (Clip.activation low high)
        }

    /// PRelu: one slope, or one a channel.
    let prelu (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [] context
            do! Attributes.atMost 2 context
            let! x = Attributes.computed 0 context
            let! slopes = Attributes.reals 1 context

            match Constants.broadcastShape x.Shape slopes.Shape with
            | Some shape when Shape.size shape = Shape.size x.Shape ->
                do! context.Charge(int64 (Shape.size shape))
                let spread = Constants.broadcast shape slopes
                let distinct = Array.distinct spread
                do! require (distinct.Length <= 65536) (fun () -> $"has {distinct.Length} different slopes")
                let places = distinct |> Array.mapi (fun k slope -> slope, k) |> dict
                let kinds = distinct |> Array.map LeakyRelu.activation
                let choice = spread |> Array.map (fun slope -> places[slope])

                return
                    Activation(EntryActivations.chosen kinds choice)
                    |> Chain.append context x.Link.Extents x.Shape x
                    |> Computed
            | _ ->
                return!
                    Error $"has slopes of shape {Shape.text slopes.Shape} for a tensor of shape {Shape.text x.Shape}"
        }

    /// Step functions have no Lipschitz constant.
    let discontinuous (context: NodeContext) : Result<Value, string> =
        Error $"{context.Node.Operator} jumps, so that a network with it has no Lipschitz constant"
