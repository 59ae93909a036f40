namespace LipVerify.Formats.OnnxGraph

open System
open System.Text
open Google.Protobuf

/// The bytes are no protocol buffer of the expected kind; the text says why.
exception internal Malformed of string

/// One field of a message. `Number` is its tag; `Scalar` holds varints and fixed-width numbers, `Payload` the rest.
[<Struct; NoEquality; NoComparison>]
type internal Field =
    {
        Number: int
        Wire: WireFormat.WireType
        Scalar: uint64
        Payload: ArraySegment<byte>
    }

/// The protocol buffer wire format: messages as sequences of fields, without copies of their payloads.
module internal Wire =

    let private strictText = UTF8Encoding(false, true)

    // The payload ends where the skipped field ends; its length stands at `start`.
    let private payload (input: CodedInputStream) (bytes: byte[]) =
        let start = int input.Position
        input.SkipLastField()
        let stop = int input.Position
        use field = new CodedInputStream(bytes, start, stop - start)
        let length = field.ReadLength()
        ArraySegment(bytes, stop - length, length)

    let private next (input: CodedInputStream) (bytes: byte[]) tag =
        let number = WireFormat.GetTagFieldNumber tag
        let wire = WireFormat.GetTagWireType tag

        let field scalar payload =
            {
                Number = number
                Wire = wire
                Scalar = scalar
                Payload = payload
            }

        match wire with
        | WireFormat.WireType.Varint -> field (input.ReadUInt64()) ArraySegment.Empty
        | WireFormat.WireType.Fixed32 -> field (uint64 (input.ReadFixed32())) ArraySegment.Empty
        | WireFormat.WireType.Fixed64 -> field (input.ReadFixed64()) ArraySegment.Empty
        | WireFormat.WireType.LengthDelimited -> field 0UL (payload input bytes)
        | WireFormat.WireType.StartGroup ->
            input.SkipLastField()
            field 0UL ArraySegment.Empty
        | _ -> raise (Malformed $"byte {input.Position}: {int wire} is no wire type")

    let private array (message: ArraySegment<byte>) =
        match message.Array with
        | null -> Array.empty
        | bytes -> bytes

    let private stream (message: ArraySegment<byte>) =
        new CodedInputStream(array message, message.Offset, message.Count)

    /// Every field of `message` in order.
    let fold (step: 'state -> Field -> 'state) (start: 'state) (message: ArraySegment<byte>) : 'state =
        use input = stream message
        let mutable state = start
        let mutable tag = input.ReadTag()

        while tag <> 0u do
            state <- step state (next input (array message) tag)
            tag <- input.ReadTag()

        state

    let private expect wire (field: Field) =
        if field.Wire <> wire then
            raise (Malformed $"field {field.Number} has wire type {field.Wire}, not {wire}")

    /// The bytes of a field of kind bytes or message.
    let bytes field =
        expect WireFormat.WireType.LengthDelimited field
        field.Payload

    /// A text, which must be UTF-8.
    let text field =
        try
            strictText.GetString((bytes field).AsSpan())
        with :? DecoderFallbackException ->
            raise (Malformed $"the text in field {field.Number} is not UTF-8")

    /// An integer or enumeration.
    let integer field =
        expect WireFormat.WireType.Varint field
        int64 field.Scalar

    /// An integer of 32 bits; protobuf drops the upper half.
    let integer32 field = int (integer field)

    /// A single-precision number.
    let single field =
        expect WireFormat.WireType.Fixed32 field
        BitConverter.UInt32BitsToSingle(uint32 field.Scalar)

    /// Adds the integers of a field, packed or single.
    let addIntegers (into: ResizeArray<int64>) field =
        if field.Wire = WireFormat.WireType.Varint then
            into.Add(int64 field.Scalar)
        else
            use packed = stream (bytes field)

            while not packed.IsAtEnd do
                into.Add(int64 (packed.ReadUInt64()))

        into

    /// Adds the little-endian bytes of the numbers in a field, packed or single.
    let addNumbers (into: ResizeArray<byte>) field =
        match field.Wire with
        | WireFormat.WireType.Fixed32 -> into.AddRange(BitConverter.GetBytes(uint32 field.Scalar))
        | WireFormat.WireType.Fixed64 -> into.AddRange(BitConverter.GetBytes field.Scalar)
        | _ -> into.AddRange(bytes field)

        into
