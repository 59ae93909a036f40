/// Reproducible standard normal draws.
module LipVerify.Core.Gaussian

open System

/// `count` standard normal values by the Box–Muller transform; the same seed and stream give the same values.
/// `stream` keeps the draws for different purposes apart.
let draw (seed: int) (stream: int) (count: int) : float[] =
    let random = Random(seed * 1_000_003 + stream)
    let values = Array.zeroCreate count

    for pair in 0 .. (count + 1) / 2 - 1 do
        let radius = sqrt (-2.0 * log (1.0 - random.NextDouble()))
        let struct (sine, cosine) = Math.SinCos(2.0 * Math.PI * random.NextDouble())
        values[2 * pair] <- radius * cosine

        if 2 * pair + 1 < count then
            values[2 * pair + 1] <- radius * sine

    values
