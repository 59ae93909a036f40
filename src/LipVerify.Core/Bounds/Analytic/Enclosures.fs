/// Elementwise enclosures of pre-activations, of the inputs of max pooling and of outputs over a ball (METHODS section 6).
module LipVerify.Core.Bounds.Analytic.Enclosures

open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures

/// Encloses everything in `network` that bends, and its outputs, over the ball of the given radius around `input`. Weights and
/// input are taken as exact, and rounding is enclosed. Each kind is intersected with the weaker ones; the promise is that of the
/// spectral norms from which `Ball` has its radii.
let ofNetwork (context: Context) (kind: EnclosureKind) (network: Network) (input: Tensor) (radius: Radius) =
    Analytic.enclose context kind network input radius
