namespace LipVerify.Core.Spectral

open LipVerify.Compute
open LipVerify.Core.Computation

/// How far the computed image of a unit vector `q` may lie from `G q`, and how long it is.
[<Struct>]
type ApplicationError =
    {
        /// The part that is known as it is.
        Plain: float
        /// The part behind an operator that is as large as `√λ1`, the root of the largest eigenvalue, in units of it. It is counted along the
        /// top eigenvector, where it is multiplied by nothing else.
        PerRoot: float
        /// The computed image is no longer than this, up to a few roundings.
        Size: float
    }

/// A symmetric positive semidefinite operator `G`, the product of an operator and its adjoint, given by applications: of one layer (`Gram`),
/// or of whole networks with fixed slopes.
[<NoEquality; NoComparison>]
type GramOperator =
    {
        /// Coordinates.
        Length: int
        /// 1 where a coordinate may differ from 0, else 0; none where all may.
        Support: Tensor option
        /// No eigenvalue is larger.
        Ceiling: float
        /// A digest of a seed and of everything that `G` is made of, for the draws that certify it.
        Key: int -> byte[]
        /// Room for a number of vectors side by side, and then `y ← G x` for each of them, with the errors of unit vectors.
        Open: int -> Storage -> Storage -> ApplicationError[]
    }
