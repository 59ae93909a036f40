/// Linear functions of the rows of a moment matrix, and their products as functionals of it.
module LipVerify.Core.Bounds.Polynomials.RowForms

open System
open System.Collections.Generic
open LipVerify.Core.Numbers
open LipVerify.Core.Bounds.Polynomials.FirstOrderMatrix

/// A linear function of the rows of the matrix, by the coefficients that are not 0, with bounds on its values.
[<ReferenceEquality>]
type internal Form =
    {
        Terms: (int * float) list
        Low: float
        High: float
    }

/// What is 0.
let internal zero = { Terms = []; Low = 0.0; High = 0.0 }

/// The sum of forms by weights, each coefficient once, and bounds that are rounded outward.
let internal combine (terms: (float * Form) seq) =
    let sums = Dictionary<int, float>()
    let mutable low, high, sizes, count = 0.0, 0.0, 0.0, 0

    for weight, form in terms do
        if weight <> 0.0 && not form.Terms.IsEmpty then
            for row, value in form.Terms do
                sums[row] <- sums.GetValueOrDefault(row, 0.0) + weight * value

            low <- low + min (weight * form.Low) (weight * form.High)
            high <- high + max (weight * form.Low) (weight * form.High)
            sizes <- sizes + abs weight * max (abs form.Low) (abs form.High)
            count <- count + 1

    // The second part is what underflow takes from products and from bounds of bounds.
    let rounding =
        2.0 * Rounding.gamma (count + 4) * sizes + 4.0 * float count * Double.Epsilon

    {
        Terms =
            [
                for term in sums do
                    if term.Value <> 0.0 then
                        term.Key, term.Value
            ]
        Low = low - rounding
        High = high + rounding
    }

/// The product of two linear functions as a functional of the matrix.
let internal product scale (a: (int * float) list) (b: (int * float) list) =
    let sums = Dictionary<struct (int * int), float>()

    for i, x in a do
        for j, y in b do
            let place = struct (min i j, max i j)
            sums[place] <- sums.GetValueOrDefault(place, 0.0) + scale * x * y

    [
        for term in sums do
            let struct (i, j) = term.Key
            entry 0 i j term.Value
    ]

/// What is 1.
let internal one = [ 0, 1.0 ]

/// `a + scale·b`.
let internal plus scale a b =
    (combine [ 1.0, { zero with Terms = a }; scale, { zero with Terms = b } ]).Terms

/// `factor·form`.
let internal times (factor: float) (form: (int * float) list) =
    form |> List.map (fun (row, value) -> row, factor * value)

/// A functional of the matrix with each place once, and none whose value is 0.
let internal merged (entries: MatrixEntry seq) =
    let sums = Dictionary<struct (int * int), float>()

    for entry in entries do
        let place = struct (entry.Row, entry.Column)
        sums[place] <- sums.GetValueOrDefault(place, 0.0) + entry.Value

    [
        for term in sums do
            let struct (i, j) = term.Key

            if term.Value <> 0.0 then
                {
                    Block = 0
                    Row = i
                    Column = j
                    Value = term.Value
                }
    ]
