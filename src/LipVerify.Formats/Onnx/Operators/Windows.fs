namespace LipVerify.Formats.OnnxGraph

open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Formats

/// Images and sequences, and the windows that slide over them. A sequence is an image of height 1.
module internal Windows =

    /// What the spatial operators take: `source` as channels × height × width, and its spatial extents as in ONNX.
    [<ReferenceEquality>]
    type FeatureMap =
        {
            Source: Computed
            Channels: int
            Spatial: int list
        }

    /// A computed tensor with batch 1, channels and one or two spatial axes.
    let image (context: NodeContext) (source: Computed) : Result<FeatureMap, string> =
        let make channels spatial height width =
            Ok
                {
                    Source = Chain.reshape context.Layer [ channels; height; width ] source
                    Channels = channels
                    Spatial = spatial
                }

        match source.Shape with
        | [ 1; channels; height; width ] -> make channels [ height; width ] height width
        | [ 1; channels; width ] -> make channels [ width ] 1 width
        | batch :: rest when batch > 1 && (rest.Length = 2 || rest.Length = 3) ->
            Error $"takes a batch of {batch}; only a batch of 1 is supported, as of torch.onnx.export(model, x[:1], …)"
        | shape ->
            Error
                $"takes a tensor of shape {Shape.text shape}; 1 × channels × height × width or 1 × channels × length is needed"

    /// The shape in ONNX of an image with these channels whose layer gives `extents`.
    let shapeLike (image: FeatureMap) (extents: Shape) : Shape =
        match image.Spatial, extents with
        | [ _ ], [ channels; _; width ] -> [ 1; channels; width ]
        | _ -> 1 :: extents

    let private withPadding before after (axis: WindowAxis) =
        WindowAxis(axis.Input, axis.Kernel, axis.Stride, before, after, axis.Dilation, axis.CeilMode)

    // Far beyond every network; keeps the arithmetic of windows from overflowing and the checks on them short.
    let private largestExtent = 1L <<< 24
    let private largestWork = 1L <<< 22

    let private checkedAxis name (axis: WindowAxis) =
        let sizes =
            [
                axis.Input
                axis.Kernel
                axis.Stride
                axis.PadBefore
                axis.PadAfter
                axis.Dilation
            ]

        if sizes |> List.exists (fun size -> int64 size > largestExtent) then
            Error $"{name}: an extent, kernel, stride, padding or dilation above {largestExtent} is not supported"
        elif int64 axis.Dilation * int64 axis.Kernel > largestExtent then
            Error $"{name}: a window of {axis.Kernel} taps with dilation {axis.Dilation} is too large"
        elif
            axis.Kernel > 0
            && axis.Dilation * (axis.Kernel - 1) + 1 > axis.Input + axis.PadBefore + axis.PadAfter
        then
            Error
                $"{name}: a window over {axis.Dilation * (axis.Kernel - 1) + 1} values does not fit an input of {axis.Input} with padding {axis.PadBefore} and {axis.PadAfter}; parts of windows are not supported"
        else
            axis.Validate name

            if int64 axis.Kernel * int64 axis.Output > largestWork then
                Error $"{name}: {axis.Output} windows of {axis.Kernel} taps are too many"
            else
                Ok axis

    // The window count, and from it the padding, that auto_pad SAME_UPPER and SAME_LOWER ask for. Runtimes leave dilation out of it,
    // against the letter of ONNX, or refuse it. Where strides leave gaps no padding is missing, but too much is there: convolutions
    // stay where they are then, and pooling is moved by some.
    let private same (context: NodeContext) upper (axis: WindowAxis) : Result<WindowAxis, string> =
        if axis.Input < 1 || axis.Stride < 1 then
            Ok axis
        elif axis.Dilation <> 1 then
            Error "has auto_pad SAME with dilation, which is not supported; give its pads"
        else
            let windows = 1 + (axis.Input - 1) / axis.Stride

            let missing =
                int64 (windows - 1) * int64 axis.Stride + int64 axis.Kernel - int64 axis.Input

            if missing < 0L && context.Node.Operator <> "Conv" then
                Error
                    $"has auto_pad SAME with a stride of {axis.Stride} beyond its window of {axis.Kernel}, which is not supported; give its pads"
            else
                let total = int (max 0L (min missing largestExtent))
                let smaller = total / 2

                if upper then
                    Ok(withPadding smaller (total - smaller) axis)
                else
                    Ok(withPadding (total - smaller) smaller axis)

    let private autoPad (context: NodeContext) (axes: WindowAxis list) =
        result {
            let! mode = Attributes.text "auto_pad" "NOTSET" context
            let! given = Attributes.integers "pads" context
            let! pads = Attributes.integersOf (2 * axes.Length) "pads" 0 context

            do!
                require (given.IsNone || mode = "NOTSET" || mode = "") (fun () ->
                    $"has both pads and auto_pad {mode}, which is not supported")

            match mode with
            | "NOTSET"
            | "" ->
                let before, after = List.splitAt axes.Length pads
                return List.map3 withPadding before after axes
            | "VALID" -> return axes
            | "SAME_UPPER"
            | "SAME_LOWER" ->
                let! padded = axes |> traverse (same context (mode = "SAME_UPPER"))
                return List.ofArray padded
            | other ->
                return! Error $"attribute 'auto_pad' is '{other}'; NOTSET, VALID, SAME_UPPER or SAME_LOWER is possible"
        }

    let private pair (axes: WindowAxis list) =
        match axes with
        | [ columns ] -> WindowAxis(1, 1), columns
        | _ -> axes[0], axes[1]

    /// The rows and columns of windows with `kernel` taps over `spatial`, from the attributes of the node, padded by
    /// `padding` on top of its own padding.
    let axes
        (context: NodeContext)
        (spatial: int list)
        (kernel: int list)
        ceiling
        (padding: ZeroPadding)
        : Result<WindowAxis * WindowAxis, string> =
        let count = spatial.Length

        result {
            do!
                require (kernel.Length = count) (fun () ->
                    $"has a kernel of {kernel.Length} axes over {count} spatial axes")

            let! strides = Attributes.integersOf count "strides" 1 context
            let! dilations = Attributes.integersOf count "dilations" 1 context

            let bare =
                List.zip3 spatial kernel (List.zip strides dilations)
                |> List.map (fun (input, kernel, (stride, dilation)) ->
                    WindowAxis(input, kernel, stride, 0, 0, dilation, ceiling))

            let! padded = autoPad context bare
            let rows, columns = pair padded

            do!
                require
                    ([ rows; columns ]
                     |> List.forall (fun axis -> axis.PadBefore >= 0 && axis.PadAfter >= 0))
                    (fun () -> "has negative padding, which is not supported")

            let! rows =
                checkedAxis "rows" (withPadding (rows.PadBefore + padding.Top) (rows.PadAfter + padding.Bottom) rows)

            let! columns =
                checkedAxis
                    "columns"
                    (withPadding (columns.PadBefore + padding.Left) (columns.PadAfter + padding.Right) columns)

            return rows, columns
        }
