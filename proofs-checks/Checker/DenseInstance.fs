/// A certificate of Algorithm 1 for a chain of dense layers in integers alone: what the checker that is proved in
/// proofs-checks/coq is asked. The network and the statement are exact; the rest is a proposal that it takes nothing of on trust.
module LipVerify.Checker.DenseInstance

open System.Numerics
open LipVerify.Checker.Network
open LipVerify.Checker.Json
open LipVerify.Checker.Readers
open LipVerify.Checker.Dyadic

/// `x ↦ W x + b`, with ReLU behind it or without.
type DenseLayer =
    {
        /// Rows of `W·2^Exponent`.
        Weights: BigInteger[][]
        /// `b·2^Exponent`.
        Bias: BigInteger[]
        Exponent: int
        IsRectified: bool
    }

/// The local constant over the ball around a point is at most a bound.
type Statement =
    {
        IsUniform: bool
        Exponent: int
        Radius: BigInteger
        Bound: BigInteger
        Point: BigInteger[]
        Layers: DenseLayer list
    }

/// What is proposed of one layer (proofs-checks/coq/checker/Checker.v, `layer_certificate`).
type LayerProposal =
    {
        Reaches: BigInteger[]
        ReachExponent: int
        Slopes: BigInteger[]
        SlopeExponent: int
        Constant: BigInteger
        ConstantExponent: int
        IsTransposed: bool
        Factor: BigInteger[][]
        FactorExponent: int
    }

let private notCovered what =
    refuse $"the proved checker covers local certificates of chains of dense layers and ReLU; this has {what}"

/// The rows of an operator after its scalings, and its bias, as integers.
let private exactLayer (operator: Operator) (scales: float[] list) (bias: float[]) =
    let rows = Array.init operator.Outputs operator.Row

    for i in 0 .. operator.Outputs - 1 do
        if operator.Factor i <> Directed.point 1.0 then
            notCovered "factors that are known only up to rounding, or averages"

    let entries = rows |> Seq.collect (Seq.map (fun struct (_, a) -> a))
    let scaleExponents = scales |> List.map exponentOf

    let exponent = max (exponentOf entries + List.sum scaleExponents) (exponentOf bias)

    let weightExponent = exponent - List.sum scaleExponents

    let weights =
        rows
        |> Array.mapi (fun i row ->
            let factor =
                (BigInteger.One, scales, scaleExponents)
                |||> List.fold2 (fun product scale e -> product * integerOf e scale[i])

            let dense = Array.create operator.Inputs BigInteger.Zero

            for struct (j, a) in row do
                dense[j] <- dense[j] + factor * integerOf weightExponent a

            dense)

    {
        Weights = weights
        Bias = bias |> Array.map (integerOf exponent)
        Exponent = exponent
        IsRectified = false
    }

/// The layer before a diagonal map, and that map, as one layer.
let private scaled (scale: float[]) (bias: float[]) (layer: DenseLayer) =
    let e = exponentOf scale
    let behind = layer.Exponent + e
    let exponent = max behind (exponentOf bias)
    let factors = scale |> Array.map (fun s -> integerOf e s <<< (exponent - behind))

    {
        Weights = Array.map2 (fun factor row -> Array.map (fun w -> factor * w) row) factors layer.Weights
        Bias = Array.map3 (fun factor b more -> factor * b + integerOf exponent more) factors layer.Bias bias
        Exponent = exponent
        IsRectified = false
    }

let private identity size =
    exactLayer (diagonal (Array.create size 1.0)) [] (Array.zeroCreate size)

/// The layers that claims are about, one after the other.
let private layers size root =
    let rec walk size (nodes: Node list) : DenseLayer list =
        match nodes with
        | [] -> []
        | Leaf(_, Affine(operator, scales, bias, _)) :: rest ->
            if operator.Inputs <> size then
                refuse "a layer of the network does not fit the one before"

            fuse (exactLayer operator scales bias) rest
        | Leaf(_, Relu) :: _ -> fuse (identity size) nodes
        | Leaf(_, MaxPool _) :: _ -> notCovered "max pooling"
        | Sum _ :: _ -> notCovered "sums of branches"
        | Leaf(_, Skip) :: rest -> walk size rest
        | Series nodes :: rest -> walk size (nodes @ rest)

    and fuse (layer: DenseLayer) rest =
        match rest with
        | Leaf(_, Affine(operator, _, bias, true)) :: rest ->
            let scale =
                Array.init operator.Outputs (fun i ->
                    let struct (_, value) = (operator.Row i)[0]
                    value)

            fuse (scaled scale bias layer) rest
        | Leaf(_, Relu) :: rest -> { layer with IsRectified = true } :: walk layer.Bias.Length rest
        | rest -> layer :: walk layer.Bias.Length rest

    walk size (Subject.flatten root)

/// What the certificate states.
let statement (certificate: Certificate) (lines, tensors, networkHash) input : Statement =
    match certificate.Radius, input with
    | None, _ -> notCovered "a certificate over all inputs"
    | _, None -> refuse "a local certificate needs the input: with lipverify check it is --input"
    | Some radius, Some(values: float[], inputHash) ->
        if certificate.Network <> networkHash || certificate.Input <> Some inputHash then
            refuse "the certificate is about another network or input"

        let size, root = parse lines tensors

        if values.Length <> size then
            refuse "the input does not fit the network"

        if not (Subject.oversized root).IsEmpty then
            notCovered $"a map of more than {Subject.entryLimit} entries"

        let exponent = exponentOf (Seq.append [ radius; certificate.Value ] values)

        {
            IsUniform = certificate.Definition = "uniform"
            Exponent = exponent
            Radius = integerOf exponent radius
            Bound = integerOf exponent certificate.Value
            Point = values |> Array.map (integerOf exponent)
            Layers = layers size root
        }
