namespace LipVerify.Formats

open System

/// A block of numbers that a pickle refers to; the numbers lie outside the pickle.
type internal StorageReference =
    {
        Key: string
        /// None for a block of bytes, where each tensor brings its element type.
        Element: ElementType option
        /// Numbers in the whole block.
        Count: int64
        /// Where this is a part of the block: the first number.
        Start: int64
        /// Numbers in this part.
        Length: int64
    }

/// A tensor that a pickle describes. Nothing in it has been checked against the storage.
type internal TensorReference =
    {
        Storage: StorageReference
        Element: ElementType
        Offset: int64
        Sizes: int64 list
        Strides: int64 list
    }

/// The callables that a pickle may name. None of them runs foreign code.
[<RequireQualifiedAccess>]
type internal PickleCallable =
    | OrderedDict
    | RebuildTensor
    /// With the element type among its arguments.
    | RebuildTypedTensor
    | RebuildParameter
    | StorageType of ElementType option
    | ElementType of ElementType
    | Size
    | Device
    | EncodeText

/// What a pickle can hold. Containers are mutable while the pickle is read and may contain themselves:
/// walks over them must not follow every reference.
[<RequireQualifiedAccess; ReferenceEquality>]
type internal PickleValue =
    | None
    | Bool of bool
    | Int of bigint
    | Float of float
    | Str of string
    | Bytes of ReadOnlyMemory<byte>
    /// Sets too.
    | List of ResizeArray<PickleValue>
    | Tuple of PickleValue[]
    /// In the order of insertion, so that a key may occur twice. Ordered dictionaries too.
    | Dict of ResizeArray<struct (PickleValue * PickleValue)>
    | Storage of StorageReference
    | Tensor of TensorReference
    | Callable of PickleCallable

module internal PickleCallable =

    let private storages =
        [
            "Double", ElementType.Float64
            "Float", ElementType.Float32
            "Half", ElementType.Float16
            "BFloat16", ElementType.BFloat16
            "Long", ElementType.Int64
            "Int", ElementType.Int32
            "Short", ElementType.Int16
            "Char", ElementType.Int8
            "Byte", ElementType.UInt8
            "Bool", ElementType.Bool
        ]

    let private elements =
        [
            "float64", ElementType.Float64
            "float32", ElementType.Float32
            "float16", ElementType.Float16
            "bfloat16", ElementType.BFloat16
            "int64", ElementType.Int64
            "int32", ElementType.Int32
            "int16", ElementType.Int16
            "int8", ElementType.Int8
            "uint64", ElementType.UInt64
            "uint32", ElementType.UInt32
            "uint16", ElementType.UInt16
            "uint8", ElementType.UInt8
            "bool", ElementType.Bool
        ]

    let private known =
        [
            "collections.OrderedDict", PickleCallable.OrderedDict
            "torch._utils._rebuild_tensor", PickleCallable.RebuildTensor
            "torch._utils._rebuild_tensor_v2", PickleCallable.RebuildTensor
            "torch._utils._rebuild_tensor_v3", PickleCallable.RebuildTypedTensor
            "torch._utils._rebuild_parameter", PickleCallable.RebuildParameter
            "torch.Size", PickleCallable.Size
            "torch.device", PickleCallable.Device
            "torch.storage.UntypedStorage", PickleCallable.StorageType None
            "_codecs.encode", PickleCallable.EncodeText
            for name, element in storages do
                $"torch.{name}Storage", PickleCallable.StorageType(Some element)
                $"torch.cuda.{name}Storage", PickleCallable.StorageType(Some element)
            for name, element in elements do
                $"torch.{name}", PickleCallable.ElementType element
        ]
        |> dict

    /// The callable of this name, if it is one of those that build tensors.
    let find (modul: string) (name: string) : Result<PickleCallable, string> =
        let full = $"{modul}.{name}"

        match known.TryGetValue full with
        | true, callable -> Ok callable
        | _ when
            full.StartsWith("torch.", StringComparison.Ordinal)
            && full.EndsWith("Storage", StringComparison.Ordinal)
            ->
            Error $"{full} holds numbers that are not supported; use float, double, half or bfloat16"
        | _ -> Error $"the pickle asks for {full}; only tensors can be built (save model.state_dict() alone)"
