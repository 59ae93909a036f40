namespace LipVerify.Formats.OnnxGraph

open LipVerify.Core.Computation
open LipVerify.Formats

/// Operators that leave values as they are, and those on shapes.
module internal ShapeOperators =

    let private view (context: NodeContext) shape value =
        match value with
        | Constant constant -> Constant(Constants.reshape shape constant)
        | Computed computed -> Computed(Chain.view context shape computed)
        | Unavailable _ -> value

    let private size (shape: Shape) = Shape.size shape

    /// Identity and Dropout at inference.
    let identity (context: NodeContext) : Result<Value, string> =
        result {
            let! x = Attributes.input 0 context
            let! shape = Attributes.shapeOf x
            return view context shape x
        }

    /// Dropout, which must not be in training mode.
    let dropout (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "is_test"; "ratio"; "seed" ] context
            do! Attributes.atMost 3 context
            let! training = Attributes.optionalIntegers 2 context
            let isTraining = training |> Option.exists (Array.exists (fun value -> value <> 0L))
            do! require (not isTraining) (fun () -> "is in training mode; export the model for inference")
            return! identity context
        }

    /// Identity.
    let copy (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [] context
            do! Attributes.atMost 1 context
            return! identity context
        }

    /// Cast: of constants with its rounding, of computed tensors between real types as the identity in exact arithmetic.
    let cast (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "round_mode"; "saturate"; "to" ] context
            do! Attributes.atMost 1 context
            let! target = Attributes.integer "to" 0 context
            let! x = Attributes.input 0 context

            match x, Constants.elementType target, Constants.realType target with
            | Unavailable reason, _, _ -> return! Error reason
            | Constant constant, Some element, _ ->
                do! context.Charge(int64 (Shape.size (Constants.shape constant)))
                let! cast = ConstantArithmetic.cast element constant
                return Constant cast
            | Computed _, _, Some element ->
                if element <> ElementType.Float32 && element <> ElementType.Float64 then
                    context.Notice $"Cast to {element} is read as the identity: its rounding is not modelled"

                return! identity context
            | Computed _, _, None ->
                return! Error $"casts a computed tensor to {Constants.typeName target}; only real types are supported"
            | Constant _, None, _ ->
                return!
                    Error
                        $"casts to {Constants.typeName target}; FLOAT, DOUBLE, FLOAT16, BFLOAT16, INT32, INT64 and BOOL are supported"
        }

    /// Flatten before an axis.
    let flatten (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "axis" ] context
            do! Attributes.atMost 1 context
            let! x = Attributes.input 0 context
            let! shape = Attributes.shapeOf x
            let! axis = Attributes.integer "axis" 1 context
            let! axis = Attributes.axisPlace axis shape.Length shape.Length context
            let outer, inner = List.splitAt axis shape
            return view context [ size outer; size inner ] x
        }

    let private unknownExtent (total: int) (extents: int list) =
        let known =
            extents
            |> List.filter (fun extent -> extent <> -1)
            |> List.fold (fun n extent -> n * int64 extent) 1L

        if known > 0L && int64 total % known = 0L then
            Ok(int (int64 total / known))
        else
            Error $"cannot infer an extent: {total} values do not divide into {known}"

    /// The shape that Reshape makes of `source`: 0 keeps an extent (unless `allowZero`), −1 stands for what is left.
    let private reshaped allowZero (source: Shape) (target: int64 list) =
        let extent i value =
            if value = 0L && not allowZero then
                if i < source.Length then
                    Ok source[i]
                else
                    Error $"keeps extent {i} of a tensor with {source.Length}"
            elif value < -1L || value = 0L then
                Error $"has extent {value} in its shape"
            else
                Attributes.toInt "extent" value

        result {
            let! extents = target |> List.indexed |> traverse (fun (i, value) -> extent i value)
            let extents = List.ofArray extents
            let total = size source
            let wildcards = extents |> List.filter (fun extent -> extent = -1) |> List.length
            do! require (wildcards <= 1) (fun () -> "has more than one -1 in its shape")
            // Also bounds the product before it is formed.
            let! _ = Extents.shape (extents |> List.map (fun extent -> int64 (max extent 1)))
            let! inferred = if wildcards = 0 then Ok 1 else unknownExtent total extents

            let shape =
                extents |> List.map (fun extent -> if extent = -1 then inferred else extent)

            do!
                require (size shape = total) (fun () ->
                    $"cannot reshape {Shape.text source} ({total} values) to {Shape.text shape}")

            return shape
        }

    /// Reshape to a constant shape.
    let reshape (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "allowzero"; "shape" ] context
            do! Attributes.atMost 2 context
            let! x = Attributes.input 0 context
            let! source = Attributes.shapeOf x
            let! allowZero = Attributes.integer "allowzero" 0 context
            let! stored = Attributes.optionalIntegers 1 context
            let! attribute = Attributes.integers "shape" context

            match stored, attribute with
            | Some target, _ ->
                let! shape = reshaped (allowZero <> 0) source (List.ofArray target)
                return view context shape x
            | None, Some target ->
                let! shape = reshaped (allowZero <> 0) source (List.map int64 target)
                return view context shape x
            | None, None -> return! Error "has no shape"
        }

    /// Squeeze: drops axes of extent 1, all of them where none are given.
    let squeeze (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "axes" ] context
            do! Attributes.atMost 2 context
            let! x = Attributes.input 0 context
            let! shape = Attributes.shapeOf x
            let! axes = Attributes.axes 1 shape.Length context

            let dropped axis =
                match axes with
                | Some axes -> List.contains axis axes
                | None -> shape[axis] = 1

            let wide =
                [ 0 .. shape.Length - 1 ]
                |> List.tryFind (fun axis -> dropped axis && shape[axis] <> 1)

            match wide with
            | Some axis -> return! Error $"drops axis {axis} of shape {Shape.text shape}, which is not 1"
            | None ->
                let kept =
                    shape
                    |> List.indexed
                    |> List.filter (fun (axis, _) -> not (dropped axis))
                    |> List.map snd

                return view context kept x
        }

    /// Unsqueeze: inserts axes of extent 1.
    let unsqueeze (context: NodeContext) : Result<Value, string> =
        let rankOf (shape: Shape) (count: int) =
            require (shape.Length + count <= Extents.maximalRank) (fun () ->
                $"makes more than {Extents.maximalRank} axes")
            |> Result.map (fun () -> shape.Length + count)

        result {
            do! Attributes.only [ "axes" ] context
            do! Attributes.atMost 2 context
            let! x = Attributes.input 0 context
            let! shape = Attributes.shapeOf x
            let! given = Attributes.integers "axes" context
            let! stored = Attributes.optionalIntegers 1 context

            let count =
                match given, stored with
                | _, Some axes -> axes.Length
                | Some axes, None -> axes.Length
                | None, None -> 0

            let! rank = rankOf shape count
            let! axes = Attributes.axes 1 rank context

            match axes with
            | None -> return! Error "has no axes"
            | Some axes ->
                let extent axis =
                    if List.contains axis axes then
                        1
                    else
                        shape[axis - (axes |> List.filter (fun inserted -> inserted < axis) |> List.length)]

                return view context (List.map extent [ 0 .. rank - 1 ]) x
        }
