namespace LipVerify.Formats.OnnxGraph

open System
open System.Buffers.Binary
open LipVerify.Core.Computation
open LipVerify.Formats

/// A tensor whose values the file holds.
[<ReferenceEquality>]
type internal Constant =
    /// Real numbers of an element type, each the exact double of the stored value.
    | Reals of ElementType * Tensor
    /// Integers and truth values: shapes, axes, indices.
    | Integers of ElementType * Shape * int64[]

/// Decoding of stored tensors, and the operations on constants that need no network.
module internal Constants =

    /// The extents of a constant.
    let shape constant =
        match constant with
        | Reals(_, tensor) -> tensor.Shape
        | Integers(_, shape, _) -> shape

    /// The element type of a constant.
    let element constant =
        match constant with
        | Reals(element, _)
        | Integers(element, _, _) -> element

    let private typeNames =
        [
            1, "FLOAT"
            2, "UINT8"
            3, "INT8"
            4, "UINT16"
            5, "INT16"
            6, "INT32"
            7, "INT64"
            8, "STRING"
            9, "BOOL"
            10, "FLOAT16"
            11, "DOUBLE"
            12, "UINT32"
            13, "UINT64"
            14, "COMPLEX64"
            15, "COMPLEX128"
            16, "BFLOAT16"
        ]
        |> Map.ofList

    /// The name of an element type in onnx.proto.
    let typeName number =
        typeNames |> Map.tryFind number |> Option.defaultValue $"number {number}"

    /// The storage of real element types.
    let realType number =
        match number with
        | 1 -> Some ElementType.Float32
        | 10 -> Some ElementType.Float16
        | 11 -> Some ElementType.Float64
        | 16 -> Some ElementType.BFloat16
        | _ -> None

    /// The storage of the element types that constants may have.
    let elementType number =
        match number with
        | 6 -> Some ElementType.Int32
        | 7 -> Some ElementType.Int64
        | 9 -> Some ElementType.Bool
        | _ -> realType number

    let private finite (tensor: Tensor) =
        TensorReading.finite "" "" tensor
        |> Result.mapError (fun (error: LoadError) -> error.Problem)

    // float16 and bfloat16 are stored as bit patterns, one an integer.
    let private halves (values: ResizeArray<int64>) =
        let bytes = Array.zeroCreate<byte>(2 * values.Count)
        let mutable problem = Ok()

        for i in 0 .. values.Count - 1 do
            if values[i] < 0L || values[i] > 65535L then
                problem <- Error $"the number at position {i} is no 16-bit pattern"
            else
                bytes[2 * i] <- byte (values[i] &&& 255L)
                bytes[2 * i + 1] <- byte (values[i] >>> 8)

        problem |> Result.map (fun () -> ReadOnlyMemory<byte> bytes)

    let private realBytes (proto: TensorProto) element =
        match proto.Raw, element with
        | ValueSome raw, _ -> Ok(ReadOnlyMemory<byte>(raw.Array, raw.Offset, raw.Count))
        | _, ElementType.Float32 -> Ok(ReadOnlyMemory<byte>(proto.Singles.ToArray()))
        | _, ElementType.Float64 -> Ok(ReadOnlyMemory<byte>(proto.Doubles.ToArray()))
        | _ -> halves proto.Int32s

    let private reals proto element shape =
        result {
            let! bytes = realBytes proto element
            let! tensor = TensorReading.decode element ByteOrder.LittleEndian shape bytes
            let! tensor = finite tensor
            return Reals(element, tensor)
        }

    let private integers
        (proto: TensorProto)
        element
        (shape: Shape)
        width
        (typed: ResizeArray<int64>)
        (read: ArraySegment<byte> -> int64)
        =
        let values =
            match proto.Raw with
            | ValueSome raw when raw.Count % width = 0 ->
                Array.init (raw.Count / width) (fun i -> read (raw.Slice(i * width, width)))
            | ValueSome _ -> Array.empty
            | ValueNone -> typed.ToArray()

        if values.Length = Shape.size shape then
            Ok(Integers(element, shape, values))
        else
            Error $"shape {Shape.text shape} needs {Shape.size shape} values, there are {values.Length}"

    let private values (proto: TensorProto) shape =
        match realType proto.DataType, proto.DataType with
        | Some element, _ -> reals proto element shape
        | None, 6 ->
            integers proto ElementType.Int32 shape 4 proto.Int32s (fun bytes ->
                int64 (BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan())))
        | None, 7 ->
            integers proto ElementType.Int64 shape 8 proto.Int64s (fun bytes ->
                BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan()))
        | None, 9 -> integers proto ElementType.Bool shape 1 proto.Int32s (fun bytes -> int64 bytes[0])
        | None, other ->
            Error
                $"elements of type {typeName other} are not supported; use FLOAT, DOUBLE, FLOAT16, BFLOAT16, INT32, INT64 or BOOL"

    let private typedCount (proto: TensorProto) =
        proto.Singles.Count
        + proto.Doubles.Count
        + proto.Int32s.Count
        + proto.Int64s.Count

    /// The values of a stored tensor, which must be finite. Nothing is allocated before shape and data fit.
    let decode (proto: TensorProto) : Result<Constant, string> =
        let decoded =
            if proto.External then
                Error "its values lie outside the file (external data); store them inside the model"
            elif proto.Segmented then
                Error "it is stored in segments, which are not supported"
            elif proto.Raw.IsSome && typedCount proto > 0 then
                Error "it has both raw and typed data"
            else
                Extents.shape (List.ofSeq proto.Dims) |> Result.bind (values proto)

        decoded |> Result.mapError (fun problem -> $"tensor '{proto.Name}': {problem}")

    /// The same values under another shape.
    let reshape (shape: Shape) constant =
        match constant with
        | Reals(element, tensor) -> Reals(element, Tensor.reshape shape tensor)
        | Integers(element, _, values) -> Integers(element, shape, values)

    let private strides (shape: Shape) =
        Extents.rowMajor shape |> List.map int |> Array.ofList

    /// Position in row-major order → position in `source`, for results of shape `target` whose index moves by `steps`.
    let private gather (target: Shape) (steps: int[]) (source: 'a[]) : 'a[] =
        let extents = Array.ofList target
        let index = Array.zeroCreate<int> extents.Length
        let values = Array.zeroCreate<'a>(Shape.size target)
        let mutable from = 0

        for position in 0 .. values.Length - 1 do
            values[position] <- source[from]
            let mutable axis = extents.Length - 1
            let mutable carry = axis >= 0

            while carry do
                index[axis] <- index[axis] + 1
                from <- from + steps[axis]

                if index[axis] = extents[axis] then
                    from <- from - steps[axis] * extents[axis]
                    index[axis] <- 0
                    axis <- axis - 1
                    carry <- axis >= 0
                else
                    carry <- false

        values

    /// The tensor with its axes in the order `axes`.
    let transpose (axes: int list) (tensor: Tensor) =
        let steps = strides tensor.Shape
        let extents = Array.ofList tensor.Shape
        let target = axes |> List.map (fun axis -> extents[axis])
        let moved = axes |> List.map (fun axis -> steps[axis]) |> Array.ofList
        Tensor.ofArray target (gather target moved (Tensor.values tensor))

    /// The shape that two shapes broadcast to (numpy's rule), or None where they do not fit.
    let broadcastShape (a: Shape) (b: Shape) : Shape option =
        let rank = max a.Length b.Length

        let pad (shape: Shape) =
            List.replicate (rank - shape.Length) 1 @ shape

        let join x y =
            if x = y || y = 1 then Some x
            elif x = 1 then Some y
            else None

        let joined = List.map2 join (pad a) (pad b)

        if List.forall Option.isSome joined then
            Some(List.map Option.get joined)
        else
            None

    /// `values` of a shape broadcast to `target`, which the shape must broadcast to.
    let broadcastValues (target: Shape) (shape: Shape) (values: 'a[]) : 'a[] =
        if values.Length = Shape.size target then
            values
        else
            let shape = List.replicate (target.Length - shape.Length) 1 @ shape

            let steps =
                (shape, List.ofArray (strides shape))
                ||> List.map2 (fun extent step -> if extent = 1 then 0 else step)

            gather target (Array.ofList steps) values

    /// The values of `tensor` broadcast to `target`, which its shape must broadcast to.
    let broadcast (target: Shape) (tensor: Tensor) : float[] =
        broadcastValues target tensor.Shape (Tensor.values tensor)
