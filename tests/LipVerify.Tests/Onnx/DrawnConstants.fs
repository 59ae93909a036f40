/// Random constants of `DrawnGraph`: stored, or computed by nodes of their own.
module LipVerify.Tests.DrawnConstants

open LipVerify.Core.Computation
open LipVerify.Propositions.Generators
open LipVerify.Tests.OnnxWriter

/// Multiples of 1/16 between −2 and 2: far from both ends of the range of single precision, whatever a graph does to them.
let sixteenths (draw: Draw) count =
    Array.init count (fun _ -> float (draw.Int(-32, 32)) / 16.0)

/// The same without 0.
let notZero (draw: Draw) count =
    sixteenths draw count |> Array.map (fun v -> if v = 0.0 then 0.75 else v)

let private storedOf isDouble name dims values =
    if isDouble then
        doubles name dims values
    else
        singles name dims values

/// A constant that Cast makes of numbers of the other type.
let private castConstant (g: DrawnGraph) dims count =
    let source = g.Draw.Gaussians count
    let isDouble = g.IsDouble
    let values = source |> Array.map (fun v -> float (float32 v))

    g.Computed(
        dims,
        values,
        fun name ->
            let from = g.Fresh()
            let target = if isDouble then 11 else 1
            [ node "Cast" [ from ] name [ int "to" target ] ], [ storedOf (not isDouble) from dims source ]
    )

/// A constant that an operator makes of two, the second a number by itself or of one shape with the first.
let private combinedConstant (g: DrawnGraph) dims count =
    let operator, f = g.Draw.Pick [ "Add", (+); "Sub", (-); "Mul", (*); "Div", (/) ]

    let a = g.Draw.Gaussians count |> Array.map g.Round
    let isScalar = g.Draw.Chance 0.5

    let b =
        g.Draw.Gaussians(if isScalar then 1 else count)
        |> Array.map (fun v -> g.Round(v + 3.0))

    let values = a |> Array.mapi (fun i x -> g.Round(f x b[if isScalar then 0 else i]))

    g.Computed(
        dims,
        values,
        fun name ->
            let left, right = g.Fresh(), g.Fresh()

            [ node operator [ left; right ] name [] ],
            [
                storedOf g.IsDouble left dims a
                storedOf g.IsDouble right (if isScalar then [] else dims) b
            ]
    )

/// A constant that an operator makes of one.
let private mappedConstant (g: DrawnGraph) dims count =
    let operator, f = g.Draw.Pick [ "Sqrt", sqrt; "Neg", (~-); "Identity", id ]
    let a = g.Draw.Gaussians count |> Array.map (abs >> g.Round)

    g.Computed(
        dims,
        a |> Array.map (f >> g.Round),
        fun name ->
            let from = g.Fresh()
            [ node operator [ from ] name [] ], [ storedOf g.IsDouble from dims a ]
    )

/// A constant in an attribute.
let private attributeConstant (g: DrawnGraph) dims count =
    let values = sixteenths g.Draw count

    g.Computed(
        dims,
        values,
        fun name ->
            let tensor = storedOf g.IsDouble "" dims values
            [ node "Constant" [] name [ attribute "value" 4L [ bytes 5 tensor ] ] ], []
    )

/// A tensor of weights: stored, or computed from stored ones.
let weights (g: DrawnGraph) (dims: int list) =
    let count = Shape.size dims

    if g.Draw.Chance 0.7 then
        g.Store(dims, sixteenths g.Draw count)
    else
        (g.Draw.Pick [ castConstant; combinedConstant; mappedConstant; attributeConstant ]) g dims count
