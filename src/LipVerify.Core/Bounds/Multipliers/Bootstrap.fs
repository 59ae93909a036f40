/// Bootstrapping (METHODS section 7): multipliers for single entries inside a network say how far those can move over the ball,
/// which narrows the slopes of the ReLUs that they go through.
///
/// For one row `δy_i = M_i δx + T_i w` of a representation and multipliers `μ, s` as in `MultiplierSolver`, the Schur complement of
/// `S(μ, s)` is `1 − ρ_i` with `ρ_i = μ M_i M_iᵀ + T_i diag(s) T_iᵀ + c_i S_vv⁻¹ c_iᵀ`, where `S_vv` and `c_i` are the blocks of `v` and of row
/// `i` beside it. `ρ_i` is homogeneous in `(1/μ, 1/s)`, so that `γ_i² = ρ_i/μ` is what multipliers `s/ρ_i` prove of row `i`: one
/// factorisation serves all rows, and several ratios of `μ` to `s` are tried.
module internal LipVerify.Core.Bounds.Multipliers.Bootstrap

open System
open System.Numerics.Tensors
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Bounds.Multipliers.Representation
open LipVerify.Core.Bounds.Multipliers.Solver

/// Rows whose proofs would take more operations than this are left as they are.
let private mostOperations = 2e11

/// Ratios of `μ` to `s` that are tried beside the one of the multipliers.
let private ratios = [| for step in 24..-1..-9 -> Math.Pow(2.0, 0.5 * float step) |]

/// True where both signs are possible.
let private isOpen signal i =
    let e = Signal.excursion signal i
    max e.Down e.Up > 0.0 && e.NominalLow < e.Down && e.NominalHigh > -e.Up

/// Each row by what it is known to reach, so that all matter alike; for the solver, which proves nothing.
let private balance (reach: float[]) (lfr: LinearFractional) =
    let values = Array.copy lfr.Values

    for i in 0 .. lfr.Outputs - 1 do
        for k in (lfr.Uncertain + i) * lfr.Columns .. (lfr.Uncertain + i + 1) * lfr.Columns - 1 do
            values[k] <- values[k] / reach[i]

    { lfr with Values = values }

/// What multipliers prove of one row.
[<Struct>]
type private RowProof =
    {
        /// Just above the least `γ` found, so that the proof closes at once.
        Gamma: float
        /// `ρ`.
        Factor: float
    }

/// The multipliers of a row.
let private weightsOf (multipliers: Multipliers) row =
    multipliers.Weights |> Array.map (fun s -> s / row.Factor)

/// For each row the least `γ` over the ratios.
let private rowProofs (context: Context) (lfr: LinearFractional) (multipliers: Multipliers) =
    let engine, k, n = context.Engine, lfr.Uncertain, lfr.Height
    let problem = MultiplierProblem.create engine lfr 1.0
    let mu = 1.0 / (multipliers.Gamma * multipliers.Gamma)
    let still = MultiplierProblem.matrixAt engine problem 0.0 multipliers.Weights 0.0
    // What is multiplied by the ratio.
    let moving = MultiplierProblem.matrixAt engine problem mu multipliers.Weights 0.0
    TensorPrimitives.Subtract(ReadOnlySpan moving, ReadOnlySpan still, moving.AsSpan())
    let matrix = Array.zeroCreate<float> still.Length

    let best =
        Array.create
            lfr.Outputs
            {
                Gamma = Double.PositiveInfinity
                Factor = 1.0
            }

    for ratio in ratios do
        Context.check context
        TensorPrimitives.MultiplyAdd(ReadOnlySpan moving, ratio, ReadOnlySpan still, matrix.AsSpan())

        let block rows first =
            let block = Array.zeroCreate<float>(rows * k)

            for i in 0 .. rows - 1 do
                Array.blit matrix ((first + i) * n) block (i * k) k

            block

        match MultiplierProblem.tryFactor engine k (block k 0) with
        | None -> ()
        | Some factor ->
            TriangularProducts.invertLower engine k factor

            // Rows `c_i L⁻ᵀ`.
            let along =
                MultiplierProblem.multiply engine false true lfr.Outputs k k (block lfr.Outputs k) k factor k

            for i in 0 .. lfr.Outputs - 1 do
                let behind = TensorPrimitives.SumOfSquares(ReadOnlySpan(along, i * k, k))

                let rho = behind - matrix[(k + i) * n + k + i]
                let gamma = sqrt (rho / (ratio * mu)) * (1.0 + 1e-6)

                if rho > 0.0 && gamma < best[i].Gamma then
                    best[i] <- { Gamma = gamma; Factor = rho }

    best

/// Multipliers that are about the best for all rows together.
let private jointly (context: Context) isOver (lfr: LinearFractional) =
    MultiplierSolver.solve context lfr None (fun progress ->
        context.Report $"{lfr.Outputs} open signs, {lfr.Uncertain} multipliers, step {progress.Steps}"
        progress.Gap > 0.01 && progress.Steps < 60 && not (isOver ()))

/// A proof that narrows by less than this is not worth its time.
let private worthwhile = 0.05

/// The rows of a representation that multipliers narrow: their numbers, bounds on how far they move over the ball, `ρ`, and `t`.
let private proveRows (context: Context) isOver radius (reach: float[]) (lfr: LinearFractional) =
    match jointly context isOver (balance reach lfr) with
    | None -> None
    | Some multipliers ->
        let proved =
            rowProofs context lfr multipliers
            |> Array.indexed
            |> Array.choose (fun (i, row) ->
                if row.Gamma * radius < (1.0 - worthwhile) * reach[i] && not (isOver ()) then
                    MultiplierProof.tryShow
                        context
                        (LinearFractional.selectOutputs [| i |] lfr)
                        {
                            Gamma = row.Gamma
                            Weights = weightsOf multipliers row
                        }
                    |> Option.map (fun gamma -> struct (i, Rounding.mulUp gamma.Value radius, row.Factor))
                else
                    None)

        Some
            {
                Entries = proved |> Array.map (fun struct (i, _, _) -> i)
                Bounds = proved |> Array.map (fun struct (_, bound, _) -> bound)
                Factors = proved |> Array.map (fun struct (_, _, factor) -> factor)
                Multipliers = multipliers.Weights |> Array.map (fun s -> 1.0 / s)
            }

let private nothing =
    {
        Entries = [||]
        Bounds = [||]
        Factors = [||]
        Multipliers = [||]
    }

/// What can be narrowed of a signal.
let private narrow (context: Context) isOver (slopes: UncertainSlopes) (signal: Signal) =
    let rows = Array.init signal.Forms.Size id |> Array.filter (isOpen signal)
    let height = float (slopes.Count + 1)
    let operations = float rows.Length * height * height * float slopes.Coordinates
    let reach = rows |> Array.map (fun i -> max signal.Fall[i] signal.Rise[i])

    if
        slopes.Count = 0
        || rows.Length = 0
        || operations > mostOperations
        || not (Array.forall Double.IsFinite reach)
        || isOver ()
    then
        nothing
    else
        let lfr =
            AffineForms.combine signal.Forms (rows |> Array.map (fun i -> struct (i, 1.0, i, 0.0)))
            |> slopes.Represent

        if LinearFractional.isFinite lfr then
            match proveRows context isOver slopes.Radius reach lfr with
            | Some narrowed when narrowed.Entries.Length > 0 ->
                { narrowed with
                    Entries = narrowed.Entries |> Array.map (fun k -> rows[k])
                }
            | _ -> nothing
        else
            nothing

/// The signal with the reach of entries whose sign is open narrowed by multipliers for the slopes so far. Ends early, with less
/// narrowed, where `isOver` says so.
let tighten (context: Context) isOver (slopes: UncertainSlopes) (signal: Signal) : Signal =
    let narrowed = narrow context isOver slopes signal
    slopes.Narrowed.Add narrowed

    if narrowed.Entries.Length = 0 then
        signal
    else
        let fall, rise = Array.copy signal.Fall, Array.copy signal.Rise

        Array.iter2
            (fun i bound ->
                fall[i] <- min fall[i] bound
                rise[i] <- min rise[i] bound)
            narrowed.Entries
            narrowed.Bounds

        { signal with Fall = fall; Rise = rise }
