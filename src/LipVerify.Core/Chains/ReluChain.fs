namespace LipVerify.Core.Chains

open System
open System.Collections.Generic
open LipVerify.Core.Numbers

/// `x ↦ W x + b` with its rows at hand, each in a unit of its own.
[<ReferenceEquality>]
type internal ReluStep =
    {
        /// The rows of `W`, whose largest entries are between 1 and 2 where the bias is not much larger.
        Rows: float[][]
        /// `b`.
        Bias: float[]
        /// The unit of each output: it stands for so many `2^Exponents_i`.
        Exponents: int[]
    }

/// A network as dense affine maps with a ReLU between each two: `W_K relu(… relu(W_1 x + b_1) …) + b_K`. ReLU keeps powers of two, so
/// that every neuron has a unit in which its weights are near 1: no product of weights leaves the range of doubles, and the
/// change of units is exact.
[<ReferenceEquality>]
type internal ReluChain =
    {
        /// The affine maps; all but the last are followed by a ReLU.
        Steps: ReluStep[]
    }

    /// ReLUs in total.
    member chain.Neurons =
        Array.sumBy (fun step -> step.Rows.Length) chain.Steps
        - (Array.last chain.Steps).Rows.Length

/// A chain over a ball around a nominal input, in units in which the radius is between 1 and 2.
[<ReferenceEquality>]
type internal ReluBall =
    {
        /// The chain; its units are those of the network where inputs have the unit `2^Unit`.
        Chain: ReluChain
        Center: float[]
        Radius: float
        /// The unit of inputs.
        Unit: int
    }

    /// A point in the network's own units.
    member ball.Place(x: float[]) =
        x |> Array.map (fun x -> Math.ScaleB(x, ball.Unit))

    /// The point at `x0 + ε s`, in the network's own units.
    member ball.Point(s: float[]) =
        Array.map2 (fun c s -> c + ball.Radius * s) ball.Center s |> ball.Place

    /// A constant of the chain times `2^this` is one of the network.
    member private ball.Exponent = (Array.last ball.Chain.Steps).Exponents[0] - ball.Unit

    /// A constant of the chain as one of the network, rounded upward.
    member ball.Upward(constant: float) = ball.Upward(constant, 0)

    /// `2^exponent` times a constant of the chain as one of the network, rounded upward.
    member ball.Upward(constant: float, exponent: int) =
        Rounding.scaleUp constant (ball.Exponent + exponent)

    /// A constant of the chain as one of the network, rounded downward.
    member ball.Downward(constant: float) =
        Rounding.scaleDown constant ball.Exponent

    /// A constant of the network as one of the chain, rounded upward.
    member ball.InwardUp(constant: float) =
        Rounding.scaleUp constant -ball.Exponent

    /// A constant of the network as one of the chain, rounded downward.
    member ball.InwardDown(constant: float) =
        Rounding.scaleDown constant -ball.Exponent

module internal ReluChain =

    let dot (a: float[]) (b: float[]) =
        let mutable sum = 0.0

        for i in 0 .. a.Length - 1 do
            sum <- sum + a[i] * b[i]

        sum

    /// `‖v‖₂`, safe from overflow and underflow of the squares.
    let length (v: float[]) =
        let largest = v |> Array.fold (fun largest x -> max largest (abs x)) 0.0

        if largest = 0.0 then
            0.0
        else
            let unit = v |> Array.map (fun x -> x / largest)
            largest * sqrt (dot unit unit)

    /// `Σ_i weights_i·rows_i`.
    let combination (weights: float[]) (rows: float[][]) =
        let sum = Array.zeroCreate<float> rows[0].Length

        for i in 0 .. rows.Length - 1 do
            let weight = weights[i]

            if weight <> 0.0 then
                let row = rows[i]

                for j in 0 .. sum.Length - 1 do
                    sum[j] <- sum[j] + weight * row[j]

        sum

    /// The slope of a ReLU whose sign is that of its weights, since what ReLUs give is never negative; −1 where that does not tell. ReLUs
    /// before it that are off have no part in it.
    let impliedSlope (isOff: bool[]) (row: float[]) (bias: float) =
        let isOneSided (isRight: float -> bool) =
            isRight bias && Array.forall2 (fun off w -> off || isRight w) isOff row

        if isOneSided (fun x -> x <= 0.0) then 0
        elif isOneSided (fun x -> x >= 0.0) then 1
        else -1

    /// Numbers for the planes on which pre-activations are 0, layer by layer: neurons with the same weights and bias have the same one, those
    /// with all signs changed its negative. What is only equal after rounding has numbers of its own.
    let planes (chain: ReluChain) : int[][] =
        let mutable count = 0

        chain.Steps
        |> Array.map (fun step ->
            let known = Dictionary<float[], int>(HashIdentity.Structural)

            Array.map2
                (fun (row: float[]) b ->
                    let equation = Array.append row [| b |]

                    let isNegative =
                        equation
                        |> Array.tryFind (fun x -> x <> 0.0)
                        |> Option.exists (fun x -> x < 0.0)

                    let sign = if isNegative then -1 else 1
                    let key = equation |> Array.map (fun x -> float sign * x)

                    match known.TryGetValue key with
                    | true, number -> sign * number
                    | _ ->
                        count <- count + 1
                        known[key] <- count
                        sign * count)
                step.Rows
                step.Bias)
