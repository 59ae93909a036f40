/// Upper bounds on the largest eigenvalue of an explicit symmetric matrix, proved by floating-point Cholesky.
module LipVerify.Core.SemidefiniteProof

open System
open LipVerify.Compute

/// Relative gaps tried above an estimate, from a little more than estimates err by up to a plainly wrong one.
let private slacks limit =
    Seq.unfold (fun slack -> Some(slack, 8.0 * slack)) 1e-10
    |> Seq.takeWhile (fun slack -> slack < limit)

/// The entries on the diagonal.
let private diagonal (envelope: SymmetricEnvelope) (gram: Storage) =
    Array.init envelope.Order (fun i ->
        let value = [| 0.0 |]
        gram.CopyTo(int (envelope.Index(i, i)), Span value)
        value[0])

/// A proven bound on the largest eigenvalue of a symmetric matrix `G` with diagonal entries that are not negative: the first of
/// `estimate·(1 + slack)` for slacks below `limit` that Cholesky proves. `form` gives the lower triangle of `G` in storage that
/// is overwritten.
///
/// If floating-point Cholesky succeeds on `A = c·I − G − s·I`, then `A + Δ ⪰ 0` for a `Δ` with `|Δ_ij| ≤ γ_{k+1}/(1 − γ_{k+1})·√(a_ii a_jj)`
/// inside the envelope and 0 outside, `k` being the length of its longest row (Rump, BIT 2006, Theorem 2.3). A row of `Δ` has at
/// most `m` entries, `m = MostCoupled`, so `‖Δ‖ ≤ m·γ_{k+1}/(1 − γ_{k+1})·c`.
let prove (context: Context) (envelope: SymmetricEnvelope) (form: unit -> Storage) (estimate: float) limit =
    let engine = context.Engine

    let attempt slack =
        Context.check context
        let ceiling = estimate * (1.0 + slack)

        // Three times the bound pays for the rounding of the shifted diagonal (3u·c) and of this line; the last term
        // outweighs underflow in the factorisation for data scaled near 1.
        let shift =
            3.0
            * Rounding.gamma (envelope.LongestRow + 1)
            * float envelope.MostCoupled
            * ceiling
            + Math.ScaleB(1.0, -700)

        let c = Math.BitIncrement(ceiling + 2.0 * shift)
        let matrix = form ()
        context.Report $"spectral norm: Cholesky factorisation of side {envelope.Order}"
        let entries = diagonal envelope matrix
        engine.Scale(-1.0, matrix, 0, matrix.Length)

        entries
        |> Array.iteri (fun i g ->
            engine.Copy(HostStorage [| (c - g) - shift |], 0, matrix, int (envelope.Index(i, i)), 1))

        if engine.TryCholesky(envelope, matrix) then
            Some c
        else
            None

    slacks limit |> Seq.tryPick attempt
