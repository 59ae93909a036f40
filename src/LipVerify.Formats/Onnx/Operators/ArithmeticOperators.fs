namespace LipVerify.Formats.OnnxGraph

open System
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Formats

/// Arithmetic: with constants, between constants, and between branches.
module internal ArithmeticOperators =

    /// The constant `c` spread over `x`, and the shape of the outcome. The constant must not enlarge `x`.
    let private spread (context: NodeContext) (x: Computed) (c: Tensor) =
        match Constants.broadcastShape x.Shape c.Shape with
        | None -> Error $"combines shapes {Shape.text x.Shape} and {Shape.text c.Shape}, which do not broadcast"
        | Some shape when
            Extents.shape (List.map int64 shape) |> Result.map Shape.size
            <> Ok(Shape.size x.Shape)
            ->
            Error
                $"broadcasts a computed tensor of shape {Shape.text x.Shape} to {Shape.text shape}, which is not supported; only constants may be broadcast"
        | Some shape ->
            context.Charge(int64 (Shape.size shape))
            |> Result.map (fun () -> shape, Constants.broadcast shape c)

    let private fill (values: float[]) value = Array.create values.Length value

    /// The constant of a step that is the same for all values.
    let private uniform make (c: float[]) =
        if c.Length > 0 && Array.forall ((=) c[0]) c then
            Some(make c[0])
        else
            None

    /// `after` where it is a layer of its own behind `before`, which does the same to all values.
    let private asStep (before: Computed) step (after: Computed) =
        match after.Link.Previous with
        | Some(previous, _) when obj.ReferenceEquals(previous, before.Link) -> Chain.known step after
        | _ -> after

    let private addConstant (context: NodeContext) x c =
        result {
            let! shape, c = spread context x c
            let! sum = Chain.addBias context shape x c
            return asStep x (uniform Plus c) sum
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
            let! product = Chain.scale context shape x c (fill c 0.0)
            return asStep x (uniform Times c) product
        }

    let private divide (context: NodeContext) (x: Computed) c =
        result {
            let! shape, c = spread context x c
            do! require (not (Array.contains 0.0 c)) (fun () -> "divides by 0")
            do! context.Charge(2L * int64 c.Length)

            return
                Layer.linear (Quotients.reciprocals x.Link.Extents c)
                |> Chain.append context x.Link.Extents shape x
                |> asStep x (uniform Over c)
        }

    /// The product of two computed tensors where it is an activation of what both depend on.
    let private multiplyComputed (context: NodeContext) (a: Computed) (b: Computed) =
        let origin = Chain.ancestor a.Link b.Link

        match ScalarProducts.tryRead origin a.Link b.Link with
        | Some(struct (activation, factors)) when a.Shape = b.Shape ->
            let source = { a with Link = origin; Shared = true }
            let inside = Attributes.inside context

            let activated =
                Layer.activation activation
                |> Chain.append (if factors.IsEmpty then context else inside) origin.Extents a.Shape source

            (Ok activated, List.indexed factors)
            ||> List.fold (fun scaled (k, factor) ->
                scaled
                |> Result.bind (fun scaled ->
                    let context = if k = factors.Length - 1 then context else inside

                    match factor with
                    | Times c -> multiply context scaled (Tensor.ofArray [] [| c |])
                    | Over c -> divide context scaled (Tensor.ofArray [] [| c |])
                    | _ -> Ok scaled))
        | _ ->
            Error
                "multiplies two computed tensors, which is not supported but where they make up SiLU, hard-swish, Mish or GELU by erf; one operand must be constant"

    let private negate (context: NodeContext) (x: Computed) =
        let size = Shape.size x.Shape
        Chain.scale context x.Shape x (Array.create size -1.0) (Array.zeroCreate size)

    /// What an operator of two operands does, by what depends on the input.
    [<NoEquality; NoComparison>]
    type private Binary =
        {
            Constants: ConstantArithmetic.Operation
            ConstantRight: NodeContext -> Computed -> Tensor -> Result<Computed, string>
            ConstantLeft: NodeContext -> Tensor -> Computed -> Result<Computed, string>
            Both: NodeContext -> Computed -> Computed -> Result<Computed, string>
        }

    let private operands (context: NodeContext) (binary: Binary) (a: Value, aName) (b: Value, bName) =
        match a, b with
        | Unavailable reason, _
        | _, Unavailable reason -> Error reason
        | Constant a, Constant b -> ConstantArithmetic.combine context binary.Constants a b |> Result.map Constant
        | Computed x, Computed y -> binary.Both context x y |> Result.map Computed
        | Computed x, Constant _ ->
            Attributes.asReals bName b
            |> Result.bind (binary.ConstantRight context x)
            |> Result.map Computed
        | Constant _, Computed x ->
            Attributes.asReals aName a
            |> Result.bind (fun c -> binary.ConstantLeft context c x)
            |> Result.map Computed

    let private binary (context: NodeContext) operator =
        result {
            do! Attributes.only [] context
            do! Attributes.atMost 2 context
            let! a = Attributes.input 0 context
            let! b = Attributes.input 1 context
            return! operands context operator (a, context.Node.Inputs[0]) (b, context.Node.Inputs[1])
        }

    let private twoComputed what _ _ _ =
        Error $"{what} two computed tensors, which is not supported; one operand must be constant"

    let private swap operation (context: NodeContext) c x = operation context x c

    let private addition =
        {
            Constants = ConstantArithmetic.add
            ConstantRight = addConstant
            ConstantLeft = swap addConstant
            Both = Chain.sum
        }

    /// Add of a constant (a bias), or of two branches (a residual sum).
    let add (context: NodeContext) = binary context addition

    /// Sub of or from a constant, or of two branches: the sum of the first and the negated second.
    let sub (context: NodeContext) =
        binary
            context
            {
                Constants = ConstantArithmetic.subtract
                ConstantRight = subtractConstant
                ConstantLeft = subtractFromConstant
                Both = fun context x y -> negate (Attributes.inside context) y |> Result.bind (Chain.sum context x)
            }

    /// Mul by a constant, or of a tensor and a function of itself that make up an activation.
    let mul (context: NodeContext) =
        binary
            context
            {
                Constants = ConstantArithmetic.multiply
                ConstantRight = multiply
                ConstantLeft = swap multiply
                Both = multiplyComputed
            }

    /// Div by a constant, with what rounding takes from its reciprocal as part of the layer.
    let div (context: NodeContext) =
        binary
            context
            {
                Constants = ConstantArithmetic.divide
                ConstantRight = divide
                ConstantLeft = fun _ _ _ -> Error "divides a constant by a computed tensor, which is not supported"
                Both = twoComputed "divides"
            }

    /// Sum of constants and branches, from the first to the last.
    let sum (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [] context
            let! first = Attributes.input 0 context

            let last = context.Inputs.Length - 1

            let add sum index =
                result {
                    let! (sum, name) = sum
                    let! term = Attributes.input index context
                    let context = if index = last then context else Attributes.inside context
                    let! sum = operands context addition (sum, name) (term, context.Node.Inputs[index])
                    return sum, context.Node.Inputs[index]
                }

            let! sum, _ = (Ok(first, context.Node.Inputs[0]), [ 1..last ]) ||> List.fold add
            return sum
        }

    /// Neg.
    let neg (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [] context
            do! Attributes.atMost 1 context

            match! Attributes.input 0 context with
            | Computed x -> return! negate context x |> Result.map Computed
            | Constant c -> return! ConstantArithmetic.map context (~-) c |> Result.map Constant
            | Unavailable reason -> return! Error reason
        }

    /// Sqrt of a constant.
    let sqrt (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [] context
            do! Attributes.atMost 1 context

            match! Attributes.input 0 context with
            | Computed _ -> return! Error "takes the root of a computed tensor; only roots of constants are supported"
            | Constant c -> return! ConstantArithmetic.map context Math.Sqrt c |> Result.map Constant
            | Unavailable reason -> return! Error reason
        }
