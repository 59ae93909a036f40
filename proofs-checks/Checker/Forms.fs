/// Changes of the entries of a tensor as linear functions of `z = (δx, w)` with bounds on rounding, in plain floating point and
/// with a-priori bounds on what that loses.
module LipVerify.Checker.Forms

open System
open System.Threading.Tasks
open LipVerify.Checker.Directed
open LipVerify.Checker.Network
open LipVerify.Checker.Subject

/// `δy = Σ_k x_k z_k` with `|x_k − Values_k| ≤ Errors_k`; both arrays end where all later coefficients are exactly 0.
[<NoEquality; NoComparison>]
type Form = { Values: float[]; Errors: float[] }

/// The most coefficients of one tensor: they and their errors take 400 MB.
let private most = 25_000_000L

let private u = Math.ScaleB(1.0, -53)

/// More than what a few operations lose by underflow.
let private underflow = Math.ScaleB(1.0, -1000)

/// More than the relative error of `n` roundings.
let private gamma n = float n * u * (1.0 + 1e-2)

/// Refuses tensors with too many coefficients before they are formed.
let allow (entries: int) (coordinates: int) =
    if int64 entries * int64 coordinates > most then
        raise (TooLarge $"{entries} entries in terms of {coordinates} coordinates are more than this checker takes")

/// `z_k` alone.
let coordinate k =
    {
        Values = Array.init (k + 1) (fun r -> if r = k then 1.0 else 0.0)
        Errors = Array.zeroCreate (k + 1)
    }

/// True where no coefficient differs from 0.
let isZero form =
    form.Values |> Array.forall (fun x -> x = 0.0)
    && form.Errors |> Array.forall (fun e -> e = 0.0)

/// `Σ_j a_j x_j` over terms `(a_j, x_j)`: `n` products and sums lose at most `γ_n Σ|a_j||x_j|`, and errors pass through `|a_j|`.
let combine (terms: struct (float * Form)[]) =
    let length =
        terms
        |> Array.fold (fun length (struct (_, form)) -> max length form.Values.Length) 0

    let values = Array.zeroCreate<float> length
    let errors = Array.zeroCreate<float> length
    let rounding = gamma (terms.Length + 2)

    for struct (a, form) in terms do
        let size = abs a

        for k in 0 .. form.Values.Length - 1 do
            let x, e = form.Values[k], form.Errors[k]

            if x <> 0.0 || e <> 0.0 then
                values[k] <- values[k] + a * x
                // Positive even where everything underflows.
                errors[k] <- errors[k] + (size * (e + rounding * abs x) + Double.Epsilon)

    // The roundings of the errors themselves. A coefficient that nothing touched stays an exact 0.
    let inflation = 1.0 + 2.0 * gamma (terms.Length + 8)

    for k in 0 .. length - 1 do
        if errors[k] > 0.0 then
            errors[k] <- errors[k] * inflation + underflow

    { Values = values; Errors = errors }

/// `a + s·b` for `s = ±1`: only the sum is rounded, so that equal forms leave an exact 0.
let addSigned sign a b =
    let length = max a.Values.Length b.Values.Length

    let entry (values: float[]) k =
        if k < values.Length then values[k] else 0.0

    let values = Array.init length (fun k -> entry a.Values k + sign * entry b.Values k)

    {
        Values = values
        Errors =
            Array.init length (fun k ->
                let error = entry a.Errors k + entry b.Errors k + gamma 1 * abs values[k]

                if error = 0.0 then
                    0.0
                else
                    error * (1.0 + gamma 8) + underflow)
    }

/// `λ·x` for some `λ` with `|λ − factor| ≤ spread` that need not be the same for any two inputs.
let scaleWithin factor spread form =
    let error (x: float) e =
        if x = 0.0 && e = 0.0 then
            0.0
        else
            ((abs factor + spread) * e + spread * abs x + gamma 4 * abs (factor * x))
            * (1.0 + gamma 16)
            + underflow

    if spread = 0.0 && factor = 0.0 then
        { Values = [||]; Errors = [||] }
    elif spread = 0.0 && factor = 1.0 then
        form
    else
        {
            Values = form.Values |> Array.map (fun x -> factor * x)
            Errors = Array.map2 error form.Values form.Errors
        }

/// The form and `z_k`, for a coordinate that is not in it yet.
let withCoordinate k form =
    let grown (values: float[]) last =
        let grown = Array.zeroCreate<float>(k + 1)
        Array.blit values 0 grown 0 values.Length
        grown[k] <- last
        grown

    {
        Values = grown form.Values 1.0
        Errors = grown form.Errors 0.0
    }

/// The factor of row `i` of a map with its scalings, and how far the exact one lies from it.
let rowFactor (operator: Operator) (scales: float[] list) i =
    let average = operator.Factor i

    // A relative error is known only where no partial product leaves the normal numbers.
    let multiply factor (s: float[]) =
        let product = factor * s[i]

        if
            factor <> 0.0
            && s[i] <> 0.0
            && not (abs product > 1e-250 && abs product < 1e250)
        then
            raise (TooLarge "a scaling of the network is near the ends of the range of doubles")

        product

    let factor = List.fold multiply average.Hi scales

    let spread =
        if average.Lo = average.Hi && scales.Length = 0 then
            0.0
        else
            abs factor
            * ((average.Hi - average.Lo) / average.Hi * (1.0 + gamma 8)
               + gamma (scales.Length + 8))

    factor, spread

/// The changes of `S A x + b`: the bias does not change.
let apply (operator: Operator) (scales: float[] list) coordinates (forms: Form[]) =
    if forms.Length <> operator.Inputs then
        Json.refuse "a layer of the network does not fit the one before"

    allow operator.Outputs coordinates
    // Here and not inside the loop, whose exceptions would come out wrapped.
    let factors = Array.init operator.Outputs (rowFactor operator scales)
    let result = Array.zeroCreate<Form> operator.Outputs

    Parallel.For(
        0,
        operator.Outputs,
        fun i ->
            let row =
                combine (
                    operator.Row i
                    |> Array.filter (fun struct (_, a) -> a <> 0.0)
                    |> Array.map (fun struct (j, a) -> struct (a, forms[j]))
                )

            result[i] <-
                match factors[i] with
                | 1.0, 0.0 -> row
                | factor, spread -> scaleWithin factor spread row
    )
    |> ignore

    result

/// `|δy|` for `‖δx‖ ≤ radius` and `|w_j| ≤ reaches_j` from above: `radius·‖h‖ + Σ|g_j|·reaches_j`.
let reach inputs radius (reaches: ResizeArray<float>) form =
    if isZero form then
        0.0
    else
        // More than the squares that underflow.
        let mutable squares = 1e-300
        let mutable sum = 0.0

        for k in 0 .. form.Values.Length - 1 do
            let size = abs form.Values[k] + form.Errors[k]

            if k < inputs then
                squares <- squares + size * size
            else
                sum <- sum + size * reaches[k - inputs]

        (sqrt squares * radius + sum) * (1.0 + 2.0 * gamma (form.Values.Length + 16))
        + underflow
