/// The search for the factors of channels (METHODS section 14c). Nothing here is proved.
module internal LipVerify.Core.LoopWeights

open System
open LipVerify.Compute

/// Directions that are watched at a time.
let private watched = 8

/// Energies of channels, averaged over steps: those of one step are those of a few directions.
[<Sealed>]
type private Averages(count: int) =
    let keep = 0.75
    let mutable isFirst = true

    member val Values = Array.zeroCreate<float> count

    member averages.Add(values: float[]) =
        let kept = if isFirst then 0.0 else keep
        isFirst <- false

        for j in 0 .. count - 1 do
            averages.Values[j] <- kept * averages.Values[j] + (1.0 - kept) * values[j]

/// A part of what each channel may take part in, so that those which take part in nothing stay where they are.
let private least channels = 1e-4 / float (channels + 1)

/// What a factor is multiplied by to draw the energies behind it and before it together.
let private change step into out =
    Math.Clamp(Math.Pow(out / into, step), 0.5, 2.0)

/// Factors, and the least constant `L` that they are thought to prove.
[<NoEquality; NoComparison>]
type Found = { Factors: float[]; Lipschitz: float }

/// The constant that a pair of singular vectors asks for: `‖F x‖² ≤ L²(‖x‖² − ‖V x‖²)`; none where `V` alone is too large.
let private asked outputs lipschitz (triplets: Triplets) i =
    let sigma = triplets.Sigma[i]
    let ofOutputs = Array.sub triplets.Left[i] 0 outputs |> Array.sumBy (fun v -> v * v)
    let f, v = ofOutputs * sigma * sigma, (1.0 - ofOutputs) * sigma * sigma

    if v < 1.0 then lipschitz * sqrt (f / (1.0 - v))
    elif f = 0.0 && sigma = 0.0 then 0.0
    else Double.PositiveInfinity

/// What is known after a step of the search for a bound.
[<NoEquality; NoComparison>]
type private BoundSearch =
    {
        At: Found
        Best: Found
        /// Steps since the best was improved by much.
        Stalled: int
        Step: int
    }

/// Gain below which a step counts as none.
let private gain = 1e-4

let private mostStalled = 25

/// Factors that let the constant be as small as possible, from `start` and `lipschitz` on, by balancing the top directions: the derivative of
/// `ln ‖K‖` by `ln a_j` is the difference of their energies before and behind the channel (Sezginer and Overton 1990).
let forBound
    (context: Context)
    (loop: Loop)
    (start: float[])
    (lipschitz: float)
    mostSteps
    (report: float -> unit)
    : Found =
    let block = RitzBlock(context, loop.Outputs + loop.Channels, watched)
    let before, behind = Averages loop.Channels, Averages loop.Channels
    let floor = least loop.Channels

    let rec go (search: BoundSearch) =
        if
            search.Step > mostSteps
            || search.Stalled > mostStalled
            || Context.isOver context
        then
            search.Best
        else
            let at = search.At
            let triplets = block.Step(LoopOperator.create loop at.Factors (1.0 / at.Lipschitz))

            let needed =
                Seq.init block.Count (asked loop.Outputs at.Lipschitz triplets) |> Seq.max

            before.Add(Triplets.energies triplets.Sigma triplets.Right loop.Inputs loop.Channels)
            behind.Add(Triplets.energies triplets.Sigma triplets.Left loop.Outputs loop.Channels)
            let step = 0.25 / (1.0 + float search.Step / 15.0)

            let factors =
                at.Factors
                |> Array.mapi (fun j a ->
                    let factor = change step (before.Values[j] + floor) (behind.Values[j] + floor)
                    before.Values[j] <- before.Values[j] * factor * factor
                    behind.Values[j] <- behind.Values[j] / (factor * factor)
                    a * factor)

            let next =
                if Double.IsFinite needed && needed > 0.0 then
                    at.Lipschitz * sqrt (Math.Clamp(needed / at.Lipschitz, 0.5, 2.0))
                else
                    at.Lipschitz * 1.1

            // What a block has not seen yet asks for more.
            let isBetter = search.Step > 5 && needed < search.Best.Lipschitz

            if isBetter then
                report needed

            go
                {
                    At = { Factors = factors; Lipschitz = next }
                    Best =
                        if isBetter then
                            {
                                Factors = at.Factors
                                Lipschitz = needed
                            }
                        else
                            search.Best
                    Stalled =
                        if
                            Double.IsPositiveInfinity search.Best.Lipschitz
                            || isBetter && needed < search.Best.Lipschitz * (1.0 - gain)
                        then
                            0
                        else
                            search.Stalled + 1
                    Step = search.Step + 1
                }

    let start =
        {
            Factors = start
            Lipschitz = lipschitz
        }

    go
        {
            At = start
            Best =
                { start with
                    Lipschitz = Double.PositiveInfinity
                }
            Stalled = 0
            Step = 1
        }

/// Random signs that stand for all entries whose reach matters.
let private signs = 8

/// Adds random signs, times the roots of weights, to what belongs to the increments before each bend and to the differences of pairs.
let private addSigns (context: Context) (plan: LoopPlan) step (roots: PlaceReach[]) place (x: Storage) =
    let n = x.Length / signs
    let terms = Array.zeroCreate<float> x.Length
    let roots = roots[place]

    let draw (root: float) (value: float) = if value < 0.0 then -root else root

    match plan.Places[place] with
    | ReluPlace _ ->
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

/// Factors, and an estimate of the norm `κ` of the channels alone.
[<NoEquality; NoComparison>]
type FoundReach = { Factors: float[]; Kappa: float }

/// Where there are no channels.
let nothing: FoundReach = { Factors = [||]; Kappa = 0.0 }

/// Factors that let `Σ w_i‖row_i‖²/(1 − κ²)` be as small as possible over the increments before the bends and the differences of pairs, for the
/// roots of weights `w`. The energy that the rows take in joins that of the top directions of the channels. Factors stay within 10⁴ of `natural`
/// ones either way: those of channels that lead nowhere would grow and grow. The energy that the rows take in joins that of the top directions of the channels.
let forReach
    (context: Context)
    (plan: LoopPlan)
    (loop: Loop)
    (roots: PlaceReach[])
    (natural: float[])
    (start: float[])
    steps
    : FoundReach =
    let block = RitzBlock(context, loop.Outputs + loop.Channels, watched)

    let before, behind, rows =
        Averages loop.Channels, Averages loop.Channels, Averages loop.Channels

    let direct = Averages 1
    let floor = least loop.Channels
    let columns = loop.Inputs + loop.Channels

    let squares (x: float[]) first count =
        Array.init count (fun j ->
            let mutable sum = 0.0

            for i in 0 .. signs - 1 do
                sum <- sum + x[i * columns + first + j] * x[i * columns + first + j]

            sum / float signs)

    let rec go step (factors: float[]) (best: FoundReach) bestObjective =
        if step > steps || Context.isOver context then
            best
        else
            let operator = LoopOperator.create loop factors 0.0
            let triplets = block.Step operator
            let kappa = triplets.Sigma[0]
            let x = HostStorage(Array.zeroCreate (signs * columns))
            let zeros = HostStorage(Array.zeroCreate (signs * LoopOperator.rows operator))

            let visit point increments =
                match point with
                | BeforeBend place -> addSigns context plan step roots place increments
                | BeforeMap _ -> ()

            LoopOperator.pull context operator visit signs zeros x
            direct.Add [| squares x.Values 0 loop.Inputs |> Array.sum |]
            rows.Add(squares x.Values loop.Inputs loop.Channels)
            before.Add(Triplets.energies triplets.Sigma triplets.Right loop.Inputs loop.Channels)
            behind.Add(Triplets.energies triplets.Sigma triplets.Left loop.Outputs loop.Channels)
            let total = direct.Values[0] + Array.sum rows.Values

            let objective =
                if kappa < 1.0 then
                    total / (1.0 - kappa * kappa)
                else
                    Double.PositiveInfinity

            let isBetter = step > 5 && objective < bestObjective
            let loopGain = min 0.9 (kappa * kappa)
            let chi = loopGain / (1.0 - loopGain)
            let size = 0.2 / (1.0 + float step / 20.0)

            let next =
                factors
                |> Array.mapi (fun j a ->
                    let into =
                        chi * before.Values[j] + rows.Values[j] / max total Double.Epsilon + floor

                    let factor = change size into (chi * behind.Values[j] + floor)
                    before.Values[j] <- before.Values[j] * factor * factor
                    rows.Values[j] <- rows.Values[j] * factor * factor
                    behind.Values[j] <- behind.Values[j] / (factor * factor)
                    Math.Clamp(a * factor, 1e-4 * natural[j], 1e4 * natural[j]))

            let found = { Factors = factors; Kappa = kappa }
            go (step + 1) next (if isBetter then found else best) (if isBetter then objective else bestObjective)

    go
        1
        start
        {
            Factors = start
            Kappa = Double.PositiveInfinity
        }
        Double.PositiveInfinity

/// An estimate of `‖K‖`, mostly from below.
let norm (context: Context) (operator: LoopOperator) steps =
    let block = RitzBlock(context, LoopOperator.rows operator, watched)
    Seq.init steps (fun _ -> (block.Step operator).Sigma[0]) |> Seq.last
