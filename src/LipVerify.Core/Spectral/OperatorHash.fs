/// A digest of an operator, from which the draws that certify it are made: nobody can shape weights after draws that change
/// with every bit of the weights.
module internal LipVerify.Core.Spectral.OperatorHash

open System.Security.Cryptography
open System.Text
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps

/// Adds the values of a tensor, whose digest is computed once.
let addValues (hash: IncrementalHash) (tensor: Tensor) = hash.AppendData(Tensor.digest tensor)

/// Adds a line of text.
let addText (hash: IncrementalHash) (text: string) =
    hash.AppendData(Encoding.UTF8.GetBytes(text + "\n"))

/// Adds a linear map.
let rec addMap (hash: IncrementalHash) map =
    match map with
    | Dense dense ->
        addText hash $"dense {Shape.text dense.Weights.Shape}"
        addValues hash dense.Weights
    | Convolution convolution ->
        addText hash $"convolution {convolution.Geometry}"
        addValues hash convolution.Weights
    | AveragePooling pooling -> addText hash $"average pooling {pooling.Geometry} {pooling.CountPadding}"
    | Sparse sparse ->
        addText hash $"sparse {Shape.text (Sparse.outputShape sparse)} {Shape.text (Sparse.inputShape sparse)}"
        addValues hash (sparse.RowStarts |> Array.map float |> Tensor.vector)
        addValues hash (sparse.Columns |> Array.map float |> Tensor.vector)
        addValues hash sparse.Values
    | Diagonal scale ->
        addText hash $"diagonal {scale.Length}"
        addValues hash scale
    | Scaled(scale, map) ->
        addText hash "scaled"
        addValues hash scale
        addMap hash map
    | Rounded(roundings, map) ->
        addText hash $"rounded {roundings}"
        addMap hash map

/// SHA-256 of the seed, the map and both diagonal factors. The digest of weights is computed once.
let compute (seed: int) (masked: MaskedMap) : byte[] =
    use hash = IncrementalHash.CreateHash HashAlgorithmName.SHA256
    hash.AppendData(Gaussian.keyOf seed)
    addMap hash masked.Map
    addValues hash masked.Rows
    addValues hash masked.Columns
    hash.GetHashAndReset()
