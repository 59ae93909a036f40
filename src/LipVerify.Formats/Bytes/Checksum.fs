namespace LipVerify.Formats

open System

/// CRC-32 of ISO 3309, the checksum of zip and PNG.
module internal Checksum =

    // Row k advances a byte by k further zero bytes, so that eight bytes take one step.
    let private tables =
        let first =
            Array.init 256 (fun byte ->
                (uint32 byte, seq { 1..8 })
                ||> Seq.fold (fun value _ -> (value >>> 1) ^^^ (0xEDB88320u &&& (0u - (value &&& 1u)))))

        let next (row: uint32[]) =
            row |> Array.map (fun value -> first[int (value &&& 0xFFu)] ^^^ (value >>> 8))

        Seq.unfold (fun row -> Some(row, next row)) first |> Seq.take 8 |> Seq.toArray

    /// The checksum of `bytes`.
    let crc32 (bytes: ReadOnlySpan<byte>) =
        let mutable crc = 0xFFFFFFFFu
        let mutable i = 0

        while i + 8 <= bytes.Length do
            let low =
                Buffers.Binary.BinaryPrimitives.ReadUInt32LittleEndian(bytes.Slice i) ^^^ crc

            let high =
                Buffers.Binary.BinaryPrimitives.ReadUInt32LittleEndian(bytes.Slice(i + 4))

            crc <-
                tables[7][int (low &&& 0xFFu)]
                ^^^ tables[6][int ((low >>> 8) &&& 0xFFu)]
                ^^^ tables[5][int ((low >>> 16) &&& 0xFFu)]
                ^^^ tables[4][int (low >>> 24)]
                ^^^ tables[3][int (high &&& 0xFFu)]
                ^^^ tables[2][int ((high >>> 8) &&& 0xFFu)]
                ^^^ tables[1][int ((high >>> 16) &&& 0xFFu)]
                ^^^ tables[0][int (high >>> 24)]

            i <- i + 8

        while i < bytes.Length do
            crc <- tables[0][int ((crc ^^^ uint32 bytes[i]) &&& 0xFFu)] ^^^ (crc >>> 8)
            i <- i + 1

        ~~~crc
