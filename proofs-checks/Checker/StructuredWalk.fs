/// Walks the network beside a structured certificate: derives nominal values, the slopes that the claimed reaches allow, and the loop, and
/// lists what has to be shown of reaches for that. Pairs of tournaments may be any that meet all members of their windows.
module LipVerify.Checker.StructuredWalk

open System
open LipVerify.Checker.Directed
open LipVerify.Checker.Forms
open LipVerify.Checker.LiveMatrix
open LipVerify.Checker.Loop
open LipVerify.Checker.Network
open LipVerify.Checker.Readers
open LipVerify.Checker.Slopes
open LipVerify.Checker.StructuredFile

/// Something that the certificate should say otherwise.
exception Broken of string

let stop text = raise (Broken text)

/// What has to be shown at a place: `|dz_Plus − dz_Minus| ≤ Bound`, where −1 stands for nothing.
[<NoEquality; NoComparison>]
type Claims =
    {
        Plus: int[]
        Minus: int[]
        Bound: float[]
    }

/// A network as a loop, and what it rests on.
[<NoEquality; NoComparison>]
type Walked =
    {
        Loop: Loop
        Claims: Claims[]
        /// Factors of all channels.
        ReachFactors: float[]
        Factors: float[]
    }

/// Entries of all maps together beyond which a network is not checked: each takes 24 bytes.
let private most = 1L <<< 27

/// `diag(f) A` as it is, without its zeros.
let private mapOf (operator: Operator) scales : Map =
    let factors, spreads =
        Array.init operator.Outputs (rowFactor operator scales) |> Array.unzip

    let starts = Array.zeroCreate<int>(operator.Outputs + 1)
    let indices, values = ResizeArray<int>(), ResizeArray<float>()

    for i in 0 .. operator.Outputs - 1 do
        for struct (j, a) in operator.Row i do
            if a <> 0.0 then
                indices.Add j
                values.Add a

        starts[i + 1] <- indices.Count

    let rows: Matrix =
        {
            ColumnCount = operator.Inputs
            Starts = starts
            Indices = indices.ToArray()
            Values = values.ToArray()
        }

    let relative factor spread =
        if spread = 0.0 then
            0.0
        else
            spread / abs factor * (1.0 + 1e-12)

    {
        Rows = rows
        Columns = transpose rows
        Factors = if Array.forall ((=) 1.0) factors then [||] else factors
        Spread =
            Array.map2 (fun factor spread -> if factor = 0.0 then 0.0 else relative factor spread) factors spreads
            |> Array.max
    }

/// Positions by what the certificate says of them, within a size.
let private marked what size (positions: int[]) =
    let marks = Array.create size -1

    positions
    |> Array.iteri (fun k i ->
        if i >= size then
            stop $"the certificate has {what} at {i}, where there are {size} entries"

        marks[i] <- k)

    marks

/// One walk.
type private Walker(certificate: StructuredCertificate) =
    let isLocal = certificate.Radius.IsSome
    let isUniform = certificate.Definition = "uniform"
    let mutable places = certificate.Places
    let mutable count = 0
    let mutable entries = 0L
    let widths = ResizeArray<float>()
    let claims = ResizeArray<Claims>()

    let next () =
        match places with
        | place :: rest ->
            places <- rest
            count <- count + 1
            place
        | [] -> stop "the certificate has no place where the network bends"

    /// The centre of the slopes of a value with a channel, whose half-width is noted with it.
    let channel nominal reach =
        if not isLocal && Double.IsFinite reach then
            stop "over all inputs no reach is shown"

        let slopes =
            if Double.IsInfinity reach then
                { Lo = 0.0; Hi = 1.0 }
            else
                slopes
                    isUniform
                    {
                        Nominal = nominal
                        Fall = reach
                        Rise = reach
                        Least = Double.NegativeInfinity
                    }

        let struct (center, width) = middle slopes
        widths.Add width
        center

    /// The slope of a value without a channel, and the reach for which it is the only one.
    let decided nominal =
        if not isLocal then
            stop "over all inputs every slope needs a channel"
        elif nominal.Hi <= 0.0 then
            struct (0.0, -nominal.Hi)
        elif nominal.Lo >= 0.0 then
            struct (1.0, nominal.Lo)
        else
            stop "a slope whose sign rounding hides has no channel"

    let finite (nominal: Interval[]) =
        if
            isLocal
            && not (nominal |> Array.forall (fun x -> Double.IsFinite x.Lo && Double.IsFinite x.Hi))
        then
            stop "not checked: nominal values leave the range of doubles"

        nominal

    let relu (nominal: Interval[]) =
        let place = next ()
        let n = nominal.Length

        if place.Pairs.Length + place.Constant.Length + place.Alone.Length > 0 then
            stop "the certificate has pairs at a ReLU"

        let channels = marked "a channel" n place.Channels
        let first = widths.Count
        // Channels come in the order of the certificate, so that their factors do.
        let centers =
            Array.map2 (fun i reach -> channel nominal[i] reach) place.Channels place.Reaches

        let outcomes =
            Array.init n (fun i ->
                match channels[i] with
                | -1 -> decided nominal[i]
                | k -> struct (centers[k], place.Reaches[k]))

        claims.Add
            {
                Plus = Array.init n id
                Minus = Array.create n -1
                Bound = outcomes |> Array.map (fun struct (_, bound) -> bound)
            }

        let bend =
            {
                Inputs = n
                Leaders = Array.init n id
                Slopes = outcomes |> Array.map (fun struct (slope, _) -> slope)
                Channels = channels |> Array.map (fun k -> if k < 0 then -1 else first + k)
                Plus = Array.init n id
                Minus = Array.create n -1
                Means = Array.create n 0.0
            }

        Bent(count - 1, bend), nominal |> Array.map (fun x -> { Lo = max 0.0 x.Lo; Hi = max 0.0 x.Hi })

    /// `max(a, b) = a + relu(b − a)` for the pairs of the next place, and the values behind it. Where a ReLU follows the tournament, values that
    /// are not positive may be taken for any others that are not.
    let round rectified (windows: int[][]) (nominal: Interval[]) =
        let place = next ()
        let pairs = place.Pairs
        let meetings = windows |> Array.map (fun window -> (window.Length + 1) / 2)

        if Array.sum meetings <> pairs.Length then
            stop "the certificate has not the pairs of a round where one is due"

        let firsts = Array.scan (+) 0 meetings

        windows
        |> Array.iteri (fun w window ->
            let met =
                Array.sub pairs firsts[w] meetings[w]
                |> Array.collect (fun struct (a, b) -> [| a; b |])

            if Array.sort (Array.distinct met) <> Array.sort window then
                stop "the pairs of the certificate are not those of the windows")

        if not (rectified && isLocal) && place.Constant.Length + place.Alone.Length > 0 then
            stop "values that do not become positive count as 0 only where a ReLU follows, over a ball"

        let channels = marked "a channel" pairs.Length place.Channels
        let constant = marked "a constant" pairs.Length place.Constant
        let alone = marked "a value" pairs.Length place.Alone
        let first = widths.Count

        let difference struct (a, b) =
            {
                Lo = addDown nominal[b].Lo -nominal[a].Hi
                Hi = addUp nominal[b].Hi -nominal[a].Lo
            }

        let centers =
            Array.map2 (fun k reach -> channel (difference pairs[k]) reach) place.Channels place.Reaches

        let plus, minus, bounds =
            ResizeArray<int>(), ResizeArray<int>(), ResizeArray<float>()

        let claim a b bound =
            plus.Add a
            minus.Add b
            bounds.Add bound

        let neverPositive i = claim i -1 -nominal[i].Hi

        // Leader, slope, mean, and the nominal value of each output.
        let outcomes =
            pairs
            |> Array.mapi (fun k (struct (a, b)) ->
                if constant[k] >= 0 then
                    if channels[k] >= 0 then
                        stop "a pair that stays as it is has a channel"

                    neverPositive a
                    neverPositive b
                    struct (a, 0.0, 0.0, nominal[a])
                elif a = b then
                    if channels[k] >= 0 then
                        stop "a value that meets none has a channel"

                    struct (a, 1.0, 0.0, nominal[a])
                elif channels[k] >= 0 then
                    claim b a place.Reaches[channels[k]]

                    struct (a,
                            1.0,
                            centers[channels[k]],
                            {
                                Lo = max nominal[a].Lo nominal[b].Lo
                                Hi = max nominal[a].Hi nominal[b].Hi
                            })
                elif alone[k] >= 0 then
                    neverPositive b
                    struct (a, 1.0, 0.0, nominal[a])
                else
                    let struct (slope, bound) = decided (difference pairs[k])
                    claim b a bound

                    if slope = 0.0 then
                        struct (a, 1.0, 0.0, nominal[a])
                    else
                        struct (b, 1.0, 0.0, nominal[b]))

        claims.Add
            {
                Plus = plus.ToArray()
                Minus = minus.ToArray()
                Bound = bounds.ToArray()
            }

        let bend =
            {
                Inputs = nominal.Length
                Leaders = outcomes |> Array.map (fun struct (leader, _, _, _) -> leader)
                Slopes = outcomes |> Array.map (fun struct (_, slope, _, _) -> slope)
                Channels = channels |> Array.map (fun k -> if k < 0 then -1 else first + k)
                Plus = pairs |> Array.map (fun struct (_, b) -> b)
                Minus = pairs |> Array.map (fun struct (a, _) -> a)
                Means = outcomes |> Array.map (fun struct (_, _, mean, _) -> mean)
            }

        Bent(count - 1, bend),
        outcomes |> Array.map (fun struct (_, _, _, value) -> value),
        windows
        |> Array.mapi (fun w _ -> Array.init meetings[w] (fun k -> firsts[w] + k))

    /// Rounds until one value of each window is left; one round even where there is nothing to decide.
    let rec tournament rectified windows nominal =
        let step, values, left = round rectified windows nominal

        if left |> Array.forall (fun window -> window.Length = 1) then
            [ step ], values
        else
            let steps, values = tournament rectified left values
            step :: steps, values

    let maxPool rectified inputs windows (nominal: Interval[]) =
        if nominal.Length <> inputs then
            refuse "a layer of the network does not fit the one before"

        tournament rectified windows nominal

    let affine operator scales bias nominal =
        entries <- entries + int64 operator.Entries

        if entries > most then
            raise (TooLarge $"maps with more than {most} entries together are not replayed")

        let values = Walk.apply operator scales bias nominal
        Mapped(mapOf operator scales), finite values

    let rec series afterAffine nominal nodes =
        match nodes with
        | [] -> [], nominal
        | Leaf(_, Affine(operator, scales, bias, _)) :: rest ->
            let step, nominal = affine operator scales bias nominal
            let steps, nominal = series true nominal rest
            step :: steps, nominal
        | Leaf(_, Relu) :: Leaf(_, MaxPool(inputs, windows)) :: rest when afterAffine ->
            // The ReLU is monotone, so that it may come after the maximum.
            let rounds, nominal = maxPool true inputs windows nominal
            let step, nominal = relu nominal
            let steps, nominal = series false nominal rest
            rounds @ step :: steps, nominal
        | Leaf(_, Relu) :: rest ->
            let step, nominal = relu nominal
            let steps, nominal = series false nominal rest
            step :: steps, nominal
        | Leaf(_, MaxPool(inputs, windows)) :: rest ->
            let rounds, nominal = maxPool false inputs windows nominal
            let steps, nominal = series false nominal rest
            rounds @ steps, nominal
        | Leaf(_, Skip) :: rest -> series afterAffine nominal rest
        | Series nodes :: rest -> series afterAffine nominal (nodes @ rest)
        | Sum branches :: rest ->
            let ends = branches |> List.map (Walk.flatten >> series false nominal)

            let sum (a: Interval[]) (b: Interval[]) =
                if a.Length <> b.Length then
                    refuse "the branches of a sum differ in size"

                Array.map2 add a b

            let total = ends |> List.map snd |> List.reduce sum |> finite
            let steps, nominal = series false total rest
            Added(List.map fst ends) :: steps, nominal

    member _.Run (input: Interval[]) root =
        let steps, output = series false input (Walk.flatten root)

        if not places.IsEmpty then
            stop "the certificate speaks of more places than the network has"

        let all choose =
            certificate.Places |> List.map choose |> Array.concat

        {
            Loop =
                {
                    Steps = steps
                    Inputs = input.Length
                    Outputs = output.Length
                    Widths = widths.ToArray()
                }
            Claims = claims.ToArray()
            ReachFactors = all _.ReachFactors
            Factors = all _.Factors
        }

/// The loop of a certificate.
let walk certificate input root = Walker(certificate).Run input root
