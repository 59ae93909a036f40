/// Files that a command is going to write, checked before the work starts.
module LipVerify.Cli.OutputFiles

open System
open System.IO
open LipVerify.Formats

/// An option with the file that it names.
type OutputFile = { Option: string; Path: string }

let private full (path: string) =
    if path = "" then "" else Path.GetFullPath path

let private sameFile a b = a <> "" && full a = full b

/// Whether a file can be written, and one beside it be made, which is how files are replaced.
let private tryWrite (path: string) =
    try
        let target = Files.finalTarget path

        // A device is written in place.
        if Files.isDevice path || Files.isDevice target then
            Ok()
        elif Files.isPipeOrSocket path then
            Error Files.pipeOrSocket
        else
            if File.Exists target then
                use _ =
                    new FileStream(target, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite)

                ()

            let probe = $"{target}.{Guid.NewGuid():N}.tmp"

            use _ =
                new FileStream(
                    probe,
                    FileMode.CreateNew,
                    FileAccess.Write,
                    FileShare.None,
                    1,
                    FileOptions.DeleteOnClose
                )

            Ok()
    with
    | :? DirectoryNotFoundException -> Error "there is no such folder"
    | :? UnauthorizedAccessException -> Error "access is denied; check the permissions"
    | :? IOException
    | :? ArgumentException
    | :? NotSupportedException as failure -> Error failure.Message

let private checkOne (sources: string list) (others: OutputFile list) (file: OutputFile) =
    let fail problem =
        Error(Usage $"{file.Option} {file.Path}: {problem}")

    if String.IsNullOrEmpty file.Path then
        Error(Usage $"{file.Option}: a file name is needed")
    elif Directory.Exists file.Path then
        fail "this is a folder; a file name is needed"
    else
        match others |> List.tryFind (fun other -> sameFile other.Path file.Path) with
        | Some other -> fail $"{other.Option} names the same file; name another one"
        | None when
            sources
            |> List.exists (fun source -> File.Exists source && sameFile source file.Path)
            ->
            fail "this would overwrite what the result is made from; name another file"
        | None ->
            tryWrite file.Path
            |> Result.mapError (fun problem -> Usage $"{file.Option} {file.Path}: {problem}")

/// Refuses outputs that cannot be written, that are the same file, or that would overwrite what they are made from.
let check (settings: Settings) model (files: OutputFile list) : Result<unit, CommandError> =
    let sources = model :: List.choose id [ settings.Input; settings.Architecture ]

    let files =
        files
        @ (settings.Output
           |> Option.map (fun path -> { Option = "--output"; Path = path })
           |> Option.toList)

    let rec checkAll (checkedFiles: OutputFile list) (files: OutputFile list) =
        match files with
        | [] -> Ok()
        | file :: rest ->
            checkOne sources checkedFiles file
            |> Result.bind (fun () -> checkAll (file :: checkedFiles) rest)

    checkAll [] files

/// Writes a text as UTF-8, whole or not at all.
let write (path: string) (text: string) : Result<unit, CommandError> =
    Files.write path (ReadOnlyMemory(Text.Encoding.UTF8.GetBytes text))
    |> Result.mapError CommandError.File
