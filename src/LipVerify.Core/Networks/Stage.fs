namespace LipVerify.Core

/// What Algorithm 1 takes as one step: layers fused the way the bounds need them.
[<ReferenceEquality>]
type Stage =
    /// An affine map, with a batch normalisation that follows it folded into `map` as a row scaling, and the ReLU after it.
    /// `layers` are the affine layers to evaluate; the first one gives the stage its name and position.
    | AffineStage of layers: PlacedLayer list * map: LinearMap * rectified: bool
    /// A ReLU that follows no affine map.
    | ReluStage of PlacedLayer
    /// Max pooling.
    | MaxPoolingStage of PlacedLayer * LipVerify.Compute.PoolingGeometry
    /// The sum of branches, each a list of stages.
    | SumStage of Stage list list

module Stage =

    /// The layers of a node with series dissolved, and without those that leave the values as they are.
    let rec private flatten node =
        match node with
        | Leaf { Layer = Reshape _ }
        | Leaf { Layer = Identity } -> []
        | Chain nodes -> List.collect flatten nodes
        | Leaf _
        | Branches _ -> [ node ]

    let rec private fuse nodes =
        match nodes with
        | [] -> []
        | Leaf({ Layer = Affine(map, _) } as layer) :: rest -> fuseAffine [ layer ] map rest
        | Leaf({ Layer = MaxPooling geometry } as layer) :: rest -> MaxPoolingStage(layer, geometry) :: fuse rest
        | Leaf layer :: rest -> ReluStage layer :: fuse rest
        | Branches branches :: rest -> SumStage(List.map (flatten >> fuse) branches) :: fuse rest
        | Chain nodes :: rest -> fuse (nodes @ rest)

    and private fuseAffine layers map rest =
        match rest with
        | Leaf({ Layer = Affine(Diagonal scale, _) } as next) :: rest ->
            fuseAffine (layers @ [ next ]) (Scaled(scale, map)) rest
        | Leaf { Layer = Relu } :: rest -> AffineStage(layers, map, true) :: fuse rest
        | rest -> AffineStage(layers, map, false) :: fuse rest

    /// The stages of a network in order.
    let ofNetwork (network: Network) = fuse (flatten network.Node)
