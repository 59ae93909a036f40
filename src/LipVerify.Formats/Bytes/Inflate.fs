namespace LipVerify.Formats

open System
open System.IO
open System.IO.Compression

/// The wrapping of deflated data.
type internal Deflated =
    /// As in zip.
    | Bare
    /// With a zlib header and checksum, as in PNG.
    | Zlib

/// Decompression to a size that is known beforehand.
module internal Inflate =

    /// Deflate cannot expand data by more than this factor.
    let private greatestRatio = 1032L

    let private openStream wrapping (source: Stream) : Stream =
        match wrapping with
        | Bare -> new DeflateStream(source, CompressionMode.Decompress)
        | Zlib -> new ZLibStream(source, CompressionMode.Decompress)

    let private streamOver (bytes: ReadOnlyMemory<byte>) =
        match Runtime.InteropServices.MemoryMarshal.TryGetArray bytes with
        | true, segment ->
            match segment.Array with
            | null -> new MemoryStream()
            | array -> new MemoryStream(array, segment.Offset, segment.Count, writable = false)
        | _ -> new MemoryStream(bytes.ToArray())

    // The read after the last byte makes the stream verify its end.
    let private fill wrapping (compressed: ReadOnlyMemory<byte>) (target: byte[]) =
        use stream = openStream wrapping (streamOver compressed)
        let count = stream.ReadAtLeast(target, target.Length, throwOnEndOfStream = false)

        if count < target.Length then
            Error $"the compressed data yields {count} bytes where {target.Length} are needed"
        elif stream.ReadByte() >= 0 then
            Error $"the compressed data yields more than the {target.Length} bytes that are declared"
        else
            Ok target

    /// Decompresses to exactly `size` bytes. Nothing is allocated for a size that the data cannot reach, and nothing is
    /// decompressed beyond it.
    let exactly wrapping (size: int64) (compressed: ReadOnlyMemory<byte>) : Result<byte[], string> =
        if size > greatestRatio * int64 compressed.Length then
            Error $"{size} bytes cannot come from {compressed.Length} compressed ones"
        elif size > Files.limit then
            Error "the data decompresses to more than 2 GiB, the most that is read"
        else
            try
                fill wrapping compressed (Array.zeroCreate<byte>(int size))
            with
            | :? InvalidDataException
            | :? IOException -> Error "the compressed data is damaged"
