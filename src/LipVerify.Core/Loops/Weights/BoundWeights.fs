/// The search for the factors of channels that prove a bound (METHODS section 14c). Nothing here is proved.
module internal LipVerify.Core.Loops.Weights.BoundWeights

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Loops.Operator
open LipVerify.Core.Loops.Weights.Balance

/// The power by which directions near the top one are balanced together with it grows by so much a step up to so much, since what counts in the
/// end is the top one alone.
let private sharpening, sharpest = 0.6, 80.0

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

/// Steps of the estimates for `centred`.
let private centring = 6

/// Factors that all move together, so that the channels are reached from the inputs as strongly as the outputs from the channels: `‖v‖ ≤ c‖dx‖`
/// and `‖df‖/L ≤ b‖u‖`, of which `a` times the factors make `c/a` and `ab`.
let private centred (context: Context) (loop: Loop) (start: Found) =
    let operator = LoopOperator.create loop start.Factors (1.0 / start.Lipschitz)
    let rows, columns = LoopOperator.rows operator, LoopOperator.columns operator

    /// The first vector goes from channels to outputs, the second from inputs to channels.
    let clearX (x: float[]) =
        Array.fill x 0 loop.Inputs 0.0
        Array.fill x (columns + loop.Inputs) loop.Channels 0.0

    let clearY (y: float[]) =
        Array.fill y loop.Outputs loop.Channels 0.0
        Array.fill y rows loop.Outputs 0.0

    let length (values: float[]) first count =
        Numerics.Tensors.TensorPrimitives.Norm(ReadOnlySpan(values, first, count))

    let x, y =
        HostStorage(Array.zeroCreate (2 * columns)), HostStorage(Gaussian.draw (context.Seed ^^^ 0xBA1A) 0 (2 * rows))

    let gain i =
        length y.Values (i * rows) rows / length x.Values (i * columns) columns

    for _ in 1..centring do
        clearY y.Values

        for i in 0..1 do
            context.Engine.Scale(1.0 / length y.Values (i * rows) rows, y, i * rows, rows)

        LoopOperator.pull context operator LoopOperator.unseen 2 y x
        clearX x.Values
        LoopOperator.push context operator LoopOperator.unseen 2 x y
        clearY y.Values

    let factor = sqrt (gain 1 / gain 0)

    if Double.IsFinite factor && factor > 0.0 then
        { start with
            Factors = start.Factors |> Array.map (fun a -> a * factor)
        }
    else
        start

/// A step asks for little where its directions are not the top ones yet: the most of so many steps counts.
let private settled = 4

/// Change below which it hardly did, in parts of the room that is left for a certificate.
let private gain = 0.1

/// First steps in which the channels of a place are balanced together, if they were for reaches.
let private together = 12

/// Steps in all, in parts of those for a bound: at first channels alone may be too large.
let private most = 4

/// Times that the search goes on with directions that it did not track.
let private continuations = 3

/// What is known after a step of the search for a bound.
[<NoEquality; NoComparison>]
type private BoundSearch =
    {
        At: Found
        /// The last factors that did almost as well as any: their directions are known best.
        Best: Found
        /// The least constant so far.
        Least: float
        /// What the last steps asked for, the last first, since channels alone are small enough.
        Asked: float list
        Step: int
    }

/// Factors that let `‖K‖` be at most `target` for as small a constant as possible, from `start` on, by balancing the top directions: the derivative of `ln ‖K‖` by
/// `ln a_j` is the difference of their energies before and behind the channel (Sezginer and Overton 1990). Factors move by `spread` at most.
let search
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
        asked.Length > effort.Idle
        && (let recent = List.take effort.Idle asked
            List.max recent <= List.min recent * (1.0 + gain * (1.0 / target - 1.0)))

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
            let isShared = effort.IsByPlace && search.Step <= together

            // What places have together is known better than what channels have alone.
            let step =
                if isShared then
                    0.5
                else
                    0.25 / (1.0 + float search.Asked.Length / 15.0)

            let shared = if isShared then sumByPlace loop else id

            let into = before.Values |> Array.map (fun energy -> energy + floor) |> shared
            let out = behind.Values |> Array.map (fun energy -> energy + floor) |> shared

            let factors =
                at.Factors
                |> Array.mapi (fun j a ->
                    let factor = change step into[j] out[j]
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

            if cautious < search.Least then
                report cautious

            let least = min cautious search.Least
            let isGood = cautious < Double.PositiveInfinity && cautious * target <= least

            go
                block
                {
                    At = { Factors = factors; Lipschitz = next }
                    Best =
                        if isGood then
                            {
                                Factors = at.Factors
                                Lipschitz = cautious
                            }
                        else
                            search.Best
                    Least = least
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
                    Least = Double.PositiveInfinity
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
                || isFinite && needed <= best.Lipschitz * effort.Surprise
                || Context.isOver context
            then
                Option.defaultValue best least
            else
                settle (tries - 1) block best least

    let block = RitzBlock(context, loop.Outputs + loop.Channels, effort.Directions)
    let start = centred context loop start
    settle continuations block start None
