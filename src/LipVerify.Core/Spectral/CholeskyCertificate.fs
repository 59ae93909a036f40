/// METHODS section 4a: a deterministic upper bound on a spectral norm from one floating-point Cholesky factorisation.
module LipVerify.Core.Spectral.CholeskyCertificate

open System
open System.Runtime.CompilerServices
open System.Threading
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps

/// An upper bound beside the best estimate from below, both of the largest eigenvalue.
type Enclosure =
    {
        /// Not below the largest eigenvalue.
        Upper: float
        /// The approximation that the proof started from, from any side.
        Estimate: float
    }

/// Lanczos steps of an estimate at most.
let private maxSteps = 400

/// Between looks at the Ritz value.
let private lookEvery = 4

/// The largest Ritz value, once it grows by no more than 1e-12 between two looks.
let private converged (lanczos: Lanczos) =
    let rec go before =
        for _ in 1..lookEvery do
            lanczos.Step()

        let ritz = lanczos.Ritz

        if ritz <= before * (1.0 + 1e-12) || lanczos.Steps >= maxSteps then
            ritz
        else
            go ritz

    go 0.0

let private lanczosOn (context: Context) masked side =
    let gram = Gram.operator context masked side 1.0
    Lanczos(context, gram, 1, Gaussian.draw context.Seed gram.Length gram.Length)

/// Up to this side the eigensolver is faster than Lanczos.
let private eigensolverSide = 64

let private byEigensolver (context: Context) (layout: GramLayout) gram =
    context.Report $"spectral norm: eigenvalues of side {layout.Envelope.Order}"

    context.Engine.SymmetricEigen(layout.Envelope.Order, HostStorage(GramMatrix.whole layout gram), false)
    |> Array.last
    |> max 0.0

/// By applying the matrix.
let private byMatrix context (layout: GramLayout) gram =
    let n = layout.Envelope.Order

    let explicit =
        MaskedMap.whole (Dense(Dense.create (Tensor.ofArray [ n; n ] (GramMatrix.whole layout gram))))

    // The Gram matrix of a Gram matrix: its eigenvalues are squares.
    sqrt (converged (lanczosOn context explicit Gram.Columns))

/// Blocks of engines that wait for the next Gram matrix. To touch fresh memory takes longer than to fill it.
let private workspaces = ConditionalWeakTable<IEngine, Storage ref>()

/// Larger blocks are not kept: 256 MB.
let private largestKept = 1 <<< 25

let private borrow (engine: IEngine) length : Storage =
    let kept =
        workspaces.GetValue(engine.Origin, fun _ -> ref (HostStorage [||] :> Storage))

    let block = Interlocked.Exchange(&kept.contents, HostStorage [||])

    if block.Length >= length then
        block
    elif length > largestKept then
        engine.Allocate length
    else
        // The next matrix, of a larger ball, may be larger. What is not touched costs nothing.
        engine.Allocate(min largestKept (length + length / 4))

let private giveBack (engine: IEngine) (block: Storage) =
    if block.Length <= largestKept then
        (workspaces.GetValue(engine.Origin, fun _ -> ref block)).Value <- block

/// A Gram matrix that is formed when it is needed, in a block that goes back afterwards.
type private GramSource(context: Context, masked, layout: GramLayout) =
    let block = borrow context.Engine (Checked.int layout.Envelope.Length)

    let formed =
        lazy
            (context.Report $"spectral norm: Gram matrix of side {layout.Envelope.Order}"
             GramMatrix.formInto context masked layout block
             block)

    member _.Matrix = formed.Value

    interface IDisposable with
        member _.Dispose() = giveBack context.Engine block

/// Ways to an estimate, each with the largest error that would still be a surprise.
let private estimators context masked (layout: GramLayout) (gram: GramSource) =
    let eigensolver = (fun () -> byEigensolver context layout (gram.Matrix)), 1e6

    if layout.Envelope.Order <= eigensolverSide then
        [ eigensolver ]
    else
        match masked.Map with
        | Convolution _ ->
            // The operator is applied faster than its Gram matrix.
            [
                (fun () -> converged (lanczosOn context masked layout.Side)), 1e-4
                eigensolver
            ]
        | _ -> [ (fun () -> byMatrix context layout (gram.Matrix)), 1e-4; eigensolver ]

/// `‖M‖²` for an operator whose entries are scaled so that `‖M‖₁·‖M‖_∞` is near 1. `absoluteProduct` is an upper bound on
/// `‖M‖₁·‖M‖_∞ ≥ ‖|M|‖²`.
let largestGramEigenvalue (context: Context) masked (layout: GramLayout) absoluteProduct =
    use gram = new GramSource(context, masked, layout)
    let gamma = Rounding.gamma (Gram.roundingsPerEntry layout.Side masked)

    // |fl(G) − G| ≤ γ |M|ᵀ|M| entry by entry.
    let formingError =
        Rounding.addUp (Rounding.mulUp gamma absoluteProduct) (Math.ScaleB(1.0, -700))

    let proven =
        estimators context masked layout gram
        |> List.tryPick (fun (estimator, limit) ->
            let estimate = estimator ()

            SemidefiniteProof.prove context layout.Envelope gram.Matrix estimate limit
            |> Option.map (fun c -> c, estimate))

    match proven with
    | Some(c, estimate) ->
        {
            Upper = Rounding.addUp c formingError
            Estimate = estimate
        }
    | None -> invalidOp "the Cholesky certificate does not close: the Gram matrix holds values that are not numbers"
