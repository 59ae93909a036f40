namespace LipVerify.Core.Bounds.Polynomials

open System
open System.Threading
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation

/// One entry of a symmetric block matrix, in the upper triangle: `Row ≤ Column`.
[<Struct>]
type MatrixEntry =
    {
        /// The block.
        Block: int
        /// The row.
        Row: int
        /// The column.
        Column: int
        /// The entry; it stands below the diagonal too.
        Value: float
    }

/// `⟨A, M⟩ = a`, or `⟨A, M⟩ ≤ a`.
type MatrixConstraint =
    {
        /// `A`.
        Entries: MatrixEntry list
        /// `a`.
        Right: float
        /// An inequality.
        AtMost: bool
    }

/// Maximise `⟨C, M⟩` over block diagonal `M ⪰ 0` with linear constraints. `M` stands for matrices of products at the points of a
/// problem, of which a bound on the trace of each block is known: that makes any multipliers a proof.
[<ReferenceEquality>]
type SemidefiniteProgram =
    {
        /// The sides of the blocks.
        Sides: int[]
        /// What the trace of each block is at most, at every point of the problem.
        Traces: float[]
        /// `C`.
        Objective: MatrixEntry list
        /// The constraints.
        Constraints: MatrixConstraint[]
    }

/// Multipliers of the constraints from a program that is not trusted, or one line that says why there are none.
type SemidefiniteSolver = CancellationToken -> SemidefiniteProgram -> Result<float[], string>

module SemidefiniteProgram =

    /// `Z = Σ y_k A_k − C`, with the sum of the sizes of all terms of a block, and the most terms of one entry.
    let private slack (program: SemidefiniteProgram) (multipliers: float[]) =
        let sums = program.Sides |> Array.map (fun n -> Array.zeroCreate<float>(n * n))
        let counts = program.Sides |> Array.map (fun n -> Array.zeroCreate<int>(n * n))
        let sizes = program.Sides |> Array.map (fun _ -> 0.0)

        let add factor entries =
            for entry in entries do
                let n = program.Sides[entry.Block]
                let value = factor * entry.Value
                let place = entry.Row * n + entry.Column
                sums[entry.Block][place] <- sums[entry.Block][place] + value
                counts[entry.Block][place] <- counts[entry.Block][place] + 1
                sizes[entry.Block] <- sizes[entry.Block] + abs value

                if entry.Row <> entry.Column then
                    let mirror = entry.Column * n + entry.Row
                    sums[entry.Block][mirror] <- sums[entry.Block][place]

        add -1.0 program.Objective
        Array.iter2 add multipliers (program.Constraints |> Array.map _.Entries)
        sums, sizes, counts |> Array.map Array.max

    /// An upper bound on `⟨C, M⟩` at every point of the problem, from any multipliers: those of inequalities are cut off at 0, and
    /// with `Z = Σ y_k A_k − C` it is `⟨C, M⟩ ≤ Σ y_k a_k − ⟨Z, M⟩ ≤ Σ y_k a_k + Σ_b max(0, −λ_min(Z_b))·tr M_b`. Eigenvalues are lowered
    /// by an allowance for rounding.
    let upperBound (engine: IEngine) program (multipliers: float[]) =
        let multipliers =
            Array.map2
                (fun y (row: MatrixConstraint) -> if row.AtMost then max 0.0 y else y)
                multipliers
                program.Constraints

        let products =
            Array.map2 (fun y row -> y * row.Right) multipliers program.Constraints

        let rounding = Rounding.gamma (products.Length + 2) * Array.sumBy abs products
        let sums, sizes, counts = slack program multipliers

        let shifts =
            program.Sides
            |> Array.mapi (fun block n ->
                let norm = sqrt (sums[block] |> Array.sumBy (fun z -> z * z))

                if Double.IsFinite norm then
                    let least = (engine.SymmetricEigen(n, HostStorage sums[block], false))[0]

                    // For the eigenvalue itself, for roundings of the program's coefficients, and for those of the sums that make an entry.
                    let allowance =
                        8.0 * Rounding.unitRoundoff * (float n * norm + 8.0 * sizes[block])
                        + Rounding.gamma (counts[block] + 2) * sizes[block]

                    max 0.0 (allowance - least) * program.Traces[block]
                else
                    Double.PositiveInfinity)

        Array.sum products + rounding + Array.sum shifts

    /// What needs no multipliers: `⟨C, M⟩ ≤ Σ_b λ_max(C_b)·tr M_b`, and no eigenvalue exceeds the largest sum of magnitudes over a row.
    let private boundOfSums program =
        let rows = program.Sides |> Array.map Array.zeroCreate<float>

        for entry in program.Objective do
            let add row =
                rows[entry.Block][row] <- rows[entry.Block][row] + abs entry.Value

            add entry.Row

            if entry.Row <> entry.Column then
                add entry.Column

        let rounding =
            1.0 + 2.0 * Rounding.gamma (program.Objective.Length + program.Sides.Length + 4)

        rounding
        * Array.fold2 (fun sum row trace -> sum + Array.max row * trace) 0.0 rows program.Traces

    /// Bounds on what a solver is given: constraints, and the side of a block.
    let mostConstraints, largestSide = 6000, 2000

    /// The bound that a solver's multipliers prove, or, where the time of the context is over first, one that needs none.
    let maximise (context: Context) (solver: SemidefiniteSolver) program =
        let side = Array.max program.Sides

        if program.Constraints.Length > mostConstraints || side > largestSide then
            Error
                $"a semidefinite program with {program.Constraints.Length} constraints and a matrix of side {side} is too large (at most {mostConstraints} and {largestSide})"
        else
            context.Report $"semidefinite program: side {side}, {program.Constraints.Length} constraints"

            Context.attempt context (fun context ->
                solver context.Cancellation program
                |> Result.bind (fun multipliers ->
                    if
                        multipliers.Length = program.Constraints.Length
                        && Array.forall Double.IsFinite multipliers
                    then
                        Ok(upperBound context.Engine program multipliers)
                    else
                        Error "the solver of semidefinite programs returned no usable multipliers"))
            |> Option.defaultWith (fun () -> Ok(boundOfSums program))
