namespace LipVerify.Formats.OnnxGraph

open System

/// A tensor as stored. Numbers stay encoded until a node asks for them.
[<ReferenceEquality>]
type internal TensorProto =
    {
        Name: string
        Dims: ResizeArray<int64>
        DataType: int
        Raw: ArraySegment<byte> voption
        Singles: ResizeArray<byte>
        Doubles: ResizeArray<byte>
        Int32s: ResizeArray<int64>
        Int64s: ResizeArray<int64>
        External: bool
        Segmented: bool
    }

/// An attribute of a node. `Kind` is its declared type, 0 where the file declares none; `Other` marks content of a
/// kind that no supported operator has (graphs, texts, sparse tensors).
[<ReferenceEquality>]
type internal AttributeProto =
    {
        Name: string
        Kind: int
        Single: float32 voption
        Integer: int64 voption
        Text: string voption
        Tensor: TensorProto option
        Singles: ResizeArray<byte>
        Integers: ResizeArray<int64>
        Other: bool
    }

/// One operator application.
[<ReferenceEquality>]
type internal NodeProto =
    {
        Name: string
        Operator: string
        Domain: string
        Inputs: ResizeArray<string>
        Outputs: ResizeArray<string>
        Attributes: ResizeArray<AttributeProto>
    }

/// One extent of a declared shape.
type internal Extent =
    | Fixed of int64
    | Symbolic of string

/// The name, element type and shape of a graph input or output; `Shape` is None where the file declares none.
[<ReferenceEquality>]
type internal ValueInfo =
    {
        Name: string
        ElementType: int
        Shape: Extent list option
    }

/// The graph of a model.
[<ReferenceEquality>]
type internal GraphProto =
    {
        Nodes: ResizeArray<NodeProto>
        Initializers: ResizeArray<TensorProto>
        SparseInitializers: int
        Inputs: ResizeArray<ValueInfo>
        Outputs: ResizeArray<ValueInfo>
    }

/// A model.
[<ReferenceEquality>]
type internal ModelProto =
    {
        Functions: int
        /// The version of the standard operators; 1 where the model does not say.
        Opset: int64
        Graph: GraphProto option
    }
