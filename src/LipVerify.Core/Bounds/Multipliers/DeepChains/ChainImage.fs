namespace LipVerify.Core.Bounds.Multipliers.DeepChains

open System
open LipVerify.Compute
open LipVerify.Core.Numbers

/// `A = W P Wᵀ` as computed, by both triangles, with a bound on the errors of its entries: that of `A_ij` is at most `κ (|W||P||W|ᵀ)_ij`.
[<ReferenceEquality>]
type internal ChainImage =
    {
        Map: ChainMatrix
        /// None for `I`.
        Before: float[] option
        Values: float[]
        /// `κ`.
        Relative: float
    }

/// Images of ellipsoids under maps, with their rounding enclosed.
module internal ChainImage =

    /// What all underflows together may change in norm, amply.
    let underflow = Math.ScaleB(1.0, -500)

    /// The image of a claim.
    let create (engine: IEngine) (map: ChainMatrix) (before: float[] option) : ChainImage =
        {
            Map = map
            Before = before
            Values = ChainStep.image engine map before
            // Both products, and the entries of the map on both sides.
            Relative = 1.01 * (Rounding.gamma (2 * map.Columns + 4) + 2.0 * map.Error)
        }

    /// `Σ_j |a_ij| x_j`, without directed rounding.
    let private absoluteSums rows columns (a: float[]) (x: float[]) =
        Array.init rows (fun i ->
            let mutable sum = 0.0

            for j in 0 .. columns - 1 do
                sum <- sum + abs a[i * columns + j] * x[j]

            sum)

    let private absoluteColumnSums rows columns (a: float[]) (x: float[]) =
        let sums = Array.zeroCreate<float> columns

        for i in 0 .. rows - 1 do
            for j in 0 .. columns - 1 do
                sums[j] <- sums[j] + abs a[i * columns + j] * x[i]

        sums

    /// Bounds on `Σ_j |error of A_ij| f_j` for factors `f`.
    let errors (image: ChainImage) (f: float[]) : float[] =
        let n, k = image.Map.Rows, image.Map.Columns
        let inflation = 1.0 + 2.0 * Rounding.gamma (n + 2 * k + 8)
        let columns = absoluteColumnSums n k image.Map.Values f

        let through =
            match image.Before with
            | None -> columns
            | Some p -> absoluteSums k k p columns

        absoluteSums n k image.Map.Values through
        |> Array.map (fun sum -> image.Relative * inflation * sum + underflow)

    /// How far each entry before an activation can move at most, for inputs that move by 1: the roots of the diagonal of `A`.
    let reaches (image: ChainImage) : float[] =
        let n = image.Map.Rows
        let errors = errors image (Array.create n 1.0)
        Array.init n (fun i -> Rounding.sqrtUp (Rounding.addUp (max 0.0 image.Values[i * n + i]) errors[i]))
