/// The search for the factors of channels (METHODS section 14c). Nothing here is proved.
module internal LipVerify.Core.LoopWeights

open System
open LipVerify.Compute

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

/// Directions near the top one are balanced together with it, by this power of their singular values; so the top ones do not take turns. The power
/// grows by so much a step up to so much, since what counts in the end is the top one alone.
let private smoothing, sharpening, sharpest = 12.0, 0.6, 80.0

/// Factors, and the least constant `L` that they are thought to prove.
[<NoEquality; NoComparison>]
type Found = { Factors: float[]; Lipschitz: float }

/// The constant that a pair of singular vectors asks for so that `‖K‖ ≤ target`: `‖F x‖² ≤ L²(target²‖x‖² − ‖V x‖²)`; none where `V` alone is too
/// large.
let private asked outputs (target: float) lipschitz (triplets: Triplets) i =
    let sigma = triplets.Sigma[i]
    let ofOutputs = Array.sub triplets.Left[i] 0 outputs |> Array.sumBy (fun v -> v * v)
    let f, v = ofOutputs * sigma * sigma, (1.0 - ofOutputs) * sigma * sigma

    if v < target * target then
        lipschitz * sqrt (f / (target * target - v))
    elif f = 0.0 && sigma = 0.0 then
        0.0
    else
        Double.PositiveInfinity

/// The constant that the factors are thought to prove, from directions that are sought afresh, with these.
let private needed (context: Context) (effort: SearchEffort) (loop: Loop) target (found: Found) =
    let block = RitzBlock(context, loop.Outputs + loop.Channels, effort.Directions)
    let operator = LoopOperator.create loop found.Factors (1.0 / found.Lipschitz)
    let triplets = Seq.init 12 (fun _ -> block.Step operator) |> Seq.last

    struct (Seq.init block.Count (asked loop.Outputs target found.Lipschitz triplets)
            |> Seq.max,
            block)

/// A step asks for little where its directions are not the top ones yet: the most of so many steps counts.
let private settled = 4

/// Steps in which the constant hardly changed end the search.
let private idle = 25

/// Change below which it hardly did.
let private gain = 2e-4

/// Steps in all, in parts of those for a bound: at first channels alone may be too large.
let private most = 4

/// What directions that were not tracked may ask for in parts of what was found, and times that the search goes on with them otherwise.
let private surprise, continuations = 1.03, 3

/// What is known after a step of the search for a bound.
[<NoEquality; NoComparison>]
type private BoundSearch =
    {
        At: Found
        Best: Found
        /// What the last steps asked for, the last first, since channels alone are small enough.
        Asked: float list
        Step: int
    }

/// Factors that let `‖K‖` be at most `target` for as small a constant as possible, from `start` on, by balancing the top directions: the derivative of `ln ‖K‖` by
/// `ln a_j` is the difference of their energies before and behind the channel (Sezginer and Overton 1990). Factors move by `spread` at most.
let forBound
    (context: Context)
    (effort: SearchEffort)
    (loop: Loop)
    target
    spread
    (start: Found)
    (report: float -> unit)
    : Found =
    let before, behind = Averages loop.Channels, Averages loop.Channels
    let floor = least loop.Channels

    let isIdle (asked: float list) =
        asked.Length > idle
        && (let recent = List.take idle asked
            List.max recent <= List.min recent * (1.0 + gain))

    let rec go (block: RitzBlock) (search: BoundSearch) =
        if
            search.Asked.Length > effort.BoundSteps
            || search.Step > most * effort.BoundSteps
            || isIdle search.Asked
            || Context.isOver context
        then
            search.Best
        else
            let at = search.At
            let triplets = block.Step(LoopOperator.create loop at.Factors (1.0 / at.Lipschitz))

            let needed =
                Seq.init block.Count (asked loop.Outputs (target * target) at.Lipschitz triplets)
                |> Seq.max

            let power = min sharpest (smoothing + sharpening * float search.Asked.Length)
            before.Add(Triplets.energies power triplets.Sigma triplets.Right loop.Inputs loop.Channels)
            behind.Add(Triplets.energies power triplets.Sigma triplets.Left loop.Outputs loop.Channels)
            let step = 0.25 / (1.0 + float search.Asked.Length / 15.0)

            let factors =
                at.Factors
                |> Array.mapi (fun j a ->
                    let factor = change step (before.Values[j] + floor) (behind.Values[j] + floor)
                    before.Values[j] <- before.Values[j] * factor * factor
                    behind.Values[j] <- behind.Values[j] / (factor * factor)
                    Math.Clamp(a * factor, start.Factors[j] / spread, start.Factors[j] * spread))

            let next =
                if Double.IsFinite needed && needed > 0.0 then
                    at.Lipschitz * sqrt (Math.Clamp(needed / at.Lipschitz, 0.25, 4.0))
                else
                    at.Lipschitz * 1.1

            let asked =
                if Double.IsFinite needed then
                    needed :: search.Asked
                else
                    []

            let cautious =
                if asked.Length < 2 * settled then
                    Double.PositiveInfinity
                else
                    asked |> List.take settled |> List.max

            let isBetter = cautious < search.Best.Lipschitz

            if isBetter then
                report cautious

            go
                block
                {
                    At = { Factors = factors; Lipschitz = next }
                    Best =
                        if isBetter then
                            {
                                Factors = at.Factors
                                Lipschitz = cautious
                            }
                        else
                            search.Best
                    Asked = asked
                    Step = search.Step + 1
                }

    /// Directions that were not tracked may ask for more than those that were: a little is granted, for more the search goes on with them.
    let rec settle tries block (at: Found) (settled: Found option) =
        let best =
            go
                block
                {
                    At = at
                    Best =
                        { at with
                            Lipschitz = Double.PositiveInfinity
                        }
                    Asked = []
                    Step = 1
                }

        if not (Double.IsFinite best.Lipschitz && best.Lipschitz > 0.0) then
            Option.defaultValue best settled
        else
            let fresh =
                { context with
                    Seed = context.Seed + tries
                }

            let struct (needed, block) = needed fresh effort loop target best
            let isFinite = Double.IsFinite needed

            let least =
                match settled with
                | Some least when not isFinite || least.Lipschitz <= needed -> Some least
                | _ when isFinite -> Some { best with Lipschitz = needed }
                | _ -> None

            if
                tries = 0
                || isFinite && needed <= best.Lipschitz * surprise
                || Context.isOver context
            then
                Option.defaultValue best least
            else
                settle (tries - 1) block best least

    let block = RitzBlock(context, loop.Outputs + loop.Channels, effort.Directions)
    settle continuations block start None

/// Adds random signs, times the roots of weights, to what belongs to the increments before each bend and to the differences of pairs.
let private addSigns (context: Context) (plan: LoopPlan) signs step (roots: PlaceReach[]) place (x: Storage) =
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

/// Factors that let `Σ w_i‖row_i‖²/(1 − κ²)` be as small as possible over the increments before the bends, the differences of pairs, and the
/// outputs, for the roots of weights `w`. The energy that the rows take in joins that of the top directions of the channels. Factors stay within
/// 10⁴ of `natural` ones either way: those of channels that lead nowhere would grow and grow.
let forReach
    (context: Context)
    (plan: LoopPlan)
    (effort: SearchEffort)
    (loop: Loop)
    (roots: PlaceReach[])
    (outputs: float[])
    (natural: float[])
    (start: float[])
    steps
    : FoundReach =
    let signs = effort.Signs

    let block = RitzBlock(context, loop.Outputs + loop.Channels, effort.Directions)

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

    let rec go step (factors: float[]) (best: FoundReach option) bestObjective =
        if step > steps || Context.isOver context then
            best
            |> Option.defaultValue
                {
                    Factors = factors
                    Kappa = Double.PositiveInfinity
                }
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

            go
                (step + 1)
                next
                (if isBetter then
                     Some { Factors = factors; Kappa = kappa }
                 else
                     best)
                (if isBetter then objective else bestObjective)

    go 1 start None Double.PositiveInfinity

/// An estimate of `‖K‖`, mostly from below.
let norm (context: Context) (effort: SearchEffort) (operator: LoopOperator) steps =
    let block = RitzBlock(context, LoopOperator.rows operator, effort.Directions)

    Seq.init steps (fun _ -> (block.Step operator).Sigma[0]) |> Seq.last
