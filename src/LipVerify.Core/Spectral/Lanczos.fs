namespace LipVerify.Core.Spectral

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation

/// The three-term recurrence of Lanczos for `G`, for several start vectors side by side and without reorthogonalisation:
/// `G q_j = β_j q_{j+1} + α_j q_j + β_{j−1} q_{j−1}` up to rounding, of which `StepErrors` holds bounds. No `α_j` is negative.
type Lanczos(context: Context, gram: GramOperator, count: int, draws: float[]) =
    let engine = context.Engine
    let length = gram.Length

    let block () =
        engine.Allocate(Checked.(*) count length)

    let apply = gram.Open count
    let mutable previous = block ()
    let mutable current = block ()
    let mutable next = block ()
    let matrices = Array.init count (fun _ -> Tridiagonal.empty ())
    let errors = Array.init count (fun _ -> ResizeArray<ApplicationError>())

    /// Norms are computed as if the vectors were scaled by no less than this: a smaller remainder counts as an error.
    let least = Math.ScaleB(1.0, -400)

    let alphas = Array.zeroCreate<float> count
    let betas = Array.zeroCreate<float> count

    /// Makes vector `i` a unit vector and returns the factor that it had.
    let normalise (v: Storage) i =
        let size = sqrt (engine.Dot(v, i * length, v, i * length, length))

        if size > least then
            engine.Scale(1.0 / size, v, i * length, length)
            size
        else
            engine.Scale(0.0, v, i * length, length)
            least

    /// Products and sums of the recurrence err by at most 2u each, relative to what goes into them; the rest of the factor is
    /// to spare. The last term outweighs underflow and remainders that were dropped.
    let stepError (application: ApplicationError) alpha before beta =
        let sizes = application.Size + abs alpha + before + beta

        { application with
            Plain =
                (application.Plain + 16.0 * Rounding.unitRoundoff * sizes) * (1.0 + 1e-6)
                + 4.0 * least
        }

    do
        engine.Copy(HostStorage draws, 0, current, 0, draws.Length)

        match gram.Support with
        | Some support -> engine.MultiplyRows(current, count, support.Storage, current)
        | None -> ()

    let starts = Array.init count (normalise current)

    /// `‖g_i‖` of the start vectors, up to rounding.
    member _.StartNorms = starts

    /// `1 + γ`: no computed unit vector is longer.
    member _.UnitNorm = 1.0 + Rounding.gamma (length + 16)

    /// `T` of each start vector.
    member _.Matrices = matrices

    /// Bounds on `G q_j − β_j q_{j+1} − α_j q_j − β_{j−1} q_{j−1}` along the top eigenvector for each start vector, one a step; where nothing
    /// is `PerRoot` they bound its length.
    member _.StepErrors = errors

    /// The vectors `q_{k+1}` after `k` steps, one a row.
    member _.Vectors = current

    /// Steps done.
    member _.Steps = errors[0].Count

    /// The largest Ritz value: an eigenvalue of `G` is not below it, but for rounding.
    member _.Ritz = matrices |> Seq.map Tridiagonal.largestEigenvalue |> Seq.max

    /// One step: applies `G` to one vector of each start.
    member _.Step() =
        Context.check context
        let applications = apply current next

        let before =
            matrices
            |> Array.map (fun t ->
                if Tridiagonal.size t = 0 then
                    0.0
                else
                    Seq.last t.OffDiagonal)

        engine.Recur(next, current, previous, before, length, least, alphas, betas)

        for i in 0 .. count - 1 do
            matrices[i].Diagonal.Add alphas[i]
            matrices[i].OffDiagonal.Add betas[i]
            errors[i].Add(stepError applications[i] alphas[i] before[i] betas[i])

        let free = previous
        previous <- current
        current <- next
        next <- free
