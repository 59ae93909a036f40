/// How far outputs reach over a ball, by their rows themselves (METHODS section 14b): one pass backward for as many of them as fit.
module internal LipVerify.Core.Loops.Reaches.LoopRows

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Loops.Operator

/// `‖(dx, u)‖ ≤ ε√(1 + Residual²)`, rounded upward.
let private lengthOf (proved: ProvedReach) (radius: float) =
    Rounding.mulUp radius (Rounding.sqrtUp (Rounding.addUp 1.0 (Rounding.mulUp proved.Residual proved.Residual)))

/// Bounds on the norms of `count` rows from `first` on.
let private rowNorms (context: Context) mapNorms operator first count =
    let columns = LoopOperator.columns operator

    let rows =
        LoopProbes.unitVectors (LoopOperator.rows operator) 0 first count |> HostStorage

    let image = context.Engine.Allocate(Checked.(*) count columns)
    LoopOperator.pull context operator LoopOperator.unseen count rows image

    let errors =
        LoopRounding.errors context mapNorms LoopRounding.nothingCarried operator count

    let inflation = 1.0 + Rounding.gamma (columns + 8)

    Array.init count (fun k ->
        // No square underflows by more than the least double.
        let square =
            context.Engine.Dot(image, k * columns, image, k * columns, columns)
            + float columns * Double.Epsilon

        Rounding.addUp (Rounding.mulUp inflation (Rounding.sqrtUp square)) errors.Backward)

/// `|df_k|` over the ball of a radius, for each output of a loop that is proved there.
let outputReaches (context: Context) mapNorms (plan: LoopPlan) (proved: ProvedReach) (radius: float) : float[] =
    let operator = LoopOperator.create proved.Loop proved.Factors 1.0
    let length = lengthOf proved radius
    let batch = LoopProbes.batchFor plan operator

    Array.init proved.Loop.Outputs id
    |> Array.chunkBySize batch
    |> Array.collect (fun rows -> rowNorms context mapNorms operator rows[0] rows.Length)
    |> Array.map (Rounding.mulUp length)
