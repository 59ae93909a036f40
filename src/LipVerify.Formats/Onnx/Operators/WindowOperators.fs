namespace LipVerify.Formats.OnnxGraph

open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Formats

/// Conv, the pooling operators and Pad.
module internal WindowOperators =

    let private none =
        {
            Top = 0
            Left = 0
            Bottom = 0
            Right = 0
        }

    /// Appends a layer that makes `rows.Output` × `columns.Output` images with `channels` channels.
    let private append
        (context: NodeContext)
        (image: Windows.FeatureMap)
        channels
        (rows: WindowAxis)
        (columns: WindowAxis)
        (make: unit -> Layer)
        =
        let extents = [ channels; rows.Output; columns.Output ]

        result {
            let! extents = Extents.shape (List.map int64 extents)
            do! context.Charge(int64 (Shape.size extents))

            return
                make ()
                |> Chain.append context extents (Windows.shapeLike image extents) image.Source
                |> Computed
        }

    let private withoutPad (image: Windows.FeatureMap) =
        let source, padding = Chain.unpad image.Source

        let spatial =
            match image.Spatial, source.Link.Extents with
            | [ _ ], [ _; _; width ] -> [ width ]
            | _, [ _; height; width ] -> [ height; width ]
            | spatial, _ -> spatial

        { image with
            Source = source
            Spatial = spatial
        },
        padding

    let private kernelOf (context: NodeContext) (weights: Tensor) =
        let kernel = weights.Shape |> List.skip (min 2 weights.Shape.Length)

        Attributes.integers "kernel_shape" context
        |> Result.bind (fun declared ->
            match declared with
            | Some declared when declared <> kernel ->
                Error $"attribute 'kernel_shape' is {Shape.text declared}, the weights are {Shape.text weights.Shape}"
            | _ -> Ok kernel)

    /// Conv over images and sequences; a Pad before it becomes part of it.
    let conv (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "auto_pad"; "dilations"; "group"; "kernel_shape"; "pads"; "strides" ] context
            do! Attributes.atMost 3 context
            let! x = Attributes.computed 0 context
            let! padded = Windows.image context x
            let! weights = Attributes.reals 1 context
            let! bias = Attributes.optionalReals 2 context
            let! kernel = kernelOf context weights
            let! groups = Attributes.integer "group" 1 context
            let! mode = Attributes.text "auto_pad" "NOTSET" context
            // SAME derives its padding from the padded extents.
            let image, padding =
                if mode.StartsWith "SAME" then
                    padded, none
                else
                    withoutPad padded

            let! rows, columns = Windows.axes context image.Spatial kernel false padding
            let outputs = weights.Shape.Head
            let geometry = ConvolutionGeometry(image.Channels, outputs, rows, columns, groups)
            geometry.Validate()
            let inGroup = weights.Shape[1]

            do!
                require (inGroup = image.Channels / groups) (fun () ->
                    $"has weights for {inGroup} channels a group, but its input has {image.Channels} channels in {groups} groups")

            let bias = bias |> Option.defaultWith (fun () -> Tensor.create [ outputs ] 0.0)

            do!
                require (bias.Shape = [ outputs ]) (fun () ->
                    $"has a bias of shape {Shape.text bias.Shape} for {outputs} channels")

            let weights =
                Tensor.reshape [ outputs; inGroup; rows.Kernel; columns.Kernel ] weights

            return! append context image outputs rows columns (fun () -> Layer.convolution geometry weights bias)
        }

    let private pooled (context: NodeContext) =
        result {
            do! Attributes.atMost 1 context
            let! x = Attributes.computed 0 context
            let! image = Windows.image context x
            let! kernel = Attributes.integers "kernel_shape" context

            match kernel with
            | Some kernel -> return image, kernel
            | None -> return! Error "attribute 'kernel_shape' is missing"
        }

    let private poolingAttributes =
        [ "auto_pad"; "ceil_mode"; "dilations"; "kernel_shape"; "pads"; "strides" ]

    let private flag name (context: NodeContext) =
        Attributes.integer name 0 context |> Result.map (fun value -> value <> 0)

    /// MaxPool; padding never wins.
    let maxPool (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only ("storage_order" :: poolingAttributes) context
            do! Attributes.must "storage_order" 0 context
            let! image, kernel = pooled context
            let! ceiling = flag "ceil_mode" context
            let! rows, columns = Windows.axes context image.Spatial kernel ceiling none
            let geometry = PoolingGeometry(image.Channels, rows, columns)
            return! append context image image.Channels rows columns (fun () -> Layer.maxPooling geometry)
        }

    let private average (context: NodeContext) (image: Windows.FeatureMap) rows columns counting =
        let geometry = PoolingGeometry(image.Channels, rows, columns)

        append context image image.Channels rows columns (fun () ->
            Layer.linear (AveragePooling(AveragePooling.create geometry counting)))

    // Zeros that a Pad adds count in the mean, as padding does that is counted. Every window must keep a value of
    // the image.
    let private absorbs (axis: WindowAxis) =
        axis.Dilation = 1 && axis.PadBefore < axis.Kernel && axis.PadAfter < axis.Kernel

    /// AveragePool; a Pad before it becomes part of it where its zeros count.
    let averagePool (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only ("count_include_pad" :: poolingAttributes) context
            let! image, kernel = pooled context
            let! ceiling = flag "ceil_mode" context
            let! counting = flag "count_include_pad" context
            let! mode = Attributes.text "auto_pad" "NOTSET" context
            let! rows, columns = Windows.axes context image.Spatial kernel ceiling none
            let own = rows.PadBefore + rows.PadAfter + columns.PadBefore + columns.PadAfter
            let bare, padding = withoutPad image

            if ceiling || mode.StartsWith "SAME" || padding = none || (own > 0 && not counting) then
                return! average context image rows columns counting
            else
                let! paddedRows, paddedColumns =
                    Windows.axes context bare.Spatial kernel false padding

                if absorbs paddedRows && absorbs paddedColumns then
                    return! average context bare paddedRows paddedColumns true
                else
                    return! average context image rows columns counting
        }

    let private wholeImage (context: NodeContext) =
        result {
            do! Attributes.only [] context
            do! Attributes.atMost 1 context
            let! x = Attributes.computed 0 context
            let! image = Windows.image context x
            let! rows, columns = Windows.axes context image.Spatial image.Spatial false none
            return image, rows, columns
        }

    /// GlobalAveragePool: one window as large as the image.
    let globalAveragePool (context: NodeContext) : Result<Value, string> =
        result {
            let! image, rows, columns = wholeImage context
            return! average context image rows columns false
        }

    /// GlobalMaxPool: one window as large as the image.
    let globalMaxPool (context: NodeContext) : Result<Value, string> =
        result {
            let! image, rows, columns = wholeImage context
            let geometry = PoolingGeometry(image.Channels, rows, columns)
            return! append context image image.Channels rows columns (fun () -> Layer.maxPooling geometry)
        }

    /// The amounts of a Pad before and after each axis, from the attribute (until opset 10) or the inputs.
    let private padAmounts rank (context: NodeContext) =
        result {
            let! attribute = Attributes.integers "pads" context
            let! stored = Attributes.optionalIntegers 1 context
            let! axes = Attributes.axes 3 rank context
            let axes = axes |> Option.defaultValue [ 0 .. rank - 1 ]

            let! amounts =
                match attribute, stored with
                | Some amounts, None -> Ok amounts
                | _, Some amounts -> amounts |> traverse (Attributes.toInt "padding") |> Result.map List.ofArray
                | None, None -> Error "has no padding amounts"

            do!
                require (amounts.Length = 2 * axes.Length) (fun () ->
                    $"has {amounts.Length} padding amounts for {axes.Length} axes")

            let before, after = List.splitAt axes.Length amounts

            let along values axis =
                List.zip axes values
                |> List.tryFind (fun (place, _) -> place = axis)
                |> Option.map snd
                |> Option.defaultValue 0

            return List.init rank (along before), List.init rank (along after)
        }

    let private zeroFill (context: NodeContext) =
        result {
            let! mode = Attributes.text "mode" "constant" context
            let! attribute = Attributes.real "value" 0.0 context
            let! stored = Attributes.optionalReals 2 context

            let fill =
                stored
                |> Option.bind (Tensor.values >> Array.tryFind ((<>) 0.0))
                |> Option.defaultValue attribute

            if mode <> "constant" then
                return! Error $"pads in mode '{mode}'; only constant zeros are supported"
            elif fill <> 0.0 then
                return!
                    Error
                        $"pads with {fill}; only zeros are supported (for padding that never wins, give MaxPool its own pads)"
        }

    let private padImage (context: NodeContext) x (before: int list) (after: int list) =
        result {
            let! image = Windows.image context x
            let sizes = before @ after

            do!
                require (sizes |> List.forall (fun size -> size >= 0 && size <= (1 <<< 24))) (fun () ->
                    "has padding below 0 or above 2^24, which is not supported")

            do!
                require (List.forall ((=) 0) (List.take 2 before @ List.take 2 after)) (fun () ->
                    "pads batch or channels; only rows and columns are supported")

            let inner = List.skip 2 before, List.skip 2 after

            let added =
                match inner with
                | [ left ], [ right ] -> { none with Left = left; Right = right }
                | _ ->
                    {
                        Top = before[2]
                        Left = before[3]
                        Bottom = after[2]
                        Right = after[3]
                    }

            let source, earlier = Chain.unpad image.Source

            let total =
                {
                    Top = added.Top + earlier.Top
                    Left = added.Left + earlier.Left
                    Bottom = added.Bottom + earlier.Bottom
                    Right = added.Right + earlier.Right
                }

            let shape =
                List.map3 (fun before extent after -> before + extent + after) before x.Shape after

            let! padded = Chain.pad context shape source total
            return Computed padded
        }

    /// Pad with constant zeros around rows and columns.
    let pad (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "mode"; "pads"; "value" ] context
            do! Attributes.atMost 4 context
            let! x = Attributes.computed 0 context
            do! zeroFill context
            let! before, after = padAmounts x.Shape.Length context

            if List.forall ((=) 0) (before @ after) then
                return Computed(Chain.view context x.Shape x)
            else
                return! padImage context x before after
        }
