/// Margins of a class by the structured bound (METHODS section 14b): how much of its lead over the other classes can be lost on a ball.
module internal LipVerify.Core.Bounds.Structured.StructuredMargins

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Loops.Operator
open LipVerify.Core.Loops.Weights
open LipVerify.Core.Loops.Reaches

/// `f_c − f_j` at the nominal input for every other class `j`, rounded downward.
let private leads (output: EnclosedTensor) label =
    let values, errors = Tensor.values output.Value, Tensor.values output.Error
    let least = Math.BitDecrement(values[label] - errors[label])

    [|
        for j in 0 .. values.Length - 1 do
            if j <> label then
                struct (j, Math.BitDecrement(least - Rounding.addUp values[j] errors[j]))
    |]

/// The position of a step that is no layer of the network.
let private behindAll = -1

/// Outputs `(f_c − f_j)/lead_j`, or a little more than that: the class holds where all have changed by less than 1.
let private differences outputs label (leads: struct (int * float)[]) : LinearMap =
    let rows = Array.zeroCreate<float>(leads.Length * outputs)

    leads
    |> Array.iteri (fun k struct (j, lead) ->
        let factor = Rounding.divUp 1.0 lead
        rows[k * outputs + label] <- factor
        rows[k * outputs + j] <- -factor)

    Dense(Dense.create (Tensor.ofArray [ leads.Length; outputs ] rows))

/// The plan with these outputs, so many of them.
let private withLeads (plan: LoopPlan) count differences : LoopPlan =
    { plan with
        Steps = plan.Steps @ [ Mapped(behindAll, differences) ]
        Outputs = count
    }

/// The most of its lead that the class can lose to another, from the rows of the differences.
let private byRows (context: Context) norms (plan: LoopPlan) proved (radius: float) =
    LoopRows.outputReaches context norms plan proved radius |> Array.max

/// The part of its lead that the class may lose over the ball of a radius: it holds where that is below 1. None where nothing was proved, or the
/// class has no lead that rounding leaves above 0. The
/// certificates may fail with the probability of the context.
let lost (context: Context) definition (network: Network) (input: Tensor) (radius: Radius) label : float option =
    let shared = Context.share LoopBound.parts context
    let failure = shared.Certification.FailureProbability

    Context.attempt context (fun context ->
        let struct (plan, norms) = LoopPlan.ofNetwork context failure network input
        let leads = leads plan.Nominal label

        if leads |> Array.exists (fun struct (_, lead) -> not (lead > 0.0)) then
            None
        else
            let differences = differences plan.Outputs label leads
            let plan = withLeads plan leads.Length differences
            let norms = LoopNorms.withMap context.Engine differences norms

            LoopReach.find
                context
                norms
                definition
                plan
                (LinearLoop.outputs context plan radius.Value)
                radius.Value
                failure
            |> Option.map (fun proved ->
                match byRows context norms plan proved radius.Value with
                | byRows when byRows < 1.0 -> byRows
                | byRows ->
                    // Fewer directions are lost together than one after the other.
                    let start = 1.2 * LinearLoop.norm context plan + Double.Epsilon

                    LoopBound.bound context norms plan proved start failure
                    |> Option.map (fun proof -> Rounding.mulUp radius.Value proof.Lipschitz)
                    |> Option.fold min byRows))
    |> Option.flatten
