namespace LipVerify.Core.Networks

open System
open System.Numerics.Tensors
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Activations

/// Computed values on their way through a network, with two bounds on what rounding has made of them.
[<ReferenceEquality>]
type NominalWalk =
    {
        /// The values, and how far each may lie from the exact one.
        At: EnclosedTensor
        /// How far they lie from the exact ones together, in the 2-norm.
        Off: float
    }

/// Errors of entries are carried by absolute values, which grow from layer to layer as if all errors conspired; what they amount to together is
/// carried by the norms of maps. Both hold.
module internal NominalWalk =

    /// An input that is exact.
    let start (input: Tensor) =
        {
            At = EnclosedTensor.exact input
            Off = 0.0
        }

    /// The 2-norm, rounded upward.
    let lengthUp (tensor: Tensor) =
        let length = TensorPrimitives.Norm(ReadOnlySpan(Tensor.values tensor))
        let vanished = 1e-150 * sqrt (float tensor.Length)
        Rounding.addUp (Rounding.mulUp length (1.0 + Rounding.gamma (tensor.Length + 16))) vanished

    /// Affine layers whose map together has at most this norm.
    let affine (engine: IEngine) (layers: PlacedLayer list) (norm: float) (walk: NominalWalk) =
        let exact = (EnclosedTensor.exact walk.At.Value).Error

        let struct (value, errors) =
            (struct (walk.At.Value, [ walk.At.Error; exact ]), layers)
            ||> List.fold (fun (struct (value, errors)) placed ->
                match placed.Layer with
                | Affine(map, _) -> EnclosedTensor.affine engine placed.Layer map value errors
                | _ -> invalidOp "an affine stage has a layer that is not affine")

        let carried, own = errors[0], errors[1]
        let further = if walk.Off = 0.0 then 0.0 else Rounding.mulUp norm walk.Off

        let together (carried: float) own =
            let bound = Rounding.addUp own further
            if bound < carried then bound else carried

        let error = Tensor.map2 together carried own

        {
            At = { Value = value; Error = error }
            // Whichever is less: the sum over entries may be.
            Off = min (Rounding.addUp further (lengthUp own)) (lengthUp error)
        }

    /// Activations, which move two values further apart by their largest slope at most. Those of a ReLU are computed without rounding.
    let activate (engine: IEngine) (activations: EntryActivations) (walk: NominalWalk) =
        let after = EnclosedTensor.activate engine activations walk.At

        if activations.IsRelu then
            { walk with At = after }
        else
            let own =
                EnclosedTensor.activate engine activations (EnclosedTensor.exact walk.At.Value)

            let carried = Rounding.mulUp (SlopeIntervals.size activations.Global) walk.Off

            {
                At = after
                Off = min (Rounding.addUp carried (lengthUp own.Error)) (lengthUp after.Error)
            }
