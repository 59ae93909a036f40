namespace LipVerify.Formats

open System
open System.Text

/// What the callables of a pickle make of their arguments.
module internal PickleCall =

    let private (|Int64|_|) value =
        match value with
        | PickleValue.Int number when abs number <= bigint Int64.MaxValue -> Some(int64 number)
        | _ -> None

    // The length is checked first: a pickle can name one long tuple many times.
    let private (|Sizes|_|) value =
        match value with
        | PickleValue.Tuple items when items.Length <= Extents.maximalRank ->
            let numbers = items |> Array.choose (|Int64|_|)

            if numbers.Length = items.Length then
                Some(List.ofArray numbers)
            else
                None
        | _ -> None

    let private tensor (storage: StorageReference) element offset sizes strides =
        PickleValue.Tensor
            {
                Storage = storage
                Element = element
                Offset = offset
                Sizes = sizes
                Strides = strides
            }

    let private pair item =
        match item with
        | PickleValue.Tuple [| key; value |] -> Ok(struct (key, value))
        | PickleValue.List pair when pair.Count = 2 -> Ok(struct (pair[0], pair[1]))
        | _ -> Error "an ordered dictionary is made of something that is no pair"

    let private rebuildTensor (arguments: PickleValue[]) =
        match Array.truncate 4 arguments with
        | [| PickleValue.Storage({ Element = Some element } as storage); Int64 offset; Sizes sizes; Sizes strides |] ->
            Ok(tensor storage element offset sizes strides)
        | _ ->
            Error
                "a tensor is described by something else than storage, offset, sizes and strides of 64 dimensions at most"

    let private rebuildTypedTensor (arguments: PickleValue[]) =
        match Array.truncate 7 arguments with
        | [| PickleValue.Storage({ Element = None } as storage)
             Int64 offset
             Sizes sizes
             Sizes strides
             _
             _
             PickleValue.Callable(PickleCallable.ElementType element) |] ->
            Ok(tensor storage element offset sizes strides)
        | _ ->
            Error
                "a tensor is described by something else than storage, offset, sizes, strides (64 at most) and element type"

    /// The value of a call. `charge n` fails when the pickle has already had more values copied than it has bytes.
    let apply (charge: int -> Result<unit, string>) callable (arguments: PickleValue[]) : Result<PickleValue, string> =
        match callable, arguments with
        | PickleCallable.OrderedDict, [||] -> Ok(PickleValue.Dict(ResizeArray()))
        | PickleCallable.OrderedDict, [| PickleValue.List items |] ->
            charge items.Count
            |> Result.bind (fun () -> traverse pair items)
            |> Result.map (fun pairs -> PickleValue.Dict(ResizeArray pairs))
        | PickleCallable.RebuildTensor, _ -> rebuildTensor arguments
        | PickleCallable.RebuildTypedTensor, _ -> rebuildTypedTensor arguments
        | PickleCallable.RebuildParameter, [| PickleValue.Tensor _ as tensor; _; _ |]
        | PickleCallable.Size, [| PickleValue.Tuple _ as tensor |]
        | PickleCallable.Device, [| PickleValue.Str _ as tensor |]
        | PickleCallable.Device, [| PickleValue.Str _ as tensor; PickleValue.Int _ |] -> Ok tensor
        | PickleCallable.EncodeText, [| PickleValue.Str text; PickleValue.Str _ |] ->
            charge text.Length
            |> Result.map (fun () -> PickleValue.Bytes(ReadOnlyMemory(Encoding.Latin1.GetBytes text)))
        | _ -> Error "the pickle makes a call whose arguments do not fit: the file is damaged"

    let private storage element key count start length =
        if count < 0L then
            Error $"storage {key} has a negative size"
        elif start < 0L || length < 0L || start > count || length > count - start then
            Error $"a view reaches past the {count} values of storage {key}"
        else
            Ok
                {
                    Key = key
                    Element = element
                    Count = count
                    Start = start
                    Length = length
                }

    /// The storage of a persistent identifier: `('storage', type, key, location, count)` and, in older files, None or
    /// `(view key, offset, size)` behind it.
    let storageOf identifier : Result<StorageReference, string> =
        match identifier with
        | PickleValue.Tuple [| PickleValue.Str "storage"
                               PickleValue.Callable(PickleCallable.StorageType element)
                               PickleValue.Str key
                               _
                               Int64 count |]
        | PickleValue.Tuple [| PickleValue.Str "storage"
                               PickleValue.Callable(PickleCallable.StorageType element)
                               PickleValue.Str key
                               _
                               Int64 count
                               PickleValue.None |] -> storage element key count 0L count
        | PickleValue.Tuple [| PickleValue.Str "storage"
                               PickleValue.Callable(PickleCallable.StorageType element)
                               PickleValue.Str key
                               _
                               Int64 count
                               PickleValue.Tuple [| _; Int64 start; Int64 length |] |] ->
            storage element key count start length
        | _ -> Error "the pickle refers to something outside that is no storage of numbers"
