/// Points of balls in any of the norms, and slopes measured in them.
module LipVerify.Propositions.NormedBalls

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Propositions.Generators
open LipVerify.Propositions.Oracles

/// `‖v‖` in a norm.
let sizeIn norm (v: float[]) =
    match norm with
    | Euclidean -> Oracles.norm v
    | Maximum -> (0.0, v) ||> Array.fold (fun best x -> max best (abs x))
    | Taxicab -> Array.sumBy abs v

let norms = [ Euclidean; Maximum; Taxicab ]

/// Points of the ball of a norm around `center`: vertices, faces and the inside.
let pointsIn norm (draw: Draw) count (center: float[]) radius =
    let direction () =
        match norm with
        | Maximum -> center |> Array.map (fun _ -> draw.Pick [ -1.0; 1.0; draw.Real(-1.0, 1.0) ])
        | Euclidean
        | Taxicab ->
            if draw.Chance 0.4 then
                let at = draw.Int(0, center.Length - 1)
                Array.init center.Length (fun i -> if i = at then draw.Pick [ -1.0; 1.0 ] else 0.0)
            else
                draw.Gaussians center.Length

    Array.init count (fun _ ->
        let direction = direction ()
        let shrink = (1.0 - 1e-13) * draw.Pick [ 1.0; 1.0; draw.Real(0.0, 1.0); 1e-3 ]
        let size = sizeIn norm direction

        Array.map2 (fun c d -> if size = 0.0 then c else c + shrink * radius * d / size) center direction)
    |> Array.filter (fun x -> sizeIn norm (Array.map2 (-) x center) <= radius)

/// Slopes in a norm from `origin` to each of the points that differ from it.
let slopesIn norm network (origin: float[]) (points: float[][]) =
    let all = Array.append [| origin |] points
    let values, errors = evaluateAll network all, evaluationErrors network all
    // The errors are in the 2-norm.
    let widening = sqrt (float values[0].Length)

    [|
        for k in 1 .. points.Length do
            let distance = sizeIn norm (Array.map2 (-) all[k] origin)

            if distance > 0.0 then
                {
                    Value = sizeIn norm (Array.map2 (-) values[k] values[0]) / distance
                    Noise = widening * (errors[k] + errors[0]) / distance
                }
    |]

/// The rows of the formal Jacobian at `x`: where the network bends, that of an adjacent piece.
let jacobian (network: Network) (x: float[]) : float[][] =
    let outputs = Shape.size network.OutputShape
    let linear = Linearization.at context network 1 (LipVerify.Compute.HostStorage x)

    let columns =
        Array.init x.Length (fun j ->
            let unit = Array.init x.Length (fun i -> if i = j then 1.0 else 0.0)
            let pushed = linear.Pushforward(LipVerify.Compute.HostStorage unit)
            Tensor.values (Tensor.ofStorage [ outputs ] pushed))

    Array.init outputs (fun i -> columns |> Array.map (fun column -> column[i]))

/// The operator norm of a matrix given by its rows, inputs and outputs measured in the same norm.
let operatorNorm norm (rows: float[][]) =
    match norm with
    | Euclidean -> spectralNorm rows
    | Maximum -> rows |> Array.map (Array.sumBy abs) |> Array.max
    | Taxicab ->
        Array.init rows[0].Length (fun j -> rows |> Array.sumBy (fun row -> abs row[j]))
        |> Array.max
