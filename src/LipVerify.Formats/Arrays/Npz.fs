namespace LipVerify.Formats

open System
open LipVerify.Core.Computation

/// Reads zip archives of numpy arrays, stored or compressed.
module Npz =

    let private suffix = ".npy"

    let private isArray (entry: ZipEntry) =
        entry.Name.EndsWith(suffix, StringComparison.Ordinal)

    /// Whether an archive holds arrays of numpy.
    let internal isArchive (archive: ZipArchive) =
        Seq.exists isArray archive.Entries.Values

    /// The arrays of an archive, by name.
    let internal ofArchive (archive: ZipArchive) : Result<(string * Tensor)[], LoadError> =
        let read (entry: ZipEntry) =
            Zip.extract archive entry
            |> Result.bind (Npy.parse archive.Source)
            |> Result.map (fun tensor -> entry.Name.Substring(0, entry.Name.Length - suffix.Length), tensor)
            |> Result.mapError (fun error -> { error with Place = entry.Name })

        if isArchive archive then
            archive.Entries.Values |> Seq.filter isArray |> traverse read
        else
            Error(LoadError.file archive.Source "the archive holds no arrays of numpy (.npy)")

    /// The arrays of an npz file, by name (`arr_0` and so on where `savez` was given none). Every value must be finite.
    /// `source` names the file in messages.
    let parse (source: string) (bytes: ReadOnlyMemory<byte>) : Result<(string * Tensor)[], LoadError> =
        Zip.read source bytes |> Result.bind ofArchive

    /// The arrays of an npz file, by name.
    let load (path: string) : Result<(string * Tensor)[], LoadError> = Files.parse parse path
