/// Reproducible standard normal draws.
module LipVerify.Core.Gaussian

open System
open System.Threading.Tasks

/// Values that one generator draws; blocks are independent of each other, so they can be drawn side by side.
let private blockSize = 1 <<< 16

/// Box–Muller transform.
let private fill (random: Random) (values: Span<float>) =
    let mutable i = 0

    while i < values.Length do
        let radius = sqrt (-2.0 * log (1.0 - random.NextDouble()))
        let struct (sine, cosine) = Math.SinCos(2.0 * Math.PI * random.NextDouble())
        values[i] <- radius * cosine

        if i + 1 < values.Length then
            values[i + 1] <- radius * sine

        i <- i + 2

/// A seed for block `block` of stream `stream`: a multiplicative mix of the three numbers.
let private blockSeed (seed: int) (stream: int) (block: int) =
    let mix (hash: uint64) (part: int) =
        let h = (hash ^^^ uint64 (uint32 part)) * 0x9E3779B97F4A7C15UL
        h ^^^ (h >>> 29)

    [ seed; stream; block ]
    |> List.fold mix 0x243F6A8885A308D3UL
    |> (fun hash -> int (hash >>> 33))

/// `count` standard normal values; the same seed and stream give the same values.
/// `stream` keeps the draws for different purposes apart.
let draw (seed: int) (stream: int) (count: int) : float[] =
    let values = Array.zeroCreate count
    let blocks = (count + blockSize - 1) / blockSize

    Parallel.For(
        0,
        blocks,
        fun block ->
            let first = block * blockSize
            let length = min blockSize (count - first)
            fill (Random(blockSeed seed stream block)) (Span(values, first, length))
    )
    |> ignore

    values
