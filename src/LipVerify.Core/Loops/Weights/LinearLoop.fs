/// A network near its nominal input, as a loop without channels.
module internal LipVerify.Core.Loops.Weights.LinearLoop

open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Loops.Operator

/// A loop that has lost its channels.
let withoutChannels (loop: Loop) =
    { loop with
        Channels = 0
        Bends =
            loop.Bends
            |> Array.map (fun bend ->
                { bend with
                    First = 0
                    Into = [||]
                    Plus = [||]
                    Minus = [||]
                    Mean = [||]
                    Width = [||]
                })
    }

/// The outputs as a linear function of the inputs near the nominal one, up to ties.
let operator (plan: LoopPlan) =
    let struct (still, _) = LoopSlopes.loop Nominal plan (LoopSlopes.still plan)
    LoopOperator.create (withoutChannels still) [||] 1.0

/// An estimate of its norm.
let norm (context: Context) (plan: LoopPlan) =
    Balance.norm context 2 (operator plan) 8

/// How far outputs move over a ball, as linear functions of the inputs near the nominal one.
let outputs (context: Context) (plan: LoopPlan) (radius: float) =
    let operator = operator plan
    let rows = LoopProbes.unitVectors plan.Outputs 0 0 plan.Outputs
    let image = context.Engine.Allocate(Checked.(*) plan.Outputs plan.Inputs)
    LoopOperator.pull context operator LoopOperator.unseen plan.Outputs (HostStorage rows) image

    Array.init plan.Outputs (fun k ->
        let first = k * plan.Inputs
        radius * sqrt (context.Engine.Dot(image, first, image, first, plan.Inputs)))
