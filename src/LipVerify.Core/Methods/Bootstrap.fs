/// Bootstrapping (METHODS section 7): multipliers for single entries inside a network say how far those can move over the ball,
/// which narrows the slopes of the ReLUs that they go through.
///
/// For one row `δy_i = M_i δx + T_i w` of a representation and multipliers `μ, s` as in `MultiplierSolver`, the Schur complement of
/// `S(μ, s)` is `1 − ρ_i` with `ρ_i = μ M_i M_iᵀ + T_i diag(s) T_iᵀ + c_i S_vv⁻¹ c_iᵀ`, where `S_vv` and `c_i` are the blocks of `v` and of row
/// `i` beside it. `ρ_i` is homogeneous in `(1/μ, 1/s)`, so that `γ_i² = ρ_i/μ` is what multipliers `s/ρ_i` prove of row `i`: one
/// factorisation serves all rows, and several ratios of `μ` to `s` are tried.
module internal LipVerify.Core.Bootstrap

open System

/// Rows whose proofs would take more operations than this are left as they are.
let private mostOperations = 2e11

/// Ratios of `μ` to `s` that are tried beside the one of the multipliers.
let private ratios =
    [| 4.0; 2.8; 2.0; 1.4; 1.0; 0.7; 0.5; 0.35; 0.25; 0.18; 0.12; 0.08; 0.05 |]

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

/// For each row the least `γ` found, and the weights that go with it: `ρ_i` over the ratios.
let private rowMultipliers (context: Context) (lfr: LinearFractional) (multipliers: Multipliers) =
    let engine, k, n = context.Engine, lfr.Uncertain, lfr.Height
    let problem = MultiplierProblem.create engine lfr 1.0
    let mu = 1.0 / (multipliers.Gamma * multipliers.Gamma)
    let still = MultiplierProblem.matrixAt engine problem 0.0 multipliers.Weights 0.0
    let moving = MultiplierProblem.matrixAt engine problem mu multipliers.Weights 0.0

    let best =
        Array.create
            lfr.Outputs
            {
                Gamma = Double.PositiveInfinity
                Weights = [||]
            }

    for ratio in ratios do
        Context.check context

        let matrix =
            Array.map2 (fun still moving -> still + ratio * (moving - still)) still moving

        let block rows first =
            Array.init (rows * k) (fun e -> matrix[(first + e / k) * n + e % k])

        match MultiplierProblem.tryFactor engine k (block k 0) with
        | None -> ()
        | Some factor ->
            TriangularProducts.invertLower engine k factor

            // Rows `c_i L⁻ᵀ`.
            let along =
                MultiplierProblem.multiply engine false true lfr.Outputs k k (block lfr.Outputs k) k factor k

            for i in 0 .. lfr.Outputs - 1 do
                let behind =
                    Numerics.Tensors.TensorPrimitives.SumOfSquares(ReadOnlySpan(along, i * k, k))

                let rho = behind - matrix[(k + i) * n + k + i]
                let gamma = sqrt (rho / (ratio * mu))

                if rho > 0.0 && gamma < best[i].Gamma then
                    best[i] <-
                        {
                            // So far above that the proof closes at once.
                            Gamma = gamma * (1.0 + 1e-6)
                            Weights = multipliers.Weights |> Array.map (fun s -> s / rho)
                        }

    best

/// Multipliers that are about the best for all rows together.
let private jointly (context: Context) isOver (lfr: LinearFractional) =
    MultiplierSolver.solve context lfr None (fun progress ->
        context.Report $"{lfr.Outputs} open signs, {lfr.Uncertain} multipliers, step {progress.Steps}"
        progress.Gap > 0.02 && progress.Steps < 60 && not (isOver ()))

/// Bounds on how far the rows move over the ball; infinite where nothing was proved.
let private proveRows (context: Context) isOver radius reach (lfr: LinearFractional) =
    match jointly context isOver (balance reach lfr) with
    | None -> Array.create lfr.Outputs Double.PositiveInfinity
    | Some multipliers ->
        rowMultipliers context lfr multipliers
        |> Array.mapi (fun i multipliers ->
            if multipliers.Gamma * radius < 0.99 * reach[i] && not (isOver ()) then
                MultiplierProof.tryShow context (LinearFractional.selectOutputs [| i |] lfr) multipliers
                |> Option.map (fun gamma -> Rounding.mulUp gamma.Value radius)
                |> Option.defaultValue Double.PositiveInfinity
            else
                Double.PositiveInfinity)

/// The signal with the reach of entries whose sign is open narrowed by multipliers for the slopes so far. Ends early, with less
/// narrowed, where `isOver` says so.
let tighten (context: Context) isOver (slopes: UncertainSlopes) (signal: Signal) : Signal =
    let rows = Array.init signal.Forms.Size id |> Array.filter (isOpen signal)
    let height = float (slopes.Count + 1)
    let operations = float rows.Length * height * height * float slopes.Coordinates

    if slopes.Count = 0 || rows.Length = 0 || operations > mostOperations || isOver () then
        signal
    else
        let lfr =
            AffineForms.combine signal.Forms (rows |> Array.map (fun i -> struct (i, 1.0, i, 0.0)))
            |> slopes.Represent

        let reach = rows |> Array.map (fun i -> max signal.Fall[i] signal.Rise[i])

        if LinearFractional.isFinite lfr && Array.forall Double.IsFinite reach then
            let bounds = proveRows context isOver slopes.Radius reach lfr
            let fall, rise = Array.copy signal.Fall, Array.copy signal.Rise

            rows
            |> Array.iteri (fun k i ->
                fall[i] <- min fall[i] bounds[k]
                rise[i] <- min rise[i] bounds[k])

            { signal with Fall = fall; Rise = rise }
        else
            signal
