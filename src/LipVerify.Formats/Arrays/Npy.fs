namespace LipVerify.Formats

open System
open System.Buffers.Binary
open System.Text
open System.Text.RegularExpressions
open LipVerify.Core.Computation

/// Reads and writes numpy arrays.
module Npy =

    let private magic = [| 0x93uy; byte 'N'; byte 'U'; byte 'M'; byte 'P'; byte 'Y' |]

    /// Whether the bytes start as an array of numpy does.
    let internal isNpy (bytes: ReadOnlyMemory<byte>) =
        bytes.Span.StartsWith(ReadOnlySpan magic)

    // The header is a Python dictionary of three entries. Matching takes linear time.
    let private headerPattern =
        let descr = "'descr'\s*:\s*(?:'(?<descr>[^']*)'|(?<structured>\[.*\]))"
        let order = "'fortran_order'\s*:\s*(?<order>True|False)"
        let shape = "'shape'\s*:\s*\((?<shape>[0-9L,\s]*)\)"
        let entry = $"(?:{descr}|{order}|{shape})"

        Regex(
            $@"^\s*\{{\s*{entry}\s*,\s*{entry}\s*,\s*{entry}\s*,?\s*\}}\s*$",
            RegexOptions.NonBacktracking
            ||| RegexOptions.CultureInvariant
            ||| RegexOptions.ExplicitCapture
        )

    let private elementOf (descr: string) =
        let order =
            if descr.StartsWith '>' then
                ByteOrder.BigEndian
            else
                ByteOrder.LittleEndian

        match descr.TrimStart('<', '>', '=', '|') with
        | "f8" -> Ok(ElementType.Float64, order)
        | "f4" -> Ok(ElementType.Float32, order)
        | "f2" -> Ok(ElementType.Float16, order)
        | "i8" -> Ok(ElementType.Int64, order)
        | "i4" -> Ok(ElementType.Int32, order)
        | "i2" -> Ok(ElementType.Int16, order)
        | "i1" -> Ok(ElementType.Int8, order)
        | "u8" -> Ok(ElementType.UInt64, order)
        | "u4" -> Ok(ElementType.UInt32, order)
        | "u2" -> Ok(ElementType.UInt16, order)
        | "u1" -> Ok(ElementType.UInt8, order)
        | "b1" -> Ok(ElementType.Bool, order)
        | "O" -> Error "the array holds Python objects, which are not read; save array.astype(float)"
        | _ -> Error $"the element type {descr} is not supported; save array.astype(float)"

    let private size (text: string) =
        match Int64.TryParse(text.TrimEnd 'L') with
        | true, size -> Ok size
        | _ -> Error $"the size {text} in the shape is not possible"

    let private shapeOf (text: string) =
        text.Split(',', StringSplitOptions.TrimEntries ||| StringSplitOptions.RemoveEmptyEntries)
        |> traverse size
        |> Result.bind (List.ofArray >> Extents.shape)

    /// The header's text and the position of the data.
    let private header (bytes: ReadOnlyMemory<byte>) =
        let cut = "the file is cut off inside the header"
        let span = bytes.Span

        if not (isNpy bytes) then
            Error "this is no array of numpy: it does not start with \\x93NUMPY"
        elif span.Length < 12 then
            Error cut
        else
            let start, length =
                if span[6] = 1uy then
                    10, uint32 (BinaryPrimitives.ReadUInt16LittleEndian(span.Slice 8))
                else
                    12, BinaryPrimitives.ReadUInt32LittleEndian(span.Slice 8)

            if span[6] < 1uy || span[6] > 3uy then
                Error $"version {span[6]} of the format is not known; versions 1 to 3 are supported"
            elif length > 1_000_000u then
                Error $"a header of {length} bytes; a million at most are read"
            elif length > uint32 (span.Length - start) then
                Error cut
            else
                Ok(Encoding.UTF8.GetString(span.Slice(start, int length)), bytes.Slice(start + int length))

    let private readTensor (bytes: ReadOnlyMemory<byte>) =
        result {
            let! text, data = header bytes
            let fields = headerPattern.Match text
            let has (name: string) = fields.Groups[name].Success

            do!
                require (not (has "structured")) (fun () ->
                    "the array holds records; save one array of numbers for each field")

            do!
                require (has "descr" && has "order" && has "shape") (fun () ->
                    "the header is not of the form {'descr': …, 'fortran_order': …, 'shape': …}")

            let! element, order = elementOf fields.Groups["descr"].Value
            let! shape = shapeOf fields.Groups["shape"].Value
            let size = ElementType.size element
            let needed = int64 (Shape.size shape) * int64 size

            do!
                require (needed = int64 data.Length) (fun () ->
                    $"shape {Shape.text shape} of {size}-byte numbers needs {needed} bytes, there are {data.Length}")

            let strides =
                if fields.Groups["order"].Value = "True" then
                    Extents.columnMajor shape
                else
                    Extents.rowMajor shape

            let! values = Strided.rowMajor size shape strides 0L data
            return! TensorReading.decode element order shape values
        }

    /// The array in the bytes of an npy file. Every value must be finite. `source` names the file in messages.
    let parse (source: string) (bytes: ReadOnlyMemory<byte>) : Result<Tensor, LoadError> =
        readTensor bytes
        |> Result.mapError (LoadError.file source)
        |> Result.bind (TensorReading.finite source "")

    /// The array in an npy file.
    let load (path: string) : Result<Tensor, LoadError> = Files.parse parse path

    /// The bytes of an npy file, version 1, of little-endian doubles.
    let write (tensor: Tensor) : byte[] =
        let shape =
            match tensor.Shape with
            | [ length ] -> $"({length},)"
            | shape -> shape |> List.map string |> String.concat ", " |> sprintf "(%s)"

        let text = $"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
        // The data starts at a multiple of 64 bytes, and a line feed ends the header.
        let length = (magic.Length + 4 + text.Length + 1 + 63) / 64 * 64 - magic.Length - 4
        let values = Tensor.values tensor
        let bytes = Array.zeroCreate<byte>(magic.Length + 4 + length + 8 * values.Length)
        magic.CopyTo(bytes, 0)
        bytes[6] <- 1uy
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan 8, uint16 length)
        Encoding.ASCII.GetBytes(text.PadRight(length - 1) + "\n").CopyTo(bytes, 10)

        values
        |> Array.iteri (fun i value ->
            BinaryPrimitives.WriteDoubleLittleEndian(bytes.AsSpan(10 + length + 8 * i), value))

        bytes
