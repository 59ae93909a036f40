namespace LipVerify.Formats

open System
open System.IO
open LipVerify.Compute

/// Whole files, read into memory and written at once.
module Files =

    /// The largest file that is read, in bytes: 2 GiB less 57 bytes, the longest array of the runtime.
    let limit = int64 Array.MaxLength

    let private describe (failure: exn) =
        match failure with
        | :? FileNotFoundException -> "there is no such file"
        | :? DirectoryNotFoundException -> "there is no such file or folder"
        | :? UnauthorizedAccessException -> "access is denied; check the permissions"
        | :? OutOfMemoryException -> "there is not enough memory for this file"
        | _ -> failure.Message

    let private isExpected (failure: exn) =
        match failure with
        | :? IOException
        | :? UnauthorizedAccessException
        | :? Security.SecurityException
        | :? ArgumentException
        | :? NotSupportedException
        | :? OutOfMemoryException -> true
        | _ -> false

    let private guard path (action: unit -> Result<'a, LoadError>) =
        try
            action ()
        with failure when isExpected failure ->
            Error(LoadError.file path (describe failure))

    let private tooLarge path =
        Error(LoadError.file path "the file is larger than 2 GiB, the most that is read")

    let private readSeekable path (stream: FileStream) =
        if stream.Length > limit then
            tooLarge path
        else
            let bytes = LargeArrays.Allocate<byte>(int stream.Length)
            stream.ReadExactly bytes
            Ok bytes

    // A pipe has no length: it is read block by block up to the limit.
    let private readPipe path (stream: FileStream) =
        use gathered = new MemoryStream()
        let block = Array.zeroCreate<byte> 65536
        let mutable count = stream.Read(block, 0, block.Length)

        while count > 0 && gathered.Length + int64 count <= limit do
            gathered.Write(block, 0, count)
            count <- stream.Read(block, 0, block.Length)

        if count > 0 then tooLarge path else Ok(gathered.ToArray())

    /// All bytes of a file. Fails for a missing, unreadable, empty or too large file and for a folder.
    let read (path: string) : Result<byte[], LoadError> =
        let readAll () =
            use stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1)

            if stream.CanSeek then
                readSeekable path stream
            else
                readPipe path stream

        if String.IsNullOrEmpty path then
            Error(LoadError.file "\"\"" "a file name is needed")
        elif Directory.Exists path then
            Error(LoadError.file path "this is a folder; a file is needed")
        else
            guard path readAll
            |> Result.bind (fun bytes ->
                if bytes.Length = 0 then
                    Error(LoadError.file path "the file is empty")
                else
                    Ok bytes)

    /// Reads a file and hands its bytes to a parser, which also learns the path for its messages.
    let parse (parser: string -> ReadOnlyMemory<byte> -> Result<'a, LoadError>) (path: string) : Result<'a, LoadError> =
        let parseAll bytes =
            try
                parser path (ReadOnlyMemory<byte> bytes)
            with :? OutOfMemoryException as failure ->
                Error(LoadError.file path (describe failure))

        read path |> Result.bind parseAll

    // Renaming over a device or a descriptor would replace it by a plain file.
    let private isDevice (path: string) =
        path.StartsWith("/dev/", StringComparison.Ordinal)
        || path.StartsWith("/proc/", StringComparison.Ordinal)

    let private finalTarget (link: string) =
        match File.ResolveLinkTarget(link, returnFinalTarget = true) with
        | null -> Path.GetFullPath link
        | target -> target.FullName

    let private replace (path: string) (bytes: ReadOnlySpan<byte>) =
        let temporary = $"{path}.{Guid.NewGuid():N}.tmp"

        try
            use stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write)
            stream.Write bytes
            stream.Flush(flushToDisk = true)
            stream.Close()
            File.Move(temporary, path, overwrite = true)
        finally
            File.Delete temporary

    /// Writes a file so that readers see the old content or the new one, never a part: to a temporary file beside it,
    /// which then takes its name. A link stays and its target is replaced.
    let write (path: string) (bytes: ReadOnlyMemory<byte>) : Result<unit, LoadError> =
        let writeAll () =
            let target =
                if isNull (FileInfo(path).LinkTarget) then
                    Path.GetFullPath path
                else
                    finalTarget path

            if isDevice (Path.GetFullPath path) then
                use stream = new FileStream(path, FileMode.Open, FileAccess.Write)
                stream.Write bytes.Span
            else
                replace target bytes.Span

            Ok()

        if String.IsNullOrEmpty path then
            Error(LoadError.file "\"\"" "a file name is needed")
        elif Directory.Exists path then
            Error(LoadError.file path "this is a folder; a file name is needed")
        else
            guard path writeAll
