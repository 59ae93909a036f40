/// Curves made of pieces, and what bounds need of them, enclosed. A continuous function whose pieces are convex or concave tells all this by its
/// values and slopes at few places.
module internal LipVerify.Core.Activations.Curves.Curve

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations

/// A continuous curve: its pieces from left to right, which leave no gap.
type Curve = Piece[]

/// The curve `−σ(x)`.
let negated (curve: Curve) : Curve = Array.map Piece.negated curve

/// The curve `−σ(−x)`.
let turned (curve: Curve) : Curve =
    curve |> Array.map Piece.turned |> Array.rev

/// `σ(x)`.
let value (curve: Curve) (x: float) =
    if Double.IsNaN x then
        Interval.ofEnds nan nan
    else
        (curve |> Array.find (fun piece -> x <= piece.To)).Value x

/// The pieces that have a part in `[low, high]`, with the ends of that part.
let private parts (curve: Curve) low high =
    [|
        for piece in curve do
            let from, until = max piece.From low, min piece.To high

            // What is only touched has no part, unless there is nothing else.
            if from < until || from = until && (low = high || low < from && until < high) then
                struct (piece, from, until)
    |]

let private slopesOf (struct (piece: Piece, from, until)) =
    match piece.Curvature with
    | Straight
    | Inflected -> piece.Slope from
    | Convex -> Interval.ofEnds (piece.Slope from).Low (piece.Slope until).High
    | Concave -> Interval.ofEnds (piece.Slope until).Low (piece.Slope from).High

/// The slopes of tangents, and so of chords, over `[low, high]`.
let slopes (curve: Curve) low high =
    parts curve low high |> Array.map slopesOf |> Array.reduce Interval.hull

/// `σ(x) − s·x`.
let private over (piece: Piece) (s: float) (x: float) =
    if s = 0.0 then
        piece.Value x
    else
        Interval.subtract (piece.Value x) (Interval.multiply (Interval.point s) (Interval.point x))

/// About where a falling slope of a piece comes to `s`.
let private placeOf (piece: Piece) (s: float) from until =
    // Slopes settle long before.
    let far = 1e3

    let mutable low =
        if Double.IsInfinity from then
            min until far - 2.0 * far
        else
            from

    let mutable high =
        if Double.IsInfinity until then
            max from -far + 2.0 * far
        else
            until

    for _ in 1..30 do
        let middle = 0.5 * (low + high)
        let slope = piece.Slope middle

        if slope.Low + slope.High > 2.0 * s then
            low <- middle
        else
            high <- middle

    0.5 * (low + high)

let private supremumOf (s: float) (struct (piece: Piece, from, until)) =
    let at x = (over piece s x).High

    match piece.Curvature with
    | Straight
    | Convex -> max (at from) (at until)
    | Inflected -> Rounding.addUp (at from) (Rounding.mulUp (max 0.0 ((piece.Slope from).High - s)) (until - from))
    | Concave ->
        if (piece.Slope until).Low >= s then
            at until
        elif (piece.Slope from).High <= s then
            at from
        else
            // Below the tangent at any place.
            let place = placeOf piece s from until
            let slope = piece.Slope place

            let further (rate: float) length =
                if rate > 0.0 then
                    Rounding.mulUp (Math.BitIncrement rate) (Math.BitIncrement(length: float))
                else
                    0.0

            max (further (slope.High - s) (until - place)) (further (s - slope.Low) (place - from))
            |> Rounding.addUp (at place)

/// The largest `σ(x) − s·x` over `[low, high]`, rounded upward.
let supremum (curve: Curve) s low high =
    parts curve low high |> Array.map (supremumOf s) |> Array.reduce max

let private isBent curvature (struct (piece: Piece, _, _)) =
    piece.Curvature = Straight || piece.Curvature = curvature

/// Whether the curve is convex over `[low, high]`.
let isConvex (curve: Curve) low high =
    parts curve low high |> Array.forall (isBent Convex)

/// The slope of a chord, rounded upward.
let private chordUp (rise: float) (run: float) =
    let slope =
        rise
        / (if rise >= 0.0 then
               Math.BitDecrement run
           else
               Math.BitIncrement run)

    if Double.IsNaN slope then
        Double.PositiveInfinity
    else
        Math.BitIncrement slope

/// Tangents at so many places bound chords to all between them.
let private places = 8

/// The largest slope of chords from `start` to any place in `[start, far]`, rounded upward, where the curve bends both ways. Between two places a
/// curve lies below its chord where it is convex, and below both tangents where it is concave; the slope to a place that moves along a line grows
/// or falls, so that the ends tell.
let private steepestByPlaces (curve: Curve) start far =
    let ground = (value curve start).Low

    let chord ceiling y =
        chordUp (Rounding.addUp ceiling -ground) (y - start)

    /// The most that chords to `[t, t']` can be, where `t` is not the start.
    let between (piece: Piece) t t' =
        let ends = max (chord (piece.Value t).High t) (chord (piece.Value t').High t')

        match piece.Curvature with
        | Straight
        | Convex -> ends
        | Inflected ->
            let length = Interval.subtract (Interval.point t') (Interval.point t)
            max ends (chord (Interval.add (piece.Value t) (Interval.multiply (piece.Slope t) length)).High t')
        | Concave ->
            let middle = 0.5 * (t + t')

            let byTangent place =
                let away = Interval.subtract (Interval.point middle) (Interval.point place)

                let tangent =
                    Interval.add (piece.Value place) (Interval.multiply (piece.Slope place) away)

                chord tangent.High middle

            max ends (max (byTangent t) (byTangent t'))

    /// The slopes of chords from `t` to `[t, t']`: right behind `t`, a concave curve is as steep as its tangent there.
    let onward (piece: Piece) t t' =
        match piece.Curvature with
        | Straight
        | Convex -> chordUp (Rounding.addUp (piece.Value t').High -(piece.Value t).Low) (t' - t)
        | Inflected
        | Concave -> (piece.Slope t).High

    let mutable steepest = Double.NegativeInfinity

    for struct (piece, from, until) in parts curve start far do
        let steps = if piece.Curvature = Concave then places else 1

        let place k =
            if k = steps then
                until
            else
                from + (until - from) * float k / float steps

        for k in 1..steps do
            let t, t' = place (k - 1), place k

            let most =
                if t' <= t then Double.NegativeInfinity
                // So near, values tell little. A chord that passes `t` is a mean of one up to it and one from it on.
                elif t - start <= 1e-6 * (t' - start) then onward piece t t'
                else between piece t t'

            steepest <- max steepest most

    steepest

/// The largest slope between a `y0` in `[low, high]` and a `y` in `[y0, far]`, rounded upward; `bound` are the slopes over all of it.
let steepestTo (curve: Curve) low high far (bound: Interval) =
    if not (far > high) then
        Double.NegativeInfinity
    elif Double.IsInfinity far then
        bound.High
    else
        let behind =
            if isConvex curve high far then
                chordUp (Rounding.addUp (value curve far).High -(value curve high).Low) (far - high)
            else
                steepestByPlaces curve high far

        // A chord that begins before `high` is a mean of one up to it and one from it on.
        let steepest =
            if low < high then
                max behind (slopes curve low high).High
            else
                behind

        min bound.High steepest

let private middleOf (interval: Interval) =
    0.5 * interval.Low + 0.5 * interval.High

/// About where the line from the end `anchor` of an interval touches the curve, between two places.
let private touching (curve: Curve) anchor (near: float) (far: float) =
    let value x = middleOf (value curve x)
    let ground = value anchor
    let mutable near, far = near, far

    for _ in 1..40 do
        let place = 0.5 * (near + far)
        let tangent = middleOf (slopes curve place place) * (place - anchor)

        // Nearer to the anchor than the touching point, the tangent passes above it.
        if tangent > value place - ground then
            near <- place
        else
            far <- place

    0.5 * (near + far)

/// The hull of so many points shows which line is lowest above a curve.
let private points = 32

/// The corners of the hull above the curve, and the distance of the points.
let private hull (curve: Curve) (low: float) (high: float) =
    let step = (high - low) / float points
    let hull = ResizeArray<struct (float * float)>()
    let slope (struct (a: float, fa: float)) (struct (b: float, fb: float)) = (fb - fa) / (b - a)

    for k in 0..points do
        let x = if k = points then high else low + step * float k
        let next = struct (x, middleOf (value curve x))

        while hull.Count > 1
              && slope hull[hull.Count - 2] hull[hull.Count - 1]
                 <= slope hull[hull.Count - 1] next do
            hull.RemoveAt(hull.Count - 1)

        hull.Add next

    struct (hull, step)

/// About the slope of the line that is lowest in the middle, of those above a curve that bends both ways: along an edge of the hull, from
/// an end to where it touches the curve, or the tangent in the middle.
let private hullSlope (curve: Curve) (low: float) (high: float) =
    let struct (hull, step) = hull curve low high
    let middle = 0.5 * low + 0.5 * high

    let slope a b =
        (middleOf (value curve b) - middleOf (value curve a)) / (b - a)

    let corner k =
        let struct (x, _) = hull[k]
        x

    let edge =
        Seq.init (hull.Count - 1) id |> Seq.find (fun k -> corner (k + 1) >= middle)

    let first, last = corner 1, corner (hull.Count - 2)

    [
        slope (corner edge) (corner (edge + 1))
        middleOf (slopes curve middle middle)

        if first > low + 1.5 * step then
            slope low (touching curve low (first - step) (min high (first + step)))

        if last < high - 1.5 * step then
            slope (touching curve high (last + step) (max low (last - step))) high
    ]
    |> List.minBy (fun s -> s * middle + supremum curve s low high)

/// About the slope of the lowest line above the curve over `[low, high]` at the middle.
let slopeAbove (curve: Curve) (low: float) (high: float) =
    let slope =
        if not (Double.IsFinite(high - low) && low < high) then
            0.0
        elif isConvex curve low high then
            ((value curve high).High - (value curve low).Low) / (high - low)
        elif parts curve low high |> Array.forall (isBent Concave) then
            let middle = 0.5 * low + 0.5 * high
            middleOf (slopes curve middle middle)
        else
            hullSlope curve low high

    if Double.IsFinite slope then slope else 0.0
