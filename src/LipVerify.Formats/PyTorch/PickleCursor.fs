namespace LipVerify.Formats

open System
open System.Buffers.Binary
open System.Text

/// A position in a pickle, moved by reading. Every read is checked against the end.
type internal PickleCursor(source: string, part: string, bytes: ReadOnlyMemory<byte>, start: int) =

    let mutable position = start
    let mutable opcodeAt = start

    let place at =
        if part = "" then
            $"at byte {at}"
        else
            $"{part} at byte {at}"

    /// The first byte that is not yet read.
    member _.Position = position

    /// All bytes, read or not.
    member _.Length = bytes.Length

    /// An error at the opcode that is being read.
    member _.Fail(problem: string) : Result<'a, LoadError> =
        Error(LoadError.at source (place opcodeAt) problem)

    /// The next `count` bytes.
    member cursor.Take(count: uint64) : Result<ReadOnlyMemory<byte>, LoadError> =
        let left = bytes.Length - position

        if count > uint64 left then
            cursor.Fail $"the pickle needs {count} more bytes, {left} are left: the file is cut off or damaged"
        else
            let taken = bytes.Slice(position, int count)
            position <- position + int count
            Ok taken

    member cursor.Byte() =
        cursor.Take 1UL |> Result.map (fun bytes -> bytes.Span[0])

    /// The byte that starts an instruction: errors name its position until the next one.
    member cursor.Opcode() =
        opcodeAt <- position
        cursor.Byte()

    member cursor.UInt16() =
        cursor.Take 2UL
        |> Result.map (fun bytes -> BinaryPrimitives.ReadUInt16LittleEndian bytes.Span)

    member cursor.Int32() =
        cursor.Take 4UL
        |> Result.map (fun bytes -> BinaryPrimitives.ReadInt32LittleEndian bytes.Span)

    member cursor.UInt32() =
        cursor.Take 4UL
        |> Result.map (fun bytes -> BinaryPrimitives.ReadUInt32LittleEndian bytes.Span)

    member cursor.UInt64() =
        cursor.Take 8UL
        |> Result.map (fun bytes -> BinaryPrimitives.ReadUInt64LittleEndian bytes.Span)

    member cursor.Double() =
        cursor.Take 8UL
        |> Result.map (fun bytes -> BinaryPrimitives.ReadDoubleBigEndian bytes.Span)

    /// Text up to a line feed, which is skipped.
    member cursor.Line() =
        match bytes.Span.Slice(position).IndexOf 10uy with
        | -1 -> cursor.Fail "a name does not end: the file is cut off or damaged"
        | length ->
            let line = Encoding.UTF8.GetString(bytes.Span.Slice(position, length))
            position <- position + length + 1
            Ok line
