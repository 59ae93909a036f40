namespace LipVerify.Formats

open System
open System.Buffers.Binary
open System.Text

/// One part of a PNG file.
[<NoComparison>]
type internal PngChunk =
    {
        Name: string
        Content: ReadOnlyMemory<byte>
    }

/// Reads and writes the parts that a PNG file consists of.
module internal PngChunk =

    let private signature =
        [| 0x89uy; byte 'P'; byte 'N'; byte 'G'; 13uy; 10uy; 26uy; 10uy |]

    let private readOne (bytes: ReadOnlyMemory<byte>) (at: int) =
        let left = bytes.Length - at
        let cut = Error $"the picture is cut off at byte {bytes.Length}"

        if left < 12 then
            cut
        else
            let length = BinaryPrimitives.ReadUInt32BigEndian(bytes.Span.Slice at)

            if length > uint32 (left - 12) then
                cut
            else
                let length = int length
                let named = bytes.Slice(at + 4, length + 4)

                let checksum =
                    BinaryPrimitives.ReadUInt32BigEndian(bytes.Span.Slice(at + 8 + length))

                let name = Encoding.Latin1.GetString(named.Span.Slice(0, 4))

                if Checksum.crc32 named.Span <> checksum then
                    Error $"chunk {name} at byte {at}: the checksum differs: the file is damaged"
                else
                    Ok { Name = name; Content = named.Slice 4 }

    let private readAll (bytes: ReadOnlyMemory<byte>) =
        let chunks = ResizeArray<PngChunk>()
        let mutable at = signature.Length
        let mutable outcome = ValueNone

        while outcome.IsNone do
            match readOne bytes at with
            | Error problem -> outcome <- ValueSome(Error problem)
            | Ok chunk when chunk.Name = "IEND" -> outcome <- ValueSome(Ok(List.ofSeq chunks))
            | Ok chunk ->
                chunks.Add chunk
                at <- at + 12 + chunk.Content.Length

        outcome.Value

    // A capital first letter marks a chunk without which the picture cannot be shown.
    let private refuseUnknown chunks =
        let isUnknown (chunk: PngChunk) =
            Char.IsUpper chunk.Name[0]
            && not (List.contains chunk.Name [ "IHDR"; "PLTE"; "IDAT" ])

        match List.tryFind isUnknown chunks with
        | Some chunk -> Error $"chunk {chunk.Name} is needed for the picture and not known"
        | None -> Ok chunks

    /// The chunks of a file up to IEND, all of them known or optional; what follows does not belong to the picture.
    let read (bytes: ReadOnlyMemory<byte>) : Result<PngChunk list, string> =
        if bytes.Span.StartsWith(ReadOnlySpan signature) then
            readAll bytes |> Result.bind refuseUnknown
        else
            Error "this is no PNG picture: the signature is missing"

    /// The contents of all chunks of a name.
    let contents name chunks =
        chunks
        |> List.filter (fun (chunk: PngChunk) -> chunk.Name = name)
        |> List.map _.Content

    /// The content of a chunk that occurs once at most.
    let single name chunks =
        match contents name chunks with
        | [] -> Ok None
        | [ content ] -> Ok(Some content)
        | _ -> Error $"the picture has several chunks {name}"

    let private bytesOf (name: string, content: byte[]) =
        let bytes = Array.zeroCreate<byte>(12 + content.Length)
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(), content.Length)
        Encoding.ASCII.GetBytes(name).CopyTo(bytes, 4)
        content.CopyTo(bytes, 8)
        let checksum = Checksum.crc32 (ReadOnlySpan(bytes, 4, content.Length + 4))
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(8 + content.Length), checksum)
        bytes

    /// The bytes of a file of these chunks; IEND is added.
    let write (chunks: (string * byte[]) list) : byte[] =
        signature :: List.map bytesOf (chunks @ [ "IEND", [||] ]) |> Array.concat
