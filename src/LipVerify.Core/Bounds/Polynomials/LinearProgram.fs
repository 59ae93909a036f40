namespace LipVerify.Core.Bounds.Polynomials

open System
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

/// A solution from a program that is not trusted, or one line that says why there is none. What it has at the end of the time, if that is limited,
/// need not be a solution.
type LinearSolver = CancellationToken -> TimeSpan option -> LinearProgram -> Result<float[], string>
