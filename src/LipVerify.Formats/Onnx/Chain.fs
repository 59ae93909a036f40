namespace LipVerify.Formats.OnnxGraph

open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Formats

/// Building the network link by link.
module internal Chain =

    let private maximalNesting = 32

    /// The shape without a leading batch dimension of 1.
    let extents (shape: Shape) : Shape =
        match shape with
        | [] -> [ 1 ]
        | 1 :: (_ :: _ as inner) -> inner
        | _ -> shape

    /// The input of a network.
    let start shape shared =
        {
            Link =
                {
                    Previous = None
                    Operands = []
                    Block = lazy (Series [])
                    Extents = extents shape
                    Depth = 0
                    Nesting = 0
                    Padding = None
                    Scalar = None
                }
            Shape = shape
            Shared = shared
            Label = None
        }

    let private extend source layer =
        {
            Previous = Some(source.Link, source.Shared)
            Operands = []
            Block = lazy (Step layer)
            Extents = source.Link.Extents
            Depth = source.Link.Depth + 1
            Nesting = source.Link.Nesting
            Padding = None
            Scalar = None
        }

    /// The same values under another shape in ONNX.
    let view (context: NodeContext) shape source =
        { source with
            Shape = shape
            Shared = source.Shared || context.OutputShared
            Label =
                if shape = source.Shape then
                    source.Label
                else
                    Some context.Layer
        }

    /// `source` with `extents` as the shape that its last block gives.
    let reshape name (extents: Shape) source =
        if source.Link.Extents = extents then
            source
        else
            let name = source.Label |> Option.defaultValue $"{name} (reshape)"
            let link = extend source (name, Layer.Reshape extents)

            { source with
                Link = { link with Extents = extents }
                Shared = false
                Label = None
            }

    /// `source` followed by `layer`, which gives `extents`; `shape` is the shape in ONNX.
    let append (context: NodeContext) (extents: Shape) shape source layer =
        {
            Link =
                { extend source (context.Layer, layer) with
                    Extents = extents
                }
            Shape = shape
            Shared = context.OutputShared
            Label = None
        }

    /// `source` with its last block replaced by one of the same name.
    let replace (context: NodeContext) shape source layer =
        let name =
            match source.Link.Block.Value with
            | Step(name, _) -> name
            | Series _
            | Sum _ -> context.Layer

        { source with
            Link =
                { source.Link with
                    Block = lazy (Step(name, layer))
                    Padding = None
                    Scalar = None
                }
            Shape = shape
            Shared = context.OutputShared
        }

    /// The tensor that the last block of `source` takes.
    let previous source =
        source.Link.Previous
        |> Option.map (fun (link, shared) ->
            { source with
                Link = link
                Shared = shared
                Label = None
            })

    /// The blocks from `ancestor` (none: from the input) to `link`, first to last.
    let private blocks (ancestor: Link option) (link: Link) =
        let rec collect (link: Link) later =
            match link.Previous with
            | _ when Option.exists (fun ancestor -> obj.ReferenceEquals(ancestor, link)) ancestor -> later
            | None -> later
            | Some(previous, _) -> collect previous (link.Block.Value :: later)

        collect link []

    /// All blocks from the input of the network on.
    let series source = Series(blocks None source.Link)

    /// The last tensor that all ways to two others pass.
    let rec ancestor (a: Link) (b: Link) =
        if obj.ReferenceEquals(a, b) then
            a
        elif a.Depth >= b.Depth then
            match a.Previous with
            | Some(previous, _) -> ancestor previous b
            | None -> a
        else
            ancestor b a

    // A tensor strictly inside a branch that other nodes take too would have to be computed twice.
    let private isPrivate root operand =
        let rec inside (link: Link) =
            match link.Previous with
            | Some(previous, shared) when not (obj.ReferenceEquals(previous, root)) -> not shared && inside previous
            | _ -> true

        obj.ReferenceEquals(operand.From, root)
        || not operand.IsShared && inside operand.From

    let private branches name root (operand: Operand) =
        let path = blocks (Some root) operand.From

        match path, operand.Embedding with
        | [ Sum branches ], None -> branches
        | path, None -> [ Series path ]
        | path, Some embedding ->
            [
                Series(path @ [ Step($"{name} (place)", Layer.linear (LinearMap.Sparse embedding)) ])
            ]

    /// The tensor of `extents` that operands are joined to: as branches from the last tensor that all depend on where each tensor inside is theirs
    /// alone, else step by step.
    let join (context: NodeContext) (extents: Shape) shape (operands: Operand list) : Result<Computed, string> =
        let links = operands |> List.map _.From
        let root = links |> List.reduce ancestor
        let nesting = 1 + (links |> List.map _.Nesting |> List.max)
        let isSplit = List.forall (isPrivate root) operands

        let block =
            lazy
                (if isSplit then
                     Sum(operands |> List.collect (branches context.Layer root))
                 else
                     States.block context root operands extents)

        if isSplit && nesting > maximalNesting then
            Error $"nests more than {maximalNesting} sums"
        else
            Ok
                {
                    Link =
                        {
                            Previous = Some(root, true)
                            Operands = operands
                            Block = block
                            Extents = extents
                            Depth = 1 + (links |> List.map _.Depth |> List.max)
                            Nesting = if isSplit then nesting else root.Nesting + 1
                            Padding = None
                            Scalar = None
                        }
                    Shape = shape
                    Shared = context.OutputShared
                    Label = None
                }

    /// A tensor that is joined with others.
    let operand embedding (source: Computed) : Operand =
        {
            From = source.Link
            IsShared = source.Shared
            Embedding = embedding
        }

    /// The sum of two computed tensors of one shape.
    let sum (context: NodeContext) a b : Result<Computed, string> =
        let extents = extents a.Shape
        let a = reshape context.Layer extents a
        let b = reshape context.Layer extents b

        if a.Shape <> b.Shape then
            Error
                $"joins computed tensors of shapes {Shape.text a.Shape} and {Shape.text b.Shape}; they must be equal, broadcasting of computed tensors is not supported"
        else
            join context extents a.Shape [ operand None a; operand None b ]

    /// `source`, whose last layer does the same to each value.
    let known step source =
        { source with
            Link = { source.Link with Scalar = step }
        }

    /// `x ↦ x + term`: merged into the affine layer before it where that is exact, an affine layer of its own otherwise.
    let addBias (context: NodeContext) shape source (term: float[]) =
        let own () =
            result {
                do! context.Charge(2L * int64 term.Length)
                let extents = source.Link.Extents
                let map = Diagonal(Tensor.create extents 1.0)

                return
                    Layer.affine map (Tensor.ofArray extents term)
                    |> append context extents shape source
            }

        let merged =
            match source.Link.Operands, source.Link.Block with
            | [], block when not source.Shared ->
                match block.Value with
                | Step(_, layer) -> Layer.tryAdd (Tensor.vector term) layer
                | _ -> None
            | _ -> None

        match merged with
        | _ when Array.forall ((=) 0.0) term -> Ok(view context shape source)
        | Some layer ->
            context.Charge(int64 term.Length)
            |> Result.map (fun () -> replace context shape source layer)
        | None -> own ()

    /// `x ↦ factor ∘ x + term`, a diagonal affine layer.
    let scale (context: NodeContext) shape source (factor: float[]) (term: float[]) =
        result {
            do! context.Charge(2L * int64 term.Length)
            let extents = source.Link.Extents

            return
                Layer.affine (Diagonal(Tensor.ofArray extents factor)) (Tensor.ofArray extents term)
                |> append context extents shape source
        }

    /// Zeros around the rows and columns of `source`, whose extents are channels × height × width: a depthwise 1×1 convolution.
    let pad (context: NodeContext) shape source padding =
        match source.Link.Extents with
        | [ channels; height; width ] ->
            let rows = WindowAxis(height, 1, 1, padding.Top, padding.Bottom)
            let columns = WindowAxis(width, 1, 1, padding.Left, padding.Right)
            let geometry = ConvolutionGeometry(channels, channels, rows, columns, channels)

            result {
                geometry.Validate()
                do! context.Charge(int64 geometry.OutputSize)
                let weights = Tensor.create [ channels; 1; 1; 1 ] 1.0

                let padded =
                    Layer.convolution geometry weights (Tensor.create [ channels ] 0.0)
                    |> append context [ channels; rows.Output; columns.Output ] shape source

                return
                    { padded with
                        Link =
                            { padded.Link with
                                Padding = Some padding
                            }
                    }
            }
        | extents -> Error $"pads a tensor of shape {Shape.text extents}; only images and sequences are supported"

    /// `source` and no padding, or, where its last block pads and no other node takes the padded tensor, what it pads.
    let unpad source =
        let nothing =
            {
                Top = 0
                Left = 0
                Bottom = 0
                Right = 0
            }

        match source.Link.Padding, previous source with
        | Some padding, Some before when not source.Shared -> before, padding
        | _ -> source, nothing
