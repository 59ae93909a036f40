namespace LipVerify.Core.LinearMaps

open LipVerify.Compute
open LipVerify.Core.Computation

/// A two-dimensional convolution without its bias.
[<ReferenceEquality>]
type Convolution =
    private
        {
            Window: ConvolutionGeometry
            Kernel: Tensor
        }

    /// Channels, extents, strides, padding, dilation and groups.
    member convolution.Geometry = convolution.Window

    /// Weights of shape `out × in/groups × kernel height × kernel width`.
    member convolution.Weights = convolution.Kernel

module Convolution =

    /// A convolution; geometry and weight shape must agree.
    let create (geometry: ConvolutionGeometry) (weights: Tensor) =
        geometry.Validate()

        let expected =
            [
                geometry.OutChannels
                geometry.InChannels / geometry.Groups
                geometry.Rows.Kernel
                geometry.Columns.Kernel
            ]

        if weights.Shape <> expected then
            invalidArg
                (nameof weights)
                $"the convolution needs weights {Shape.text expected}, not {Shape.text weights.Shape}"

        { Window = geometry; Kernel = weights }

    /// Shape of one input: channels × height × width.
    let inputShape (c: Convolution) : Shape =
        [ c.Window.InChannels; c.Window.Rows.Input; c.Window.Columns.Input ]

    /// Shape of one output: channels × height × width.
    let outputShape (c: Convolution) : Shape =
        [ c.Window.OutChannels; c.Window.Rows.Output; c.Window.Columns.Output ]

    /// `y ← W ∗ x` for each input of the batch.
    let apply (engine: IEngine) (c: Convolution) batch (x: Storage) (y: Storage) =
        let geometry = c.Window
        engine.Convolve(&geometry, c.Kernel.Storage, x, batch, y)

    /// `x ← Wᵀ y` for each output of the batch.
    let adjoint (engine: IEngine) (c: Convolution) batch (y: Storage) (x: Storage) =
        let geometry = c.Window
        engine.ConvolveAdjoint(&geometry, c.Kernel.Storage, y, batch, x)

    /// The convolution with weights `f w`. Its matrix is `f` of the entries of this one's, given `f 0 = 0`.
    let mapEntries f (c: Convolution) =
        { c with
            Kernel = Tensor.map f c.Kernel
        }
