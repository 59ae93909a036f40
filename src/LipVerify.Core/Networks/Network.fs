namespace LipVerify.Core.Networks

open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps

/// What a network is built from: named layers in series, and sums of branches that share their input.
[<ReferenceEquality>]
type Block =
    /// One layer under its name in the model.
    | Step of name: string * Layer
    /// One after the other.
    | Series of Block list
    /// The sum of the outputs of branches (a residual connection is a sum with an empty series).
    | Sum of Block list

/// A layer at its place: position in the network, and the shapes on both sides.
[<ReferenceEquality>]
type PlacedLayer =
    {
        /// Position in the network, counted over all layers from 0.
        Index: int
        /// Name in the model.
        Name: string
        /// The layer.
        Layer: Layer
        /// Shape of its input.
        Input: Shape
        /// Shape of its output.
        Output: Shape
    }

/// A network whose shapes fit: a tree of series and sums over placed layers.
[<ReferenceEquality>]
type Node =
    /// One layer.
    | Leaf of PlacedLayer
    /// One after the other.
    | Chain of Node list
    /// The sum of branches that share their input.
    | Branches of Node list

/// A network that was checked when it was built: shapes fit, and every weight is a finite number.
[<ReferenceEquality>]
type Network =
    private
        {
            Root: Node
            First: Shape
            Last: Shape
        }

    /// The tree of layers.
    member network.Node = network.Root

    /// Shape of one input.
    member network.InputShape = network.First

    /// Shape of one output.
    member network.OutputShape = network.Last

module Network =

    /// The most layers of a network, many times those of the deepest that are trained. Walks over a network take a time and
    /// a depth of calls that grow with it.
    let mostLayers = 10_000

    /// How deep series and sums may lie in each other, so that no walk over the tree runs out of stack.
    let mostNesting = 256

    let private describe index (name: string) problem = $"layer {index} ({name}) {problem}"

    /// Places `block`, which lies in `depth` others, from position `index` on: the node, its output shape and the next position.
    let rec private place depth input index block =
        match block with
        | _ when depth > mostNesting -> Error $"series and sums are nested more than {mostNesting} deep"
        | Step _ when index >= mostLayers -> Error $"there are more than {mostLayers} layers, the most that is taken"
        | Step(name, layer) ->
            match Layer.nonFinite layer, Layer.outputShape input layer with
            | Some place, _ -> Error(describe index name $"has {place} that are NaN or infinite")
            | None, Error problem -> Error(describe index name problem)
            | None, Ok output ->
                let placed =
                    {
                        Index = index
                        Name = name
                        Layer = layer
                        Input = input
                        Output = output
                    }

                Ok(Leaf placed, output, index + 1)
        | Series blocks ->
            (Ok([], input, index), blocks)
            ||> List.fold (placeNext (depth + 1))
            |> Result.map (fun (nodes, shape, next) -> Chain(List.rev nodes), shape, next)
        | Sum [] -> Error $"the sum at position {index} has no branch"
        | Sum(first :: rest) -> placeSum (depth + 1) input index first rest

    /// Places a block behind those already placed (last first).
    and private placeNext depth placed block =
        placed
        |> Result.bind (fun (nodes, shape, index) ->
            place depth shape index block
            |> Result.map (fun (node, output, next) -> node :: nodes, output, next))

    and private placeSum depth input index first rest =
        let add state block =
            state
            |> Result.bind (fun (nodes, shape, next) ->
                place depth input next block
                |> Result.bind (fun (node, output, next) ->
                    if output = shape then
                        Ok(node :: nodes, shape, next)
                    else
                        Error
                            $"the branches of the sum at position {index} give {Shape.text shape} and {Shape.text output}"))

        let start =
            place depth input index first
            |> Result.map (fun (node, output, next) -> [ node ], output, next)

        (start, rest)
        ||> List.fold add
        |> Result.map (fun (nodes, shape, next) -> Branches(List.rev nodes), shape, next)

    /// Builds a network for inputs of the given shape, or says which layer does not fit and why.
    let create (inputShape: Shape) (block: Block) : Result<Network, string> =
        if List.isEmpty inputShape || List.exists (fun extent -> extent < 1) inputShape then
            Error $"the input shape must have positive extents, not {Shape.text inputShape}"
        elif List.fold (fun size extent -> size * float extent) 1.0 inputShape > float TensorLimit.Values then
            Error $"an input of {Shape.text inputShape} is too large; at most {TensorLimit.Values} values are taken"
        else
            place 0 inputShape 0 block
            |> Result.map (fun (node, output, _) ->
                {
                    Root = node
                    First = inputShape
                    Last = output
                })

    /// The layers in order of their position.
    let layers (network: Network) : PlacedLayer list =
        let rec collect node =
            match node with
            | Leaf layer -> [ layer ]
            | Chain nodes
            | Branches nodes -> List.collect collect nodes

        collect network.Root

    /// The number of stored weights and biases.
    let parameterCount network =
        layers network |> List.sumBy (fun placed -> Layer.parameterCount placed.Layer)

    /// Products in one evaluation, about: multiplications with an addition each.
    let products (network: Network) =
        layers network
        |> List.sumBy (fun placed ->
            match placed.Layer with
            | Affine(map, _) -> float (LinearMap.termsInRow map) * float (LinearMap.outputs map)
            | Activation _
            | MaxPooling _
            | Reshape _
            | Identity -> 0.0)

    let rec private run (context: Context) batch (x: Storage) node =
        Context.check context

        match node with
        | Leaf placed -> Layer.apply context.Engine placed.Layer batch x
        | Chain nodes -> (x, nodes) ||> List.fold (run context batch)
        | Branches nodes ->
            let outputs = nodes |> List.map (run context batch x)
            let sum = context.Engine.Allocate outputs.Head.Length

            for y in outputs do
                context.Engine.AddScaled(1.0, y, 0, sum, 0, sum.Length)

            sum

    /// `f(x)` for a batch of inputs of shape `batch :: InputShape`, as a tensor of shape `batch :: OutputShape`.
    let evaluateBatch (context: Context) (network: Network) (inputs: Tensor) =
        match inputs.Shape with
        | batch :: shape when shape = network.First ->
            run context batch inputs.Storage network.Root
            |> Tensor.ofStorage (batch :: network.Last)
        | shape ->
            invalidArg
                (nameof inputs)
                $"the network takes batches of {Shape.text network.First}, not {Shape.text shape}"

    /// `f(x)` for one input of the network's input shape.
    let evaluate (context: Context) (network: Network) (input: Tensor) =
        evaluateBatch context network (Tensor.reshape (1 :: network.First) input)
        |> Tensor.reshape network.Last
