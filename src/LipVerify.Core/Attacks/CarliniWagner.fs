/// The attack of Carlini & Wagner in the 2-norm: Adam on `‖δ‖² + c·max(f_c − f_j, 0)`, with a search over the penalty `c` for the
/// least one that still leads to class `j`. Points are clipped to the box instead of being reparametrised.
module LipVerify.Core.Attacks.CarliniWagner

open System
open LipVerify.Core.Computation
open LipVerify.Core.LowerBounds

/// One class with the penalties known to be too small and large enough.
[<Struct>]
type private Penalty =
    {
        Failed: float
        Current: float
        Worked: float
    }

let private next worked penalty =
    if worked then
        let worked = min penalty.Current penalty.Worked

        { penalty with
            Worked = worked
            Current =
                if penalty.Failed > 0.0 then
                    sqrt (penalty.Failed * worked)
                else
                    worked / 4.0
        }
    else
        let failed = max penalty.Current penalty.Failed

        { penalty with
            Failed = failed
            Current =
                if Double.IsFinite penalty.Worked then
                    sqrt (failed * penalty.Worked)
                else
                    failed * 4.0
        }

/// Adam (Kingma & Ba 2015) with its usual constants, one rate a row.
let private adam (rates: float[]) size =
    let first, second =
        Array.zeroCreate (rates.Length * size), Array.zeroCreate (rates.Length * size)

    let mutable step = 0

    fun (gradient: float[]) (points: float[]) ->
        step <- step + 1

        let unbias1, unbias2 =
            1.0 - Math.Pow(0.9, float step), 1.0 - Math.Pow(0.999, float step)

        for k in 0 .. points.Length - 1 do
            first[k] <- 0.9 * first[k] + 0.1 * gradient[k]
            second[k] <- 0.999 * second[k] + 0.001 * gradient[k] * gradient[k]
            let denominator = sqrt (second[k] / unbias2)

            if denominator > 0.0 && Double.IsFinite denominator then
                points[k] <- points[k] - rates[k / size] * (first[k] / unbias1) / denominator

/// The nearest adversarial input over classes and penalties, refined along the boundary.
let run (context: Context) problem (effort: AttackEffort) : AdversarialExample option =
    let center = AttackProblem.center problem
    let n = center.Length
    let targets = AttackProblem.targets context problem effort.Targets
    let classes = targets |> Array.map _.Class
    let found = Array.create targets.Length None

    // All steps together may lead 15 times as far as the linearised boundary, with ‖δ‖ spread over the coordinates.
    let rates =
        targets
        |> Array.map (fun target -> 15.0 / float effort.Steps * target.Distance / sqrt (float n))

    let remember (points: float[]) row =
        let point = Array.sub points (row * n) n
        let distance = Vectors.norm (ReadOnlySpan(Array.map2 (-) point center))

        match found[row] with
        | Some(best, _) when best <= distance -> ()
        | _ -> found[row] <- Some(distance, point)

    /// One descent with the given penalties; which rows led to another class.
    let descend (penalties: Penalty[]) =
        let update = adam rates n
        let points = targets |> Array.collect (fun _ -> center)
        let worked = Array.create targets.Length false

        for _ in 0 .. effort.Steps do
            Context.check context

            let struct (margins, leads, gradients) =
                AttackProblem.steer context problem classes points

            for row in 0 .. targets.Length - 1 do
                if margins[row] > 0.0 then
                    worked[row] <- true
                    remember points row

            let descent =
                Array.init points.Length (fun k ->
                    let row = k / n

                    let pull =
                        if leads[row] <= 0.0 then
                            penalties[row].Current * gradients[k]
                        else
                            0.0

                    2.0 * (points[k] - center[k % n]) - pull)

            update descent points
            AttackProblem.clip problem points

        worked

    let rec search index (penalties: Penalty[]) =
        if index < effort.Searches then
            context.Report $"attack cw: penalty {index + 1} of {effort.Searches}"
            search (index + 1) (Array.map2 next (descend penalties) penalties)

    if targets.Length > 0 then
        targets
        |> Array.map (fun target ->
            {
                Failed = 0.0
                // Where the linearised boundary is reached, 2‖δ‖ = c‖∇‖ holds.
                Current = 2.0 * target.Distance / target.Slope
                Worked = infinity
            })
        |> search 0

    found
    |> Seq.choose (Option.map snd)
    |> BoundaryRefinement.nearest
        context
        problem
        CarliniWagner
        effort.Finalists
        (BoundaryRefinement.descend context problem effort.Steps)
