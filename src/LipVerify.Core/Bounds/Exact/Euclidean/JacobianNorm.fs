/// Norms of the Jacobian of a chain at points: lower ends of its local constant.
module internal LipVerify.Core.Bounds.Exact.Euclidean.JacobianNorm

open LipVerify.Core.Numbers
open LipVerify.Core.Chains

/// The rounding of a Jacobian's norm, with room to spare.
let widen = 1.0 + 1e-11

/// The norm of the Jacobian at a point that surely lies on no kink, less what may be rounding.
let at (chain: ReluChain) (point: float[]) =
    let terms =
        chain.Steps
        |> Array.sumBy (fun step -> step.Rows.Length + step.Rows[0].Length + 8)

    let absolute = Array.map (Array.map abs)

    let rec walk layer (values: float[]) (sizes: float[]) (rates: float[][]) (rateSizes: float[][]) =
        let step = chain.Steps[layer]
        let y = Array.map2 (fun row b -> ReluChain.dot row values + b) step.Rows step.Bias

        let sizes =
            Array.map2 (fun row b -> ReluChain.dot (Array.map abs row) sizes + abs b) step.Rows step.Bias

        let through (rows: float[][]) behind =
            if layer = 0 then
                rows
            else
                rows |> Array.map (fun row -> ReluChain.combination row behind)

        let rates = through step.Rows rates
        let rateSizes = through (absolute step.Rows) rateSizes

        if layer = chain.Steps.Length - 1 then
            let rounding =
                4.0
                * Rounding.gamma terms
                * (rateSizes |> Array.map ReluChain.length |> ReluChain.length)

            Some(max 0.0 (ExactNorm.ofRows rates / widen - rounding))
        elif Array.forall2 (fun y size -> y = 0.0 && size = 0.0 || abs y > 1e-11 * size) y sizes then
            let kept = y |> Array.map (fun y -> if y > 0.0 then 1.0 else 0.0)
            let masked = Array.map2 (fun keep -> Array.map ((*) keep)) kept

            walk (layer + 1) (Array.map2 (*) kept y) (Array.map2 (*) kept sizes) (masked rates) (masked rateSizes)
        else
            None

    walk 0 point (Array.map abs point) [||] [||]
