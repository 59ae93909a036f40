/// Displacements drawn uniformly from a ball of any norm.
module LipVerify.Core.LowerBounds.BallSamples

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks

/// A direction with density constant on the sphere of the norm, and a distance with density `r^(n−1)`.
let private scaled (random: Random) norm (ball: RestrictedBall) (directions: float[]) =
    let mask = Tensor.values ball.Mask
    let dimension = float (max 1 (Tensor.countNonZero ball.Mask))
    let size = mask.Length
    let values = directions |> Array.mapi (fun i d -> d * mask[i % size])

    if norm = Euclidean then
        Points.normalise size values

    for first in 0..size .. values.Length - 1 do
        let distance = ball.Radius.Value * Math.Pow(random.NextDouble(), 1.0 / dimension)

        let unit =
            match norm with
            | Euclidean -> 1.0
            | Maximum
            | Taxicab -> NormedVectors.size norm (ReadOnlySpan(values, first, size))

        if unit > 0.0 then
            for i in first .. first + size - 1 do
                values[i] <- distance * (values[i] / unit)

    values

/// `count` displacements one behind the other, the same for the same seed and `first`.
let draw (context: Context) norm (ball: RestrictedBall) first count : float[] =
    let random = Random(context.Seed + 7919 * (first + 1))
    let length = count * ball.Mask.Length

    match norm with
    | Euclidean ->
        // Normal numbers point in all directions alike.
        Gaussian.draw context.Seed (3_000_000 + first) length |> scaled random norm ball
    | Taxicab ->
        // So do exponential ones with random signs in the 1-norm.
        Array.init length (fun _ ->
            let sign = if random.Next 2 = 0 then -1.0 else 1.0
            sign * -Math.Log(1.0 - random.NextDouble()))
        |> scaled random norm ball
    | Maximum ->
        let mask = Tensor.values ball.Mask
        Array.init length (fun i -> mask[i % mask.Length] * ball.Radius.Value * (2.0 * random.NextDouble() - 1.0))
