/// The canonical form of a network, which a certificate is bound to: one line of text a node in prefix order, and the
/// tensors in the order of the lines (docs/certificates.md).
module LipVerify.Formats.CanonicalNetwork

open System
open System.Runtime.InteropServices
open System.Security.Cryptography
open System.Text
open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks

/// Key of the canonical text in the metadata of a network file.
let metadataKey = "lipverify/network/1"

let private axis (axis: WindowAxis) =
    $"{axis.Input} {axis.Kernel} {axis.Stride} {axis.PadBefore} {axis.PadAfter} {axis.Dilation} {Convert.ToInt32 axis.CeilMode}"

let private pooling (g: PoolingGeometry) =
    $"{g.Channels} {axis g.Rows} {axis g.Columns}"

let private words (shape: Shape) =
    shape |> List.map string |> String.concat " "

/// A map without its scalings: its words, its weights, the scalings from the first applied to the last, and the roundings of its
/// row factors.
let rec private describeMap map scales roundings =
    match map with
    | Scaled(scale, map) -> describeMap map (scale :: scales) roundings
    | Rounded(more, map) -> describeMap map scales (roundings + more)
    | Dense dense -> $"dense {dense.Outputs} {dense.Inputs}", [ dense.Weights ], scales, roundings
    | Convolution convolution ->
        let g = convolution.Geometry

        $"conv2d {g.InChannels} {g.OutChannels} {g.Groups} {axis g.Rows} {axis g.Columns}",
        [ convolution.Weights ],
        scales,
        roundings
    | AveragePooling average ->
        $"avgpool2d {pooling average.Geometry} {Convert.ToInt32 average.CountPadding}", [], scales, roundings
    | Sparse sparse ->
        let whole (values: int[]) =
            values |> Array.map float |> Tensor.vector

        $"sparse {Shape.size (Sparse.outputShape sparse)} {Shape.size (Sparse.inputShape sparse)}",
        [ whole sparse.RowStarts; whole sparse.Columns; sparse.Values ],
        scales,
        roundings
    | Diagonal scale -> $"diagonal {scale.Length}", [ scale ], scales, roundings

let private describeLayer layer =
    match layer with
    | Affine(map, bias) ->
        let text, weights, scales, roundings = describeMap map [] 0

        let text =
            if roundings = 0 then
                text
            else
                $"{text} rounded {roundings}"

        $"affine {scales.Length} {text}", weights @ scales @ [ bias ]
    | Activation activations ->
        match activations.Only with
        | Some only -> only.Name, []
        | None ->
            let kinds = activations.Names |> String.concat "; "
            $"activations {kinds}", [ activations.Choices |> Array.map float |> Tensor.vector ]
    | MaxPooling geometry -> $"maxpool2d {pooling geometry}", []
    | Reshape shape -> $"reshape {words shape}", []
    | Identity -> "identity", []

let rec private describe node =
    match node with
    | Leaf placed -> [ describeLayer placed.Layer ]
    | Chain nodes -> ($"series {nodes.Length}", []) :: List.collect describe nodes
    | Branches nodes -> ($"sum {nodes.Length}", []) :: List.collect describe nodes

/// Why the checker cannot follow a network, where that is so: it knows ReLU alone, and adds branches that are stacked.
let unknownToChecker (network: Network) : string option =
    let rec hasStack stages =
        stages
        |> List.exists (fun stage ->
            match stage with
            | SumStage branches -> Stage.areStacked branches || List.exists hasStack branches
            | AffineStage _
            | ActivationStage _
            | MaxPoolingStage _ -> false)

    let activation =
        Network.layers network
        |> List.tryPick (fun placed ->
            match placed.Layer with
            | Activation activations when not activations.IsRelu ->
                Some
                    $"layer {placed.Index} ({placed.Name}) is {activations.Name}, and the checker knows no activation but ReLU"
            | _ -> None)

    match activation with
    | None when hasStack (Stage.ofNetwork network) ->
        Some "the network stacks branches side by side, which the checker takes for their sum"
    | known -> known

/// The canonical text, each line ended by a line feed, and the tensors.
let form (network: Network) : string * Tensor list =
    let lines = ($"input {words network.InputShape}", []) :: describe network.Node

    lines |> List.map (fun (line, _) -> line + "\n") |> String.concat "", List.collect snd lines

let private append (hash: IncrementalHash) (tensor: Tensor) =
    if not BitConverter.IsLittleEndian then
        raise (PlatformNotSupportedException "hashes are of little-endian doubles")

    // In pieces, so that a tensor of more than 2 GiB has bytes that fit a span.
    for piece in Array.chunkBySize (1 <<< 24) (Tensor.values tensor) do
        hash.AppendData(MemoryMarshal.AsBytes(ReadOnlySpan piece))

let private hexadecimal (hash: IncrementalHash) =
    Convert.ToHexStringLower(hash.GetHashAndReset())

/// SHA-256 of a tensor's values as little-endian doubles.
let inputHash (input: Tensor) =
    use hash = IncrementalHash.CreateHash HashAlgorithmName.SHA256
    append hash input
    hexadecimal hash

/// SHA-256 of the canonical text in UTF-8, followed by the values of the tensors as little-endian doubles.
let hash (network: Network) =
    let text, tensors = form network
    use hash = IncrementalHash.CreateHash HashAlgorithmName.SHA256
    hash.AppendData(Encoding.UTF8.GetBytes text)
    List.iter (append hash) tensors
    hexadecimal hash

/// The network as a safetensors file that describes itself: the canonical text as metadata, tensors named `0`, `1`, ….
let write (network: Network) : byte[] =
    let text, tensors = form network
    Safetensors.write [ metadataKey, text ] (tensors |> List.mapi (fun i tensor -> string i, tensor))
