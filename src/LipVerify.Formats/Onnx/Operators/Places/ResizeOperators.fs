namespace LipVerify.Formats.OnnxGraph

open System
open LipVerify.Core.Computation
open LipVerify.Formats

/// Resize and Upsample: to the nearest value, or by linear interpolation where its weights are doubles.
module internal ResizeOperators =

    /// Where the centre of an output value lies among the inputs of an axis.
    let private coordinate mode (input: int) (output: int) (scale: float) (i: int) =
        let i = float i

        match mode with
        | "half_pixel" -> Ok((i + 0.5) / scale - 0.5)
        | "pytorch_half_pixel" -> Ok(if output > 1 then (i + 0.5) / scale - 0.5 else 0.0)
        | "asymmetric" -> Ok(i / scale)
        | "align_corners" ->
            Ok(
                if output > 1 then
                    i * float (input - 1) / float (output - 1)
                else
                    0.0
            )
        | other -> Error $"attribute 'coordinate_transformation_mode' is '{other}', which is not supported"

    let private nearest rounding (x: float) =
        match rounding with
        | "round_prefer_floor" -> Ok(Math.Ceiling(x - 0.5))
        | "round_prefer_ceil" -> Ok(Math.Floor(x + 0.5))
        | "floor" -> Ok(Math.Floor x)
        | "ceil" -> Ok(Math.Ceiling x)
        | other -> Error $"attribute 'nearest_mode' is '{other}', which is not supported"

    let private inside extent i = max 0 (min (extent - 1) i)

    /// The inputs of an axis that make up an output, with their weights.
    let private terms isLinear mode rounding input output scale i =
        result {
            let! x = coordinate mode input output scale i

            if isLinear then
                let first = Math.Floor x
                let part = x - first
                let a, b = inside input (int first), inside input (int first + 1)

                // A weight that is no double would be another one than the file means.
                do!
                    require (Math.ScaleB(part, 20) = Math.Round(Math.ScaleB(part, 20))) (fun () ->
                        $"interpolates with the weight {part}, which need not be a double; scales that are powers of two are supported")

                return
                    if a = b || part = 0.0 then
                        [| struct (a, 1.0) |]
                    else
                        [| struct (a, 1.0 - part); struct (b, part) |]
            else
                let! place = nearest rounding x
                return [| struct (inside input (int place), 1.0) |]
        }

    let private resize (context: NodeContext) (x: Value) isLinear mode rounding (target: Shape) (scales: float list) =
        result {
            let! computed =
                match x with
                | Computed computed -> Ok computed
                | Constant _ -> Error "resizes a constant, which is not supported"
                | Unavailable reason -> Error reason

            let shape = computed.Shape

            let! axes =
                List.zip3 shape target scales
                |> traverse (fun (input, output, scale) ->
                    if input = output && scale = 1.0 then
                        Ok(Array.init output (fun i -> [| struct (i, 1.0) |]))
                    else
                        [| 0 .. output - 1 |]
                        |> traverse (terms isLinear mode rounding input output scale))

            let extents, outcome = Array.ofList shape, Array.ofList target

            /// Products of the weights along the axes.
            let row position =
                let index = Selections.indexOf outcome position

                (([| struct (0, 1.0) |]), Array.indexed index)
                ||> Array.fold (fun terms (axis, i) ->
                    Array.allPairs terms (Array.item i axes[axis])
                    |> Array.map (fun (struct (position, weight), struct (place, further)) ->
                        struct (position * extents[axis] + place, weight * further)))

            return!
                Selections.linear context target computed (if isLinear then 4 else 1) row
                |> Result.map Computed
        }

    let private scalesOf (context: NodeContext) index =
        Attributes.optionalReals index context
        |> Result.map (fun tensor ->
            tensor
            |> Option.map (Tensor.values >> List.ofArray)
            |> Option.filter (fun scales -> not scales.IsEmpty))

    let private outputs (shape: Shape) (scales: float list) =
        if
            scales.Length <> shape.Length
            || List.exists (fun scale -> not (scale > 0.0 && scale < 1e6)) scales
        then
            Error $"has scales {scales} for a tensor of shape {Shape.text shape}"
        else
            List.map2 (fun extent scale -> int (Math.Floor(float extent * scale))) shape scales
            |> Ok

    let private isLinear mode =
        match mode with
        | "nearest" -> Ok false
        | "linear"
        | "bilinear" -> Ok true
        | other -> Error $"attribute 'mode' is '{other}'; 'nearest' and 'linear' are supported"

    /// Resize.
    let resize' (context: NodeContext) : Result<Value, string> =
        result {
            do!
                Attributes.only
                    [
                        "coordinate_transformation_mode"
                        "cubic_coeff_a"
                        "exclude_outside"
                        "extrapolation_value"
                        "mode"
                        "nearest_mode"
                    ]
                    context

            do! Attributes.must "exclude_outside" 0 context
            let! x = Attributes.input 0 context
            let! shape = Attributes.shapeOf x
            let! mode = Attributes.text "mode" "nearest" context
            let! isLinear = isLinear mode

            let! coordinates =
                Attributes.text "coordinate_transformation_mode" "half_pixel" context

            let! rounding = Attributes.text "nearest_mode" "round_prefer_floor" context
            let! scales = scalesOf context (if context.Opset < 11L then 1 else 2)
            let! sizes = Attributes.optionalIntegers 3 context
            let coordinates = if context.Opset < 11L then "asymmetric" else coordinates
            let rounding = if context.Opset < 11L then "floor" else rounding

            match scales, sizes with
            | Some scales, None ->
                let! target = outputs shape scales
                return! resize context x isLinear coordinates rounding target scales
            | None, Some sizes when sizes.Length = shape.Length ->
                let! target = sizes |> traverse (Attributes.toInt "extent")
                let target = List.ofArray target
                let scales = List.map2 (fun input output -> float output / float input) shape target
                return! resize context x isLinear coordinates rounding target scales
            | _ -> return! Error "needs either scales or sizes, one an axis"
        }

    /// Upsample, which asked for scales until operator set 9.
    let upsample (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "mode" ] context
            do! Attributes.atMost 2 context
            let! x = Attributes.input 0 context
            let! shape = Attributes.shapeOf x
            let! mode = Attributes.text "mode" "nearest" context
            let! isLinear = isLinear mode

            match! scalesOf context 1 with
            | None -> return! Error "has no constant scales"
            | Some scales ->
                let! target = outputs shape scales
                return! resize context x isLinear "asymmetric" "floor" target scales
        }
