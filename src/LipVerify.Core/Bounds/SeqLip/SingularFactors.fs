namespace LipVerify.Core.Bounds.SeqLip

open System
open System.Numerics.Tensors
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Bounds.Multipliers.Solver

/// How much of each singular value the left factor takes.
type internal SingularSplit =
    /// `U` and `Σ Vᵀ`.
    | RightTakesAll
    /// `U Σ^{1/2}` and `Σ^{1/2} Vᵀ`.
    | Halves
    /// `U Σ` and `Vᵀ`.
    | LeftTakesAll

/// A matrix as a product of singular factors and what that misses: `A = 2^e (L Rᵀ + E)`, `‖E‖ ≤ η`. The identity holds with rounding
/// enclosed, whatever the singular values and vectors are worth.
[<ReferenceEquality>]
type internal SingularFactors =
    {
        /// `e`.
        Exponent: int
        /// Rows of `A`.
        Outputs: int
        /// Columns of `A`.
        Inputs: int
        /// Singular values that are kept.
        Rank: int
        /// `L`, `Outputs × Rank`, row-major.
        Left: float[]
        /// `R`, `Inputs × Rank`, row-major.
        Right: float[]
        /// `η`.
        Error: float
    }

/// Singular value decompositions of explicit matrices.
module internal SingularFactors =

    let private multiply = MultiplierProblem.multiply

    let private transpose rows columns (values: float[]) =
        Array.init values.Length (fun k -> values[k % rows * columns + k / rows])

    let private row (values: float[]) width i = Span(values, i * width, width)

    let private dot (a: Span<float>) (b: Span<float>) =
        TensorPrimitives.Dot(Span.op_Implicit a, Span.op_Implicit b)

    /// Turns two rows by the angle with tangent `t`.
    let private rotate t (a: Span<float>) (b: Span<float>) =
        let c = 1.0 / Math.Sqrt(1.0 + t * t)
        let s = c * t

        for i in 0 .. a.Length - 1 do
            let x, y = a[i], b[i]
            a[i] <- c * x - s * y
            b[i] <- s * x + c * y

    /// Rows this close to orthogonal stay as they are.
    let private orthogonal = 1e-15

    /// One-sided Jacobi: turns the rows of `matrix` until they are orthogonal, and those of `turns` with them.
    let private orthogonalise context rank width (matrix: float[]) (turns: float[]) =
        let squares =
            Array.init rank (fun i -> dot (row matrix width i) (row matrix width i))

        let sweep () =
            let mutable turned = false

            for i in 0 .. rank - 2 do
                Context.check context

                for j in i + 1 .. rank - 1 do
                    let a = row matrix width i
                    let b = row matrix width j
                    let product = dot a b

                    if abs product > orthogonal * sqrt squares[i] * sqrt squares[j] && product <> 0.0 then
                        let zeta = (squares[j] - squares[i]) / (2.0 * product)

                        let t = (if zeta >= 0.0 then 1.0 else -1.0) / (abs zeta + sqrt (1.0 + zeta * zeta))

                        rotate t a b
                        rotate t (row turns rank i) (row turns rank j)
                        squares[i] <- dot a a
                        squares[j] <- dot b b
                        turned <- turned || abs product > 1e-13 * sqrt squares[i] * sqrt squares[j]

            turned

        let mutable sweeps = 0

        while sweeps < 12 && sweep () do
            sweeps <- sweeps + 1

        squares |> Array.map sqrt

    /// Orthogonal rows `Q B` and the orthogonal `Q`, with the norms of the rows, for a matrix `B` with no more rows than columns.
    /// Eigenvectors of `B Bᵀ` come close; Jacobi makes small singular values as accurate as large ones.
    let private decompose (context: Context) rows columns (matrix: float[]) =
        let vectors =
            multiply context.Engine false true rows rows columns matrix columns matrix columns

        context.Engine.SymmetricEigen(rows, HostStorage vectors, true) |> ignore

        let turned =
            multiply context.Engine false false rows columns rows vectors rows matrix columns

        let values = orthogonalise context rows columns turned vectors
        struct (values, vectors, turned)

    /// Singular values below this part of the largest are left to `E`.
    let private negligible = 1e-15

    /// The singular values kept, with left and right vectors as rows.
    let private triplets context rows columns (matrix: float[]) =
        let isTall = rows > columns

        let struct (values, turns, orthogonal) =
            if isTall then
                decompose context columns rows (transpose rows columns matrix)
            else
                decompose context rows columns matrix

        let least = negligible * Array.max values

        let kept =
            [|
                for i in 0 .. values.Length - 1 do
                    if values[i] > least then
                        i
            |]

        let short, long = min rows columns, max rows columns

        let pick (source: float[]) width (factor: int -> float) =
            kept
            |> Array.collect (fun i -> Array.init width (fun j -> source[i * width + j] * factor i))

        let unit = pick orthogonal long (fun i -> 1.0 / values[i])
        let turns = pick turns short (fun _ -> 1.0)
        let left, right = if isTall then unit, turns else turns, unit
        struct (kept |> Array.map (fun i -> values[i]), left, right)

    /// A bound on the Frobenius norm, for entries that are at most about 1.
    let frobenius (values: float[]) =
        let squares = TensorPrimitives.SumOfSquares(ReadOnlySpan values)

        Rounding.sqrtUp (
            squares * (1.0 + 2.0 * Rounding.gamma (values.Length + 8))
            + Math.ScaleB(1.0, -900)
        )

    /// What `L Rᵀ` misses of a matrix whose entries are known to `errors`.
    let private missed (engine: IEngine) rows columns rank (matrix: float[]) (errors: float[]) left right =
        let product = multiply engine false true rows columns rank left rank right rank
        let difference = Array.map2 (-) matrix product

        // |fl(A − L Rᵀ) − (A − L Rᵀ)| ≤ γ (|A| + |L||R|ᵀ), and the Frobenius norm is submultiplicative.
        let rounding =
            Rounding.gamma (rank + 4)
            * (frobenius matrix + frobenius left * frobenius right)

        (frobenius difference + rounding + frobenius errors) * (1.0 + 1e-14)

    /// `L` and `R` from singular values and vectors, the vectors as rows.
    let private divide split (values: float[]) outputs (left: float[]) inputs (right: float[]) =
        let rank = values.Length

        let weighted (vectors: float[]) length (weight: float -> float) =
            Array.init (length * rank) (fun k ->
                let i = k % rank
                vectors[i * length + k / rank] * weight values[i])

        let all, none = id, (fun (_: float) -> 1.0)

        let leftWeight, rightWeight =
            match split with
            | RightTakesAll -> none, all
            | Halves -> sqrt, sqrt
            | LeftTakesAll -> all, none

        struct (weighted left outputs leftWeight, weighted right inputs rightWeight)

    /// The factors of a matrix whose entries are known to `errors`, row-major; none where it is zero, exactly, or not finite.
    let tryCreate (context: Context) split rows columns (matrix: float[]) (errors: float[]) : SingularFactors option =
        let largest = (0.0, matrix) ||> Array.fold (fun best x -> max best (abs x))

        if not (largest > 0.0 && Double.IsFinite largest && Array.forall Double.IsFinite errors) then
            None
        else
            // The Frobenius norm comes near 1; what underflows is far below the rounding that is allowed for.
            let first = -(Math.ILogB largest)
            let size = frobenius (matrix |> Array.map (fun x -> Math.ScaleB(x, first)))
            let exponent = first - Math.ILogB size
            let scaled = matrix |> Array.map (fun x -> Math.ScaleB(x, exponent))

            let errors =
                errors
                |> Array.map (fun e -> if e = 0.0 then 0.0 else Rounding.scaleUp e exponent)

            let struct (values, left, right) = triplets context rows columns scaled
            let rank = values.Length
            let struct (left, right) = divide split values rows left columns right

            Some
                {
                    Exponent = -exponent
                    Outputs = rows
                    Inputs = columns
                    Rank = rank
                    Left = left
                    Right = right
                    Error = missed context.Engine rows columns rank scaled errors left right
                }

    /// Factors from orthonormal `right` vectors and their images, both as rows: an approximation whose error is not known, and
    /// given as infinite. None where the images vanish or are not finite.
    let tryOfImages context split count inputs (right: float[]) outputs (images: float[]) : SingularFactors option =
        let largest = (0.0, images) ||> Array.fold (fun best x -> max best (abs x))

        if not (largest > 0.0 && Double.IsFinite largest) then
            None
        else
            let exponent = -(Math.ILogB largest)
            let scaled = images |> Array.map (fun x -> Math.ScaleB(x, exponent))
            let struct (values, turns, left) = decompose context count outputs scaled

            let right =
                multiply context.Engine false false count inputs count turns count right inputs

            let least = negligible * Array.max values

            let kept =
                [|
                    for i in 0 .. count - 1 do
                        if values[i] > least then
                            i
                |]

            let pick (rows: float[]) width (factor: int -> float) =
                kept
                |> Array.collect (fun i -> Array.init width (fun j -> rows[i * width + j] * factor i))

            let values' = kept |> Array.map (fun i -> values[i])

            let struct (left, right) =
                divide
                    split
                    values'
                    outputs
                    (pick left outputs (fun i -> 1.0 / values[i]))
                    inputs
                    (pick right inputs (fun _ -> 1.0))

            Some
                {
                    Exponent = -exponent
                    Outputs = outputs
                    Inputs = inputs
                    Rank = kept.Length
                    Left = left
                    Right = right
                    Error = Double.PositiveInfinity
                }
