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
        /// The nominal value with its rounding error, and the enclosure of the inputs.
        Reach: Reach
    }

/// What a stage does to its inputs. `Lipschitz` promises what its own computation promises; what the incoming radius
/// promises is counted where that came from.
[<ReferenceEquality>]
type private Step =
    {
        Output: Domain
        Lipschitz: Bound
        Layers: LayerBound list
        /// The enclosures of what bends, by the index of its layer.
        Enclosures: (int * Enclosure) list
    }

let private step (domain: Domain) lipschitz (output: Reach) mask layers =
    {
        Output =
            {
                Ball =
                    {
                        Center = output.Nominal.Value
                        Radius = Propositions.radiusTransfer domain.Ball.Radius lipschitz
                        Mask = mask
                    }
                Reach = output
            }
        Lipschitz = lipschitz
        Layers = layers
        Enclosures = []
    }

/// The step of one stage with its line in the report, where the layer's constant promises no more than its radius does.
let private reported (layer: PlacedLayer) kind (domain: Domain) lipschitz witness output mask =
    let step = step domain lipschitz output mask []

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

/// The step of a stage with a ReLU behind `map`. `image` are its pre-activations.
let private rectified context definition (layer: PlacedLayer) kind (domain: Domain) map image =
    let y = Reach.beforeRelu context image
    let enclosure = Reach.enclosure y

    let rising: Propositions.PreActivations =
        {
            Nominal = EnclosedTensor.upperEnd y.Nominal
            Reach = enclosure.Rise
        }

    let norm =
        Propositions.affineRelu context map (Propositions.slopes definition rising) domain.Ball

    { reported
          layer
          kind
          domain
          norm.Bound
          (Witness.ofNorm context norm)
          (Reach.relu context.Engine y)
          (Propositions.zerosAfterRelu rising) with
        Enclosures = [ layer.Index, enclosure ]
    }

/// What Proposition 4 allows the image under `map` to differ from its nominal values by.
let private ballBehind context map (nominal: EnclosedTensor) (domain: Domain) =
    (Propositions.affineUpperBound context.Engine map nominal.Value domain.Ball).Reach

let private affineStage context definition (domain: Domain) (layers: PlacedLayer list) map isRectified =
    let layer = layers.Head

    let nominal =
        (domain.Reach.Nominal, layers)
        ||> List.fold (fun enclosed layer -> EnclosedTensor.apply context.Engine layer enclosed)

    let image =
        let ball = ballBehind context map nominal domain
        Reach.affine context.Engine (Some ball) layer map nominal domain.Reach

    let kind =
        Layer.kind layer.Layer + (if layers.Tail.IsEmpty then "" else "+diagonal")

    if isRectified then
        rectified context definition layer (kind + "+relu") domain map image
    else
        let norm = Propositions.affine context map domain.Ball

        reported
            layer
            kind
            domain
            norm.Bound
            (Witness.ofNorm context norm)
            image
            (Propositions.zerosAfterAffine nominal.Value.Shape)

/// A ReLU on its own is an affine-ReLU function with the identity as its matrix.
let private reluStage context definition (domain: Domain) (layer: PlacedLayer) =
    let identity = Diagonal(Tensor.create domain.Ball.Center.Shape 1.0)
    let ball = ballBehind context identity domain.Reach.Nominal domain

    rectified context definition layer "relu" domain identity (Reach.limited ball domain.Reach)

let private maxPoolingStage context (domain: Domain) layer (geometry: PoolingGeometry) =
    let lipschitz = Propositions.maxPooling geometry.MaxOverlap

    let mask =
        Propositions.zerosAfterMaxPooling context.Engine geometry domain.Ball.Mask

    let inputs =
        let ball = domain.Ball.Mask |> Tensor.map (Rounding.mulUp domain.Ball.Radius.Value)

        Reach.within ball domain.Reach |> Reach.beforeMaxPooling context geometry

    let nominal = EnclosedTensor.apply context.Engine layer inputs.Nominal

    { reported
          layer
          (Layer.kind layer.Layer)
          domain
          lipschitz
          (Witness.deterministic PoolingOverlap)
          (Reach.maxPooling geometry nominal inputs)
          mask with
        Enclosures = [ layer.Index, Reach.enclosure inputs ]
    }

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

    { step
          domain
          (steps |> List.map _.Lipschitz |> Propositions.sumOfBranches)
          (steps |> List.map _.Output.Reach |> Reach.sum domain.Reach)
          (steps |> List.map _.Output.Ball.Mask |> Propositions.zerosAfterSum)
          (steps |> List.collect _.Layers) with
        Enclosures = steps |> List.collect _.Enclosures
    }

/// The stages one after the other; the empty series is the identity.
and private series context definition domain stages =
    let start =
        {
            Output = domain
            Lipschitz = Bound.one
            Layers = []
            Enclosures = []
        }

    (start, stages)
    ||> List.fold (fun before next ->
        let step = stage context definition before.Output next

        {
            Output = step.Output
            Lipschitz = Propositions.composition before.Lipschitz step.Lipschitz
            Layers = before.Layers @ step.Layers
            Enclosures = before.Enclosures @ step.Enclosures
        })

let private run context kind definition (network: Network) (input: Tensor) (radius: Radius) =
    let center = Tensor.reshape network.InputShape input

    let domain =
        {
            Ball = RestrictedBall.whole center radius
            Reach = Reach.start Euclidean kind (EnclosedTensor.exact center) radius.Value
        }

    series (LayerContext.share network context) definition domain (Stage.ofNetwork network)

let private boundOf (result: Step) : NetworkBound =
    {
        Bound = result.Lipschitz
        Layers = result.Layers
    }

/// Bounds the local Lipschitz constant of the network around `input` over the ball of the given radius. The weights and
/// the input are taken as exact; the result promises what the weakest of its spectral norms does.
let bound context definition network input radius : NetworkBound =
    run context Ball definition network input radius |> boundOf

/// As `bound`, with slopes and zero propagation from enclosures of this kind: `Ball` are the paper's.
let boundWith context kind definition network input radius : NetworkBound =
    run context kind definition network input radius |> boundOf

let private enclosureOf context kind (result: Step) : NetworkEnclosure =
    {
        Kind = kind
        Stages = Map.ofList result.Enclosures
        Output = Reach.atOutput context result.Output.Reach |> Reach.enclosure
        Rigor = result.Lipschitz.Rigor
    }

/// Encloses everything that bends in a network, and its outputs, over the ball of the given radius around `input`.
let enclose context kind network input radius : NetworkEnclosure =
    run context kind Nominal network input radius |> enclosureOf context kind

/// The bound and the enclosures behind it, from one run and so with one set of draws.
let internal boundAndEnclosure context kind definition network input radius =
    let result = run context kind definition network input radius
    struct (boundOf result, enclosureOf context kind result)
