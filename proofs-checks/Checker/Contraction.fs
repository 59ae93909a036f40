/// Shows `‖δf‖ ≤ γ‖δx‖` from multipliers.
///
/// Let `v = H δx + G w`, `δf = M δx + T w` and `|w_j| ≤ |v_j|`. With `r_j > 0` any numbers and `N = diag(r, I) [H G; M T]
/// diag(I/γ, 1/r)`, `‖N‖ ≤ 1` says `‖r∘v‖² + ‖δf‖² ≤ γ²‖δx‖² + ‖r∘w‖²` for all `δx` and `w`; since `‖r∘w‖ ≤ ‖r∘v‖`, the rest follows.
/// That is `F(γ², t) ⪰ 0` for `t = r²`. It is asked for one pair of inputs at a time: coefficients may differ from pair to pair
/// within their errors.
module LipVerify.Checker.Contraction

open System
open LipVerify.Checker.Directed
open LipVerify.Checker.Forms
open LipVerify.Checker.LiveMatrix

/// The most entries of `[H G; M T]`.
let private most = 25_000_000L

let private u = Math.ScaleB(1.0, -53)

/// Rows `v_j` and outputs, as they are computed, over `inputs` coordinates of `δx` and those of `w`. Gives what was shown, or
/// why not.
let show inputs (v: Form[]) (outputs: Form[]) (multipliers: float[]) (gamma: float) : Result<string, string> =
    let height = v.Length + outputs.Length

    if int64 height * int64 (inputs + v.Length) > most then
        Error $"not checked: a matrix of {height} × {inputs + v.Length} is larger than this checker takes"
    else
        // The computed square roots are what is taken as exact.
        let roots = multipliers |> Array.map sqrt

        let starts = ResizeArray [ 0 ]
        let indices = ResizeArray<int>()
        let values = ResizeArray<float>()
        let mutable errors = 0.0

        let add factor (form: Form) =
            for k in 0 .. form.Values.Length - 1 do
                let column = if k < inputs then gamma else roots[k - inputs]
                let value = factor * form.Values[k] / column
                // Two roundings of the entry, and those of this line.
                let error =
                    addUp (factor * form.Errors[k] / column * (1.0 + 8.0 * u)) (mulUp (4.0 * u) (abs value))

                if form.Values[k] <> 0.0 || form.Errors[k] <> 0.0 then
                    // The last summand is more than underflow takes.
                    let error = addUp error (Math.ScaleB(1.0, -1000))
                    errors <- addUp errors (addUp (mulUp error error) (Math.ScaleB(1.0, -1050)))

                if value <> 0.0 then
                    indices.Add k
                    values.Add value

            starts.Add indices.Count

        Array.iter2 add roots v
        outputs |> Array.iter (add 1.0)

        let matrix: Matrix =
            {
                ColumnCount = inputs + v.Length
                Starts = starts.ToArray()
                Indices = indices.ToArray()
                Values = values.ToArray()
            }

        let room = addDown 1.0 -(sqrtUp errors)
        let size = $"side {height}, {v.Length} multipliers"

        if not (Array.forall (fun r -> r > 0.0 && Double.IsFinite r) roots && gamma > 0.0) then
            Error "a multiplier or the value is not positive"
        elif
            not (
                room > 0.5
                && Double.IsFinite errors
                && Array.forall Double.IsFinite matrix.Values
            )
        then
            Error $"rounding of the coefficients, and slopes without a multiplier, outweigh it ({size})"
        else
            let columns = transpose matrix

            if Cholesky.dominates matrix columns (profile matrix columns) Double.PositiveInfinity room then
                Ok $"F(γ², t) is positive semidefinite, {size}"
            else
                Error $"F(γ², t) could not be shown positive semidefinite, {size}"
