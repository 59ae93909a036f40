/// The slopes that the claimed reaches of a structured certificate allow, place by place, with what has to be shown of reaches for that.
module LipVerify.Checker.StructuredBends

open System
open LipVerify.Checker.Directed
open LipVerify.Checker.Loop
open LipVerify.Checker.Slopes
open LipVerify.Checker.StructuredFile
open LipVerify.Checker.Subject

/// What has to be shown at a place: `|dz_Plus − dz_Minus| ≤ Bound`, where −1 stands for nothing.
[<NoEquality; NoComparison>]
type Claims =
    {
        Plus: int[]
        Minus: int[]
        Bound: float[]
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

/// The places of a certificate in the order of a walk.
type Bends(certificate: StructuredCertificate) =
    let isLocal = certificate.Radius.IsSome
    let isUniform = certificate.Definition = "uniform"
    let mutable places = certificate.Places
    let mutable count = 0
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

    /// The step of a ReLU at the next place, and the values behind it.
    member _.Relu nominal = relu nominal

    /// `max(a, b) = a + relu(b − a)` for the pairs of the next place, the values behind it, and which of them each window has left. Where a ReLU
    /// follows the tournament, values that are not positive may be taken for any others that are not.
    member _.Round rectified windows nominal = round rectified windows nominal

    /// The half-widths of all channels so far, and what is claimed at each place; all places have to be taken.
    member _.Taken() =
        if not places.IsEmpty then
            stop "the certificate speaks of more places than the network has"

        struct (widths.ToArray(), claims.ToArray())
