/// The search for the factors of channels that prove reaches (METHODS section 14c). Nothing here is proved.
module internal LipVerify.Core.Loops.Weights.ReachWeights

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Loops.Operator
open LipVerify.Core.Loops.Weights.Balance

/// Adds random signs, times the roots of weights, to what belongs to the increments before each bend and to the differences of pairs.
let private addSigns (context: Context) (plan: LoopPlan) signs step (roots: PlaceReach[]) place (x: Storage) =
    let n = x.Length / signs
    let terms = Array.zeroCreate<float> x.Length
    let roots = roots[place]

    let draw (root: float) (value: float) = if value < 0.0 then -root else root

    match plan.Places[place] with
    | ActivationPlace _ ->
        let draws = Gaussian.draw (context.Seed + step) place x.Length

        for k in 0 .. x.Length - 1 do
            terms[k] <- draw roots.Entries[k % n] draws[k]
    | RoundPlace(_, pairs, _) ->
        let draws = Gaussian.draw (context.Seed + step) place (signs * pairs.Length)

        for i in 0 .. signs - 1 do
            pairs
            |> Array.iteri (fun k struct (a, b) ->
                let term = draw roots.Pairs[k] draws[i * pairs.Length + k]
                terms[i * n + a] <- terms[i * n + a] - term
                terms[i * n + b] <- terms[i * n + b] + term)

    context.Engine.AddScaled(1.0, HostStorage terms, 0, x, 0, x.Length)

/// Factors that let `Σ w_i‖row_i‖²/(1 − κ²)` be as small as possible over the increments before the bends, the differences of pairs, and the
/// outputs, for the roots of weights `w`. The energy that the rows take in joins that of the top directions of the channels. Factors stay within
/// 10⁴ of `natural` ones either way: those of channels that lead nowhere would grow and grow.
let search
    (context: Context)
    (plan: LoopPlan)
    (effort: SearchEffort)
    (loop: Loop)
    (roots: PlaceReach[])
    (outputs: float[])
    (natural: float[])
    (start: float[])
    steps
    : float[] =
    let signs = effort.Signs

    let block = RitzBlock(context, loop.Outputs + loop.Channels, effort.Directions)

    let before, behind, rows =
        Averages loop.Channels, Averages loop.Channels, Averages loop.Channels

    let direct = Averages 1
    let shared = if effort.IsByPlace then sumByPlace loop else id
    let floor = least loop.Channels
    let columns = loop.Inputs + loop.Channels

    let squares (x: float[]) first count =
        Array.init count (fun j ->
            let mutable sum = 0.0

            for i in 0 .. signs - 1 do
                sum <- sum + x[i * columns + first + j] * x[i * columns + first + j]

            sum / float signs)

    /// Random signs, times the roots of the outputs' weights, behind everything.
    let behindAll step =
        let rows = loop.Outputs + loop.Channels

        let draws =
            Gaussian.draw (context.Seed + step) loop.Bends.Length (signs * loop.Outputs)

        let y = Array.zeroCreate<float>(signs * rows)

        for k in 0 .. draws.Length - 1 do
            let root = outputs[k % loop.Outputs]
            y[k / loop.Outputs * rows + k % loop.Outputs] <- if draws[k] < 0.0 then -root else root

        HostStorage y

    let rec go step (factors: float[]) (best: float[]) bestObjective =
        if step > steps || Context.isOver context then
            if Double.IsFinite bestObjective then best else factors
        else
            let operator = LoopOperator.create loop factors 0.0
            let triplets = block.Step operator
            let kappa = triplets.Sigma[0]
            let x = HostStorage(Array.zeroCreate (signs * columns))

            let visit point increments =
                match point with
                | BeforeBend place -> addSigns context plan effort.Signs step roots place increments
                | BeforeMap _ -> ()

            LoopOperator.pull context { operator with Scale = 1.0 } visit signs (behindAll step) x
            direct.Add [| squares x.Values 0 loop.Inputs |> Array.sum |]
            rows.Add(squares x.Values loop.Inputs loop.Channels)
            before.Add(Triplets.energies smoothing triplets.Sigma triplets.Right loop.Inputs loop.Channels)
            behind.Add(Triplets.energies smoothing triplets.Sigma triplets.Left loop.Outputs loop.Channels)
            let total = direct.Values[0] + Array.sum rows.Values

            let objective =
                if kappa < 1.0 then
                    total / (1.0 - kappa * kappa)
                else
                    Double.PositiveInfinity

            let isBetter = step > 3 && objective < bestObjective
            let loopGain = min 0.9 (kappa * kappa)
            let chi = loopGain / (1.0 - loopGain)
            let size = 0.2 / (1.0 + float step / 20.0)

            let into =
                Array.init loop.Channels (fun j ->
                    chi * before.Values[j] + rows.Values[j] / max total Double.Epsilon + floor)
                |> shared

            let out =
                Array.init loop.Channels (fun j -> chi * behind.Values[j] + floor) |> shared

            let next =
                factors
                |> Array.mapi (fun j a ->
                    let factor = change size into[j] out[j]
                    before.Values[j] <- before.Values[j] * factor * factor
                    rows.Values[j] <- rows.Values[j] * factor * factor
                    behind.Values[j] <- behind.Values[j] / (factor * factor)
                    Math.Clamp(a * factor, 1e-4 * natural[j], 1e4 * natural[j]))

            if isBetter then
                go (step + 1) next factors objective
            else
                go (step + 1) next best bestObjective

    go 1 start start Double.PositiveInfinity
