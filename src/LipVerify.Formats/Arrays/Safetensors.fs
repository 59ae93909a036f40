namespace LipVerify.Formats

open System
open System.Buffers.Binary
open System.IO
open System.Text.Json
open LipVerify.Core.Computation

/// Reads and writes safetensors: a JSON header that places tensors in one block of bytes.
module Safetensors =

    /// The longest header, in bytes, as in the reference implementation.
    let private headerLimit = 100_000_000L

    type private Entry =
        {
            Name: string
            Element: ElementType
            Shape: Shape
            Begin: int64
            End: int64
        }

    let private headerLength (bytes: ReadOnlyMemory<byte>) =
        if bytes.Length < 8 then
            -1L
        else
            BinaryPrimitives.ReadInt64LittleEndian bytes.Span

    /// Whether the bytes start with a plausible header.
    let internal isSafetensors (bytes: ReadOnlyMemory<byte>) =
        let length = headerLength bytes

        length >= 2L
        && length <= headerLimit
        && bytes.Length > 8
        && bytes.Span[8] = byte '{'

    let private elementOf (name: string | null) =
        match name with
        | "F64" -> Ok ElementType.Float64
        | "F32" -> Ok ElementType.Float32
        | "F16" -> Ok ElementType.Float16
        | "BF16" -> Ok ElementType.BFloat16
        | "I64" -> Ok ElementType.Int64
        | "I32" -> Ok ElementType.Int32
        | "I16" -> Ok ElementType.Int16
        | "I8" -> Ok ElementType.Int8
        | "U64" -> Ok ElementType.UInt64
        | "U32" -> Ok ElementType.UInt32
        | "U16" -> Ok ElementType.UInt16
        | "U8" -> Ok ElementType.UInt8
        | "BOOL" -> Ok ElementType.Bool
        | _ -> Error $"element type {name} is not supported; use F64, F32, F16 or BF16"

    let private field (name: string) kind (entry: JsonElement) =
        match entry.TryGetProperty name with
        | true, value when value.ValueKind = kind -> Ok value
        | _ -> Error $"the header entry has no {name}, or not as it should be"

    let private integer (value: JsonElement) =
        match
            value.ValueKind,
            (if value.ValueKind = JsonValueKind.Number then
                 value.TryGetInt64()
             else
                 (false, 0L))
        with
        | JsonValueKind.Number, (true, number) -> Ok number
        | _ -> Error "a size or offset is no integer"

    let private integers name entry =
        field name JsonValueKind.Array entry
        |> Result.bind (fun values ->
            if values.GetArrayLength() > Extents.maximalRank then
                Error $"{name} has more than {Extents.maximalRank} numbers"
            else
                traverse integer (values.EnumerateArray()))

    let private entryOf (available: int64) name (json: JsonElement) =
        result {
            do! require (json.ValueKind = JsonValueKind.Object) (fun () -> "the header entry is no object")
            let! dtype = field "dtype" JsonValueKind.String json
            let! element = elementOf (dtype.GetString())
            let! sizes = integers "shape" json
            let! shape = Extents.shape (List.ofArray sizes)

            match! integers "data_offsets" json with
            | [| first; last |] when 0L <= first && first <= last && last <= available ->
                let needed = int64 (Shape.size shape) * int64 (ElementType.size element)

                if last - first = needed then
                    return
                        {
                            Name = name
                            Element = element
                            Shape = shape
                            Begin = first
                            End = last
                        }
                else
                    return!
                        Error
                            $"shape {Shape.text shape} of {dtype.GetString()} needs {needed} bytes, its offsets span {last - first}"
            | [| first; last |] ->
                return! Error $"the offsets {first} to {last} do not lie within the {available} bytes of data"
            | _ -> return! Error "data_offsets must be two numbers"
        }

    let private entries source available (header: JsonElement) =
        header.EnumerateObject()
        |> Seq.filter (fun property -> property.Name <> "__metadata__")
        |> traverse (fun property ->
            entryOf available property.Name property.Value
            |> Result.mapError (LoadError.at source property.Name))

    // A JSON string may hold half a surrogate pair or bytes that are no UTF-8; only reading it tells.
    let private parseHeader source available (header: ReadOnlyMemory<byte>) =
        try
            use document = JsonDocument.Parse header

            if document.RootElement.ValueKind = JsonValueKind.Object then
                entries source available document.RootElement
            else
                Error(LoadError.at source "header" "it should be a JSON object")
        with
        | :? JsonException as failure ->
            Error(
                LoadError.at
                    source
                    "header"
                    $"it is not valid JSON at byte {failure.BytePositionInLine.GetValueOrDefault() + 8L}"
            )
        | :? InvalidOperationException -> Error(LoadError.at source "header" "it has text that is not valid UTF-8")

    let private refuseOverlap source available entries =
        let total = entries |> Array.sumBy (fun entry -> float (entry.End - entry.Begin))

        if total > float (available: int64) then
            Error(LoadError.at source "header" "tensors overlap; each must have its own bytes")
        else
            Ok entries

    let private readTensor source (data: ReadOnlyMemory<byte>) entry =
        data.Slice(int entry.Begin, int (entry.End - entry.Begin))
        |> TensorReading.decode entry.Element ByteOrder.LittleEndian entry.Shape
        |> Result.map (fun tensor -> entry.Name, tensor)
        |> Result.mapError (LoadError.at source entry.Name)

    /// The tensors of a safetensors file, by name and in the order of the header. `source` names the file in messages.
    let parse (source: string) (bytes: ReadOnlyMemory<byte>) : Result<(string * Tensor)[], LoadError> =
        let length = headerLength bytes

        if length < 2L || length > headerLimit || length > int64 bytes.Length - 8L then
            Error(
                LoadError.at
                    source
                    "at byte 0"
                    $"the header length {length} does not fit the file of {bytes.Length} bytes: no safetensors, or cut off"
            )
        else
            let header = bytes.Slice(8, int length)
            let data = bytes.Slice(8 + int length)

            parseHeader source (int64 data.Length) header
            |> Result.bind (refuseOverlap source (int64 data.Length))
            |> Result.bind (traverse (readTensor source data))

    let private writeHeader (metadata: (string * string) list) (tensors: (string * Tensor) list) =
        use buffer = new MemoryStream()
        use writer = new Utf8JsonWriter(buffer)
        writer.WriteStartObject()

        if not metadata.IsEmpty then
            writer.WriteStartObject "__metadata__"
            metadata |> List.iter (fun (key, value) -> writer.WriteString(key, value))
            writer.WriteEndObject()

        let mutable position = 0L

        for name, tensor in tensors do
            writer.WriteStartObject name
            writer.WriteString("dtype", "F64")
            writer.WriteStartArray "shape"
            tensor.Shape |> List.iter writer.WriteNumberValue
            writer.WriteEndArray()
            writer.WriteStartArray "data_offsets"
            writer.WriteNumberValue position
            position <- position + 8L * int64 tensor.Length
            writer.WriteNumberValue position
            writer.WriteEndArray()
            writer.WriteEndObject()

        writer.WriteEndObject()
        writer.Flush()
        buffer.ToArray(), position

    /// The bytes of a safetensors file of doubles, with texts for its metadata. The data starts at a multiple of 8 bytes.
    /// Fails with `OverflowException` where they do not fit one array.
    let write (metadata: (string * string) list) (tensors: (string * Tensor) list) : byte[] =
        let header, dataLength = writeHeader metadata tensors
        let padded = (header.Length + 7) / 8 * 8
        let bytes = Array.zeroCreate<byte>(Checked.int (int64 (8 + padded) + dataLength))
        BinaryPrimitives.WriteInt64LittleEndian(bytes, int64 padded)
        Array.fill bytes 8 padded (byte ' ')
        header.CopyTo(bytes, 8)
        let mutable position = 8 + padded

        for _, tensor in tensors do
            for value in Tensor.values tensor do
                BinaryPrimitives.WriteDoubleLittleEndian(bytes.AsSpan position, value)
                position <- position + 8

        bytes
