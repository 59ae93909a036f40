namespace LipVerify.Core.Networks

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Activations

/// Computed values and how far each may lie from the exact one: `|computed − exact| ≤ Error`, entry by entry.
[<ReferenceEquality>]
type EnclosedTensor =
    {
        /// The computed values.
        Value: Tensor
        /// Bounds on their errors, non-negative.
        Error: Tensor
    }

/// Evaluation of layers with rounding enclosed (METHODS section 5): a second pass over absolute values bounds the
/// rounding of the first and carries the error of its input.
module EnclosedTensor =

    /// Values that are exact.
    let exact (value: Tensor) =
        {
            Value = value
            Error = Tensor.create value.Shape 0.0
        }

    /// The largest exact values that the enclosure allows, rounded upward.
    let upperEnd enclosed =
        Tensor.map2 Rounding.addUp enclosed.Value enclosed.Error

    /// Added to every magnitude that is not zero. It is far below any rounding that matters, and keeps the sum over absolute
    /// values above zero wherever a product of the first pass may have underflowed.
    let private whisper = Math.ScaleB(1.0, -500)

    /// `γ_k|x| + e` and the whisper, rounded upward.
    let private magnitude gamma (x: float) (e: float) =
        if x = 0.0 && e = 0.0 then
            0.0
        else
            Rounding.addUp (Rounding.addUp (Rounding.mulUp gamma (abs x)) e) whisper

    /// `|fl(A x̂ + b) − (A x + b)| ≤ γ_k |A||x̂| + |A| e + 2u|ŷ|`, for the computed `x̂` and `ŷ`; one a bound `e` on the error of `x̂`.
    let internal affine
        (engine: IEngine)
        layer
        map
        (input: Tensor)
        (errors: Tensor list)
        : struct (Tensor * Tensor list) =
        let value =
            Layer.apply engine layer 1 input.Storage
            |> Tensor.ofStorage (LinearMap.outputShape map)

        let gamma = Rounding.gamma (LinearMap.termsInRow map)
        let underflow = float (LinearMap.termsInRow map + 1) * Double.Epsilon

        // With entries above the whisper every product of the second pass is a positive number, so a sum of 0 has no terms.
        let mayVanish = LinearMap.smallestEntry map < whisper

        let bound carried (y: float) =
            if carried = 0.0 && not mayVanish then
                Rounding.mulUp (2.0 * Rounding.unitRoundoff) (abs y)
            else
                Rounding.addUp (Rounding.addUp carried underflow) (Rounding.mulUp (2.0 * Rounding.unitRoundoff) (abs y))

        let enclose error =
            let magnitudes = Tensor.map2 (magnitude gamma) input error
            Tensor.map2 bound (RowNorms.absoluteRowSums engine map magnitudes) value

        struct (value, List.map enclose errors)

    /// The activations of enclosed pre-activations.
    let activate (engine: IEngine) (activations: EntryActivations) enclosed =
        let values, errors = Tensor.values enclosed.Value, Tensor.values enclosed.Error

        let error i =
            let struct (_, error) = activations[i].Enclose values[i] errors[i]
            error

        {
            Value =
                Layer.apply engine (Activation activations) 1 enclosed.Value.Storage
                |> Tensor.ofStorage enclosed.Value.Shape
            Error = Array.Parallel.init values.Length error |> Tensor.ofArray enclosed.Value.Shape
        }

    /// A maximum moves by at most the largest move of its members.
    let private maxPooling (engine: IEngine) layer output enclosed =
        let pool (tensor: Tensor) =
            Layer.apply engine layer 1 tensor.Storage |> Tensor.ofStorage output

        {
            Value = pool enclosed.Value
            Error = pool enclosed.Error
        }

    /// `layer` at an enclosed input, in the shape that the layer gives it.
    let apply (engine: IEngine) (placed: PlacedLayer) enclosed =
        match placed.Layer with
        | Affine(map, _) ->
            let struct (value, errors) =
                affine engine placed.Layer map enclosed.Value [ enclosed.Error ]

            { Value = value; Error = errors.Head }
        | Activation activations -> activate engine activations enclosed
        | MaxPooling _ -> maxPooling engine placed.Layer placed.Output enclosed
        | Reshape shape ->
            {
                Value = Tensor.reshape shape enclosed.Value
                Error = Tensor.reshape shape enclosed.Error
            }
        | Identity -> enclosed

    /// The sum of two enclosed tensors.
    let add a b =
        let value = Tensor.map2 (+) a.Value b.Value

        let rounding =
            value
            |> Tensor.map (fun y -> Rounding.mulUp (2.0 * Rounding.unitRoundoff) (abs y))

        {
            Value = value
            Error = Tensor.map2 Rounding.addUp (Tensor.map2 Rounding.addUp a.Error b.Error) rounding
        }

    let private lastLayer node =
        let rec last node =
            match node with
            | Leaf placed -> Some placed
            | Chain nodes
            | Branches nodes -> nodes |> List.rev |> List.tryPick last

        last node

    /// The value behind `node`, or the place at which one is not `accepted`.
    let rec private run (context: Context) (accepted: EnclosedTensor -> bool) enclosed node =
        Context.check context

        let check place enclosed =
            if accepted enclosed then Ok enclosed else Error place

        match node with
        | Leaf placed ->
            apply context.Engine placed enclosed
            |> check $"layer {placed.Index} ({placed.Name})"
        | Chain nodes ->
            (Ok enclosed, nodes)
            ||> List.fold (fun before node -> before |> Result.bind (fun before -> run context accepted before node))
        | Branches nodes ->
            let place =
                match lastLayer node with
                | Some placed -> $"the sum behind layer {placed.Index} ({placed.Name})"
                | None -> "a sum"

            nodes
            |> List.map (run context accepted enclosed)
            |> List.reduce (fun a b -> a |> Result.bind (fun a -> b |> Result.bind (fun b -> add a b |> check place)))

    let private ofInput (network: Network) (input: Tensor) =
        exact (Tensor.reshape network.InputShape input)

    /// `f(x)` with its rounding error, for one input of the network's input shape, which is taken as exact.
    let evaluate (context: Context) (network: Network) (input: Tensor) =
        match run context (fun _ -> true) (ofInput network input) network.Node with
        | Ok output -> output
        | Error place -> invalidOp place

    /// As `evaluate`, or the first place in the network whose values leave the range of double precision.
    let tryEvaluate (context: Context) (network: Network) (input: Tensor) : Result<EnclosedTensor, string> =
        run context (fun enclosed -> Tensor.isFinite enclosed.Value) (ofInput network input) network.Node
