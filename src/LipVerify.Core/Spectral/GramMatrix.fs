namespace LipVerify.Core.Spectral

open System
open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps

/// How the Gram matrix of `M = R A D` over one side is laid out: which coordinates it has, and where its entries can differ from 0.
[<ReferenceEquality>]
type GramLayout =
    {
        /// The side.
        Side: Gram.Side
        /// Its live coordinates in the order of rows.
        Live: int[]
        /// Where the entries of the lower triangle lie.
        Envelope: SymmetricEnvelope
    }

module GramLayout =

    /// Coordinates further apart than this along an axis have no common entry in the other side of a convolution.
    let private reach side (axis: WindowAxis) =
        match side with
        | Gram.Columns -> axis.Span - 1
        | Gram.Rows -> (axis.Span - 1) / axis.Stride

    /// Positions one after the other, with all channels of each, so that what a convolution couples lies close together.
    let private ofConvolution side (live: bool[]) (c: Convolution) =
        let g = c.Geometry

        let struct (channels, height, width) =
            match side with
            | Gram.Columns -> struct (g.InChannels, g.Rows.Input, g.Columns.Input)
            | Gram.Rows -> struct (g.OutChannels, g.Rows.Output, g.Columns.Output)

        let reachRows, reachColumns = reach side g.Rows, reach side g.Columns
        let byRows = reachRows * width <= reachColumns * height

        let struct (majors, minors, reachMajor, reachMinor) =
            if byRows then
                struct (height, width, reachRows, reachColumns)
            else
                struct (width, height, reachColumns, reachRows)

        let order = ResizeArray<int>()
        let firsts = ResizeArray<int>()
        let starts = Array.zeroCreate<int>(majors * minors)

        for major in 0 .. majors - 1 do
            for minor in 0 .. minors - 1 do
                starts[major * minors + minor] <- order.Count

                let first = starts[max 0 (major - reachMajor) * minors + max 0 (minor - reachMinor)]

                let position =
                    if byRows then
                        major * width + minor
                    else
                        minor * width + major

                for channel in 0 .. channels - 1 do
                    let coordinate = channel * height * width + position

                    if live[coordinate] then
                        order.Add coordinate
                        firsts.Add first

        {
            Side = side
            Live = order.ToArray()
            Envelope = SymmetricEnvelope(Span.op_Implicit (firsts.ToArray().AsSpan()))
        }

    /// The layout over one side.
    let ofSide side (masked: MaskedMap) =
        let support = Gram.support side masked

        match masked.Map with
        | Convolution c -> ofConvolution side (Tensor.values support |> Array.map (fun d -> d <> 0.0)) c
        | _ ->
            let live = MaskedMap.live support

            {
                Side = side
                Live = live
                Envelope = SymmetricEnvelope.Full live.Length
            }

    /// The layout over the side whose Gram matrix takes fewer operations to factorise.
    let cheapest masked =
        [ ofSide Gram.Columns masked; ofSide Gram.Rows masked ]
        |> List.minBy _.Envelope.Operations

/// Gram matrices with explicit entries: the lower triangle in its envelope. Each entry is a sum of products of rounded `r·a`,
/// so `|fl(G) − G| ≤ γ_k |M|ᵀ|M|` (or `|M||M|ᵀ`) entry by entry with `k = Gram.roundingsPerEntry`.
module GramMatrix =

    /// `R A`, entries rounded.
    let private scaledRows (engine: IEngine) (dense: Dense) (factors: Tensor) =
        let factors = Tensor.values factors

        if Array.forall ((=) 1.0) factors then
            dense.Weights.Storage
        else
            let scaled = engine.Allocate dense.Weights.Length
            engine.Copy(dense.Weights.Storage, 0, scaled, 0, scaled.Length)

            factors
            |> Array.iteri (fun i factor -> engine.Scale(factor, scaled, i * dense.Inputs, dense.Inputs))

            scaled

    /// `B Bᵀ` or `BᵀB` for `B = R A`, block by block; the map has no dead coordinates.
    let private ofDense (context: Context) (layout: GramLayout) (dense: Dense) factors gram =
        let entries = scaledRows context.Engine dense factors
        let overOutputs = layout.Side = Gram.Rows
        let envelope = layout.Envelope

        for index in 0 .. envelope.Blocks - 1 do
            Context.check context
            let first = envelope.FirstRow index

            context.Engine.MatrixMultiply(
                not overOutputs,
                overOutputs,
                envelope.Rows index,
                envelope.Width index,
                (if overOutputs then dense.Inputs else dense.Outputs),
                1.0,
                MatrixView(entries, (if overOutputs then first * dense.Inputs else first), dense.Inputs),
                MatrixView.Of(entries, dense.Inputs),
                0.0,
                MatrixView(gram, int (envelope.Offset index), envelope.Width index)
            )

    let private ofConvolution (context: Context) masked (layout: GramLayout) (c: Convolution) gram =
        let overOutputs = layout.Side = Gram.Rows
        let places = Array.create (Gram.support layout.Side masked).Length -1
        layout.Live |> Array.iteri (fun place coordinate -> places[coordinate] <- place)
        let geometry = c.Geometry

        context.Engine.ConvolutionGram(
            &geometry,
            c.Weights.Storage,
            masked.Rows.Storage,
            masked.Columns.Storage,
            overOutputs,
            places,
            layout.Envelope,
            gram
        )

    /// Doubles in the work space of one batch.
    let private batchBudget = 1 <<< 23

    /// By applying the operator to basis vectors.
    let private ofImages (context: Context) masked (layout: GramLayout) (gram: Storage) =
        let engine, live = context.Engine, layout.Live
        let n = live.Length
        let struct (length, otherLength) = Gram.lengths layout.Side masked
        let batch = batchBudget / (length + otherLength) |> max 1 |> min 256 |> min n

        for first in 0..batch .. n - 1 do
            Context.check context
            let count = min batch (n - first)
            let basis = Array.zeroCreate<float>(count * length)

            for b in 0 .. count - 1 do
                basis[b * length + live[first + b]] <- 1.0

            let x = engine.Allocate basis.Length
            engine.Copy(HostStorage basis, 0, x, 0, basis.Length)
            Gram.multiply engine masked layout.Side count x (engine.Allocate(count * otherLength))
            x.CopyTo(0, basis)

            for b in 0 .. count - 1 do
                let row = Array.init (first + b + 1) (fun j -> basis[b * length + live[j]])
                engine.Copy(HostStorage row, 0, gram, int (layout.Envelope.Index(first + b, 0)), row.Length)

    /// Writes the lower triangle over the live coordinates of one side into `gram`, whatever that held, which may be longer than the
    /// envelope; a dense map is compressed to its live coordinates beforehand.
    let formInto (context: Context) masked (layout: GramLayout) (gram: Storage) =
        match masked.Map with
        | Dense dense -> ofDense context layout dense masked.Rows gram
        | Convolution c -> ofConvolution context masked layout c gram
        | AveragePooling _
        | Sparse _
        | Diagonal _
        | Scaled _
        | Rounded _ -> ofImages context masked layout gram

    /// The lower triangle in storage of its own.
    let form (context: Context) masked (layout: GramLayout) : Storage =
        let gram = context.Engine.Allocate(Checked.int layout.Envelope.Length)
        formInto context masked layout gram
        gram

    /// The whole symmetric matrix, row-major.
    let whole (layout: GramLayout) (gram: Storage) : float[] =
        let n = layout.Envelope.Order
        let matrix = LargeArrays.Allocate<float>(n * n)

        for i in 0 .. n - 1 do
            let first = layout.Envelope.FirstColumn(i / SymmetricEnvelope.BlockRows)
            gram.CopyTo(int (layout.Envelope.Index(i, first)), Span(matrix, i * n + first, i - first + 1))

            for j in first .. i - 1 do
                matrix[j * n + i] <- matrix[i * n + j]

        matrix
