namespace LipVerify.Tests

open LipVerify.Core.Computation
open LipVerify.Propositions.Generators
open LipVerify.Tests.OnnxWriter

/// A model under construction, and beside it the one of absolute values: its weights are the absolute values of those of the
/// first, and its differences are sums. What a runtime computes for the first lies within `((1 + u)^k − 1) M` of the exact value,
/// where `M` is what the second gives at the absolute values of the input, and `k` the roundings on the way of one term: that
/// holds at the input, and every node keeps it, `|A v̂ + b − (A v + b)|` as well as maxima and ReLUs.
type DrawnGraph(draw: Draw, opset: int, isDouble: bool, input: int list) =
    let nodes = ResizeArray<byte[]>()
    let sizes = ResizeArray<byte[]>()
    let tensors = ResizeArray<byte[]>()
    let sizeTensors = ResizeArray<byte[]>()
    let operators = ResizeArray<string>()
    let mutable names = 0
    let mutable roundings = 0
    let mutable current = "x"
    let mutable shape = input

    let stored name dims values =
        if isDouble then
            doubles name dims values
        else
            singles name dims values

    let fresh () =
        names <- names + 1
        $"t{names}"

    /// Random numbers.
    member _.Draw = draw

    /// The version of the operators.
    member _.Opset = opset

    /// Whether elements are doubles.
    member _.IsDouble = isDouble

    /// The shape of the input `x`.
    member _.Input = input

    /// The tensor that the next node takes.
    member _.Current = current

    /// Its shape.
    member _.Shape = shape

    /// What was drawn, for messages.
    member _.Text =
        let element = if isDouble then "double" else "float"

        $"opset {opset}, {element}, {Shape.text input}: "
        + String.concat " → " operators

    /// Goes on from another tensor.
    member _.MoveTo(name: string, extents: int list) =
        current <- name
        shape <- extents

    /// A number as the graph stores it.
    member _.Round(value: float) =
        if isDouble then value else float (float32 value)

    /// A name that is not taken yet.
    member _.Fresh() = fresh ()

    /// A stored tensor.
    member _.Store(dims: int list, values: float[]) =
        let name = fresh ()
        tensors.Add(stored name dims values)
        sizeTensors.Add(stored name dims (Array.map abs values))
        name

    /// A stored tensor that has other values in the model of absolute values.
    member _.StoreAs(dims: int list, values: float[], inSizes: float[]) =
        let name = fresh ()
        tensors.Add(stored name dims values)
        sizeTensors.Add(stored name dims inSizes)
        name

    /// A stored tensor under a name that `Fresh` gave.
    member _.AddTensor(tensor: byte[]) =
        tensors.Add tensor
        sizeTensors.Add tensor

    /// Stored integers.
    member _.Integers(values: int list) =
        let name = fresh ()
        tensors.Add(longs name values)
        sizeTensors.Add(longs name values)
        name

    /// A constant that nodes of the graph compute: the sub-graph is given by `make`, which names its result.
    member _.Computed(dims: int list, values: float[], make: string -> byte[] list * byte[] list) =
        let name = fresh ()
        let made, inputs = make name
        nodes.AddRange made
        tensors.AddRange inputs
        sizeTensors.Add(stored name dims (Array.map abs values))
        name

    /// A node that computes constants for both models.
    member _.Both(node: byte[]) =
        nodes.Add node
        sizes.Add node

    /// A node whose output is the next tensor, with the node of the model of absolute values where it is another.
    member _.Append
        (
            operator,
            inputs: string list,
            attributes,
            extents: int list,
            terms,
            ?inSizes: string * string list * byte[] list
        ) =
        let name = fresh ()
        nodes.Add(node operator inputs name attributes)

        let sizeOperator, sizeInputs, sizeAttributes =
            defaultArg inSizes (operator, inputs, attributes)

        sizes.Add(node sizeOperator sizeInputs name sizeAttributes)
        operators.Add operator
        roundings <- roundings + terms
        current <- name
        shape <- extents

    /// Both models, the second without what `ending` adds to the first: a node from the last tensor to `y`.
    member private _.Model(ofNodes: ResizeArray<byte[]>, ofTensors: ResizeArray<byte[]>, ending) =
        let element = if isDouble then 11L else 1L

        modelFor (int64 opset) element input (List.ofSeq ofNodes @ [ ending ]) (List.ofSeq ofTensors)

    /// The model that ends in the last tensor.
    member graph.Model() =
        graph.Model(nodes, tensors, node "Identity" [ current ] "y" [])

    /// The model whose last node is another one.
    member graph.ModelEndingIn(operator, attributes) =
        graph.Model(nodes, tensors, node operator [ current ] "y" attributes)

    /// The model of absolute values.
    member graph.SizeModel() =
        graph.Model(sizes, sizeTensors, node "Identity" [ current ] "y" [])

    /// The roundings on the way of one term.
    member _.Roundings = roundings
