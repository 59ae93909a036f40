/// Algorithm 1 of Avant & Morgansen: walk the stages from the restricted ball of inputs, take each one's local constant,
/// and hand the ball of its outputs on.
module LipVerify.Core.Analytic

open LipVerify.Compute

/// What a stage does to a ball.
[<ReferenceEquality>]
type private Step =
    {
        Output: RestrictedBall
        Lipschitz: Bound
        Layers: LayerBound list
    }

let private step (ball: RestrictedBall) lipschitz center mask layers =
    {
        Output =
            {
                Center = center
                Radius = Propositions.radiusTransfer ball.Radius lipschitz
                Mask = mask
            }
        Lipschitz = lipschitz
        Layers = layers
    }

/// The step of one stage with its line in the report.
let private reported (layer: PlacedLayer) kind (ball: RestrictedBall) lipschitz center mask =
    let step = step ball lipschitz center mask []

    let line =
        {
            Index = layer.Index
            Name = layer.Name
            Kind = kind
            Lipschitz = lipschitz
            RadiusIn = Some ball.Radius.Value
            RadiusOut = Some step.Output.Radius.Value
            Active = Tensor.countNonZero mask
            Size = mask.Length
        }

    { step with Layers = [ line ] }

/// `f(x0)` of one layer, in the shape that the layer gives it.
let private evaluate (engine: IEngine) (center: Tensor) (layer: PlacedLayer) =
    Layer.apply engine layer.Layer 1 center.Storage |> Tensor.ofStorage layer.Output

let private relu (engine: IEngine) (y: Tensor) =
    Layer.apply engine Relu 1 y.Storage |> Tensor.ofStorage y.Shape

let private affineStage context definition (ball: RestrictedBall) (layers: PlacedLayer list) map rectified =
    let engine = context.Engine
    let layer = layers.Head
    let nominal = layers |> List.fold (evaluate engine) ball.Center

    let kind =
        Layer.kind layer.Layer + (if layers.Tail.IsEmpty then "" else "+diagonal")

    if rectified then
        let y = Propositions.affineUpperBound engine map nominal ball
        let slopes = Propositions.slopes definition y
        let lipschitz = Propositions.affineRelu context map slopes ball
        reported layer (kind + "+relu") ball lipschitz (relu engine nominal) (Propositions.zerosAfterRelu y)
    else
        let lipschitz =
            Propositions.affine context map ball |> Bound.weaken ball.Radius.Rigor

        reported layer kind ball lipschitz nominal (Propositions.zerosAfterAffine nominal.Shape)

/// A ReLU on its own is an affine-ReLU function with the identity as its matrix.
let private reluStage context definition (ball: RestrictedBall) (layer: PlacedLayer) =
    let identity = Diagonal(Tensor.create ball.Center.Shape 1.0)
    let y = Propositions.affineUpperBound context.Engine identity ball.Center ball

    let lipschitz =
        Propositions.affineRelu context identity (Propositions.slopes definition y) ball

    reported layer "relu" ball lipschitz (relu context.Engine ball.Center) (Propositions.zerosAfterRelu y)

let private maxPoolingStage context (ball: RestrictedBall) layer (geometry: PoolingGeometry) =
    let lipschitz = Propositions.maxPooling geometry.MaxOverlap
    let mask = Propositions.zerosAfterMaxPooling context.Engine geometry ball.Mask
    reported layer (Layer.kind layer.Layer) ball lipschitz (evaluate context.Engine ball.Center layer) mask

let rec private stage context definition (ball: RestrictedBall) stage =
    Context.check context

    match stage with
    | AffineStage(layers, map, rectified) ->
        context.Report $"layer {layers.Head.Index} ({layers.Head.Name})"
        affineStage context definition ball layers map rectified
    | ReluStage layer -> reluStage context definition ball layer
    | MaxPoolingStage(layer, geometry) -> maxPoolingStage context ball layer geometry
    | SumStage branches -> sumStage context definition ball branches

and private sumStage context definition ball branches =
    let steps = branches |> List.map (series context definition ball)
    let add (a: Tensor) b = Tensor.map2 (+) a b

    step
        ball
        (steps |> List.map _.Lipschitz |> Propositions.sumOfBranches)
        (steps |> List.map _.Output.Center |> List.reduce add)
        (steps |> List.map _.Output.Mask |> Propositions.zerosAfterSum)
        (steps |> List.collect _.Layers)

/// The stages one after the other; the empty series is the identity.
and private series context definition ball stages =
    let start =
        {
            Output = ball
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

/// Bounds the local Lipschitz constant of the network around `input` over the ball of the given radius.
/// The rigor is `Numerical` where every spectral norm is certified (rounding of nominal values is not enclosed),
/// `Estimate` where one was estimated.
let bound context definition (network: Network) (input: Tensor) radius : NetworkBound =
    let ball = RestrictedBall.whole (Tensor.reshape network.InputShape input) radius
    let result = series context definition ball (Stage.ofNetwork network)

    {
        Bound = result.Lipschitz |> Bound.weaken result.Output.Radius.Rigor
        Layers = result.Layers
    }
