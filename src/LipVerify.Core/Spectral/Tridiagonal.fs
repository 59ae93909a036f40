namespace LipVerify.Core.Spectral

open System
open LipVerify.Core.Numbers

/// A growing symmetric tridiagonal matrix `T` with positive entries beside its diagonal, as Lanczos makes them. The last of these
/// entries leads out of the matrix, to the row that is next.
[<ReferenceEquality>]
type Tridiagonal =
    {
        /// `α_1, …, α_k`.
        Diagonal: ResizeArray<float>
        /// `β_1, …, β_k`, where `β_k` couples to row `k + 1`.
        OffDiagonal: ResizeArray<float>
    }

module Tridiagonal =

    /// No rows yet.
    let empty () =
        {
            Diagonal = ResizeArray()
            OffDiagonal = ResizeArray()
        }

    /// The number of rows `k`.
    let size t = t.Diagonal.Count

    /// Lower bounds on the pivots of `λI − T`, eliminated from the last row upward: `d_j = λ − α_j − β_j²/d_{j+1}`. None if one
    /// is not positive; else `λ` exceeds every eigenvalue of `T`.
    let private pivots t lambda =
        let k = size t
        let d = Array.zeroCreate<float> k
        let mutable positive = true
        let mutable j = k - 1

        while positive && j >= 0 do
            let own = Math.BitDecrement(lambda - t.Diagonal[j])

            d[j] <-
                if j = k - 1 then
                    own
                else
                    let beta = t.OffDiagonal[j]
                    Math.BitDecrement(own - Rounding.divUp (Rounding.mulUp beta beta) d[j + 1])

            positive <- d[j] > 0.0
            j <- j - 1

        if positive then Some d else None

    /// Upper bounds on the first column of `(λI − T)⁻¹`, all of whose entries are positive and fall with growing `λ`. None unless
    /// `λ` is seen to exceed every eigenvalue of `T`.
    let resolventColumn t lambda =
        pivots t lambda
        |> Option.map (fun d ->
            let column = Array.zeroCreate<float> d.Length
            column[0] <- Rounding.divUp 1.0 d[0]

            for j in 1 .. d.Length - 1 do
                column[j] <- Rounding.divUp (Rounding.mulUp t.OffDiagonal[j - 1] column[j - 1]) d[j]

            column)

    /// The least double, up to `1e-15` relative, that is seen to exceed every eigenvalue of `T`; `T` is positive semidefinite
    /// up to rounding.
    let largestEigenvalue t =
        // Gershgorin's discs reach no further.
        let reach j =
            t.Diagonal[j]
            + (if j > 0 then t.OffDiagonal[j - 1] else 0.0)
            + (if j < size t - 1 then t.OffDiagonal[j] else 0.0)

        let rec bisect low high =
            let middle = 0.5 * (low + high)

            if high - low <= 1e-15 * high || not (middle > low && middle < high) then
                high
            elif (pivots t middle).IsSome then
                bisect low middle
            else
                bisect middle high

        let top = Seq.init (size t) reach |> Seq.max
        bisect 0.0 (max 0.0 top * (1.0 + 1e-12) + Math.ScaleB(1.0, -900))
