namespace LipVerify.Core.LinearMaps

open LipVerify.Compute
open LipVerify.Core.Computation

/// Average pooling, a linear map with rows of equal entries `1/n_i`; its matrix is never formed.
[<ReferenceEquality>]
type AveragePooling =
    private
        {
            Window: PoolingGeometry
            Padded: bool
        }

    /// Channels, extents, strides and padding.
    member pooling.Geometry = pooling.Window

    /// True when the divisor counts padding.
    member pooling.CountPadding = pooling.Padded

module AveragePooling =

    /// Average pooling over the windows of `geometry`; `countPadding` lets padding count in the divisor.
    let create (geometry: PoolingGeometry) countPadding =
        geometry.Validate()

        {
            Window = geometry
            Padded = countPadding
        }

    /// Shape of one input: channels × height × width.
    let inputShape (p: AveragePooling) : Shape =
        [ p.Window.Channels; p.Window.Rows.Input; p.Window.Columns.Input ]

    /// Shape of one output: channels × height × width.
    let outputShape (p: AveragePooling) : Shape =
        [ p.Window.Channels; p.Window.Rows.Output; p.Window.Columns.Output ]

    /// `y_i ←` the mean over window `i`, for each input of the batch.
    let apply (engine: IEngine) (p: AveragePooling) batch (x: Storage) (y: Storage) =
        let geometry = p.Window
        engine.AveragePool(&geometry, p.Padded, x, batch, y)

    /// The adjoint of `apply`.
    let adjoint (engine: IEngine) (p: AveragePooling) batch (y: Storage) (x: Storage) =
        let geometry = p.Window
        engine.AveragePoolAdjoint(&geometry, p.Padded, y, batch, x)

    /// Taps of window `w` along one axis that the divisor counts.
    let private divisor (axis: WindowAxis) padded window =
        let counted position =
            if padded then
                position >= -axis.PadBefore && position < axis.Input + axis.PadAfter
            else
                position >= 0 && position < axis.Input

        Seq.init axis.Kernel (fun tap -> axis.Position(window, tap))
        |> Seq.filter counted
        |> Seq.length

    /// The divisors `n_i`, one an output.
    let divisors (p: AveragePooling) : float[] =
        let rows = Array.init p.Window.Rows.Output (divisor p.Window.Rows p.Padded)
        let columns = Array.init p.Window.Columns.Output (divisor p.Window.Columns p.Padded)

        [|
            for _ in 1 .. p.Window.Channels do
                for row in rows do
                    for column in columns do
                        float (row * column)
        |]
