/// Random networks with one hidden layer and one output.
module LipVerify.Samples.PolynomialBounds.RandomNetwork

open System
open LipVerify.Core.Computation
open LipVerify.Core.Networks

/// A number with the standard normal distribution.
let gaussian (random: Random) =
    sqrt (-2.0 * log (1.0 - random.NextDouble()))
    * cos (2.0 * Math.PI * random.NextDouble())

/// `x ↦ C·relu(A x + b) + d`.
let network (weights: float[,]) (bias: float[]) (output: float[,]) (offset: float[]) =
    let dense (matrix: float[,]) bias =
        let shape = [ Array2D.length1 matrix; Array2D.length2 matrix ]
        Layer.dense (Tensor.ofArray shape (matrix |> Seq.cast<float> |> Array.ofSeq)) (Tensor.vector bias)

    Series
        [
            Step("hidden", dense weights bias)
            Step("relu", Layer.relu)
            Step("output", dense output offset)
        ]
    |> Network.create [ Array2D.length2 weights ]
    |> Result.defaultWith failwith

/// `size` inputs and hidden units. Each unit reads `connections` inputs drawn at random; weights are normal, of variance one over
/// the number of connections, as are those of the output, of variance `1/size`.
let sparse size connections seed =
    let random = Random(1000 * connections + seed)
    let weights = Array2D.zeroCreate size size

    for i in 0 .. size - 1 do
        let inputs = [| 0 .. size - 1 |]
        random.Shuffle inputs

        for j in Array.take connections inputs do
            weights[i, j] <- gaussian random / sqrt (float connections)

    let bias = Array.init size (fun _ -> gaussian random)
    let output = Array2D.init 1 size (fun _ _ -> gaussian random / sqrt (float size))
    weights, bias, output
