namespace LipVerify.Formats.OnnxGraph

open System
open Google.Protobuf
open LipVerify.Formats

/// The part of onnx.proto that the reader uses. Messages nest to a fixed depth, since no message here contains itself:
/// subgraphs are noted and not entered. Unknown fields are skipped.
module internal Schema =

    /// The most nodes of a graph.
    let maximalNodes = 4096

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
                NodeSchema.add "dimensions" Extents.maximalRank extents (extent (Wire.bytes field))
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
                    Shape = NodeSchema.once "a shape" info.Shape (shape (Wire.bytes field))
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
                    Nodes = NodeSchema.add "nodes" maximalNodes graph.Nodes (NodeSchema.node (Wire.bytes field))
                }
            | 5 ->
                { graph with
                    Initializers =
                        NodeSchema.add
                            "initialisers"
                            NodeSchema.maximalEntries
                            graph.Initializers
                            (NodeSchema.tensor (Wire.bytes field))
                }
            | 11 ->
                { graph with
                    Inputs =
                        NodeSchema.add "inputs" NodeSchema.maximalEntries graph.Inputs (valueInfo (Wire.bytes field))
                }
            | 12 ->
                { graph with
                    Outputs =
                        NodeSchema.add "outputs" NodeSchema.maximalEntries graph.Outputs (valueInfo (Wire.bytes field))
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
                    Graph = NodeSchema.once "the graph" model.Graph (graph (Wire.bytes field))
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
