namespace LipVerify.Core.Bounds.Exact.Maximum

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Chains
open LipVerify.Core.Bounds.Exact.Euclidean

/// The nominal constant in the maximum norm of a small ReLU network by enumeration: `max ‖f(x) − f(x0)‖∞ / ‖x − x0‖∞` over the pieces on
/// which `f(x) − f(x0) = J s + c`, `x = x0 + ε s`.
///
/// For `s = e/τ` with `‖e‖∞ ≤ 1` and `τ ≥ 1`, the largest `±(J_j e + c_j τ)` under the half-spaces `g·e + h τ ≥ 0` of a piece is its largest
/// quotient: equal to it where `‖e‖∞ = 1`, and no larger elsewhere. That linear program is solved by bisection, each step of
/// which is proved by multipliers (`ExactRegion`) or shown by a point.
module internal ExactBoxPairs =

    /// Where bisection ends, relative to the value.
    let private precision = 1e-9

    /// The rounding of divisions by the radius, with room to spare.
    let private widen = 1.0 + 1e-11

    [<NoComparison; NoEquality>]
    type private Search =
        {
            Points: BoxPoints
            Inputs: int
            Radius: float
            IsOver: unit -> bool
            mutable Lower: float
            mutable Best: float[] option
            mutable Upper: float
        }

    /// The homogeneous half-spaces of a piece in `(e, u)`, `τ = Reach·u`; `Reach` is 0 where the piece contains `x0`, and `u` does not count.
    [<ReferenceEquality>]
    type private Cone = { Cuts: HalfSpace[]; Reach: float }

    /// `a·(e, u) + offset ≥ 0`; none where that says nothing about the point.
    let private halfSpace (a: float[]) offset error =
        let length = ReluChain.length a

        if length = 0.0 || not (Double.IsFinite length) then
            None
        else
            Some
                {
                    Normal = a |> Array.map (fun x -> x / length)
                    Offset = offset / length
                    Error = 0.0
                    Slack = error / length + 1e-13 * sqrt (float a.Length)
                    Plane = 0
                }

    /// Offsets are exact but for their last digits, so that it is known on which side of every plane `x0` lies, and how far off in its own
    /// scale: kinks next to `x0` are crossed there, those through it are not.
    let private cone (cuts: HalfSpace[]) =
        let behind = cuts |> Array.filter (fun cut -> cut.Offset < 0.0)

        if behind.Length = 0 then
            // Directions from x0 into the piece: half-spaces that hold around it cut none of them off.
            {
                Cuts = cuts |> Array.filter (fun cut -> cut.Offset = 0.0)
                Reach = 0.0
            }
        else
            let reach =
                behind
                |> Array.map (fun cut -> (Array.sumBy abs cut.Normal + cut.Slack) / (-cut.Offset - cut.Error))
                |> Array.min
                |> max 1.0

            // The error of `g·e` by itself, over `‖e‖∞ ≤ 1`.
            let moving (cut: HalfSpace) = max 0.0 (cut.Slack - cut.Error)

            let homogeneous =
                cuts
                |> Array.choose (fun cut ->
                    halfSpace (Array.append cut.Normal [| reach * cut.Offset |]) 0.0 (moving cut + reach * cut.Error))

            let n = cuts[0].Normal.Length

            let isInBox =
                halfSpace (Array.init (n + 1) (fun k -> if k = n then 1.0 else 0.0)) (-1.0 / reach) 0.0

            {
                Cuts = Array.append homogeneous (Option.toArray isInBox)
                Reach = reach
            }

    /// The point of the piece for a point of its cone.
    let private place (cone: Cone) (cuts: HalfSpace[]) (z: float[]) =
        if cone.Reach > 0.0 then
            let n = z.Length - 1
            Array.init n (fun k -> z[k] / (cone.Reach * z[n]))
        else
            // As far along the ray as the half-spaces and the box allow.
            let furthest =
                (1.0 / (z |> Array.fold (fun best x -> max best (abs x)) 1e-300), cuts)
                ||> Array.fold (fun furthest cut ->
                    let along = ReluChain.dot cut.Normal z

                    if along < 0.0 && cut.Offset > 0.0 then
                        min furthest (-cut.Offset / along)
                    else
                        furthest)

            z |> Array.map (fun x -> 0.5 * furthest * x)

    /// The quotient at a point in the interior of a cone, less its rounding: it is attained, if only next to `x0` where no double lies.
    let private attainedAt inputs (objective: float[]) error (z: float[]) =
        let size =
            z |> Seq.truncate inputs |> Seq.fold (fun largest x -> max largest (abs x)) 0.0

        if size = 0.0 then
            0.0
        else
            (ReluChain.dot objective z - error) / size

    /// The largest quotient of one output and sign in a piece, where it is above the best so far.
    let private consider (search: Search) (cuts: HalfSpace[]) (cone: Cone) (rates: float[]) shift error =
        let objective =
            if cone.Reach > 0.0 then
                Array.append rates [| cone.Reach * shift |]
            else
                rates

        let crude = (Array.sumBy abs objective + error) * (1.0 + 1e-12)

        let decide value =
            match halfSpace objective -value error with
            | None -> Apart
            | Some exceeds -> ExactRegion.decide UnitBox (Array.append cone.Cuts [| exceeds |])

        let negligible = Math.ScaleB(crude, -60)

        let rec bisect attained above =
            let middle = 0.5 * (attained + above)

            // Where numbers overflow the ends never meet; without a number between them there is nothing left to halve.
            let isClosed =
                above <= attained * (1.0 + precision)
                || above <= negligible
                || not (attained < middle && middle < above)

            if isClosed || search.IsOver() then
                above
            else
                match decide middle with
                | Apart -> bisect attained middle
                | Unknown -> bisect middle above
                | At z ->
                    search.Lower <-
                        max search.Lower (attainedAt search.Inputs objective error z / search.Radius / widen)

                    let s = place cone cuts z |> Array.map (fun x -> max -1.0 (min 1.0 x))
                    let slope = search.Points.Slope s

                    if slope > search.Lower then
                        search.Lower <- slope
                        search.Best <- Some s

                    bisect (max middle (ReluChain.dot objective z)) above

        if crude > search.Upper then
            let start = search.Upper * (1.0 + precision)

            if crude <= start then
                search.Upper <- crude
            elif search.Upper > 0.0 && decide start = Apart then
                search.Upper <- max search.Upper (min start crude)
            else
                search.Upper <- max search.Upper (bisect search.Upper crude)

    let private piece (search: Search) (branching: ExactBranching) (node: ExactNode) =
        let cone = cone node.Cuts
        let shifts = branching.Shift node
        let rounding = search.Radius * sqrt (float search.Inputs) * branching.RateError node

        for j in 0 .. shifts.Length - 1 do
            let error = rounding + branching.Rounding * cone.Reach * abs shifts[j]

            for sign in [ 1.0; -1.0 ] do
                let rates = node.Rates[j] |> Array.map (fun x -> sign * search.Radius * x)
                consider search node.Cuts cone rates (sign * shifts[j]) error

    /// The constant over the box around `center`, or why it was not found: the pieces must be few enough to visit before `isOver`.
    let nominal (context: Context) (ball: ReluBall) shape isOver : Result<ExactBracket, string> =
        let branching = ExactBranching(ball, Maximum, Origin.Exactly)

        let search =
            {
                Points = BoxPoints ball
                Inputs = ball.Center.Length
                Radius = ball.Radius
                IsOver = isOver
                Lower = 0.0
                Best = None
                Upper = 0.0
            }

        let mutable pieces = 0
        let mutable isTooNear = false

        for node in branching.Leaves |> Seq.takeWhile (fun _ -> not (isTooNear || isOver ())) do
            Context.check context
            pieces <- pieces + 1
            isTooNear <- branching.HasKinkTooNear node

            if not isTooNear then
                piece search branching node

        if isTooNear then
            Error "a kink is too near to the input"
        elif isOver () then
            Error "the time for its pieces is over"
        else
            Ok
                {
                    Lower = ball.Downward search.Lower
                    Upper = ball.Upward(max search.Lower (search.Upper / ball.Radius * widen))
                    Attained = search.Best |> Option.map (ball.Point >> Tensor.ofArray shape)
                    Regions = pieces
                }
