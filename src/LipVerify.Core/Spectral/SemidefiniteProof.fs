/// Upper bounds on the largest eigenvalue of an explicit symmetric matrix, proved by floating-point Cholesky.
module LipVerify.Core.SemidefiniteProof

open System
open LipVerify.Compute

/// Tries whether `c·I − G` is positive semidefinite: if Cholesky succeeds on it after a further shift by
/// `γ_{n+1}/(1 − γ_{n+1})` times its trace, it is (Rump, BIT 2006, Theorem 2.3).
let private dominates (engine: IEngine) n (matrix: float[]) (shift: float) (c: float) =
    let shifted = Array.map (fun g -> -g) matrix

    for i in 0 .. n - 1 do
        shifted[i * n + i] <- (c - matrix[i * n + i]) - shift

    engine.TryCholesky(n, HostStorage shifted)

/// Relative gaps tried above an estimate, from rounding of the eigensolver up to a plainly wrong estimate.
let private slacks n =
    Seq.unfold (fun slack -> Some(slack, 4.0 * slack)) (4.0 * float n * Rounding.unitRoundoff)

/// A proven bound on the largest eigenvalue of a symmetric matrix with diagonal entries that are not negative: the first of
/// `estimate·(1 + slack)` for slacks below `limit` that Cholesky proves.
let prove (context: Context) n (matrix: float[]) estimate limit =
    let attempt slack =
        Context.check context
        let ceiling = estimate * (1.0 + slack)

        // tr(cI − G) ≤ n·c. Three times that pays for the rounding of the shifted diagonal (3u·c) and of this line;
        // the last term outweighs underflow in the factorisation for data scaled near 1.
        let shift =
            3.0 * Rounding.gamma (n + 1) * float n * ceiling + Math.ScaleB(1.0, -700)

        let c = Math.BitIncrement(ceiling + 2.0 * shift)

        if dominates context.Engine n matrix shift c then
            Some c
        else
            None

    slacks n |> Seq.takeWhile (fun slack -> slack < limit) |> Seq.tryPick attempt

/// The largest eigenvalue by the symmetric eigensolver of the engine, or 0 where it is negative.
let estimate (context: Context) n (matrix: float[]) =
    let eigenvalues =
        context.Engine.SymmetricEigen(n, HostStorage(Array.copy matrix), false)

    max 0.0 eigenvalues[n - 1]
