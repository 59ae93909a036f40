namespace LipVerify.Core.Bounds.Multipliers.Solver

open LipVerify.Compute

/// `Z B`, `BᵀZB`, `Z Y`, `YᵀZY` and `BᵀZY` for a symmetric matrix `Z`: all that is needed of it beside the matrices `A_i` of
/// `MultiplierSolver`. Their room is used again.
type internal Projections(engine: IEngine, problem: MultiplierProblem.Problem) =
    let n, k, c = problem.Height, problem.Uncertain, problem.Columns
    let room rows columns = Array.zeroCreate<float>(rows * columns)

    member val ZB = room n k
    member val BZB = room k k
    member val ZY = room n c
    member val YZY = room c c
    member val BZY = room k c

    /// Projects `z`.
    member p.Of(z: float[]) =
        TriangularProducts.timesLower engine n k z problem.B p.ZB
        TriangularProducts.symmetricAdjointProduct engine n k problem.B p.ZB p.BZB

        if problem.IsLower then
            TriangularProducts.timesLower engine n c z problem.Y p.ZY
            TriangularProducts.symmetricAdjointProduct engine n c problem.Y p.ZY p.YZY
        else
            MultiplierProblem.multiplyInto engine false false n c n z n problem.Y c p.ZY
            MultiplierProblem.multiplyInto engine true false c c n problem.Y c p.ZY c p.YZY

        TriangularProducts.adjointProduct engine n k c problem.B p.ZY p.BZY

/// Entries of `s` that change by one factor: in relative terms what belongs to the members of a tie adds up.
module internal Ties =

    /// A vector of `μ`'s entry and one an entry of `s`, summed over ties.
    let vector (ties: int[] option) (values: float[]) =
        match ties with
        | None -> values
        | Some ties ->
            let sums = Array.zeroCreate<float>(Array.max ties + 2)
            sums[0] <- values[0]

            ties
            |> Array.iteri (fun j tie -> sums[tie + 1] <- sums[tie + 1] + values[j + 1])

            sums

    /// The lower triangle of a symmetric matrix of such entries, of order `size`, summed over ties.
    let matrix (ties: int[] option) size (values: float[]) =
        match ties with
        | None -> values
        | Some ties ->
            let count = Array.max ties + 2
            let place i = if i = 0 then 0 else ties[i - 1] + 1
            let sums = Array.zeroCreate<float>(count * count)

            for i in 0 .. size - 1 do
                for j in 0..i do
                    let a, b = place i, place j
                    let at = max a b * count + min a b
                    let value = values[i * size + j]
                    // Of two members of one tie both orders lie on the diagonal.
                    sums[at] <- sums[at] + (if a = b && i <> j then 2.0 * value else value)

            sums

    /// A step of each tie as one of its members.
    let expand (ties: int[] option) (step: float[]) =
        match ties with
        | None -> step
        | Some ties -> Array.append step[..0] (ties |> Array.map (fun tie -> step[tie + 1]))

    /// The Cholesky factor of the lower triangle of a matrix, with a ridge where rounding has made it indefinite.
    let tryFactor (engine: IEngine) size (matrix: float[]) =
        let rec attempt ridge =
            let factor = Array.copy matrix

            for i in 0 .. size - 1 do
                factor[i * size + i] <- factor[i * size + i] * (1.0 + ridge) + 1e-300

            if engine.TryCholesky((size: int), HostStorage factor) then
                Some factor
            elif ridge > 1.0 then
                None
            else
                attempt (max 1e-14 (100.0 * ridge))

        attempt 0.0
