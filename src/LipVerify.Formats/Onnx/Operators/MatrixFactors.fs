namespace LipVerify.Formats.OnnxGraph

open LipVerify.Core.Computation
open LipVerify.Formats

/// What MatMul and Gemm ask of their factors.
module internal MatrixFactors =

    /// A matrix of positive extents.
    let matrix (extents: Shape) (tensor: Tensor) =
        match extents with
        | [ rows; columns ] when rows > 0 && columns > 0 -> Ok(Tensor.reshape [ rows; columns ] tensor)
        | shape -> Error $"needs a matrix as its constant factor, not {Shape.text shape}"

    /// Its transpose.
    let transposed (context: NodeContext) (tensor: Tensor) =
        context.Charge(int64 tensor.Length)
        |> Result.map (fun () -> Constants.transpose [ 1; 0 ] tensor)

    /// Fails where inner extents differ.
    let fits (shape: Shape) inner (weights: Tensor) k =
        require (inner = k) (fun () ->
            $"multiplies a tensor of shape {Shape.text shape} with a matrix {Shape.text weights.Shape}; {inner} and {k} differ")

    /// Fails where a computed tensor has several rows or columns.
    let single count what shape =
        require (count = 1) (fun () ->
            $"multiplies the {count} {what}s of a computed tensor of shape {Shape.text shape}; only a batch of 1 is supported, as of torch.onnx.export(model, x[:1], …)")

    /// Why two computed factors are refused.
    let twoComputed =
        "multiplies two computed tensors, which is not supported; one factor must be constant"

    /// Why two constant factors are refused: runtimes add in different orders.
    let twoConstants = "multiplies two constants, which is not supported"
