namespace LipVerify.Core

/// One line of a layer-by-layer report.
[<NoComparison>]
type LayerBound =
    {
        /// Position of the layer in the network; a ReLU belongs to the affine map before it.
        Index: int
        /// Name in the model.
        Name: string
        /// `conv2d+relu`, `dense`, `maxpool2d`, …
        Kind: string
        /// Bound on the Lipschitz constant of the layer over its inputs.
        Lipschitz: Bound
        /// Radius of the ball of its inputs; none for global bounds.
        RadiusIn: float option
        /// Radius of the ball of its outputs; none for global bounds.
        RadiusOut: float option
        /// Outputs that can differ from zero.
        Active: int
        /// Outputs.
        Size: int
    }

/// An upper bound on a Lipschitz constant of a network in the 2-norm, and where it comes from.
[<NoComparison>]
type NetworkBound =
    {
        /// The bound.
        Bound: Bound
        /// The layers in order. Inside a sum of branches the branches follow each other.
        Layers: LayerBound list
    }
