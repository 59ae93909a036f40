namespace LipVerify.Core.Certificates

open LipVerify.Core.Numbers
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Analytic

/// What a certificate states: a bound with the claim of every layer and its witness. The network and the input that it
/// speaks of are bound to it by their hashes where it is written.
[<NoComparison>]
type Certificate =
    {
        /// Which Lipschitz constant is bounded.
        Definition: Definition
        /// Radius of the ball around the nominal input; none for a global bound.
        Radius: Radius option
        /// The bound with its claims.
        Result: NetworkBound
    }

module Certificate =

    /// The certificate of a bound by Algorithm 1.
    let local definition radius result =
        {
            Definition = definition
            Radius = Some radius
            Result = result
        }

    /// The certificate of a global bound, which holds for either definition; it is stated for the stronger one.
    let ``global`` result =
        {
            Definition = Uniform
            Radius = None
            Result = result
        }

    /// The method in reports: `analytic` or `global`.
    let methodName certificate =
        if certificate.Radius.IsSome then "analytic" else "global"

    /// The word for the proof of a layer's constant.
    let witnessLabel method =
        match method with
        | SpectralNorm Spectral.CholeskyCertificate -> "cholesky"
        | SpectralNorm Spectral.LanczosCertificate -> "lanczos"
        | SpectralNorm Spectral.AbsoluteNorms -> "absolute"
        | SpectralNorm Spectral.Zero -> "zero"
        | SpectralNorm Spectral.DiagonalMaximum -> "diagonal"
        | PoolingOverlap -> "maxpool"
        | Nonexpansive -> "nonexpansive"
