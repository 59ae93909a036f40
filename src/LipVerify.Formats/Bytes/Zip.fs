namespace LipVerify.Formats

open System
open System.Buffers.Binary
open System.Collections.Generic
open System.Text

/// One file of a zip archive, as the central directory lists it.
type internal ZipEntry =
    {
        Name: string
        Flags: int
        Method: int
        Checksum: uint32
        CompressedSize: int64
        Size: int64
        HeaderOffset: int64
    }

/// A zip archive in memory.
[<NoComparison>]
type internal ZipArchive =
    {
        /// The file, for messages.
        Source: string
        Bytes: ReadOnlyMemory<byte>
        Entries: IReadOnlyDictionary<string, ZipEntry>
    }

/// Reads zip archives: stored and deflated entries, zip64. Stored entries are slices of the file.
module internal Zip =

    let private u16 (bytes: ReadOnlyMemory<byte>) (offset: int) =
        int (BinaryPrimitives.ReadUInt16LittleEndian(bytes.Span.Slice offset))

    let private u32 (bytes: ReadOnlyMemory<byte>) (offset: int) =
        BinaryPrimitives.ReadUInt32LittleEndian(bytes.Span.Slice offset)

    // Sizes from 2⁶³ on become negative, which every range check refuses.
    let private i64 (bytes: ReadOnlyMemory<byte>) (offset: int) =
        BinaryPrimitives.ReadInt64LittleEndian(bytes.Span.Slice offset)

    let private endSize = 22

    // The end record closes the file but for a comment, whose length it holds.
    let private findEnd (bytes: ReadOnlyMemory<byte>) =
        let isEnd offset =
            u32 bytes offset = 0x06054b50u
            && offset + endSize + u16 bytes (offset + 20) = bytes.Length

        let newest = bytes.Length - endSize
        let oldest = max 0 (newest - 65535)
        seq { newest .. -1 .. oldest } |> Seq.tryFind isEnd

    /// Where the central directory lies: its number of entries, length and offset.
    let private directory (bytes: ReadOnlyMemory<byte>) (finish: int) =
        let locator = finish - 20

        let ordinary =
            int64 (u16 bytes (finish + 10)), int64 (u32 bytes (finish + 12)), int64 (u32 bytes (finish + 16))

        let isWide =
            match ordinary with
            | 0xFFFFL, _, _
            | _, 0xFFFFFFFFL, _
            | _, _, 0xFFFFFFFFL -> locator >= 0 && u32 bytes locator = 0x07064b50u
            | _ -> false

        if isWide then
            let record = i64 bytes (locator + 8)

            if
                record < 0L
                || record > int64 locator - 56L
                || u32 bytes (int record) <> 0x06064b50u
            then
                None
            else
                let record = int record
                Some(i64 bytes (record + 32), i64 bytes (record + 40), i64 bytes (record + 48))
        else
            Some ordinary

    // The zip64 extra field holds, in this order, those of the three numbers that did not fit.
    let private widen (extra: ReadOnlyMemory<byte>) (size: uint32) (compressed: uint32) (offset: uint32) =
        let rec find (extra: ReadOnlyMemory<byte>) =
            if extra.Length < 4 then
                ReadOnlyMemory.Empty
            else
                let length = min (u16 extra 2) (extra.Length - 4)

                if u16 extra 0 = 1 then
                    extra.Slice(4, length)
                else
                    find (extra.Slice(4 + length))

        let take (wide: ReadOnlyMemory<byte>) (narrow: uint32) =
            if narrow = UInt32.MaxValue && wide.Length >= 8 then
                i64 wide 0, wide.Slice 8
            else
                int64 narrow, wide

        let wide = find extra
        let size, wide = take wide size
        let compressed, wide = take wide compressed
        let offset, _ = take wide offset
        size, compressed, offset

    let private readEntry source (bytes: ReadOnlyMemory<byte>) (at: int) =
        let nameLength, extraLength, commentLength =
            u16 bytes (at + 28), u16 bytes (at + 30), u16 bytes (at + 32)

        let length = 46 + nameLength + extraLength + commentLength

        if length > bytes.Length - at then
            Error(LoadError.file source $"the zip directory is cut off at byte {at}")
        else
            let extra = bytes.Slice(at + 46 + nameLength, extraLength)

            let size, compressed, offset =
                widen extra (u32 bytes (at + 24)) (u32 bytes (at + 20)) (u32 bytes (at + 42))

            Ok(
                at + length,
                {
                    Name = Encoding.UTF8.GetString(bytes.Span.Slice(at + 46, nameLength))
                    Flags = u16 bytes (at + 8)
                    Method = u16 bytes (at + 10)
                    Checksum = u32 bytes (at + 16)
                    CompressedSize = compressed
                    Size = size
                    HeaderOffset = offset
                }
            )

    let private readEntries source (bytes: ReadOnlyMemory<byte>) (count: int64) (start: int) =
        let entries = Dictionary<string, ZipEntry>()

        let rec next remaining (at: int) =
            if remaining = 0L then
                Ok entries
            elif bytes.Length - at < 46 || u32 bytes at <> 0x02014b50u then
                Error(LoadError.file source $"the zip directory has no entry at byte {at}: the file is damaged")
            else
                match readEntry source bytes at with
                | Error error -> Error error
                | Ok(_, entry) when not (entries.TryAdd(entry.Name, entry)) ->
                    Error(LoadError.at source entry.Name "the zip archive has two entries of this name")
                | Ok(after, _) -> next (remaining - 1L) after

        next count start

    // Entries that share their data, or expand beyond all reason, are how archives explode.
    let private refuseBombs source (length: int) (entries: Dictionary<string, ZipEntry>) =
        let sum size =
            entries.Values |> Seq.sumBy (size >> max 0L >> float)

        let allowed = 100.0 * float length + 67108864.0

        if sum (fun entry -> entry.CompressedSize) > float length then
            Error(LoadError.file source "the entries of the zip archive overlap")
        elif sum (fun entry -> entry.Size) > allowed then
            Error(
                LoadError.file
                    source
                    "the zip archive expands more than hundredfold, which is refused; save it without compression"
            )
        else
            Ok entries

    /// The entries of an archive. Nothing is decompressed yet.
    let read (source: string) (bytes: ReadOnlyMemory<byte>) : Result<ZipArchive, LoadError> =
        result {
            let! finish =
                match findEnd bytes with
                | Some finish -> Ok finish
                | None ->
                    Error(LoadError.file source "the zip archive has no end record: the file is cut off or damaged")

            let! count, start =
                match directory bytes finish with
                | Some(count, length, start) when
                    start >= 0L
                    && length >= 0L
                    && start <= int64 finish
                    && length <= int64 finish - start
                    && count >= 0L
                    ->
                    Ok(count, int start)
                | _ -> Error(LoadError.file source "the zip directory lies outside the file: the file is damaged")

            let! entries = readEntries source bytes count start
            let! entries = refuseBombs source bytes.Length entries

            return
                {
                    Source = source
                    Bytes = bytes
                    Entries = entries
                }
        }

    /// Bytes of all entries together once they are decompressed. `read` has found it in proportion to the file.
    let contentLength (archive: ZipArchive) : int64 =
        archive.Entries.Values |> Seq.sumBy (fun entry -> max 0L entry.Size)

    let private dataOf (archive: ZipArchive) entry =
        let length = int64 archive.Bytes.Length
        let header = entry.HeaderOffset

        if
            header < 0L
            || header + 30L > length
            || u32 archive.Bytes (int header) <> 0x04034b50u
        then
            Error "the entry has no header where the zip directory says: the file is damaged"
        else
            let header = int header

            let start =
                int64 header
                + 30L
                + int64 (u16 archive.Bytes (header + 26))
                + int64 (u16 archive.Bytes (header + 28))

            if
                entry.CompressedSize < 0L
                || start > length
                || entry.CompressedSize > length - start
            then
                Error "the entry reaches past the end of the file: the file is cut off or damaged"
            else
                Ok(archive.Bytes.Slice(int start, int entry.CompressedSize))

    let private expand entry (data: ReadOnlyMemory<byte>) =
        match entry.Method with
        | _ when entry.Flags &&& 1 <> 0 -> Error "the entry is encrypted; save it without a password"
        | 0 when entry.Size <> entry.CompressedSize ->
            Error $"the entry declares {entry.Size} bytes and stores {entry.CompressedSize}: the file is damaged"
        | 0 -> Ok data
        | 8 when entry.Size < 0L -> Error "the entry declares a size that is not possible"
        | 8 -> Inflate.exactly Bare entry.Size data |> Result.map ReadOnlyMemory
        | number -> Error $"compression method {number} is not supported; store the entry or deflate it"

    // torch.save can leave the checksum out and then writes 0.
    let private verify entry (data: ReadOnlyMemory<byte>) =
        if entry.Checksum = 0u || Checksum.crc32 data.Span = entry.Checksum then
            Ok data
        else
            Error "the checksum of the entry differs: the file is damaged"

    /// The content of an entry.
    let extract (archive: ZipArchive) (entry: ZipEntry) : Result<ReadOnlyMemory<byte>, LoadError> =
        dataOf archive entry
        |> Result.bind (expand entry)
        |> Result.bind (verify entry)
        |> Result.mapError (LoadError.at archive.Source entry.Name)
