namespace LipVerify.Core.Networks

open LipVerify.Core.LinearMaps
open LipVerify.Core.Activations

/// What Algorithm 1 takes as one step: layers fused the way the bounds need them.
[<ReferenceEquality>]
type Stage =
    /// An affine map, with a batch normalisation that follows it folded into `map` as a row scaling, and the activation after it.
    /// `layers` are the affine layers to evaluate; the first one gives the stage its name and position.
    | AffineStage of layers: PlacedLayer list * map: LinearMap * activations: EntryActivations option
    /// An activation that follows no affine map.
    | ActivationStage of PlacedLayer * EntryActivations
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

    /// Takes the layers of one affine stage from the front: those to evaluate, their map, and what follows.
    let rec private takeAffine layers map rest =
        match rest with
        | Leaf({ Layer = Affine(next, _) } as layer) :: later when (LinearMap.tryRowScaling next).IsSome ->
            takeAffine (layer :: layers) ((LinearMap.tryRowScaling next).Value map) later
        | Leaf { Layer = Activation activations } :: rest -> AffineStage(List.rev layers, map, Some activations), rest
        | rest -> AffineStage(List.rev layers, map, None), rest

    /// Appends the stages of `nodes` to those before, last first.
    let rec private fuse before nodes =
        match nodes with
        | [] -> List.rev before
        | Leaf({ Layer = Affine(map, _) } as layer) :: rest ->
            let stage, rest = takeAffine [ layer ] map rest
            fuse (stage :: before) rest
        | Leaf({ Layer = MaxPooling geometry } as layer) :: rest ->
            fuse (MaxPoolingStage(layer, geometry) :: before) rest
        | Leaf({ Layer = Activation activations } as layer) :: rest ->
            fuse (ActivationStage(layer, activations) :: before) rest
        | Leaf _ :: rest -> fuse before rest
        | Branches branches :: rest -> fuse (SumStage(List.map (flatten >> fuse []) branches) :: before) rest
        | Chain nodes :: rest -> fuse before (nodes @ rest)

    /// The map at the end of a branch.
    let private lastMap branch =
        let rec bare map =
            match map with
            | Scaled(_, map)
            | Rounded(_, map) -> bare map
            | _ -> map

        match List.tryLast branch with
        | Some(AffineStage(_, map, None)) -> Some(bare map)
        | _ -> None

    /// Whether the outputs of branches are stacked: no output takes more than one of them.
    let areStacked (branches: Stage list list) =
        let ends =
            branches
            |> List.choose (fun branch ->
                match lastMap branch with
                | Some(Sparse sparse) -> Some sparse
                | _ -> None)

        ends.Length = branches.Length
        && ends
           |> List.indexed
           |> List.forall (fun (i, a) -> ends |> List.skip (i + 1) |> List.forall (Sparse.areDisjoint a))

    /// The activations of affine stages, by the index of their first layer.
    let rec private activations stages =
        stages
        |> List.collect (fun stage ->
            match stage with
            | AffineStage(layers, _, Some behind) -> [ layers.Head.Index, behind ]
            | SumStage branches -> List.collect activations branches
            | AffineStage _
            | ActivationStage _
            | MaxPoolingStage _ -> [])

    /// The stages of a network in order.
    let ofNetwork (network: Network) = fuse [] (flatten network.Node)

    /// The activations behind affine layers, by the index of the first layer of the stage.
    let activationsBehind network =
        ofNetwork network |> activations |> Map.ofList
