namespace LipVerify.Formats

open System
open System.Buffers.Binary
open System.Collections.Generic
open System.Text
open LipVerify.Core.Computation

/// Reads what `torch.save` writes, in its present form (a zip archive) and in the one before (a stream of pickles).
/// No code of the file is run.
module PyTorch =

    /// Where the numbers of a checkpoint lie.
    [<NoComparison; NoEquality>]
    type private Storages =
        {
            Order: ByteOrder
            /// The bytes of a whole storage.
            Find: StorageReference -> Result<ReadOnlyMemory<byte>, string>
        }

    let private itemSize (storage: StorageReference) =
        storage.Element |> Option.map ElementType.size |> Option.defaultValue 1

    // A part of the storage, as numbers of the tensor's element type.
    let private part (tensor: TensorReference) (bytes: ReadOnlyMemory<byte>) =
        let size = itemSize tensor.Storage
        bytes.Slice(int tensor.Storage.Start * size, int tensor.Storage.Length * size)

    let private readTensor storages (tensor: TensorReference) =
        result {
            let! shape = Extents.shape tensor.Sizes
            let! bytes = storages.Find tensor.Storage

            let! values =
                Strided.rowMajor
                    (ElementType.size tensor.Element)
                    shape
                    tensor.Strides
                    tensor.Offset
                    (part tensor bytes)

            return! TensorReading.decode tensor.Element storages.Order shape values
        }

    // Tensors may share storage and repeat values through strides of 0, so that the file's size alone bounds nothing.
    let private refuseExpansion source (fileSize: int64) (tensors: (string * TensorReference)[]) =
        let count (_, tensor: TensorReference) =
            tensor.Sizes |> List.fold (fun product size -> product * float size) 1.0

        let allowed = 4.0 * float fileSize + 1048576.0

        if Array.sumBy (count >> max 0.0) tensors > allowed then
            Error(
                LoadError.file source "the tensors expand to far more values than the file holds; save them contiguous"
            )
        else
            Ok tensors

    let private readTensors source fileSize storages value =
        let read (name, tensor) =
            readTensor storages tensor
            |> Result.map (fun tensor -> name, tensor)
            |> Result.mapError (LoadError.at source name)

        Checkpoint.stateDict source value
        |> Result.bind (refuseExpansion source fileSize)
        |> Result.bind (traverse read)

    let private checkSize (storage: StorageReference) (bytes: ReadOnlyMemory<byte>) =
        if bigint bytes.Length = bigint storage.Count * bigint (itemSize storage) then
            Ok bytes
        else
            Error
                $"storage {storage.Key} should hold {storage.Count} numbers of {itemSize storage} bytes and has {bytes.Length} bytes: the file is damaged"

    // -- zip ------------------------------------------------------------------------------------------------------

    let private pickleName = "data.pkl"

    /// The folder that holds `data.pkl`, with its slash.
    let private rootOf (archive: ZipArchive) =
        archive.Entries.Keys
        |> Seq.filter (fun name -> name = pickleName || name.EndsWith("/" + pickleName, StringComparison.Ordinal))
        |> Seq.map (fun name -> name.Substring(0, name.Length - pickleName.Length))
        |> List.ofSeq

    /// Whether an archive has the layout of torch.
    let internal isArchive (archive: ZipArchive) = not (rootOf archive).IsEmpty

    let private byteOrder (archive: ZipArchive) root =
        match archive.Entries.TryGetValue(root + "byteorder") with
        | false, _ -> Ok ByteOrder.LittleEndian
        | true, entry ->
            Zip.extract archive entry
            |> Result.bind (fun content ->
                match Encoding.UTF8.GetString content.Span with
                | "little" -> Ok ByteOrder.LittleEndian
                | "big" -> Ok ByteOrder.BigEndian
                | _ -> Error(LoadError.at archive.Source entry.Name "the byte order is neither little nor big"))

    let private archivedStorages (archive: ZipArchive) root order =
        let found = Dictionary<string, ReadOnlyMemory<byte>>()

        let extract (storage: StorageReference) =
            match archive.Entries.TryGetValue $"{root}data/{storage.Key}" with
            | false, _ -> Error $"storage {storage.Key} is missing in the archive"
            | true, entry ->
                Zip.extract archive entry
                |> Result.mapError (fun error -> $"storage {storage.Key}: {error.Problem}")
                |> Result.bind (checkSize storage)

        let find (storage: StorageReference) =
            match found.TryGetValue storage.Key with
            | true, bytes -> Ok bytes
            | _ ->
                extract storage
                |> Result.map (fun bytes ->
                    found[storage.Key] <- bytes
                    bytes)

        { Order = order; Find = find }

    /// The tensors of a state dict in an archive, by name.
    let internal ofArchive (archive: ZipArchive) : Result<(string * Tensor)[], LoadError> =
        result {
            let! root =
                match rootOf archive with
                | [ root ] -> Ok root
                | [] -> Error(LoadError.file archive.Source "the archive has no data.pkl: torch.save did not write it")
                | _ -> Error(LoadError.file archive.Source "the archive has several data.pkl")

            do!
                require (not (archive.Entries.ContainsKey(root + "constants.pkl"))) (fun () ->
                    LoadError.file
                        archive.Source
                        "this is a TorchScript program; save model.state_dict() with torch.save")

            let! order = byteOrder archive root
            let! pickle = Zip.extract archive archive.Entries[root + pickleName]
            let! unpickled = Pickle.read archive.Source pickleName pickle 0

            let storages = archivedStorages archive root order
            return! readTensors archive.Source (Zip.contentLength archive) storages unpickled.Value
        }

    // -- stream of pickles ----------------------------------------------------------------------------------------

    // Protocol 2, an integer of ten bytes: 0x1950a86a20f9469cfc6c.
    let private magic =
        [|
            0x80uy
            2uy
            0x8auy
            10uy
            0x6cuy
            0xfcuy
            0x9cuy
            0x46uy
            0xf9uy
            0x20uy
            0x6auy
            0xa8uy
            0x50uy
            0x19uy
        |]

    /// Whether the bytes start as the older form does.
    let internal isStream (bytes: ReadOnlyMemory<byte>) =
        let start = bytes.Span
        // Another pickle protocol changes the second byte, and framing puts nine bytes behind it.
        start.Length > magic.Length
        && start[0] = magic[0]
        && (start.Slice(2).StartsWith(ReadOnlySpan(magic, 2, magic.Length - 2))
            || start.Length > magic.Length + 9
               && start[2] = 0x95uy
               && start.Slice(11).StartsWith(ReadOnlySpan(magic, 2, magic.Length - 2)))

    let private keyOf source value =
        match value with
        | PickleValue.Str key -> Ok key
        | _ -> Error(LoadError.file source "the list of storages has something that is no key: the file is damaged")

    // Each storage: the count of its numbers in eight bytes, then the numbers, always little-endian.
    let private readStreamed source (bytes: ReadOnlyMemory<byte>) (unpickled: Unpickled) keys start =
        let blocks = Dictionary<string, ReadOnlyMemory<byte>>()

        let readOne at key =
            match unpickled.Storages.TryGetValue key with
            | false, _ -> Error(LoadError.at source $"at byte {at}" $"storage {key} belongs to no tensor")
            | true, storage ->
                let left = int64 (bytes.Length - at) - 8L

                let count =
                    if left < 0L then
                        -1L
                    else
                        BinaryPrimitives.ReadInt64LittleEndian(bytes.Span.Slice at)

                let size = int64 (itemSize storage)

                if left < 0L || count = storage.Count && count > left / size then
                    Error(LoadError.at source $"storage {key}" "the file ends inside it: it is cut off")
                elif count <> storage.Count then
                    Error(
                        LoadError.at
                            source
                            $"storage {key}"
                            $"it should hold {storage.Count} numbers and says {count}: the file is damaged"
                    )
                elif not (blocks.TryAdd(key, bytes.Slice(at + 8, int (count * size)))) then
                    Error(LoadError.at source $"storage {key}" "the file lists it twice")
                else
                    Ok(at + 8 + int (count * size))

        (Ok start, keys)
        ||> Array.fold (fun at key -> at |> Result.bind (fun at -> readOne at key))
        |> Result.map (fun _ -> blocks)

    /// The tensors of a state dict in the older form, by name.
    let internal ofStream (source: string) (bytes: ReadOnlyMemory<byte>) : Result<(string * Tensor)[], LoadError> =
        result {
            let! magicNumber = Pickle.read source "" bytes 0
            let! version = Pickle.read source "" bytes magicNumber.End

            do!
                match version.Value with
                | PickleValue.Int number when number = 1001I -> Ok()
                | _ ->
                    Error(LoadError.file source "a version of torch.save that is not known; version 1001 is supported")

            let! system = Pickle.read source "" bytes version.End
            let! unpickled = Pickle.read source "" bytes system.End
            let! list = Pickle.read source "" bytes unpickled.End

            let! keys =
                match list.Value with
                | PickleValue.List keys -> traverse (keyOf source) keys
                | _ -> Error(LoadError.file source "the list of storages is missing: the file is damaged")

            let! blocks = readStreamed source bytes unpickled keys list.End

            let find (storage: StorageReference) =
                match blocks.TryGetValue storage.Key with
                | true, block -> Ok block
                | _ -> Error $"storage {storage.Key} is missing in the file"

            let storages =
                {
                    Order = ByteOrder.LittleEndian
                    Find = find
                }

            return! readTensors source (int64 bytes.Length) storages unpickled.Value
        }

    /// The tensors of the state dict in a file that `torch.save` wrote, by name and in order. A state dict under a key such
    /// as `net` or `state_dict` is found. `source` names the file in messages.
    let parse (source: string) (bytes: ReadOnlyMemory<byte>) : Result<(string * Tensor)[], LoadError> =
        if isStream bytes then
            ofStream source bytes
        else
            Zip.read source bytes |> Result.bind ofArchive
