/// Reproducible standard normal draws.
module LipVerify.Core.Numbers.Gaussian

open System
open System.Buffers.Binary
open System.Numerics
open System.Security.Cryptography
open System.Threading.Tasks
open LipVerify.Compute

/// Values that one generator draws; blocks are independent of each other, so they can be drawn side by side.
let private blockSize = 1 <<< 16

/// The generator xoshiro256** of Blackman and Vigna (2018), with 256 bits of state.
[<Struct>]
type private Generator =
    {
        mutable S0: uint64
        mutable S1: uint64
        mutable S2: uint64
        mutable S3: uint64
    }

    member generator.Next() =
        let result = BitOperations.RotateLeft(generator.S1 * 5UL, 7) * 9UL
        let shifted = generator.S1 <<< 17
        generator.S2 <- generator.S2 ^^^ generator.S0
        generator.S3 <- generator.S3 ^^^ generator.S1
        generator.S1 <- generator.S1 ^^^ generator.S2
        generator.S0 <- generator.S0 ^^^ generator.S3
        generator.S2 <- generator.S2 ^^^ shifted
        generator.S3 <- BitOperations.RotateLeft(generator.S3, 45)
        result

    /// Uniform in [0, 1), a multiple of 2⁻⁵³.
    member generator.Uniform() =
        float (generator.Next() >>> 11) * Rounding.unitRoundoff

/// A state from the hash of everything that tells one block of draws from another. It is not all zero, but with a probability
/// of 2⁻²⁵⁶.
let private generator (key: byte[]) (stream: int) (block: int) =
    let tail = Array.zeroCreate<byte> 8
    BinaryPrimitives.WriteInt32LittleEndian(Span(tail, 0, 4), stream)
    BinaryPrimitives.WriteInt32LittleEndian(Span(tail, 4, 4), block)
    let state = SHA256.HashData(Array.append key tail)

    let word i =
        BinaryPrimitives.ReadUInt64LittleEndian(ReadOnlySpan(state, 8 * i, 8))

    {
        S0 = word 0
        S1 = word 1
        S2 = word 2
        S3 = word 3
    }

/// Box–Muller transform.
let private fill (start: Generator) (values: Span<float>) =
    let mutable generator = start
    let mutable i = 0

    while i < values.Length do
        let radius = sqrt (-2.0 * log (1.0 - generator.Uniform()))
        let struct (sine, cosine) = Math.SinCos(2.0 * Math.PI * generator.Uniform())
        values[i] <- radius * cosine

        if i + 1 < values.Length then
            values[i + 1] <- radius * sine

        i <- i + 2

/// `count` standard normal values; the same key and stream give the same values.
/// `stream` keeps the draws for different purposes apart.
let drawWith (key: byte[]) (stream: int) (count: int) : float[] =
    let values = LargeArrays.Allocate<float> count
    let blocks = (count + blockSize - 1) / blockSize

    Parallel.For(
        0,
        blocks,
        fun block ->
            let first = block * blockSize
            let length = min blockSize (count - first)
            fill (generator key stream block) (Span(values, first, length))
    )
    |> ignore

    values

/// The key of a seed.
let keyOf (seed: int) : byte[] = BitConverter.GetBytes(int64 seed)

/// `count` standard normal values; the same seed and stream give the same values.
let draw (seed: int) (stream: int) (count: int) : float[] = drawWith (keyOf seed) stream count
