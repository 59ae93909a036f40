/// Steps along the signs of the gradient of the cross-entropy loss.
module LipVerify.Core.Attacks.FastGradientSign

open System
open LipVerify.Core.Computation

/// −1, 0 or 1, entry by entry; 0 for what is no number.
let private signs (gradient: float[]) =
    gradient
    |> Array.map (fun g ->
        if g > 0.0 then 1.0
        elif g < 0.0 then -1.0
        else 0.0)

/// The step at which the linearised network changes the class: margin over the 1-norm of the gradient. 0 where it never does.
let private linearisedStep (margin: float) (gradient: float[]) =
    let slope = gradient |> Array.sumBy abs
    let step = -margin / slope
    if slope > 0.0 && Double.IsFinite step then step else 0.0

let private moved problem (points: float[]) (directions: float[]) (steps: float[]) =
    let n = points.Length / steps.Length

    let next =
        Array.init points.Length (fun k -> points[k] + steps[k / n] * directions[k])

    AttackProblem.clip problem next
    next

/// The least step that is tried, relative to the linearised one.
let private least = 1.0 / 64.0

/// The largest step of the scan over the least one.
let private range = 65536.0

/// Steps of the scan for each step size of the iterated attack: each is 1.04 times the one before with 24 sizes.
let private stepsPerSize = 12

/// The least single step that works, of a scan over steps from a 64th to 1024 times the linearised one, then refined between
/// the last that failed and it.
let run (context: Context) problem (effort: AttackEffort) : AdversarialExample option =
    let center = AttackProblem.center problem

    let struct (margins, gradient) =
        AttackProblem.crossEntropyGradient context problem center

    let direction = signs gradient
    let first = least * linearisedStep margins[0] gradient
    let count = stepsPerSize * effort.Sizes
    let ratio = Math.Pow(range, 1.0 / float count)

    let attempt (steps: float[]) =
        let repeated (row: float[]) =
            Array.concat (Array.replicate steps.Length row)

        let points = moved problem (repeated center) (repeated direction) steps
        Array.chunkBySize center.Length points, AttackProblem.margins context problem points

    let rec refine remaining low high (best: float[]) =
        if remaining = 0 then
            best
        else
            let steps = Array.init 7 (fun i -> low + (high - low) * float (i + 1) / 8.0)
            let points, margins = attempt steps

            match margins |> Array.tryFindIndex (fun margin -> margin > 0.0) with
            | Some i -> refine (remaining - 1) (if i = 0 then low else steps[i - 1]) steps[i] points[i]
            | None -> refine (remaining - 1) (Array.last steps) high best

    let scan =
        seq { for i in 0..count -> first * Math.Pow(ratio, float i) }
        |> Seq.filter (fun step -> step > 0.0)
        |> Seq.chunkBySize 32

    scan
    |> Seq.tryPick (fun steps ->
        Context.check context
        let points, margins = attempt steps

        margins
        |> Array.tryFindIndex (fun margin -> margin > 0.0)
        |> Option.map (fun i -> refine 10 (steps[i] / ratio) steps[i] points[i]))
    |> Option.bind (BoundaryRefinement.alongSegment context problem FastGradientSign)

/// The nearest input that repeated steps of one size reach, over sizes from the linearised step down to a 300th of it, each for
/// as many steps as `effort` allows; then refined on the segment from the nominal input.
let iterate (context: Context) problem (effort: AttackEffort) : AdversarialExample option =
    let center = AttackProblem.center problem
    let n, sizes = center.Length, effort.Sizes

    let struct (margins, gradient) =
        AttackProblem.crossEntropyGradient context problem center

    let whole = linearisedStep margins[0] gradient

    let steps =
        Array.init sizes (fun i -> 2.0 * whole * Math.Pow(2.0, -float i * 9.0 / float sizes))

    let found = Array.create sizes None

    let rec go remaining (points: float[]) =
        Context.check context

        let struct (margins, gradients) =
            AttackProblem.crossEntropyGradient context problem points

        margins
        |> Array.iteri (fun row margin ->
            if margin > 0.0 && found[row].IsNone then
                found[row] <- Some(Array.sub points (row * n) n))

        if remaining > 0 && Array.exists Option.isNone found then
            go (remaining - 1) (moved problem points (signs gradients) steps)

    if whole > 0.0 then
        go effort.Steps (Array.concat (Array.replicate sizes center))

    Seq.choose id found
    |> BoundaryRefinement.nearest context problem IteratedFastGradientSign effort.Finalists id
