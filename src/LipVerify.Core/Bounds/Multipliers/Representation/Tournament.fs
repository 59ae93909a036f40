/// Max pooling of signals as a tournament of ReLUs: `max(a, b) = a + relu(b − a)` (METHODS section 7).
module internal LipVerify.Core.Bounds.Multipliers.Representation.Tournament

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Activations
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds

let private subtractDown (a: float) (b: float) =
    if b = 0.0 then a else Math.BitDecrement(a - b)

/// `b − a` for pairs of entries.
let private differences (slopes: UncertainSlopes) (pairs: struct (int * int)[]) (signal: Signal) =
    let values = Tensor.values signal.Nominal.Value
    let errors = Tensor.values signal.Nominal.Error
    let shape = [ pairs.Length ]

    let nominal =
        {
            Value =
                pairs
                |> Array.map (fun struct (a, b) -> values[b] - values[a])
                |> Tensor.ofArray shape
            Error =
                pairs
                |> Array.map (fun struct (a, b) ->
                    let rounding =
                        Rounding.mulUp (2.0 * Rounding.unitRoundoff) (abs (values[b] - values[a]))

                    Rounding.addUp (Rounding.addUp errors[a] errors[b]) rounding)
                |> Tensor.ofArray shape
        }

    let fall =
        pairs
        |> Array.map (fun struct (a, b) -> Rounding.addUp signal.Fall[b] signal.Rise[a])

    let rise =
        pairs
        |> Array.map (fun struct (a, b) -> Rounding.addUp signal.Rise[b] signal.Fall[a])

    // An entry that meets itself differs by nothing at all.
    let one (struct (a, b)) = if a = b then 0.0 else 1.0

    AffineForms.combine
        signal.Forms
        (pairs
         |> Array.map (fun struct (a, b) -> struct (b, one (a, b), a, -(one (a, b)))))
    |> Signal.create slopes nominal fall rise

/// The entries of a signal at the given positions.
let private select (positions: int[]) (signal: Signal) =
    let pick (values: float[]) =
        positions |> Array.map (fun i -> values[i])

    let pickTensor tensor =
        Tensor.ofArray [ positions.Length ] (pick (Tensor.values tensor))

    {
        Nominal =
            {
                Value = pickTensor signal.Nominal.Value
                Error = pickTensor signal.Nominal.Error
            }
        Fall = pick signal.Fall
        Rise = pick signal.Rise
        Forms = AffineForms.combine signal.Forms (positions |> Array.map (fun i -> struct (i, 1.0, i, 0.0)))
    }

/// `max(a, b) = a + relu(b − a)` for pairs of entries. Where the sign of the difference is known, one of the two.
let private larger context definition (slopes: UncertainSlopes) tighten (pairs: struct (int * int)[]) (signal: Signal) =
    Context.check context
    let difference: Signal = differences slopes pairs signal |> tighten

    let intervals =
        pairs
        |> Array.mapi (fun k (struct (a, b)) ->
            if a = b then
                SlopeIntervals.none
            else
                Relu.activation.Slopes definition (Signal.excursion difference k))

    // What surely wins is taken as it is, not as a sum.
    let surelySecond =
        intervals |> Array.map (fun interval -> interval = SlopeIntervals.all)

    let bent =
        Signal.bend
            slopes
            (Array.map2 (fun second interval -> if second then SlopeIntervals.none else interval) surelySecond intervals)
            (Array.map2 max difference.Fall difference.Rise)
            difference.Forms

    let first =
        Array.map2
            (fun (struct (a, b)) second ->
                let taken = if second then b else a
                struct (taken, 1.0, taken, 0.0))
            pairs
            surelySecond
        |> AffineForms.combine signal.Forms

    let maximum (values: float[]) =
        pairs |> Array.map (fun struct (a, b) -> max values[a] values[b])

    let maximumOf tensor =
        Tensor.ofArray [ pairs.Length ] (maximum (Tensor.values tensor))

    Signal.create
        slopes
        {
            Value = maximumOf signal.Nominal.Value
            Error = maximumOf signal.Nominal.Error
        }
        (maximum signal.Fall)
        (maximum signal.Rise)
        (AffineForms.add first bent)

/// Members of each window that can win, the one with the largest nominal value first. Where a ReLU follows, members that
/// are surely not positive only stand for each other.
let private contenders (geometry: PoolingGeometry) rectified (signal: Signal) =
    let excursions = Array.init signal.Forms.Size (Signal.excursion signal)

    let least i =
        subtractDown excursions[i].NominalLow excursions[i].Down

    let most i =
        Rounding.addUp excursions[i].NominalHigh excursions[i].Up

    let windows = Array.zeroCreate<int[]> geometry.OutputSize

    PoolingWindows.iterate geometry (fun output members ->
        let members = members.ToArray()
        let values = Tensor.values signal.Nominal.Value
        let leader = members |> Array.maxBy (fun i -> values[i])
        let floor = members |> Array.map least |> Array.max

        let others =
            members
            |> Array.filter (fun i ->
                i <> leader
                && not (most i <= least leader)
                && not (most i < floor)
                && not (rectified && most i <= 0.0))

        windows[output] <- Array.append [| leader |] others)

    windows

/// Drops the members of windows that never exceed the leader.
let private withoutLosers (slopes: UncertainSlopes) (windows: int[][]) (signal: Signal) =
    let pairs =
        [|
            for window in windows do
                for i in window[1..] do
                    struct (window[0], i)
        |]

    if pairs.Length = 0 then
        windows
    else
        let difference = differences slopes pairs signal

        let mayWin =
            Array.init pairs.Length (fun k ->
                let e = Signal.excursion difference k
                not (Rounding.addUp e.NominalHigh e.Up <= 0.0))

        let mutable next = 0

        windows
        |> Array.map (fun window ->
            let first = next
            next <- next + window.Length - 1

            window
            |> Array.indexed
            |> Array.filter (fun (k, _) -> k = 0 || mayWin[first + k - 1])
            |> Array.map snd)

/// One round: the entries of each window meet in pairs.
let private round context definition slopes tighten (windows: int[][]) (signal: Signal) =
    let pairsOf (window: int[]) =
        window
        |> Array.chunkBySize 2
        |> Array.map (fun pair -> struct (pair[0], pair[pair.Length - 1]))

    let pairs = windows |> Array.map pairsOf
    let mutable next = 0

    let positions =
        pairs
        |> Array.map (fun window ->
            let first = next
            next <- next + window.Length
            Array.init window.Length (fun k -> first + k))

    positions, larger context definition slopes tighten (Array.concat pairs) signal

let rec private tournament context definition slopes tighten (windows: int[][]) (signal: Signal) =
    if windows |> Array.forall (fun window -> window.Length = 1) then
        select (Array.concat windows) signal
    else
        let windows, signal = round context definition slopes tighten windows signal
        tournament context definition slopes tighten windows signal

/// The maxima of pooling windows; `rectified` where a ReLU follows, and then they are right up to values that are not positive.
/// `tighten` narrows the reach of the differences that meet a ReLU.
let maxPooling
    context
    definition
    (slopes: UncertainSlopes)
    tighten
    (geometry: PoolingGeometry)
    rectified
    (signal: Signal)
    =
    let windows = contenders geometry rectified signal
    let windows = withoutLosers slopes windows signal
    slopes.Windows.Add windows
    let pooled = tournament context definition slopes tighten windows signal
    let shape = [ geometry.Channels; geometry.Rows.Output; geometry.Columns.Output ]

    { pooled with
        Nominal =
            {
                Value = Tensor.reshape shape pooled.Nominal.Value
                Error = Tensor.reshape shape pooled.Nominal.Error
            }
    }
