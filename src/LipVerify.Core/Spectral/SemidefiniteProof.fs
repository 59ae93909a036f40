/// Upper bounds on the largest eigenvalue of an explicit symmetric matrix, proved by floating-point Cholesky.
module LipVerify.Core.Spectral.SemidefiniteProof

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation

/// A proven bound just above `ceiling` on the largest eigenvalue of a symmetric matrix `G` with diagonal entries that are not
/// negative, if Cholesky proves it. `gram` holds the lower triangle of `G`; it may be
/// longer than the envelope.
///
/// If floating-point Cholesky succeeds on `A = c·I − G − s·I`, then `A + Δ ⪰ 0` for a `Δ` with `|Δ_ij| ≤ γ_{k+1}/(1 − γ_{k+1})·√(a_ii a_jj)`
/// inside the envelope and 0 outside, `k` being the length of its longest row (Rump, BIT 2006, Theorem 2.3). A row of `Δ` has at
/// most `m` entries, `m = MostCoupled`, so `‖Δ‖ ≤ m·γ_{k+1}/(1 − γ_{k+1})·c`.
let tryBound (context: Context) (envelope: SymmetricEnvelope) (gram: Storage) (ceiling: float) =
    Context.check context

    // Three times the bound pays for the rounding of the shifted diagonal (2u·c) and of this line; the last term
    // outweighs underflow in the factorisation for data scaled near 1.
    let shift =
        3.0
        * Rounding.gamma (envelope.LongestRow + 1)
        * float envelope.MostCoupled
        * ceiling
        + Math.ScaleB(1.0, -700)

    let c = Math.BitIncrement(ceiling + 2.0 * shift)
    context.Report $"spectral norm: Cholesky factorisation of side {envelope.Order}"

    if context.Engine.TryCholesky(c - shift, envelope, gram, null) then
        Some c
    else
        None

/// The bound at the first of `estimate·(1 + slack)` that is proved, for slacks from a little more than estimates err by up to
/// `limit`.
let prove context envelope gram (estimate: float) limit =
    Seq.unfold (fun slack -> Some(slack, 8.0 * slack)) 1e-10
    |> Seq.takeWhile (fun slack -> slack < limit)
    |> Seq.tryPick (fun slack -> tryBound context envelope gram (estimate * (1.0 + slack)))
