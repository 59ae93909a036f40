/// Proofs that `c ≥ ‖M‖` for `M = diag(ρ) A D`.
module LipVerify.Checker.SpectralClaim

open System
open LipVerify.Checker.Directed
open LipVerify.Checker.LiveMatrix
open LipVerify.Checker.Network

/// How a claim fared.
type Verdict =
    | Proved of string
    | Refuted of string
    | NotChecked of string

let private byCholesky rows columns product c =
    let rows = reordered rows columns
    let columns = transpose rows
    let firsts = profile rows columns

    let entries =
        firsts |> Array.mapi (fun i first -> int64 (i + 1 - first)) |> Array.sum

    if entries > Cholesky.entryLimit then
        NotChecked
            $"with {rows.RowCount} live coordinates its factor has {entries} entries, and this checker forms {Cholesky.entryLimit} at most"
    elif Cholesky.dominates rows columns firsts product c then
        Proved $"c²I − G is positive semidefinite, side {rows.RowCount}"
    else
        Refuted $"c²I − G could not be shown positive semidefinite, side {rows.RowCount}"

let private byReplay rows columns product c failure =
    match Replay.run rows columns product c failure with
    | Replay.Shown steps ->
        Proved
            $"shown with 4 fresh random vectors in {steps} Lanczos steps; if it were false, this would happen with a probability of at most {Decimals.upward failure}"
    | Replay.Exceeded steps ->
        Refuted $"the norm is larger, or closer than rounding resolves, after {steps} Lanczos steps"
    | Replay.Undecided steps -> Refuted $"not shown with fresh random vectors in {steps} Lanczos steps"

/// Hands rounded entries `ρ_i a_ij`, by rows and by columns with the smaller side first, to a proof of a claim that is lower
/// by what rounding may change of the norm: `u·‖|M|‖`, and what underflows.
let private byGram prove matrix factors c =
    let product = absoluteProduct matrix factors
    let u = Math.ScaleB(1.0, -53)
    let c = addDown c -(addUp (mulUp u (sqrtUp product)) (Math.ScaleB(1.0, -800)))

    if not (c > 0.0 && Double.IsFinite product) then
        Refuted "rounding of the entries outweighs it"
    else
        let rounded = weighted matrix factors
        let turned = transpose rounded
        // The products of rounded entries exceed those of exact ones by less than 1e-15.
        let product = product * (1.0 + 1e-15)

        if rounded.RowCount <= rounded.ColumnCount then
            prove rounded turned product c
        else
            prove turned (transpose turned) product c

let private byAbsoluteSums matrix factors c =
    if mulDown c c >= absoluteProduct matrix factors then
        Proved "row and column sums"
    else
        Refuted "row and column sums allow more"

let private byDiagonal (matrix: Matrix) (factors: float[]) c =
    let count = matrix.Starts[matrix.RowCount]

    if count <> matrix.RowCount || count <> matrix.ColumnCount then
        Refuted "the map is not diagonal"
    elif Array.forall2 (fun rho a -> c >= mulUp rho (abs a)) factors matrix.Values[.. count - 1] then
        Proved "largest entry of a diagonal"
    else
        Refuted "an entry of the diagonal is larger"

/// The largest power of two that entries are scaled by.
let private largestExponent = 900

/// Whether `c ≥ ‖diag(factors) A D‖`, shown in the way that the certificate names.
let prove (operator: Operator) (factors: float[]) (mask: bool[]) method failure (c: float) =
    let exponent =
        if c > 0.0 then
            Math.Clamp(-(Math.ILogB c), -largestExponent, largestExponent)
        else
            0

    let matrix, factors =
        live operator (factors |> Array.map (fun rho -> scaleUp rho exponent)) mask

    let c = Math.ScaleB(c, exponent)

    match method with
    | "zero" when matrix.RowCount > 0 -> Refuted "the operator is not zero"
    | "zero"
    | "cholesky"
    | "lanczos"
    | "absolute"
    | "diagonal" when matrix.RowCount = 0 -> Proved "the operator is zero"
    | "cholesky" -> byGram byCholesky matrix factors c
    | "lanczos" -> byGram (fun rows columns product c -> byReplay rows columns product c failure) matrix factors c
    | "absolute" -> byAbsoluteSums matrix factors c
    | "diagonal" -> byDiagonal matrix factors c
    | _ -> Refuted $"{method} is no proof of a spectral norm"
