/// Regular files of bounded size. Nothing else is opened: a pipe would wait for a writer, and a device may never end.
module LipVerify.Checker.Files

open System
open System.IO
open LipVerify.Checker.Json

/// More bytes than a certificate takes of a network that is covered: a claim takes some 300 bytes for each of at most 10 000
/// layers; multipliers, of which there are at most 4000, take 100 kB for all slopes and again for each of some hundred places
/// where reaches are narrowed, and entries and members of windows some 60 bytes each; structured certificates take 15 bytes for a
/// member of a window and 100 for a slope that is not known.
let mostOfCertificate = 32L <<< 20

/// The longest array of the runtime.
let private mostOfAll = int64 Array.MaxLength

let private isPointer (bytes: byte[]) =
    ReadOnlySpan(bytes).StartsWith "version https://git-lfs.github.com/spec/v1"B

/// The file that a link leads to. Devices, pipes and sockets have no size.
let private target (path: string) =
    match File.ResolveLinkTarget(path, returnFinalTarget = true) with
    | null -> FileInfo path
    | target -> FileInfo target.FullName

let private readAtMost most (path: string) =
    let refuse problem = refuse $"{path}: {problem}"

    try
        if Directory.Exists path then
            refuse "this is a folder; a file is needed"

        let file = target path

        if not file.Exists then
            refuse "there is no such file"

        if file.Length = 0L then
            refuse "the file is empty, or it is a device, pipe or socket; a regular file with content is needed"

        if file.Length > most then
            refuse $"the file has {file.Length} bytes; at most {most} are read"

        let bytes = File.ReadAllBytes path

        if isPointer bytes then
            refuse "this is a Git LFS pointer in the place of the file; `git lfs pull` fetches the file"

        bytes
    with
    | :? IOException
    | :? ArgumentException
    | :? UnauthorizedAccessException as failure -> refuse failure.Message

/// The bytes of a certificate.
let readCertificate path = readAtMost mostOfCertificate path

/// The bytes of a network or input.
let read path = readAtMost mostOfAll path
