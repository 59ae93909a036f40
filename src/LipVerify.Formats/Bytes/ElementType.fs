namespace LipVerify.Formats

open System
open System.Buffers.Binary
open System.Runtime.InteropServices
open LipVerify.Compute

/// How a file stores one number.
[<RequireQualifiedAccess>]
type ElementType =
    /// IEEE 754 double precision.
    | Float64
    /// IEEE 754 single precision.
    | Float32
    /// IEEE 754 half precision.
    | Float16
    /// The upper half of a single.
    | BFloat16
    /// Signed, 64 bits.
    | Int64
    /// Signed, 32 bits.
    | Int32
    /// Signed, 16 bits.
    | Int16
    /// Signed, 8 bits.
    | Int8
    /// Unsigned, 64 bits.
    | UInt64
    /// Unsigned, 32 bits.
    | UInt32
    /// Unsigned, 16 bits.
    | UInt16
    /// Unsigned, 8 bits.
    | UInt8
    /// One byte; every value but 0 means true and becomes 1.
    | Bool

/// The order of the bytes of one number.
[<RequireQualifiedAccess>]
type ByteOrder =
    /// The least significant byte first.
    | LittleEndian
    /// The most significant byte first.
    | BigEndian

/// Stored numbers as doubles. Every conversion is exact.
module ElementType =

    /// Bytes of one number.
    let size element =
        match element with
        | ElementType.Float64
        | ElementType.Int64
        | ElementType.UInt64 -> 8
        | ElementType.Float32
        | ElementType.Int32
        | ElementType.UInt32 -> 4
        | ElementType.Float16
        | ElementType.BFloat16
        | ElementType.Int16
        | ElementType.UInt16 -> 2
        | ElementType.Int8
        | ElementType.UInt8
        | ElementType.Bool -> 1

    type private Reader = delegate of ReadOnlySpan<byte> -> float

    let private bfloat (bits: uint16) =
        float (BitConverter.UInt32BitsToSingle(uint32 bits <<< 16))

    let private littleEndian element =
        match element with
        | ElementType.Float64 -> Reader(fun bytes -> BinaryPrimitives.ReadDoubleLittleEndian bytes)
        | ElementType.Float32 -> Reader(fun bytes -> float (BinaryPrimitives.ReadSingleLittleEndian bytes))
        | ElementType.Float16 -> Reader(fun bytes -> float (BinaryPrimitives.ReadHalfLittleEndian bytes))
        | ElementType.BFloat16 -> Reader(fun bytes -> bfloat (BinaryPrimitives.ReadUInt16LittleEndian bytes))
        | ElementType.Int64 -> Reader(fun bytes -> float (BinaryPrimitives.ReadInt64LittleEndian bytes))
        | ElementType.Int32 -> Reader(fun bytes -> float (BinaryPrimitives.ReadInt32LittleEndian bytes))
        | ElementType.Int16 -> Reader(fun bytes -> float (BinaryPrimitives.ReadInt16LittleEndian bytes))
        | ElementType.Int8 -> Reader(fun bytes -> float (sbyte bytes[0]))
        | ElementType.UInt64 -> Reader(fun bytes -> float (BinaryPrimitives.ReadUInt64LittleEndian bytes))
        | ElementType.UInt32 -> Reader(fun bytes -> float (BinaryPrimitives.ReadUInt32LittleEndian bytes))
        | ElementType.UInt16 -> Reader(fun bytes -> float (BinaryPrimitives.ReadUInt16LittleEndian bytes))
        | ElementType.UInt8 -> Reader(fun bytes -> float bytes[0])
        | ElementType.Bool -> Reader(fun bytes -> if bytes[0] = 0uy then 0.0 else 1.0)

    let private bigEndian element =
        match element with
        | ElementType.Float64 -> Reader(fun bytes -> BinaryPrimitives.ReadDoubleBigEndian bytes)
        | ElementType.Float32 -> Reader(fun bytes -> float (BinaryPrimitives.ReadSingleBigEndian bytes))
        | ElementType.Float16 -> Reader(fun bytes -> float (BinaryPrimitives.ReadHalfBigEndian bytes))
        | ElementType.BFloat16 -> Reader(fun bytes -> bfloat (BinaryPrimitives.ReadUInt16BigEndian bytes))
        | ElementType.Int64 -> Reader(fun bytes -> float (BinaryPrimitives.ReadInt64BigEndian bytes))
        | ElementType.Int32 -> Reader(fun bytes -> float (BinaryPrimitives.ReadInt32BigEndian bytes))
        | ElementType.Int16 -> Reader(fun bytes -> float (BinaryPrimitives.ReadInt16BigEndian bytes))
        | ElementType.UInt64 -> Reader(fun bytes -> float (BinaryPrimitives.ReadUInt64BigEndian bytes))
        | ElementType.UInt32 -> Reader(fun bytes -> float (BinaryPrimitives.ReadUInt32BigEndian bytes))
        | ElementType.UInt16 -> Reader(fun bytes -> float (BinaryPrimitives.ReadUInt16BigEndian bytes))
        | ElementType.Int8
        | ElementType.UInt8
        | ElementType.Bool -> littleEndian element

    let private widenSingles (source: ReadOnlySpan<byte>) (values: float[]) =
        let singles = MemoryMarshal.Cast<byte, float32> source

        for i in 0 .. values.Length - 1 do
            values[i] <- float singles[i]

    let private convert (reader: Reader) step (source: ReadOnlySpan<byte>) (values: float[]) =
        for i in 0 .. values.Length - 1 do
            values[i] <- reader.Invoke(source.Slice(i * step, step))

    let private integerAt element order (bytes: ReadOnlyMemory<byte>) position =
        let bytes = bytes.Span.Slice(8 * position)

        match element, order with
        | ElementType.UInt64, ByteOrder.LittleEndian -> bigint (BinaryPrimitives.ReadUInt64LittleEndian bytes)
        | ElementType.UInt64, ByteOrder.BigEndian -> bigint (BinaryPrimitives.ReadUInt64BigEndian bytes)
        | _, ByteOrder.LittleEndian -> bigint (BinaryPrimitives.ReadInt64LittleEndian bytes)
        | _, ByteOrder.BigEndian -> bigint (BinaryPrimitives.ReadInt64BigEndian bytes)

    // From 2⁵³ on, neighbouring integers may share a double.
    let private refuseRounded element order bytes (values: float[]) =
        let isRounded position =
            abs values[position] >= 9007199254740992.0
            && bigint values[position] <> integerAt element order bytes position

        match element with
        | ElementType.Int64
        | ElementType.UInt64 ->
            match Seq.tryFind isRounded (seq { 0 .. values.Length - 1 }) with
            | Some position ->
                Error
                    $"the integer {integerAt element order bytes position} at position {position} has no exact double; store floating-point numbers"
            | None -> Ok values
        | _ -> Ok values

    /// The numbers in `bytes`, whose length must be a multiple of the size of one. Infinities and NaN pass;
    /// a 64-bit integer that has no exact double is an error.
    let decode (element: ElementType) (order: ByteOrder) (bytes: ReadOnlyMemory<byte>) : Result<float[], string> =
        let step = size element

        if bytes.Length % step <> 0 then
            Error $"{bytes.Length} bytes are no whole count of {step}-byte numbers"
        else
            let values = LargeArrays.Allocate<float>(bytes.Length / step)

            match element, order with
            | ElementType.Float64, ByteOrder.LittleEndian when BitConverter.IsLittleEndian ->
                bytes.Span.CopyTo(MemoryMarshal.AsBytes(Span values))
            | ElementType.Float32, ByteOrder.LittleEndian when BitConverter.IsLittleEndian ->
                widenSingles bytes.Span values
            | _, ByteOrder.LittleEndian -> convert (littleEndian element) step bytes.Span values
            | _, ByteOrder.BigEndian -> convert (bigEndian element) step bytes.Span values

            refuseRounded element order bytes values
