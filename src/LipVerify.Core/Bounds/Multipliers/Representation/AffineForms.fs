namespace LipVerify.Core.Bounds.Multipliers.Representation

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps

/// Changes `δy` of the entries of a tensor as linear functions of `z = (δx, w)`, with bounds on the rounding of their
/// coefficients: `δy_i = Σ_r X_ri z_r`. One row a coordinate of `z`; coordinates behind the last row have coefficient 0.
[<ReferenceEquality>]
type internal AffineForms =
    {
        /// Coordinates of `z` that are used.
        Rows: int
        /// Entries of the tensor.
        Size: int
        /// `X`, as computed: `Rows × Size`, row-major.
        Values: float[]
        /// Bounds on the errors of `Values`, entry by entry.
        Errors: float[]
    }

/// A representation would take more memory or time than is allowed for; the message says what is too large.
type internal TooLargeException(message: string) =
    inherit Exception(message)

/// Arithmetic on affine forms with rounding enclosed.
module internal AffineForms =

    /// More than what a few products of numbers near the least doubles lose by underflow.
    let private underflow = Math.ScaleB(1.0, -1000)

    /// The most coefficients of one tensor: 200 MB, of which a few are held at once.
    let private most = 25_000_000L

    let private allow (rows: int) (size: int) =
        let count = int64 rows * int64 size

        if count > most then
            raise (TooLargeException $"{size} entries in terms of {rows} coordinates")

    /// `δx` itself, where only the coordinates `live` move.
    let identity (live: int[]) size =
        allow live.Length size
        let values = Array.zeroCreate<float>(live.Length * size)
        live |> Array.iteri (fun r i -> values[r * size + i] <- 1.0)

        {
            Rows = live.Length
            Size = size
            Values = values
            Errors = Array.zeroCreate values.Length
        }

    /// The same forms over more coordinates.
    let extend rows forms =
        let grow (values: float[]) =
            let grown = Array.zeroCreate (rows * forms.Size)
            Array.blit values 0 grown 0 values.Length
            grown

        if rows = forms.Rows then
            forms
        else
            allow rows forms.Size

            { forms with
                Rows = rows
                Values = grow forms.Values
                Errors = grow forms.Errors
            }

    /// `A δy`: `|fl(A x̂) − A x| ≤ |A| (e + γ_k |x̂|)`.
    let apply (context: Context) map forms =
        Context.check context
        let engine = context.Engine
        let size = LinearMap.outputs map
        allow forms.Rows size

        let product map (values: float[]) =
            let y = Array.zeroCreate<float>(forms.Rows * size)
            LinearMap.apply engine map forms.Rows (HostStorage values) (HostStorage y)
            y

        let gamma = Rounding.gamma (LinearMap.applyDepth engine map forms.Rows + 1)

        let magnitudes = Array.map2 (fun x e -> e + gamma * abs x) forms.Values forms.Errors

        let absolute = LinearMap.absolute map

        // The roundings of the magnitudes and of the sums over them.
        let inflation =
            1.0 + 2.0 * Rounding.gamma (LinearMap.applyDepth engine absolute forms.Rows + 4)

        let errors = product absolute magnitudes

        for k in 0 .. errors.Length - 1 do
            errors[k] <- errors[k] * inflation + underflow

        {
            Rows = forms.Rows
            Size = size
            Values = product map forms.Values
            Errors = errors
        }

    /// Forms that are combinations `Σ factor·X[:, column]` of two columns each; a factor of 0 leaves its column out.
    let combine forms (terms: struct (int * float * int * float)[]) =
        let size = terms.Length
        let values = Array.zeroCreate<float>(forms.Rows * size)
        let errors = Array.zeroCreate<float>(forms.Rows * size)
        // Two products, a sum and the arithmetic of this line.
        let gamma = 8.0 * Rounding.unitRoundoff

        let rounding factor = if abs factor = 1.0 then 0.0 else gamma

        for r in 0 .. forms.Rows - 1 do
            let row = r * forms.Size

            for i in 0 .. size - 1 do
                let struct (a, factorA, b, factorB) = terms[i]
                let mutable value = 0.0
                let mutable error = 0.0

                if factorA <> 0.0 then
                    let x = factorA * forms.Values[row + a]
                    value <- x
                    error <- abs factorA * forms.Errors[row + a] + rounding factorA * abs x

                if factorB <> 0.0 then
                    let x = factorB * forms.Values[row + b]
                    value <- value + x
                    error <- error + abs factorB * forms.Errors[row + b] + rounding factorB * abs x

                if factorA <> 0.0 && factorB <> 0.0 then
                    error <- error + gamma * abs value

                values[r * size + i] <- value

                if error > 0.0 then
                    errors[r * size + i] <- error * (1.0 + gamma) + underflow

        {
            Rows = forms.Rows
            Size = size
            Values = values
            Errors = errors
        }

    /// Forms whose coefficients are all 0, as computed.
    let dormant forms =
        let dormant = Array.create forms.Size true

        for k in 0 .. forms.Values.Length - 1 do
            if forms.Values[k] <> 0.0 then
                dormant[k % forms.Size] <- false

        dormant

    /// Each form times a factor.
    let scale (factors: float[]) forms =
        combine forms (factors |> Array.mapi (fun i factor -> struct (i, factor, i, 0.0)))

    /// The sum of two tensors of forms.
    let add a b =
        let rows = max a.Rows b.Rows
        let a, b = extend rows a, extend rows b
        let values = Array.map2 (+) a.Values b.Values

        let errors =
            Array.map2
                (fun x (e: float) -> e + 2.0 * Rounding.unitRoundoff * abs x)
                values
                (Array.map2 (+) a.Errors b.Errors)
            |> Array.map (fun e -> e * (1.0 + 8.0 * Rounding.unitRoundoff))

        {
            Rows = rows
            Size = a.Size
            Values = values
            Errors = errors
        }

    /// Adds `w_j` to form `columns[j]`, for new coordinates `w` behind all others.
    let withOwnCoordinates (first: int) (columns: int[]) forms =
        let forms = extend (first + columns.Length) forms

        columns
        |> Array.iteri (fun j column -> forms.Values[(first + j) * forms.Size + column] <- 1.0)

        forms

    /// More than what a square may lose to underflow.
    let private lostSquare = Math.ScaleB(1.0, -1000)

    /// Bounds on `|δy_i|` for `‖δx‖ ≤ radius` and `|w_j| ≤ reach_j`, any of them infinite: `radius·‖h_i‖ + Σ_j |g_ij| reach_j`,
    /// rounded upward.
    let reach inputs (radius: float) (reaches: ResizeArray<float>) forms =
        let squares = Array.zeroCreate<float> forms.Size
        let sums = Array.zeroCreate<float> forms.Size

        for r in 0 .. forms.Rows - 1 do
            let row = r * forms.Size

            if r < inputs then
                for i in 0 .. forms.Size - 1 do
                    let x = abs forms.Values[row + i] + forms.Errors[row + i]

                    if x > 0.0 then
                        squares[i] <- squares[i] + x * x + lostSquare
            else
                let w = reaches[r - inputs]

                for i in 0 .. forms.Size - 1 do
                    let x = abs forms.Values[row + i] + forms.Errors[row + i]

                    // Where `w` is unbounded, a coefficient of 0 keeps it out.
                    if x > 0.0 then
                        sums[i] <- sums[i] + x * w

        let inflation = 1.0 + 2.0 * Rounding.gamma (forms.Rows + 8)

        Array.map2
            (fun square sum ->
                if square = 0.0 && sum = 0.0 then
                    0.0
                else
                    ((if square = 0.0 then 0.0 else sqrt square * radius) + sum) * inflation
                    + underflow)
            squares
            sums
