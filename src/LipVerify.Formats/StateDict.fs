namespace LipVerify.Formats

open System
open System.Collections.Generic
open LipVerify.Core.Computation

/// The named tensors of a trained model, all of them finite.
[<ReferenceEquality>]
type StateDict =
    private
        {
            Origin: string
            Entries: (string * Tensor)[]
            Index: Dictionary<string, Tensor>
        }

    /// The file that they come from.
    member state.Source = state.Origin

    /// Names and tensors in the order of the file.
    member state.Tensors: IReadOnlyList<string * Tensor> = state.Entries

    /// The tensor of a name.
    member state.TryFind(name: string) : Tensor option =
        match state.Index.TryGetValue name with
        | true, tensor -> Some tensor
        | _ -> None

/// Loading of state dicts in every format that holds one.
module StateDict =

    /// What wrappers for several devices and for compilation put in front of every name.
    let private wrappers = [ "module."; "_orig_mod." ]

    let rec private unwrap (entries: (string * Tensor)[]) =
        let isCommon (wrapper: string) =
            entries.Length > 0
            && entries
               |> Array.forall (fun (name, _) -> name.StartsWith(wrapper, StringComparison.Ordinal))

        match List.tryFind isCommon wrappers with
        | Some wrapper ->
            entries
            |> Array.map (fun (name, tensor) -> name.Substring wrapper.Length, tensor)
            |> unwrap
        | None -> entries

    let private index source (entries: (string * Tensor)[]) =
        let index = Dictionary<string, Tensor>(entries.Length)

        entries
        |> traverse (fun (name, tensor) ->
            if index.TryAdd(name, tensor) then
                Ok()
            else
                Error(LoadError.at source name "the file has two tensors of this name"))
        |> Result.map (fun _ -> index)

    /// A state dict of these tensors. Fails for a name that occurs twice and for a value that is not finite. A prefix
    /// `module.` or `_orig_mod.` that all names share is taken off.
    let create (source: string) (entries: (string * Tensor) seq) : Result<StateDict, LoadError> =
        result {
            let entries = unwrap (Array.ofSeq entries)

            let! _ =
                entries
                |> traverse (fun (name, tensor) -> TensorReading.finite source name tensor)

            let! index = index source entries

            return
                {
                    Origin = source
                    Entries = entries
                    Index = index
                }
        }

    let private isZip (bytes: ReadOnlyMemory<byte>) =
        let start = bytes.Span

        start.Length > 4
        && start[0] = byte 'P'
        && start[1] = byte 'K'
        && start[2] < 9uy
        && start[3] < 9uy

    let private isPickle (bytes: ReadOnlyMemory<byte>) =
        bytes.Length > 2 && bytes.Span[0] = 0x80uy && bytes.Span[1] <= 5uy

    let private ofArchive (archive: ZipArchive) =
        if PyTorch.isArchive archive then
            PyTorch.ofArchive archive
        elif Npz.isArchive archive then
            Npz.ofArchive archive
        else
            Error(
                LoadError.file
                    archive.Source
                    "the zip archive holds neither data.pkl (torch.save) nor .npy (numpy.savez)"
            )

    let private tensorsOf source bytes =
        if isZip bytes then
            Zip.read source bytes |> Result.bind ofArchive
        elif PyTorch.isStream bytes then
            PyTorch.ofStream source bytes
        elif Safetensors.isSafetensors bytes then
            Safetensors.parse source bytes
        elif isPickle bytes then
            Error(
                LoadError.file source "a pickle that torch.save did not write; save model.state_dict() with torch.save"
            )
        elif Npy.isNpy bytes then
            Error(LoadError.file source "a single array; a state dict needs names, as numpy.savez writes them")
        else
            Error(LoadError.file source "no state dict: it is neither of torch.save, nor safetensors, nor npz")

    /// The state dict in the bytes of a file, whose format shows in its first bytes. `source` names the file in messages.
    let parse (source: string) (bytes: ReadOnlyMemory<byte>) : Result<StateDict, LoadError> =
        tensorsOf source bytes |> Result.bind (create source)

    /// The state dict in a file of torch (both forms), safetensors or npz. The content tells the format, not the name.
    let load (path: string) : Result<StateDict, LoadError> = Files.parse parse path
