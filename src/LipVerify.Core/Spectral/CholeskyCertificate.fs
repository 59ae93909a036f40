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

/// Relative gaps tried above an estimate, from rounding of the eigensolver up to a plainly wrong estimate.
let private slacks n =
    Seq.unfold (fun slack -> Some(slack, 4.0 * slack)) (4.0 * float n * Rounding.unitRoundoff)

/// The least of the slacks below `limit` with which Cholesky proves that `estimate·(1 + slack)` bounds the largest
/// eigenvalue of the symmetric positive semidefinite `gram` (n×n), and the proven value.
let private prove (context: Context) n gram estimate limit =
    let attempt slack =
        Context.check context
        let ceiling = estimate * (1.0 + slack)

        // tr(cI − G) ≤ n·c. Three times that pays for the rounding of the shifted diagonal (3u·c) and of this line;
        // the last term outweighs underflow in the factorisation for data scaled near 1.
        let shift =
            3.0 * Rounding.gamma (n + 1) * float n * ceiling + Math.ScaleB(1.0, -700)

        let c = Math.BitIncrement(ceiling + 2.0 * shift)

        if dominates context.Engine n gram shift c then
            Some c
        else
            None

    slacks n |> Seq.takeWhile (fun slack -> slack < limit) |> Seq.tryPick attempt

/// The largest eigenvalue by the symmetric eigensolver of the engine.
let private byEigensolver (context: Context) n gram =
    let eigenvalues =
        context.Engine.SymmetricEigen(n, HostStorage(Array.copy gram), false)

    max 0.0 eigenvalues[n - 1]

/// The largest eigenvalue by Lanczos on the explicit matrix: much cheaper for large `n`, but not always converged.
let private byLanczos (context: Context) n (gram: float[]) =
    let explicit = MaskedMap.whole (Dense(Dense.create (Tensor.ofArray [ n; n ] gram)))
    sqrt (Lanczos.largest context explicit Gram.Columns 1e-14 100).Value

/// Above this size Lanczos estimates first.
let private eigensolverSide = 300

/// `‖M‖²` for an operator whose entries are scaled so that `‖M‖₁·‖M‖_∞` is near 1. `absoluteProduct` is an upper bound on
/// `‖M‖₁·‖M‖_∞ ≥ ‖|M|‖²`.
let largestGramEigenvalue (context: Context) masked side (live: int[]) absoluteProduct =
    let n = live.Length
    let gram = Gram.form context masked side live
    let gamma = Rounding.gamma (Gram.roundingsPerEntry side masked)

    // |fl(G) − G| ≤ γ |M|ᵀ|M| entry by entry.
    let formingError =
        Rounding.addUp (Rounding.mulUp gamma absoluteProduct) (Math.ScaleB(1.0, -700))

    let estimators =
        if n <= eigensolverSide then
            [ byEigensolver, 1e6 ]
        else
            [ byLanczos, 1e-9; byEigensolver, 1e6 ]

    let proven =
        estimators
        |> List.tryPick (fun (estimator, limit) ->
            let estimate = estimator context n gram
            prove context n gram estimate limit |> Option.map (fun c -> c, estimate))

    match proven with
    | Some(c, estimate) ->
        {
            Upper = Rounding.addUp c formingError
            Estimate = estimate
        }
    | None -> invalidOp "the Cholesky certificate does not close: the Gram matrix holds values that are not numbers"
