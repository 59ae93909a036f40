/// METHODS section 4a: a deterministic upper bound on a spectral norm from one floating-point Cholesky factorisation.
module LipVerify.Core.CholeskyCertificate

open System

/// An upper bound beside the best estimate from below, both of the largest eigenvalue.
type Enclosure =
    {
        /// Not below the largest eigenvalue.
        Upper: float
        /// The eigensolver's approximation, from any side.
        Estimate: float
    }

/// Lanczos steps on an explicit matrix at most.
let private maxSteps = 100

/// The largest eigenvalue by Lanczos on the explicit matrix: much cheaper for large `n`, but not always converged.
let private byLanczos (context: Context) n (gram: float[]) =
    let explicit = MaskedMap.whole (Dense(Dense.create (Tensor.ofArray [ n; n ] gram)))
    let draws = Gaussian.draw context.Seed n n
    let lanczos = Lanczos(context, explicit, Gram.Columns, 1.0, 1, draws)

    // The Gram matrix of a Gram matrix: its eigenvalues are squares.
    let rec go before =
        for _ in 1..8 do
            lanczos.Step()

        let ritz = lanczos.Ritz

        if ritz <= before * (1.0 + 1e-15) || lanczos.Steps >= maxSteps then
            sqrt ritz
        else
            go ritz

    go 0.0

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
            [ SemidefiniteProof.estimate, 1e6 ]
        else
            [ byLanczos, 1e-9; SemidefiniteProof.estimate, 1e6 ]

    let proven =
        estimators
        |> List.tryPick (fun (estimator, limit) ->
            let estimate = estimator context n gram

            SemidefiniteProof.prove context n gram estimate limit
            |> Option.map (fun c -> c, estimate))

    match proven with
    | Some(c, estimate) ->
        {
            Upper = Rounding.addUp c formingError
            Estimate = estimate
        }
    | None -> invalidOp "the Cholesky certificate does not close: the Gram matrix holds values that are not numbers"
