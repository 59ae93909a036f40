namespace LipVerify.Formats.OnnxGraph

open System
open Google.Protobuf
open LipVerify.Formats

/// The part of onnx.proto that the reader uses. Messages nest to a fixed depth, since no message here contains itself:
/// subgraphs are noted and not entered. Unknown fields are skipped.
module internal Schema =

    /// The most nodes of a graph.
    let maximalNodes = 4096

    let private maximalEntries = 1 <<< 16

    // More than any operator has: an empty one takes two bytes of the file and a hundred times as many in memory.
    let private maximalAttributes = 64

    let private add (what: string) limit (list: ResizeArray<'a>) (item: 'a) =
        if list.Count >= limit then
            raise (Malformed $"more than {limit} {what}")

        list.Add item
        list

    let private once what (previous: 'a option) (value: 'a) =
        if previous.IsSome then
            raise (Malformed $"{what} is stored twice")

        Some value

    let private tensor message : TensorProto =
        let start =
            {
                Name = ""
                Dims = ResizeArray()
                DataType = 0
                Raw = ValueNone
                Singles = ResizeArray()
                Doubles = ResizeArray()
                Int32s = ResizeArray()
                Int64s = ResizeArray()
                External = false
                Segmented = false
            }

        let step (tensor: TensorProto) field =
            match field.Number with
            | 1 ->
                { tensor with
                    Dims = Wire.addIntegers tensor.Dims field
                }
            | 2 ->
                { tensor with
                    DataType = Wire.integer32 field
                }
            | 3 -> { tensor with Segmented = true }
            | 4 ->
                { tensor with
                    Singles = Wire.addNumbers tensor.Singles field
                }
            | 5 ->
                { tensor with
                    Int32s = Wire.addIntegers tensor.Int32s field
                }
            | 7 ->
                { tensor with
                    Int64s = Wire.addIntegers tensor.Int64s field
                }
            | 8 -> { tensor with Name = Wire.text field }
            | 9 ->
                { tensor with
                    Raw = ValueSome(Wire.bytes field)
                }
            | 10 ->
                { tensor with
                    Doubles = Wire.addNumbers tensor.Doubles field
                }
            | 13 -> { tensor with External = true }
            | 14 ->
                { tensor with
                    External = tensor.External || Wire.integer field <> 0L
                }
            | _ -> tensor

        Wire.fold step start message

    let private attribute message : AttributeProto =
        let start =
            {
                Name = ""
                Kind = 0
                Single = ValueNone
                Integer = ValueNone
                Text = ValueNone
                Tensor = None
                Singles = ResizeArray()
                Integers = ResizeArray()
                Other = false
            }

        let step (attribute: AttributeProto) field =
            match field.Number with
            | 1 ->
                { attribute with
                    Name = Wire.text field
                }
            | 2 ->
                { attribute with
                    Single = ValueSome(Wire.single field)
                }
            | 3 ->
                { attribute with
                    Integer = ValueSome(Wire.integer field)
                }
            | 4 ->
                { attribute with
                    Text = ValueSome(Wire.text field)
                }
            | 5 ->
                { attribute with
                    Tensor = once "the tensor of an attribute" attribute.Tensor (tensor (Wire.bytes field))
                }
            | 7 ->
                { attribute with
                    Singles = Wire.addNumbers attribute.Singles field
                }
            | 8 ->
                { attribute with
                    Integers = Wire.addIntegers attribute.Integers field
                }
            | 20 ->
                { attribute with
                    Kind = Wire.integer32 field
                }
            | 6
            | 9
            | 10
            | 11
            | 14
            | 15
            | 21
            | 22
            | 23 -> { attribute with Other = true }
            | _ -> attribute

        Wire.fold step start message

    let private node message : NodeProto =
        let start =
            {
                Name = ""
                Operator = ""
                Domain = ""
                Inputs = ResizeArray()
                Outputs = ResizeArray()
                Attributes = ResizeArray()
            }

        let step (node: NodeProto) field =
            match field.Number with
            | 1 ->
                { node with
                    Inputs = add "inputs of a node" maximalEntries node.Inputs (Wire.text field)
                }
            | 2 ->
                { node with
                    Outputs = add "outputs of a node" maximalEntries node.Outputs (Wire.text field)
                }
            | 3 -> { node with Name = Wire.text field }
            | 4 -> { node with Operator = Wire.text field }
            | 5 ->
                { node with
                    Attributes =
                        add "attributes of a node" maximalAttributes node.Attributes (attribute (Wire.bytes field))
                }
            | 7 -> { node with Domain = Wire.text field }
            | _ -> node

        Wire.fold step start message

    let private extent message =
        let step extent field =
            match field.Number with
            | 1 -> Fixed(Wire.integer field)
            | 2 -> Symbolic(Wire.text field)
            | _ -> extent

        Wire.fold step (Symbolic "") message

    let private shape message =
        let step (extents: ResizeArray<Extent>) field =
            if field.Number = 1 then
                add "dimensions" Extents.maximalRank extents (extent (Wire.bytes field))
            else
                extents

        Wire.fold step (ResizeArray()) message |> List.ofSeq

    // A type that is no tensor keeps element type 0, which the reader refuses.
    let private tensorType info message =
        let inTensor (info: ValueInfo) field =
            match field.Number with
            | 1 ->
                { info with
                    ElementType = Wire.integer32 field
                }
            | 2 ->
                { info with
                    Shape = once "a shape" info.Shape (shape (Wire.bytes field))
                }
            | _ -> info

        let inType info field =
            if field.Number = 1 then
                Wire.fold inTensor info (Wire.bytes field)
            else
                info

        Wire.fold inType info message

    let private valueInfo message : ValueInfo =
        let step (info: ValueInfo) field =
            match field.Number with
            | 1 -> { info with Name = Wire.text field }
            | 2 -> tensorType info (Wire.bytes field)
            | _ -> info

        Wire.fold
            step
            {
                Name = ""
                ElementType = 0
                Shape = None
            }
            message

    let private graph message : GraphProto =
        let start =
            {
                Nodes = ResizeArray()
                Initializers = ResizeArray()
                SparseInitializers = 0
                Inputs = ResizeArray()
                Outputs = ResizeArray()
            }

        let step (graph: GraphProto) field =
            match field.Number with
            | 1 ->
                { graph with
                    Nodes = add "nodes" maximalNodes graph.Nodes (node (Wire.bytes field))
                }
            | 5 ->
                { graph with
                    Initializers = add "initialisers" maximalEntries graph.Initializers (tensor (Wire.bytes field))
                }
            | 11 ->
                { graph with
                    Inputs = add "inputs" maximalEntries graph.Inputs (valueInfo (Wire.bytes field))
                }
            | 12 ->
                { graph with
                    Outputs = add "outputs" maximalEntries graph.Outputs (valueInfo (Wire.bytes field))
                }
            | 15 ->
                { graph with
                    SparseInitializers = graph.SparseInitializers + 1
                }
            | _ -> graph

        Wire.fold step start message

    // The version of the standard operators; others stay as they are.
    let private opset version message =
        let step (domain, version) field =
            match field.Number with
            | 1 -> Wire.text field, version
            | 2 -> domain, Wire.integer field
            | _ -> domain, version

        match Wire.fold step ("", 0L) message with
        | ("" | "ai.onnx"), given -> given
        | _ -> version

    let private model message : ModelProto =
        let step (model: ModelProto) field =
            match field.Number with
            | 8 ->
                { model with
                    Opset = opset model.Opset (Wire.bytes field)
                }
            | 7 ->
                { model with
                    Graph = once "the graph" model.Graph (graph (Wire.bytes field))
                }
            | 25 ->
                { model with
                    Functions = model.Functions + 1
                }
            | _ -> model

        Wire.fold
            step
            {
                Functions = 0
                Opset = 1L
                Graph = None
            }
            message

    /// The model in `bytes`, or why they are none.
    let read (bytes: ArraySegment<byte>) : Result<ModelProto, string> =
        try
            Ok(model bytes)
        with
        | Malformed problem -> Error $"no readable ONNX model: {problem}"
        | :? InvalidProtocolBufferException as failure -> Error $"no readable ONNX model: {failure.Message}"
