/// Projected descent in the 2-norm with decoupled direction and norm (DDN): the radius of the sphere shrinks while the point on it
/// is adversarial and grows while it is not.
module LipVerify.Core.Attacks.ProjectedDescent

open System
open LipVerify.Core.Computation
open LipVerify.Core.LowerBounds

/// Relative change of the radius in one step: a twentieth, and more where few steps must suffice.
let private changeOf (effort: AttackEffort) = max 0.05 (4.0 / float effort.Steps)

/// The nearest adversarial input over the classes steered to, refined along the boundary.
let run (context: Context) problem (effort: AttackEffort) : AdversarialExample option =
    let center = AttackProblem.center problem
    let n = center.Length
    let targets = AttackProblem.targets context problem effort.Targets
    let classes = targets |> Array.map _.Class
    let radii = targets |> Array.map _.Distance
    let change = changeOf effort
    let found = Array.create targets.Length None

    let remember (points: float[]) row =
        let point = Array.sub points (row * n) n
        let distance = Vectors.norm (ReadOnlySpan(Array.map2 (-) point center))

        match found[row] with
        | Some(best, _) when best <= distance -> ()
        | _ -> found[row] <- Some(distance, point)

    /// A step along the gradient, then onto the sphere of the new radius.
    let advance length (points: float[]) (gradients: float[]) row =
        let displacement =
            Array.init n (fun i -> points[row * n + i] - center[i] + length * radii[row] * gradients[row * n + i])

        let distance = Vectors.norm (ReadOnlySpan displacement)
        let scale = if distance > 0.0 then radii[row] / distance else 0.0
        Array.init n (fun i -> center[i] + scale * displacement[i])

    let rec go step (points: float[]) =
        Context.check context

        let struct (margins, _, gradients) =
            AttackProblem.steer context problem classes points

        Points.normalise n gradients

        margins
        |> Array.iteri (fun row margin ->
            if margin > 0.0 then
                remember points row
                radii[row] <- radii[row] * (1.0 - change)
            else
                radii[row] <- radii[row] * (1.0 + change))

        if step < effort.Steps then
            let length = 0.01 + 0.495 * (1.0 + cos (Math.PI * float step / float effort.Steps))

            let next =
                Array.init targets.Length (advance length points gradients) |> Array.concat

            AttackProblem.clip problem next
            go (step + 1) next

    if targets.Length > 0 then
        go 0 (targets |> Array.collect (fun _ -> center))

    found
    |> Seq.choose (Option.map snd)
    |> BoundaryRefinement.nearest
        context
        problem
        ProjectedDescent
        effort.Finalists
        (BoundaryRefinement.descend context problem effort.Steps)
