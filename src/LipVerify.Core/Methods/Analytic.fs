/// Algorithm 1 of Avant & Morgansen: walk the stages from the restricted ball of inputs, take each one's local constant,
/// and hand the ball of its outputs on. Nominal values are enclosed, so that their rounding is part of the bound.
module LipVerify.Core.Analytic

open LipVerify.Compute

/// The inputs of a stage.
[<ReferenceEquality>]
type private Domain =
    {
        /// The ball; its centre is the computed nominal value.
        Ball: RestrictedBall
        /// The nominal value with its rounding error.
        Nominal: EnclosedTensor
    }

/// What a stage does to its inputs. `Lipschitz` promises what its own computation promises; what the incoming radius
/// promises is counted where that came from.
[<ReferenceEquality>]
type private Step =
    {
        Output: Domain
        Lipschitz: Bound
        Layers: LayerBound list
    }

let private step (domain: Domain) lipschitz (nominal: EnclosedTensor) mask layers =
    {
        Output =
            {
                Ball =
                    {
                        Center = nominal.Value
                        Radius = Propositions.radiusTransfer domain.Ball.Radius lipschitz
                        Mask = mask
                    }
                Nominal = nominal
            }
        Lipschitz = lipschitz
        Layers = layers
    }

/// The step of one stage with its line in the report, where the layer's constant promises no more than its radius does.
let private reported (layer: PlacedLayer) kind (domain: Domain) lipschitz witness nominal mask =
    let step = step domain lipschitz nominal mask []

    let line =
        {
            Index = layer.Index
            Name = layer.Name
            Kind = kind
            Lipschitz = lipschitz |> Bound.weaken domain.Ball.Radius.Rigor
            Witness = witness
            RadiusIn = Some domain.Ball.Radius.Value
            RadiusOut = Some step.Output.Ball.Radius.Value
            Active = Tensor.countNonZero mask
            Size = mask.Length
        }

    { step with Layers = [ line ] }

let private affineStage context definition (domain: Domain) (layers: PlacedLayer list) map rectified =
    let engine = context.Engine
    let layer = layers.Head

    let nominal =
        (domain.Nominal, layers)
        ||> List.fold (fun enclosed layer -> EnclosedTensor.apply engine layer enclosed)

    let kind =
        Layer.kind layer.Layer + (if layers.Tail.IsEmpty then "" else "+diagonal")

    if rectified then
        let y =
            Propositions.affineUpperBound engine map (EnclosedTensor.upperEnd nominal) domain.Ball

        let norm =
            Propositions.affineRelu context map (Propositions.slopes definition y) domain.Ball

        reported
            layer
            (kind + "+relu")
            domain
            norm.Bound
            (Witness.ofNorm context norm)
            (EnclosedTensor.rectify engine nominal)
            (Propositions.zerosAfterRelu y)
    else
        let norm = Propositions.affine context map domain.Ball

        reported
            layer
            kind
            domain
            norm.Bound
            (Witness.ofNorm context norm)
            nominal
            (Propositions.zerosAfterAffine nominal.Value.Shape)

/// A ReLU on its own is an affine-ReLU function with the identity as its matrix.
let private reluStage context definition (domain: Domain) (layer: PlacedLayer) =
    let identity = Diagonal(Tensor.create domain.Ball.Center.Shape 1.0)

    let y =
        Propositions.affineUpperBound context.Engine identity (EnclosedTensor.upperEnd domain.Nominal) domain.Ball

    let norm =
        Propositions.affineRelu context identity (Propositions.slopes definition y) domain.Ball

    reported
        layer
        "relu"
        domain
        norm.Bound
        (Witness.ofNorm context norm)
        (EnclosedTensor.rectify context.Engine domain.Nominal)
        (Propositions.zerosAfterRelu y)

let private maxPoolingStage context (domain: Domain) layer (geometry: PoolingGeometry) =
    let lipschitz = Propositions.maxPooling geometry.MaxOverlap

    let mask =
        Propositions.zerosAfterMaxPooling context.Engine geometry domain.Ball.Mask

    let nominal = EnclosedTensor.apply context.Engine layer domain.Nominal

    reported layer (Layer.kind layer.Layer) domain lipschitz (Witness.deterministic PoolingOverlap) nominal mask

let rec private stage context definition (domain: Domain) stage =
    Context.check context

    match stage with
    | AffineStage(layers, map, rectified) ->
        context
        |> LayerContext.run layers.Head (fun context -> affineStage context definition domain layers map rectified)
    | ReluStage layer -> reluStage context definition domain layer
    | MaxPoolingStage(layer, geometry) -> maxPoolingStage context domain layer geometry
    | SumStage branches -> sumStage context definition domain branches

and private sumStage context definition domain branches =
    let steps = branches |> List.map (series context definition domain)

    step
        domain
        (steps |> List.map _.Lipschitz |> Propositions.sumOfBranches)
        (steps |> List.map _.Output.Nominal |> List.reduce EnclosedTensor.add)
        (steps |> List.map _.Output.Ball.Mask |> Propositions.zerosAfterSum)
        (steps |> List.collect _.Layers)

/// The stages one after the other; the empty series is the identity.
and private series context definition domain stages =
    let start =
        {
            Output = domain
            Lipschitz = Bound.one
            Layers = []
        }

    (start, stages)
    ||> List.fold (fun before next ->
        let step = stage context definition before.Output next

        {
            Output = step.Output
            Lipschitz = Propositions.composition before.Lipschitz step.Lipschitz
            Layers = before.Layers @ step.Layers
        })

/// Bounds the local Lipschitz constant of the network around `input` over the ball of the given radius. The weights and
/// the input are taken as exact; the result promises what the weakest of its spectral norms does.
let bound context definition (network: Network) (input: Tensor) radius : NetworkBound =
    let center = Tensor.reshape network.InputShape input

    let domain =
        {
            Ball = RestrictedBall.whole center radius
            Nominal = EnclosedTensor.exact center
        }

    let result =
        series (LayerContext.share network context) definition domain (Stage.ofNetwork network)

    {
        Bound = result.Lipschitz
        Layers = result.Layers
    }
