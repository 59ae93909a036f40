namespace LipVerify.Formats

open System
open System.Globalization
open System.IO
open LipVerify.Compute

/// Whole files, read into memory and written at once.
module Files =

    /// The largest file that is read, in bytes: 2 GiB less 57 bytes, the longest array of the runtime.
    let limit = int64 Array.MaxLength

    let private sizeText (bytes: int64) =
        let unit, name =
            if bytes < (1L <<< 30) then
                1L <<< 20, "MiB"
            else
                1L <<< 30, "GiB"

        let number = float bytes / float unit
        number.ToString("0.#", CultureInfo.InvariantCulture) + $" {name}"

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

    // What `git lfs` leaves in the place of a file until it is fetched.
    let private isPointer (bytes: byte[]) =
        ReadOnlySpan(bytes).StartsWith "version https://git-lfs.github.com/spec/v1"B

    let private nothingToRead (file: FileInfo) =
        if isNull file.LinkTarget then
            "the file is empty, or it is a device, pipe or socket; a regular file with content is needed"
        else
            "the link leads to an empty file, a device or a pipe, or there is no such file; a regular file with content is needed"

    /// The size of what a path leads to. Opening a pipe waits for a writer, and a device may never end: neither they nor sockets
    /// have a size, so that they are refused unopened, as empty files are.
    let private sizeOf path =
        let file = FileInfo path

        let target =
            match file.ResolveLinkTarget(returnFinalTarget = true) with
            | null -> file
            | target -> FileInfo target.FullName

        if not file.Exists then
            Error(LoadError.file path "there is no such file")
        elif not target.Exists || target.Length = 0L then
            Error(LoadError.file path (nothingToRead file))
        else
            Ok target.Length

    let private bytesOf path =
        use stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1)
        let bytes = LargeArrays.Allocate<byte>(int stream.Length)
        stream.ReadExactly bytes

        if isPointer bytes then
            Error(
                LoadError.file
                    path
                    "this is a Git LFS pointer in the place of the file; `git lfs pull` fetches the file"
            )
        else
            Ok bytes

    /// Fails unless the path leads to a regular file with content of at most `most` bytes; `reason` says why there are no more.
    let require (most: int64) (reason: string) (path: string) : Result<unit, LoadError> =
        if String.IsNullOrEmpty path then
            Error(LoadError.file "\"\"" "a file name is needed")
        elif Directory.Exists path then
            Error(LoadError.file path "this is a folder; a file is needed")
        else
            guard path (fun () -> sizeOf path)
            |> Result.bind (fun size ->
                if size > most then
                    Error(LoadError.file path $"the file is larger than {sizeText most}, {reason}")
                else
                    Ok())

    /// All bytes of a file that `require` lets pass.
    let readAtMost most reason path : Result<byte[], LoadError> =
        require most reason path
        |> Result.bind (fun () -> guard path (fun () -> bytesOf path))

    /// Reads a file of at most `most` bytes and hands its bytes to a parser, which also learns the path for its messages.
    let parseAtMost
        most
        reason
        (parser: string -> ReadOnlyMemory<byte> -> Result<'a, LoadError>)
        (path: string)
        : Result<'a, LoadError> =
        let parseAll bytes =
            try
                parser path (ReadOnlyMemory<byte> bytes)
            with :? OutOfMemoryException as failure ->
                Error(LoadError.file path (describe failure))

        readAtMost most reason path |> Result.bind parseAll

    /// Reads a whole file and hands its bytes to a parser.
    let parse parser (path: string) : Result<'a, LoadError> =
        parseAtMost limit "the most that is read" parser path

    /// Whether the path names a device or a descriptor, which is written in place: renaming over it would replace it by a plain file.
    let isDevice (path: string) =
        let full = Path.GetFullPath path

        full.StartsWith("/dev/", StringComparison.Ordinal)
        || full.StartsWith("/proc/", StringComparison.Ordinal)

    /// The full path of what is written: where links lead in the end, to a file that need not be there yet.
    let finalTarget (path: string) =
        if isNull (FileInfo(path).LinkTarget) then
            Path.GetFullPath path
        else
            match File.ResolveLinkTarget(path, returnFinalTarget = true) with
            | null -> Path.GetFullPath path
            | target -> target.FullName

    /// Whether the path leads to a pipe or a socket, which replacing would destroy and writing to would wait for. Opening a pipe for
    /// both directions does not wait; a socket does not open.
    let isPipeOrSocket (path: string) =
        let opensAsFile () =
            try
                use stream =
                    new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, 1)

                stream.CanSeek
            with
            | :? FileNotFoundException
            | :? DirectoryNotFoundException -> true
            | :? IOException -> false

        let target = finalTarget path

        // What has a size is a regular file.
        not (isDevice path || isDevice target)
        && File.Exists target
        && FileInfo(target).Length = 0L
        && not (opensAsFile ())

    /// What is said of such an output.
    let pipeOrSocket =
        "this is a pipe or socket; a regular file is needed, or a device as /dev/stdout"

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
            let target = finalTarget path

            if isDevice path || isDevice target then
                use stream = new FileStream(path, FileMode.Open, FileAccess.Write)
                stream.Write bytes.Span
                Ok()
            elif isPipeOrSocket target then
                Error(LoadError.file path pipeOrSocket)
            else
                replace target bytes.Span
                Ok()

        if String.IsNullOrEmpty path then
            Error(LoadError.file "\"\"" "a file name is needed")
        elif Directory.Exists path then
            Error(LoadError.file path "this is a folder; a file name is needed")
        else
            guard path writeAll
