/// Gradient ascent on `f_j − f_c` for one class `j` after the other.
module LipVerify.Core.Attacks.ClassAscent

open LipVerify.Core.Computation
open LipVerify.Core.LowerBounds

/// How far all steps together may lead, relative to the linearised distance of the class.
let private reaches = [| 15.0; 30.0; 7.5; 3.75 |]

/// The nearest input that steps of fixed length along the gradient reach, over target classes and lengths of the steps; then refined on
/// the segment from the nominal input.
let run (context: Context) problem (effort: AttackEffort) : AdversarialExample option =
    let center = AttackProblem.center problem
    let n = center.Length

    let rows =
        Array.allPairs (AttackProblem.targets context problem effort.Targets) (Array.truncate effort.Searches reaches)

    let classes = rows |> Array.map (fun (target, _) -> target.Class)
    let found = Array.create rows.Length None

    let rec go remaining (points: float[]) =
        Context.check context

        let struct (margins, _, gradients) =
            AttackProblem.steer context problem classes points

        margins
        |> Array.iteri (fun row margin ->
            if margin > 0.0 && found[row].IsNone then
                found[row] <- Some(Array.sub points (row * n) n))

        if remaining > 0 && Array.exists Option.isNone found then
            Points.normalise n gradients

            let next =
                Array.init points.Length (fun k ->
                    let target, reach = rows[k / n]
                    points[k] + reach / float effort.Steps * target.Distance * gradients[k])

            AttackProblem.clip problem next
            go (remaining - 1) next

    if rows.Length > 0 then
        go effort.Steps (rows |> Array.collect (fun _ -> center))

    Seq.choose id found
    |> BoundaryRefinement.nearest context problem GradientAscent effort.Finalists id
