namespace LipVerify.Core.LinearMaps

open LipVerify.Compute
open LipVerify.Core.Computation

/// The map `x ↦ W x` of a fully connected layer, `W` with shape `outputs × inputs`.
[<ReferenceEquality>]
type Dense =
    private
        {
            Matrix: Tensor
        }

    /// `W`, row-major.
    member dense.Weights = dense.Matrix

    /// Length of `W x`.
    member dense.Outputs = dense.Matrix.Shape[0]

    /// Length of `x`.
    member dense.Inputs = dense.Matrix.Shape[1]

module Dense =

    /// A dense map from a weight matrix of shape `outputs × inputs`.
    let create (weights: Tensor) =
        match weights.Shape with
        | [ outputs; inputs ] when outputs > 0 && inputs > 0 -> { Matrix = weights }
        | shape ->
            invalidArg (nameof weights) $"a dense layer needs a weight matrix outputs × inputs, not {Shape.text shape}"

    let private view (dense: Dense) =
        MatrixView.Of(dense.Matrix.Storage, dense.Inputs)

    /// `Y ← X Wᵀ`: each row of the batch `X` through the map.
    let apply (engine: IEngine) (dense: Dense) batch (x: Storage) (y: Storage) =
        engine.MatrixMultiply(
            false,
            true,
            batch,
            dense.Outputs,
            dense.Inputs,
            1.0,
            MatrixView.Of(x, dense.Inputs),
            view dense,
            0.0,
            MatrixView.Of(y, dense.Outputs)
        )

    /// `X ← Y W`: each row of the batch `Y` through the adjoint.
    let adjoint (engine: IEngine) (dense: Dense) batch (y: Storage) (x: Storage) =
        engine.MatrixMultiply(
            false,
            false,
            batch,
            dense.Inputs,
            dense.Outputs,
            1.0,
            MatrixView.Of(y, dense.Outputs),
            view dense,
            0.0,
            MatrixView.Of(x, dense.Inputs)
        )

    /// `Y ← X Wᵀ diag(s) W`: each row of the batch through the map, multiplied by `s`, and back, in one pass over the weights.
    let gram (engine: IEngine) (dense: Dense) (s: Tensor) batch (x: Storage) (y: Storage) =
        engine.MultiplyGram(dense.Outputs, dense.Inputs, dense.Matrix.Storage, s.Storage, batch, x, y)

    /// `f(s·W) x` for one input, `f` applied to each entry; the weights are not copied.
    let applyEntries (engine: IEngine) f (scale: float) (dense: Dense) (x: Storage) (y: Storage) =
        engine.MultiplyEntries(f, scale, false, dense.Outputs, dense.Inputs, dense.Matrix.Storage, x, y)

    /// `f(s·W)ᵀ y` for one output.
    let adjointEntries (engine: IEngine) f (scale: float) (dense: Dense) (y: Storage) (x: Storage) =
        engine.MultiplyEntries(f, scale, true, dense.Outputs, dense.Inputs, dense.Matrix.Storage, y, x)

    /// The map whose matrix has the entries `f w`.
    let mapEntries f (dense: Dense) = { Matrix = Tensor.map f dense.Matrix }
