/// Reaches of all places of a plan, as a search handles them.
module internal LipVerify.Core.Loops.Weights.Reaches

open System
open System.Collections.Generic
open LipVerify.Core.Computation
open LipVerify.Core.Loops.Operator

/// Roots of sums of squares, with what rounding may add to them at each place, times a factor.
let scaled (factor: float) (errors: int -> float) (squares: LoopProbes.RowSquares) =
    let underflow = float squares.Vectors * System.Double.Epsilon

    Array.init squares.Entries.Length (fun place ->
        let error = 2.0 * errors place

        let scale (sums: float[]) =
            sums |> Array.map (fun sum -> factor * (sqrt (sum + underflow) + error))

        {
            Entries = scale squares.Entries[place]
            Pairs = scale squares.Pairs[place]
        })

/// What a channel is called whatever others there are.
let channelNames (loop: Loop) =
    loop.Bends
    |> Array.mapi (fun place bend -> Array.map2 (fun plus into -> struct (place, plus, into)) bend.Plus bend.Into)
    |> Array.concat

/// Reaches behind the channels, one a channel.
let ofChannels (loop: Loop) (reaches: PlaceReach[]) =
    Array.map2
        (fun (bend: Bend) (reach: PlaceReach) ->
            if bend.Minus.Length > 0 then
                bend.Into |> Array.map (fun output -> reach.Pairs[output])
            else
                bend.Plus |> Array.map (fun i -> reach.Entries[i]))
        loop.Bends
        reaches
    |> Array.concat

/// Factors with which residuals of the largest size have a length of the order of the radius, one a channel.
let naturalFactors (loop: Loop) (radius: float) (reaches: PlaceReach[]) =
    Array.map2
        (fun width reach -> max (2.0 * width * reach / radius) 1e-200)
        (loop.Bends |> Array.collect _.Width)
        (ofChannels loop reaches)

/// The root of how much the reach `t` of something matters whose nominal value is `value`: most where it is about to be open, less and less
/// towards a kink, where every slope is possible anyway, and far from it.
let importance (value: float) t =
    let value = abs value

    if t > 0.0 && value > 0.0 then
        sqrt (min (value / t) (Math.Pow(t / value, 4.0))) / t
    else
        0.0

/// Roots of the weights of reaches.
let importances (plan: LoopPlan) (reaches: PlaceReach[]) : PlaceReach[] =
    Array.map2
        (fun place (reach: PlaceReach) ->
            match place with
            | ActivationPlace(nominal, _) ->
                { reach with
                    Entries = Array.map2 importance (Tensor.values nominal.Value) reach.Entries
                }
            | RoundPlace(nominal, pairs, _) ->
                let values = Tensor.values nominal.Value

                {
                    Entries = [||]
                    Pairs = Array.map2 (fun struct (a, b) t -> importance (values[a] - values[b]) t) pairs reach.Pairs
                })
        plan.Places
        reaches

/// Reaches widened by a factor.
let widened factor (reaches: PlaceReach[]) =
    let widen (values: float[]) =
        values |> Array.map (fun value -> factor * value)

    reaches
    |> Array.map (fun reach ->
        {
            Entries = widen reach.Entries
            Pairs = widen reach.Pairs
        })

/// The larger ones.
let larger (a: PlaceReach[]) (b: PlaceReach[]) =
    Array.map2
        (fun a b ->
            {
                Entries = Array.map2 max a.Entries b.Entries
                Pairs = Array.map2 max a.Pairs b.Pairs
            })
        a
        b

/// Bends that follow one another with no map between them.
let successions (plan: LoopPlan) =
    let rec ofSteps steps =
        [
            for first, second in List.pairwise steps do
                match first, second with
                | Bent p, Bent q -> struct (p, q)
                | _ -> ()

            for step in steps do
                match step with
                | Added branches -> yield! List.collect ofSteps branches
                | _ -> ()
        ]

    ofSteps plan.Steps

/// How many bends follow one another at most, less one.
let longestRun plan =
    let lengths = Dictionary<int, int>()

    for struct (p, q) in successions plan do
        lengths[q] <-
            1
            + (match lengths.TryGetValue p with
               | true, length -> length
               | _ -> 0)

    Seq.fold max 0 lengths.Values

/// How much further each output of a bend may reach than it did with other slopes and channels: what channels add, by their numbers,
/// and what entries bring along that reach as far as given, and further by so much.
let private added (before: Bend) (bend: Bend) (additions: float[]) (reaches: float[]) (further: float[]) =
    let oldSlopes, slopes = Tensor.values before.Slopes, Tensor.values bend.Slopes

    let outputs =
        Array.init bend.Outputs (fun output ->
            let entry =
                match bend.Leaders with
                | Some leaders -> leaders[output]
                | None -> output

            abs (slopes[output] - oldSlopes[output]) * reaches[entry]
            + abs slopes[output] * further[entry])

    for j in 0 .. bend.Into.Length - 1 do
        let output = bend.Into[j]
        outputs[output] <- outputs[output] + additions[bend.First + j]

    outputs

/// Reaches that were measured with one loop, with what another adds to them right behind its bends: what changes in one round of a tournament
/// may change others in the next.
let passedOn plan (before: Loop) (loop: Loop) (additions: float[]) (reaches: PlaceReach[]) : PlaceReach[] =
    let extra = plan.Places |> Array.map (fun _ -> Array.empty<float>)
    let wider = Array.copy reaches

    for struct (p, q) in successions plan do
        let further =
            if extra[p].Length = 0 then
                Array.zeroCreate loop.Bends[p].Inputs
            else
                extra[p]

        extra[q] <- added before.Bends[p] loop.Bends[p] additions reaches[p].Entries further
        let extra = extra[q]

        wider[q] <-
            {
                Entries = Array.map2 (+) reaches[q].Entries extra
                Pairs =
                    match plan.Places[q] with
                    | ActivationPlace _ -> [||]
                    | RoundPlace(_, pairs, _) ->
                        Array.map2
                            (fun struct (a, b) reach -> if a = b then reach else reach + extra[a] + extra[b])
                            pairs
                            reaches[q].Pairs
            }

    wider
