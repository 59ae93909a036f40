namespace LipVerify.Core.Bounds.Exact.Euclidean

open LipVerify.Core.Numbers

/// A choice of slopes for the ReLUs of the first layers, the half-spaces that it takes, and the affine map that the network is
/// there, up to the pre-activations of the layer whose slopes are being chosen. Points of the ball are `x0 + ε s`, `‖s‖ ≤ 1`,
/// in the 2-norm or the maximum norm.
[<ReferenceEquality>]
type internal ExactNode =
    {
        /// The layer whose ReLUs are being decided; the last one has none.
        Layer: int
        /// Its pre-activations' rates of change by `δ`, row by row.
        Rates: float[][]
        /// Its pre-activations at `x0`, as this choice of slopes continues them.
        Offsets: float[]
        /// The same without rounding, where that is asked for; none otherwise.
        Exact: Dyadic[]
        /// Sums of sizes behind each rate: what its rounding is relative to.
        RateSizes: float[]
        /// Sums of sizes behind each offset.
        OffsetSizes: float[]
        /// Slopes 0 and 1 of its ReLUs; −1 where both are possible.
        Slopes: int[]
        /// Where the slopes chosen hold.
        Cuts: HalfSpace[]
        /// A point in the interior of all cuts and the ball, where one is known.
        Witness: float[] option
    }
