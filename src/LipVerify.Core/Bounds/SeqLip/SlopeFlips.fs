/// Slopes that make `‖P(σ)‖` large, found greedily: the norm is attained, but a larger one may exist.
module internal LipVerify.Core.Bounds.SeqLip.SlopeFlips

open System
open System.Numerics.Tensors
open LipVerify.Core.Numbers
open LipVerify.Core.Computation

/// Slopes 0 and 1, and a unit `x` with `‖P(σ) x‖` near `‖P(σ)‖`.
[<ReferenceEquality>]
type private Choice =
    {
        Slopes: bool[]
        Right: float[]
        /// `‖P(σ) x‖`.
        Value: float
    }

let private normalise (v: float[]) =
    let norm = TensorPrimitives.Norm(ReadOnlySpan v)

    if norm > 0.0 then
        for i in 0 .. v.Length - 1 do
            v[i] <- v[i] / norm

    norm

let private rowOf (values: float[]) width j = ReadOnlySpan(values, j * width, width)

/// `Σ_j weights_j·rows_j` over the slopes that are 1.
let private combine (slopes: bool[]) (weights: float[]) (rows: float[]) width =
    let sum = Array.zeroCreate<float> width

    for j in 0 .. slopes.Length - 1 do
        if slopes[j] then
            TensorPrimitives.MultiplyAdd(rowOf rows width j, weights[j], ReadOnlySpan sum, Span sum)

    sum

let private products (rows: float[]) width (v: float[]) count =
    Array.init count (fun j -> TensorPrimitives.Dot(rowOf rows width j, ReadOnlySpan v))

/// Steps of power iteration at most, and the growth that ends it.
let private steps, private growth = 60, 1e-9

/// Power iteration from `right`; the vectors behind the last value, and which terms point along them: `(a_j·y)(b_j·x)`.
let private settle (product: SlopeProduct) slopes (right: float[]) =
    let rec go k (right: float[]) before =
        let below = products product.Below product.Width right product.Neurons
        let left = combine slopes below product.Above product.Height
        let value = normalise left
        let above = products product.Above product.Height left product.Neurons

        if k = 0 || value <= before * (1.0 + growth) then
            struct ({
                        Slopes = slopes
                        Right = right
                        Value = value
                    },
                    Array.map2 (*) above below)
        else
            let next = combine slopes above product.Below product.Width

            if normalise next > 0.0 then
                go (k - 1) next value
            else
                go 0 right value

    go steps right 0.0

/// All slopes at once: `yᵀP(σ)x` is largest where exactly the terms that point along `x` and `y` are taken.
let rec private align context product remaining (choice: Choice) terms =
    Context.check context
    let aligned = terms |> Array.map (fun term -> term > 0.0)
    let struct (next, terms) = settle product aligned choice.Right

    if remaining > 0 && next.Value > choice.Value * (1.0 + 1e-9) then
        align context product (remaining - 1) next terms
    elif next.Value > choice.Value then
        next
    else
        choice

/// One slope after the other, kept flipped where the norm grows; until none does.
let rec private flip context (product: SlopeProduct) sweeps (choice: Choice) =
    let mutable best = choice

    for j in 0 .. product.Neurons - 1 do
        Context.check context

        let flipped =
            best.Slopes |> Array.mapi (fun i slope -> if i = j then not slope else slope)

        let struct (next, _) = settle product flipped best.Right

        if next.Value > best.Value * (1.0 + 1e-9) then
            best <- next

    if sweeps > 1 && best.Value > choice.Value then
        flip context product (sweeps - 1) best
    else
        best

/// Single flips cost the square of the neurons times the lengths of their vectors: beyond this they are left out.
let private mostFlipWork = 4e8

/// Starts beside the one with all slopes 1.
let private randomStarts = 3

/// The largest norm found.
let attained (context: Context) (product: SlopeProduct) =
    if product.Neurons = 0 then
        0.0
    else
        let draw k =
            let right = Gaussian.draw context.Seed k product.Width
            normalise right |> ignore
            right

        let from slopes right =
            let struct (choice, terms) = settle product slopes right
            align context product 50 choice terms

        let whole = Array.create product.Neurons true

        let starts =
            [
                from whole (draw 0)

                // From a single term, whose direction the others join.
                for k in 1..randomStarts do
                    let right = draw k

                    let strongest =
                        products product.Below product.Width right product.Neurons
                        |> Array.indexed
                        |> Array.maxBy (fun (_, size) -> abs size)
                        |> fst

                    from (Array.init product.Neurons (fun j -> j = strongest)) right
            ]

        let best = starts |> List.maxBy _.Value

        let work =
            float product.Neurons
            * float product.Neurons
            * float (product.Height + product.Width)

        let best =
            if work <= mostFlipWork then
                flip context product 4 best
            else
                best

        best.Value
