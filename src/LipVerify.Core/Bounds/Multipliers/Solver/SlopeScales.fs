/// Powers of two that bring the entries of `w` in a representation to one scale, so that weights that differ by many powers of ten do
/// not reach a search for multipliers. With `S` on the diagonal, `S v = S H δx + S G S⁻¹ (S w)` and `δf = M δx + T S⁻¹ (S w)` have the weights
/// `S² s` where those before have `s`, and no rounding comes in.
module internal LipVerify.Core.Bounds.Multipliers.Solver.SlopeScales

open System
open LipVerify.Core.Bounds.Multipliers.Representation

let private power x = int (Math.Round(0.5 * Math.Log2 x))

/// Exponents of `S`, one for all entries of a tie. An entry that is at most `size` and matters `matter` to the outputs would start with
/// the weight `size/matter`; `S² = matter/size` makes that 1.
let ofInfluences (ties: int[] option) (sizes: float[]) (matters: float[]) : int[] =
    let exponent (entries: int[]) =
        let largest (values: float[]) =
            entries |> Array.map (fun j -> values[j]) |> Array.max

        let ratio = largest matters / largest sizes

        if ratio > 0.0 && Double.IsFinite ratio then
            power ratio
        else
            0

    match ties with
    | None -> Array.init matters.Length (fun j -> exponent [| j |])
    | Some ties ->
        let exponents =
            Array.indexed ties
            |> Array.groupBy snd
            |> Array.map (fun (tie, entries) -> tie, exponent (Array.map fst entries))
            |> Map.ofArray

        ties |> Array.map (fun tie -> exponents[tie])

/// The representation with `S v` and `S w` for `v` and `w`.
let apply (exponents: int[]) (lfr: LinearFractional) : LinearFractional =
    let scale (values: float[]) =
        values
        |> Array.mapi (fun k value ->
            let i, j = k / lfr.Columns, k % lfr.Columns - lfr.Inputs
            let row = if i < lfr.Uncertain then exponents[i] else 0
            let column = if j >= 0 then exponents[j] else 0

            if row = column then
                value
            else
                Math.ScaleB(value, row - column))

    { lfr with
        Values = scale lfr.Values
        Errors = scale lfr.Errors
    }

/// `S² s`, for a search on the scaled representation.
let applyToWeights (exponents: int[]) (multipliers: Multipliers) =
    { multipliers with
        Weights = Array.map2 (fun (s: float) e -> Math.ScaleB(s, 2 * e)) multipliers.Weights exponents
    }

/// `s` from `S² s`.
let removeFromWeights (exponents: int[]) (multipliers: Multipliers) =
    multipliers |> applyToWeights (Array.map (~-) exponents)
