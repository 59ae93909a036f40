namespace LipVerify.Formats.OnnxGraph

open System
open LipVerify.Core.Computation
open LipVerify.Formats

/// Attributes and constant inputs of a node, checked for their types and ranges.
module internal Attributes =

    /// The context for a tensor that only the node itself takes.
    let inside (context: NodeContext) = { context with OutputShared = false }

    let private integerKind = 2
    let private singleKind = 1

    /// Fails for an attribute that is not among `names`: it could change what the node means.
    let only names (context: NodeContext) : Result<unit, string> =
        let attributes = context.Node.Attributes

        let unknown =
            attributes
            |> Seq.tryFind (fun attribute -> attribute.Other || not (List.contains attribute.Name names))

        match unknown with
        | Some attribute when attribute.Other && List.contains attribute.Name names ->
            Error $"attribute '{attribute.Name}' is of an unsupported type"
        | Some attribute -> Error $"attribute '{attribute.Name}' is not supported"
        | None when (attributes |> Seq.distinctBy _.Name |> Seq.length) < attributes.Count ->
            Error "an attribute is given twice"
        | None -> Ok()

    let private find name (context: NodeContext) =
        context.Node.Attributes |> Seq.tryFind (fun attribute -> attribute.Name = name)

    // proto3 writers leave out a value of 0; the declared type tells that it is there.
    let private read name fallback (context: NodeContext) pick zeroOf kind what =
        match find name context with
        | None -> Ok fallback
        | Some attribute ->
            match pick attribute with
            | ValueSome value -> Ok value
            | ValueNone when attribute.Kind = kind -> Ok zeroOf
            | ValueNone -> Error $"attribute '{name}' must be {what}"

    /// A 32-bit integer.
    let toInt name (value: int64) : Result<int, string> =
        if value > int64 Int32.MinValue && value < int64 Int32.MaxValue then
            Ok(int value)
        else
            Error $"{name} {value} is out of range"

    /// An integer attribute.
    let integer name (fallback: int) (context: NodeContext) : Result<int, string> =
        read name (int64 fallback) context _.Integer 0L integerKind "an integer"
        |> Result.bind (toInt $"attribute '{name}'")

    /// A single-precision attribute as the exact double; it must be finite.
    let real name (fallback: float) (context: NodeContext) : Result<float, string> =
        match find name context with
        | None -> Ok fallback
        | Some attribute ->
            match attribute.Single with
            | ValueSome value when Single.IsFinite value -> Ok(float value)
            | ValueSome value -> Error $"attribute '{name}' is {value}; it must be finite"
            | ValueNone when attribute.Kind = singleKind -> Ok 0.0
            | ValueNone -> Error $"attribute '{name}' must be a number"

    /// A text attribute.
    let text name (fallback: string) (context: NodeContext) : Result<string, string> =
        read name fallback context _.Text "" 3 "a text"

    /// A list of integers, or None where the node has none.
    let integers name (context: NodeContext) : Result<int list option, string> =
        match find name context with
        | None -> Ok None
        | Some attribute when attribute.Integer.IsSome || attribute.Single.IsSome || attribute.Text.IsSome ->
            Error $"attribute '{name}' must be a list of integers"
        | Some attribute when attribute.Integers.Count > Extents.maximalRank * 2 ->
            Error $"attribute '{name}' has {attribute.Integers.Count} values"
        | Some attribute ->
            attribute.Integers
            |> traverse (toInt $"attribute '{name}':")
            |> Result.map (List.ofArray >> Some)

    /// A list of `count` integers.
    let integersOf count name fallback (context: NodeContext) : Result<int list, string> =
        integers name context
        |> Result.bind (fun values ->
            match values with
            | None -> Ok(List.replicate count fallback)
            | Some values when values.Length = count -> Ok values
            | Some values -> Error $"attribute '{name}' has {values.Length} values, {count} are needed")

    /// An attribute that must have its only supported value where it is given.
    let must name (value: int) (context: NodeContext) : Result<unit, string> =
        integer name value context
        |> Result.bind (fun given ->
            if given = value then
                Ok()
            else
                Error $"attribute '{name}' is {given}; only {value} is supported")

    /// The input at `index`, or None where the node leaves it out.
    let optionalInput index (context: NodeContext) : Value option =
        if index < context.Inputs.Length then
            context.Inputs[index]
        else
            None

    /// The input at `index`.
    let input index (context: NodeContext) : Result<Value, string> =
        match optionalInput index context with
        | Some value -> Ok value
        | None -> Error $"input {index} is missing"

    /// Fails where the node has more than `count` inputs.
    let atMost count (context: NodeContext) : Result<unit, string> =
        if context.Inputs.Length <= count then
            Ok()
        else
            Error $"has {context.Inputs.Length} inputs, at most {count} are possible"

    /// The shape of an input, batch included.
    let shapeOf value =
        match value with
        | Constant constant -> Ok(Constants.shape constant)
        | Computed computed -> Ok computed.Shape
        | Unavailable reason -> Error reason

    /// The input at `index`, which must depend on the input of the network.
    let computed index (context: NodeContext) : Result<Computed, string> =
        input index context
        |> Result.bind (fun value ->
            match value with
            | Computed computed -> Ok computed
            | Constant _ ->
                Error $"input {index} ('{context.Node.Inputs[index]}') is a constant; a computed tensor is needed"
            | Unavailable reason -> Error reason)

    /// The real constant that a value is; `name` is its name in the graph.
    let asReals (name: string) value =
        match value with
        | Constant(Reals(_, tensor)) -> Ok tensor
        | Constant(Integers _) -> Error $"'{name}' holds integers; real numbers are needed"
        | Computed _ -> Error $"'{name}' depends on the input of the network; a constant is needed"
        | Unavailable reason -> Error reason

    /// The real constant at input `index`, or None where the node leaves it out.
    let optionalReals index (context: NodeContext) : Result<Tensor option, string> =
        match optionalInput index context with
        | None -> Ok None
        | Some value -> asReals context.Node.Inputs[index] value |> Result.map Some

    /// The real constant at input `index`.
    let reals index (context: NodeContext) : Result<Tensor, string> =
        input index context |> Result.bind (asReals context.Node.Inputs[index])

    /// The constant integers at input `index`, or None where the node leaves it out.
    let optionalIntegers index (context: NodeContext) : Result<int64[] option, string> =
        match optionalInput index context with
        | None -> Ok None
        | Some(Constant(Integers(_, _, values))) when values.Length > Extents.maximalRank * 2 ->
            Error $"'{context.Node.Inputs[index]}' has {values.Length} values"
        | Some(Constant(Integers(_, _, values))) -> Ok(Some values)
        | Some(Unavailable reason) -> Error reason
        | Some _ -> Error $"'{context.Node.Inputs[index]}' must hold constant integers"

    /// The place of an axis up to `last`, counted from the front; from the end it is counted since version 11.
    let axisPlace axis last (rank: int) (context: NodeContext) : Result<int, string> =
        let counted = if axis < 0 then axis + rank else axis

        if axis < 0 && context.Opset < 11L then
            Error $"attribute 'axis' is {axis}; operators of version {context.Opset} do not count from the end"
        elif counted >= 0 && counted <= last then
            Ok counted
        else
            Error $"attribute 'axis' is {axis} for {rank} axes"

    /// Axes given by the attribute `axes` or by constant input `index`, counted from the front; None where not given.
    let axes index (rank: int) (context: NodeContext) : Result<int list option, string> =
        let place axis =
            let counted = if axis < 0 then axis + rank else axis

            if counted >= 0 && counted < rank then
                Ok counted
            else
                Error $"axis {axis} is not one of {rank} axes"

        let distinct axes =
            if List.length (List.distinct axes) = axes.Length then
                Ok axes
            else
                Error "an axis is given twice"

        result {
            let! attribute = integers "axes" context
            let! stored = optionalIntegers index context

            match stored, attribute with
            | Some values, _ ->
                let! axes = values |> traverse (toInt "axis")
                let! axes = axes |> traverse place
                let! axes = distinct (List.ofArray axes)
                return Some axes
            | None, Some axes ->
                let! axes = axes |> traverse place
                let! axes = distinct (List.ofArray axes)
                return Some axes
            | None, None -> return None
        }
