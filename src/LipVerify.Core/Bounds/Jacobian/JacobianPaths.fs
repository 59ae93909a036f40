/// The way of rows (`JacobianRows`) through links to the outputs.
module internal LipVerify.Core.Bounds.Jacobian.JacobianPaths

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Bounds.Jacobian.JacobianRows
open LipVerify.Core.Bounds.Jacobian.JacobianBends

let rec private through (context: Context) rows link =
    Context.check context

    match link with
    | Linear(map, isAdjoint, weights, lost) -> throughLinear context.Engine map isAdjoint weights lost rows
    | Bend(bend, derivatives) ->
        let struct (rows, _) = throughBend bend derivatives rows
        rows
    | Summed(branches, weights) ->
        let start =
            { rows with
                Offsets = Array.zeroCreate rows.Count
            }

        let sum =
            branches
            |> List.map (fun links -> (start, links) ||> List.fold (through context))
            |> List.reduce (addRows weights)

        { sum with
            Offsets = Array.map2 Rounding.addUp rows.Offsets sum.Offsets
        }

let private isLinear link =
    match link with
    | Linear _ -> true
    | Bend _
    | Summed _ -> false

let private tighter (bound: float) best = if bound < best then bound else best

/// Carries rows to the output, and takes the least of the bounds on the way. Derivatives behind the last bend are entries of linear
/// maps, whose signs are known: going on would add nothing.
let rec private follow context isOver links rows (best: float[]) : float[] =
    match links with
    | _ when isOver () -> best
    | [] ->
        let ends =
            Array.init rows.Count (fun r ->
                let value = rows.Coefficients[r * rows.Width + rows.Output]

                if Double.IsFinite value then
                    Rounding.addUp rows.Offsets[r] value
                else
                    nan)

        Array.map2 tighter ends best
    | Bend(bend, derivatives) :: rest ->
        Context.check context
        let struct (behind, stops) = throughBend bend derivatives rows
        let best = Array.map2 tighter stops best

        if List.forall isLinear rest then
            best
        else
            follow context isOver rest behind best
    | link :: rest -> follow context isOver rest (through context rows link) best

/// Upper bounds on the entries that rows stand for, given the links from there to the output, the next one first; infinite where nothing is
/// known. Once `isOver` the rows stop where they are, with the bounds met so far.
let upperBounds context isOver links rows =
    follow context isOver links rows (Array.create rows.Count Double.PositiveInfinity)
