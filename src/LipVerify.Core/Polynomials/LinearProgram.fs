namespace LipVerify.Core

open System.Threading

/// Minimise `cᵀx` over `x ≥ 0` with `A x = b`; `A` is sparse, by columns.
[<ReferenceEquality>]
type LinearProgram =
    {
        /// `c`.
        Costs: float[]
        /// `b`.
        Right: float[]
        /// The rows and values of the entries of each column.
        Columns: (int * float)[][]
    }

/// A solution from a program that is not trusted, or one line that says why there is none.
type LinearSolver = CancellationToken -> LinearProgram -> Result<float[], string>
