namespace LipVerify.Formats

open System
open System.Collections.Generic
open LipVerify.Core.Computation
open LipVerify.Core.Networks

/// A network and what was noticed while it was loaded.
[<ReferenceEquality>]
type LoadedModel =
    {
        /// The network.
        Network: Network
        /// The softmax at the end of the model, which the network leaves out.
        Softmax: Softmax option
        /// Remarks for the user, for example that a final softmax was left out.
        Notices: string list
    }

    /// The outputs of the file, from those of the network.
    member model.OutputsOf(values: float[]) =
        match model.Softmax with
        | Some softmax -> Softmax.apply softmax values
        | None -> values

/// From what a user names as MODEL to a network: a file, or `zoo:NAME[?seed=N]`.
module ModelSource =

    let private withoutRemarks network =
        {
            Network = network
            Softmax = None
            Notices = []
        }

    let private zooPrefix = "zoo:"

    let private fromZoo (model: string) =
        SeedSuffix.parse (model.Substring zooPrefix.Length)
        |> Result.bind (fun (name, seed) -> Zoo.create name seed)
        |> Result.map withoutRemarks
        |> Result.mapError (LoadError.file model)

    let private architecture (name: string) =
        match KnownArchitectures.tryFind name with
        | Some known -> Ok known
        | None when name.EndsWith(".json", StringComparison.OrdinalIgnoreCase) -> ArchitectureFile.load name
        | None -> Error(LoadError.file name $"no such architecture; known are {KnownArchitectures.names} and FILE.json")

    /// Parameters of a state dict by name, with their shapes checked; `used` collects the names asked for.
    let private parameters (stateDict: StateDict) (used: HashSet<string>) : ParameterSource =
        fun name shape ->
            used.Add name |> ignore

            match stateDict.TryFind name with
            | None -> Error $"the file has no tensor \"{name}\""
            | Some tensor when tensor.Shape = shape -> Ok tensor
            | Some tensor ->
                Error $"{name} should have shape {Shape.text shape}, but has {Shape.text tensor.Shape} in the file"

    /// Tensors that no layer uses: the file belongs to another architecture. Batch counters of training are no parameters.
    let private requireAllUsed (stateDict: StateDict) (used: HashSet<string>) =
        let unused =
            stateDict.Tensors
            |> Seq.map fst
            |> Seq.filter (fun name ->
                not (
                    used.Contains name
                    || name.EndsWith("num_batches_tracked", StringComparison.Ordinal)
                ))
            |> List.ofSeq

        match unused with
        | [] -> Ok()
        | first :: rest ->
            let others = if rest.IsEmpty then "" else $" and {rest.Length} more"
            Error $"the file holds \"{first}\"{others}, which the architecture does not use"

    let private fromStateDict (model: string) (stateDict: StateDict) (architecture: Architecture) =
        let used = HashSet<string>()

        result {
            let! network = Architecture.build (parameters stateDict used) architecture
            do! requireAllUsed stateDict used
            return withoutRemarks network
        }
        |> Result.mapError (LoadError.at model $"architecture {architecture.Name}")

    let private isOnnx (model: string) =
        model.EndsWith(".onnx", StringComparison.OrdinalIgnoreCase)

    /// Loads the network. A state dict needs the name of its architecture; an ONNX file or the zoo must not be given one.
    let load (model: string) (architectureName: string option) : Result<LoadedModel, LoadError> =
        let carriesItsOwn what =
            Error(LoadError.file model $"{what} carries its own architecture; leave out --architecture")

        match architectureName with
        | Some _ when model.StartsWith(zooPrefix, StringComparison.Ordinal) -> carriesItsOwn "a network of the zoo"
        | None when model.StartsWith(zooPrefix, StringComparison.Ordinal) -> fromZoo model
        | Some _ when isOnnx model -> carriesItsOwn "an ONNX file"
        | None when isOnnx model ->
            Onnx.load model
            |> Result.map (fun onnx ->
                {
                    Network = onnx.Network
                    Softmax = onnx.Softmax
                    Notices = onnx.Notices
                })
        | Some name ->
            result {
                let! architecture = architecture name
                let! stateDict = StateDict.load model
                return! fromStateDict model stateDict architecture
            }
        | None ->
            StateDict.load model
            |> Result.bind (fun _ ->
                Error(
                    LoadError.file model $"a state dict needs --architecture {KnownArchitectures.names} or FILE.json"
                ))
