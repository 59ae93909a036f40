/// How far computed passes through a loop operator may lie from exact ones, in norm.
///
/// A step `A` with `‖A‖ ≤ ν` computes `fl(A x) = A x + e`, `‖e‖ ≤ φ‖x‖`; so with `h` a bound on the computed vectors before it, for inputs of
/// length 1, and `t` one on the norm of everything behind it, it adds at most `t·φ·h` to the error of the result. Backward the same holds with both
/// sides exchanged. Norms, not absolute values, are carried through the network: entry by entry bounds would grow by another order a layer.
module internal LipVerify.Core.Loops.Operator.LoopRounding

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Loops.Operator.StepNorms

/// Errors of passes with inputs of length at most 1.
[<NoEquality; NoComparison>]
type LoopErrors =
    {
        /// `‖fl(K x) − K x‖`.
        Forward: float
        /// The part of it that is underflow, which shorter inputs do not lessen.
        Underflow: float
        /// `‖fl(Kᵀ y) − Kᵀ y‖`.
        Backward: float
        /// `‖K‖`, coarsely.
        Norm: float
        /// Bounds on the error of the increments at each point, relative to the length of the input.
        Increments: LoopPoint -> float
        /// The same on the way back.
        Adjoints: LoopPoint -> float
    }

/// Norms of what lies before each point and behind it, where more is known than products of norms.
[<NoEquality; NoComparison>]
type Carried =
    {
        /// No computed vector there is longer, for inputs of length 1.
        Heads: LoopPoint -> float
        /// No computed vector there is longer on the way back, for outputs of length 1; nor is the norm of all that follows larger.
        Tails: LoopPoint -> float
    }

/// Nothing but products is known.
let nothingCarried =
    {
        Heads = fun _ -> Double.PositiveInfinity
        Tails = fun _ -> Double.PositiveInfinity
    }

/// Everything is rounded to nearest below and multiplied by this at the end, far more than a few thousand roundings.
let private slack = 1.0 + 1e-9

let private length a b = sqrt (a * a + b * b)

/// Errors for a batch of this size; `share` is 1, or 0 for underflow alone.
let private errorsOf
    share
    (context: Context)
    (norms: MapNormTable)
    (bends: BendNorms[])
    (operator: LoopOperator)
    batch
    (carried: Carried)
    : LoopErrors =
    let engine = context.Engine
    let gamma k = share * Rounding.gamma k
    let increments = Collections.Generic.Dictionary<LoopPoint, float>()
    let adjoints = Collections.Generic.Dictionary<LoopPoint, float>()

    /// `φ` of a map on the way forward, and on the way back.
    let forward map =
        gamma (LinearMap.applyDepth engine map batch + 2) * (norms map).Absolute

    let backward map =
        gamma (LinearMap.adjointDepth engine map batch + 2) * (norms map).Absolute

    let known (carried: LoopPoint -> float) step (product: float) =
        match pointOf step with
        | Some point -> min product (carried point)
        | None -> product

    /// The length of what a step makes of a vector of length `h`, and of `u` of length 1.
    let rec head h step =
        let h = known carried.Heads step h

        match step with
        | Mapped(_, map) -> ((norms map).Norm + forward map) * h + (norms map).Underflow
        | Bent bend ->
            length (bends[bend].Base * h) bends[bend].Residuals
            * (1.0 + Rounding.gamma (bends[bend].Roundings + 8))
        | Added branches -> branches |> List.sumBy (heads h)

    and heads h steps = List.fold head h steps

    /// The norm of a step and of what follows it, of norm `t`.
    let rec tail step t =
        match step with
        | Mapped(_, map) -> ((norms map).Norm + backward map) * t + (norms map).Underflow
        | Bent bend ->
            length (bends[bend].Base * t) bends[bend].Differences
            * (1.0 + Rounding.gamma (bends[bend].Roundings + 8))
        | Added branches -> branches |> List.sumBy (fun steps -> tails steps t)
        |> known carried.Tails step

    and tails steps t = List.foldBack tail steps t

    /// What rounding adds in one step, forward and backward, for vectors of length `h` before it and `t` behind it: to the vector handed on, and to
    /// the channels.
    let own h t step =
        match step with
        | Mapped(_, map) ->
            struct (forward map * h + (norms map).Underflow, backward map * t + (norms map).Underflow, 0.0, 0.0)
        | Bent bend ->
            let n = bends[bend]
            let gamma = gamma n.Roundings
            let bend = operator.Loop.Bends[bend]
            let size = bend.Inputs + bend.Outputs + Bend.channels bend
            let least = float (n.Roundings + 64) * Double.Epsilon * sqrt (float size)

            struct (gamma * (n.Base * h + n.Residuals) + least,
                    gamma * (n.Base * t + n.Differences) + least,
                    gamma * n.Differences * h + least,
                    gamma * n.Residuals * t + least)
        | Added branches ->
            let gamma = gamma (branches.Length + 1)

            struct (gamma * (branches |> List.sumBy (heads h)),
                    gamma * (branches |> List.sumBy (fun steps -> tails steps t)),
                    0.0,
                    0.0)

    /// The norm of a step as it stands, by which errors before it grow at most.
    let growth step error =
        match step with
        | Mapped(_, map) -> (norms map).Norm * error
        | Bent bend -> bends[bend].Base * error
        | Added _ -> error

    /// The errors that a series adds to the results of both ways; `inherited` is that of the vector that it gets.
    let rec series h t (inherited: float) steps =
        match steps with
        | [] -> struct (0.0, 0.0, inherited)
        | step :: rest ->
            pointOf step
            |> Option.iter (fun point -> increments[point] <- inherited * slack)

            let h = known carried.Heads step h
            let after = tails rest t
            let struct (f, b, v, u) = own h after step

            let struct (inner, innerBack, handed) =
                match step with
                | Added branches ->
                    let parts = branches |> List.map (series h after inherited)

                    struct (parts |> List.sumBy (fun struct (f, _, _) -> f),
                            parts |> List.sumBy (fun struct (_, b, _) -> b),
                            parts |> List.sumBy (fun struct (_, _, handed) -> handed))
                | Mapped _
                | Bent _ -> struct (0.0, 0.0, growth step inherited)

            let struct (laterForward, laterBack, last) =
                series (head h step) t (handed + f) rest

            struct (inner + after * f + v + laterForward, innerBack + h * b + u + laterBack, last)

    /// The error of what a series hands back, for one that it gets; and what is noted on the way.
    let rec back t (inherited: float) steps =
        match steps with
        | [] -> inherited
        | step :: rest ->
            let after = tails rest t
            let behind = back t inherited rest
            let struct (_, b, _, _) = own 0.0 after step

            let handed =
                match step with
                | Added branches -> branches |> List.sumBy (back after behind)
                | Mapped _
                | Bent _ -> growth step behind

            pointOf step
            |> Option.iter (fun point -> adjoints[point] <- (handed + b) * slack)

            handed + b

    let steps = operator.Loop.Steps
    let scale = operator.Scale
    let struct (f, b, _) = series 1.0 scale 0.0 steps

    let rounded =
        share * Rounding.unitRoundoff * scale
        + Double.Epsilon * sqrt (float operator.Loop.Outputs)

    back scale rounded steps |> ignore

    /// `‖v‖` and `Scale·‖df‖` are within the norm of the tail from the start and that of the residuals.
    let rec behind t steps : float =
        match steps with
        | [] -> 0.0
        | step :: rest ->
            let after = tails rest t

            let here =
                match step with
                | Mapped _ -> 0.0
                | Bent bend -> bends[bend].Residuals * after
                | Added branches -> branches |> List.fold (fun sum steps -> length sum (behind after steps)) 0.0

            length here (behind t rest)

    let outputs = rounded * heads 1.0 steps

    {
        Forward = (f + outputs) * slack
        Underflow = 0.0
        Backward = (b + outputs) * slack
        Norm = length (tails steps scale) (behind scale steps) * slack
        Increments = fun point -> increments[point]
        Adjoints = fun point -> adjoints[point]
    }

let private bendsOf (operator: LoopOperator) =
    Array.map2 StepNorms.ofBend operator.Loop.Bends operator.Gains

/// Errors for a batch of this size.
let errors context norms carried operator batch : LoopErrors =
    let bends = bendsOf operator

    { errorsOf 1.0 context norms bends operator batch carried with
        Underflow = (errorsOf 0.0 context norms bends operator batch carried).Forward
    }

/// Errors of a pass, forward and back, whose computed vectors are no longer at each point than given, for an input or output of length 1.
[<NoEquality; NoComparison>]
type PassErrors =
    {
        Forward: (LoopPoint -> float) -> float
        Backward: (LoopPoint -> float) -> float
        /// Of the increments at each point.
        Increments: (LoopPoint -> float) -> LoopPoint -> float
    }

/// Errors of passes over a batch of this size whose vectors are measured on the way; underflow is among them.
let passErrors context norms (carried: Carried) operator batch : PassErrors =
    let errorsOf = errorsOf 1.0 context norms (bendsOf operator) operator batch

    {
        Forward = fun lengths -> (errorsOf { carried with Heads = lengths }).Forward
        Backward = fun lengths -> (errorsOf { carried with Tails = lengths }).Backward
        Increments = fun lengths -> (errorsOf { carried with Heads = lengths }).Increments
    }
