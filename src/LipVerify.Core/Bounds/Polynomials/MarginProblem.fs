namespace LipVerify.Core.Bounds.Polynomials

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Networks

/// A ReLU that is open over a ball: `s = relu(p)/scale` for the pre-activation `p = scale·(Offset + Row·ξ)`, `scale·[Low, High]` its interval and
/// `scale` the larger of their sizes.
[<ReferenceEquality>]
type OpenUnit =
    {
        /// What `s` is multiplied by in the margin.
        Weight: float
        /// One entry a coordinate of `ξ`.
        Row: float[]
        /// The pre-activation at the centre.
        Offset: float
        /// Below 0, and at least −1.
        Low: float
        /// Above 0, and at most 1: `s ≤ High`.
        High: float
    }

/// How far an output of a network with one hidden layer can exceed another over a ball, `max f_rival(x) − f_label(x)`: the maximum of
/// `Constant + Slope·ξ + Σ Weight_i s_i` over points `x = x0 + εξ`, `ξ` in the unit ball.
[<ReferenceEquality>]
type MarginProblem =
    {
        /// The norm of the ball.
        Norm: Norm
        /// The part of the centre and of ReLUs that are surely open or shut there.
        Constant: float
        /// The same, for each coordinate of `ξ`.
        Slope: float[]
        /// The ReLUs whose state is not known.
        Units: OpenUnit list
        /// An allowance for the rounding of all these numbers.
        Rounding: float
    }

module MarginProblem =

    let private openUnit (interval: PreActivation) weight (row: float[]) nominal =
        let scale = max interval.High -interval.Low

        {
            Weight = weight * scale
            Row = row |> Array.map (fun w -> w / scale)
            Offset = nominal / scale
            Low = interval.Low / scale
            High = interval.High / scale
        }

    let private ofLayer norm (layer: DenseLayer) (output: DenseLayer) label rival (center: float[]) (radius: float) =
        let weights =
            Array.map2 (-) (UnknownSlopes.rowOf output.Weights rival) (UnknownSlopes.rowOf output.Weights label)

        let slope = Array.zeroCreate center.Length
        let offset = output.Bias[rival] - output.Bias[label]
        let mutable constant = offset

        let mutable sizes = abs output.Bias[rival] + abs output.Bias[label]

        // What underflow takes from pre-activations and their slopes, times the weights behind them, and from products with these.
        let mutable underflow = 0.0
        let lost = 16.0 * float (center.Length + 2) * Double.Epsilon

        let units =
            [
                for i, interval in Array.indexed (UnknownSlopes.firstIntervals norm center radius layer) do
                    let row = UnknownSlopes.rowOf layer.Weights i
                    let nominal = Array.fold2 (fun sum w x -> sum + w * x) layer.Bias[i] row center
                    let spread = row |> Array.map (fun w -> w * radius)

                    if interval.High > 0.0 && weights[i] <> 0.0 then
                        let size =
                            Array.fold2
                                (fun sum (w: float) x -> sum + abs w * (abs x + radius))
                                (abs layer.Bias[i])
                                row
                                center

                        let behind = abs output.Weights[rival, i] + abs output.Weights[label, i]
                        sizes <- sizes + behind * size
                        underflow <- underflow + (behind + 1.0) * lost

                        if interval.Low >= 0.0 then
                            constant <- constant + weights[i] * nominal

                            for j in 0 .. slope.Length - 1 do
                                slope[j] <- slope[j] + weights[i] * spread[j]
                        else
                            openUnit interval weights[i] spread nominal
            ]

        {
            Norm = norm
            Constant = constant
            Slope = slope
            Units = units
            Rounding = 4.0 * Rounding.gamma (center.Length + layer.Bias.Length + 8) * sizes + underflow
        }

    /// The problem for two outputs and a ball around `center`, or why there is none.
    let create norm (chain: DenseChain) label rival (center: float[]) (radius: Radius) =
        let outputs = chain.Output.Bias.Length

        match chain.Hidden with
        | _ when norm = Taxicab -> Error "margins are relaxed in the 2-norm and in the maximum norm only"
        | [ layer ] when Array2D.length2 layer.Weights = center.Length ->
            if List.forall (fun output -> output >= 0 && output < outputs) [ label; rival ] then
                Ok(ofLayer norm layer chain.Output label rival center radius.Value)
            else
                Error $"there are no outputs {label} and {rival}: the network has {outputs}"
        | [ layer ] ->
            Error $"the input has {center.Length} values, and the network takes {Array2D.length2 layer.Weights}"
        | layers -> Error $"margins are relaxed for networks with one hidden layer, and this one has {layers.Length}"
