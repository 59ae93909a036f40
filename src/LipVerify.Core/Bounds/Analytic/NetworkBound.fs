namespace LipVerify.Core.Bounds.Analytic

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Spectral

/// How the constant of a layer is proved.
type WitnessMethod =
    /// The spectral norm of `R A D`, by this method.
    | SpectralNorm of Spectral.Method
    /// Theorem 3, from the overlap of the pooling windows.
    | PoolingOverlap
    /// ReLU moves no two values further apart.
    | Nonexpansive

/// What stands behind the constant of one layer.
[<NoComparison>]
type Witness =
    {
        /// How it is proved.
        Method: WitnessMethod
        /// Probability that this proof alone fails over its own random draws; 0 where it draws none.
        Failure: float
        /// Seed of the draws; none where it draws none.
        Seed: int option
    }

module Witness =

    /// A proof without random draws.
    let deterministic method =
        {
            Method = method
            Failure = 0.0
            Seed = None
        }

    /// The witness of a spectral norm that was computed with the seed of `context`.
    let ofNorm (context: Context) (norm: Spectral.SpectralNorm) =
        let failure = Rigor.failureProbability norm.Bound.Rigor

        {
            Method = SpectralNorm norm.Method
            Failure = failure
            Seed = if failure > 0.0 then Some context.Seed else None
        }

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
        /// What stands behind the constant by itself, without what the radius promises.
        Witness: Witness
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
