/// Batch normalisation at inference as an affine layer.
module LipVerify.Core.BatchNormalization

/// `x ↦ γ (x − μ) / √(σ² + ε) + β`, channel by channel over inputs of the given shape: a diagonal map with the scale
/// `s = γ / √(σ² + ε)` and the bias `β − s μ`. Scale and bias, rounded to doubles, define the layer.
let layer (shape: Shape) (weight: Tensor) (bias: Tensor) (mean: Tensor) (variance: Tensor) (epsilon: float) : Layer =
    let channels = List.head shape

    for parameter in [ weight; bias; mean; variance ] do
        if parameter.Length <> channels then
            invalidArg
                (nameof shape)
                $"batch normalisation of {Shape.text shape} needs {channels} values a parameter, not {parameter.Length}"

    let perChannel = Shape.size shape / channels

    let scale =
        Array.map2 (fun g v -> g / sqrt (v + epsilon)) (Tensor.values weight) (Tensor.values variance)

    let offset =
        Array.map3 (fun b s m -> b - s * m) (Tensor.values bias) scale (Tensor.values mean)

    let spread (values: float[]) =
        Tensor.ofArray shape (Array.init (Shape.size shape) (fun i -> values[i / perChannel]))

    Layer.affine (Diagonal(spread scale)) (spread offset)
