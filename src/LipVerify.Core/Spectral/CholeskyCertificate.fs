/// METHODS section 4a: a deterministic upper bound on a spectral norm from one floating-point Cholesky factorisation.
module LipVerify.Core.CholeskyCertificate

open System
open LipVerify.Compute

/// An upper bound beside the best estimate from below, both of the largest eigenvalue.
type Enclosure =
    {
        /// Not below the largest eigenvalue.
        Upper: float
        /// The eigensolver's approximation, from any side.
        Estimate: float
    }

/// Tries whether `c·I − G` is positive semidefinite: if Cholesky succeeds on it after a further shift by
/// `γ_{n+1}/(1 − γ_{n+1})` times its trace, it is (Rump, BIT 2006, Theorem 2.3).
let private dominates (engine: IEngine) n (gram: float[]) (shift: float) (c: float) =
    let shifted = Array.map (fun g -> -g) gram

    for i in 0 .. n - 1 do
        shifted[i * n + i] <- (c - gram[i * n + i]) - shift

    engine.TryCholesky(n, HostStorage shifted)

/// Bounds the largest eigenvalue of the symmetric positive semidefinite `G`, given as `gram` (n×n) with
/// `‖fl(G) − G‖ ≤ formingError`. `estimate` approximates the largest eigenvalue of `gram` from any side.
let rec private enclose (context: Context) n (gram: float[]) formingError estimate slack =
    Context.check context
    let gamma = Rounding.gamma (n + 1)
    let ceiling = estimate * (1.0 + slack)

    // tr(cI − G) ≤ n·c. Three times that pays for the rounding of the shifted diagonal (3u·c) and of this line;
    // the last term outweighs underflow in the factorisation for data scaled near 1.
    let shift = 3.0 * gamma * float n * ceiling + Math.ScaleB(1.0, -700)
    let c = Math.BitIncrement(ceiling + 2.0 * shift)

    if dominates context.Engine n gram shift c then
        {
            Upper = Rounding.addUp c formingError
            Estimate = estimate
        }
    elif slack < 1e6 then
        enclose context n gram formingError estimate (4.0 * slack)
    else
        invalidOp "the Cholesky certificate does not close: the Gram matrix holds values that are not numbers"

/// The largest eigenvalue, from the symmetric eigensolver of the engine.
let private largestEigenvalue (engine: IEngine) n (gram: float[]) =
    let eigenvalues = engine.SymmetricEigen(n, HostStorage(Array.copy gram), false)
    eigenvalues[n - 1]

/// `‖M‖²` for an operator whose entries are scaled so that `‖M‖₁·‖M‖_∞` is near 1. `absoluteProduct` is an upper bound on
/// `‖M‖₁·‖M‖_∞ ≥ ‖|M|‖²`.
let largestGramEigenvalue (context: Context) masked side (live: int[]) absoluteProduct =
    let n = live.Length
    let gram = Gram.form context masked side live
    let gamma = Rounding.gamma (Gram.roundingsPerEntry side masked)

    let formingError =
        Rounding.addUp (Rounding.mulUp gamma absoluteProduct) (Math.ScaleB(1.0, -700))

    let estimate = max 0.0 (largestEigenvalue context.Engine n gram)
    let slack = 4.0 * float n * Rounding.unitRoundoff
    enclose context n gram formingError estimate slack
