/// Batch normalisation at inference as affine layers.
module LipVerify.Core.Networks.BatchNormalization

open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps

/// The parameters of one value a channel, spread over inputs of a shape.
let private spread (shape: Shape) (parameter: Tensor) =
    let channels = List.head shape

    if parameter.Length <> channels then
        invalidArg
            (nameof shape)
            $"batch normalisation of {Shape.text shape} needs {channels} values a parameter, not {parameter.Length}"

    let perChannel = Shape.size shape / channels
    let values = Tensor.values parameter
    Array.init (Shape.size shape) (fun i -> values[i / perChannel])

/// `x ↦ x − μ`, channel by channel over inputs of the given shape; none where all means are 0.
let centering (shape: Shape) (mean: Tensor) : Layer option =
    let means = spread shape mean

    if means |> Array.forall ((=) 0.0) then
        None
    else
        let shift = means |> Array.map (~-) |> Tensor.ofArray shape
        Some(Layer.affine (Diagonal(Tensor.create shape 1.0)) shift)

/// `x ↦ γ x / √(σ² + ε) + β`, channel by channel over inputs of the given shape. The factors are those of the formula: what
/// rounding them takes is part of the map (`Quotients`).
let scaling (shape: Shape) (weight: Tensor) (bias: Tensor) (variance: Tensor) (epsilon: float) : Layer =
    Layer.affine
        (Quotients.perDeviation shape (spread shape weight) (spread shape variance) epsilon)
        (Tensor.ofArray shape (spread shape bias))

/// `x ↦ γ (x − μ) / √(σ² + ε) + β`, channel by channel over inputs of the given shape.
let layers (shape: Shape) weight bias mean variance epsilon : Layer list =
    Option.toList (centering shape mean)
    @ [ scaling shape weight bias variance epsilon ]
