namespace LipVerify.Formats.OnnxGraph

open System
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Formats

/// Zeros around the rows and columns of each channel.
type internal ZeroPadding =
    {
        Top: int
        Left: int
        Bottom: int
        Right: int
    }

/// A step that does the same to each value: of several, products of a tensor with a function of itself are put together.
[<ReferenceEquality>]
type internal ScalarStep =
    | Plus of float
    | Times of float
    | Over of float
    /// `1/(1 + e^(−y))`.
    | Logistic
    /// The hyperbolic tangent.
    | Tangent
    /// `ln(1 + e^y)`.
    | LogExp
    /// `erf y`.
    | ErrorFunction
    /// `min(max(y, low), high)`.
    | Between of low: float * high: float
    /// `min(max(α y + β, 0), 1)`.
    | Ramp of alpha: float * beta: float

/// The way from the input of the network to a computed tensor, last layer first.
[<ReferenceEquality>]
type internal Link =
    {
        /// The last tensor that all ways from the input pass, and whether other nodes take it too; None at the input of the network. A layer
        /// takes it alone.
        Previous: (Link * bool) option
        /// What several tensors are joined of; empty for a layer.
        Operands: Operand list
        /// What leads from `Previous` here.
        Block: Lazy<Block>
        /// The shape that the last block gives.
        Extents: Shape
        /// Blocks up to here.
        Depth: int
        /// Sums inside sums.
        Nesting: int
        /// Set where the last block does nothing but add zeros around its input.
        Padding: ZeroPadding option
        /// What the last layer does to each value, where that is the same.
        Scalar: ScalarStep option
    }

/// A tensor that is joined with others.
and [<ReferenceEquality>] internal Operand =
    {
        From: Link
        /// Whether other nodes take it too.
        IsShared: bool
        /// Where its values go in the joined tensor; none where each keeps its place and all are added.
        Embedding: Sparse option
    }

/// A tensor that depends on the input of the network.
[<ReferenceEquality>]
type internal Computed =
    {
        /// How it is computed. Its values, in row-major order, are those of the tensor.
        Link: Link
        /// Its shape in ONNX, batch included.
        Shape: Shape
        /// Whether more than one node takes it, or the tensor it is another view of.
        Shared: bool
        /// The name of the node that changed the shape last.
        Label: string option
    }

/// What a name of the graph stands for.
[<ReferenceEquality>]
type internal Value =
    | Constant of Constant
    | Computed of Computed
    /// A tensor that no node may take, and why.
    | Unavailable of string

/// What an operator learns of its node.
[<NoEquality; NoComparison>]
type internal NodeContext =
    {
        Node: NodeProto
        /// The name of the layers it makes.
        Layer: string
        Inputs: Value option[]
        /// Whether more than one node takes its output.
        OutputShared: bool
        /// Whether its output is the output of the graph.
        IsLast: bool
        /// The version of the operator set.
        Opset: int64
        /// Takes that many values from what the model may allocate, or fails.
        Charge: int64 -> Result<unit, string>
        Notice: string -> unit
        /// The concatenations so far: the axis, what was joined, and the outcome.
        Concatenations: ResizeArray<struct (int * Computed list * Computed)>
        /// Leaves a softmax out of the network, at its end.
        LeaveOut: Softmax -> unit
    }
