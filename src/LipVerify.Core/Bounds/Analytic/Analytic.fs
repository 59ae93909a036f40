/// Algorithm 1 of Avant & Morgansen: walk the stages from the restricted ball of inputs, take each one's local constant,
/// and hand the ball of its outputs on. Nominal values are enclosed, so that their rounding is part of the bound.
module LipVerify.Core.Bounds.Analytic.Analytic

open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Activations
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.Enclosures
open LipVerify.Core.Loops.Reaches

/// What the walk goes by.
[<ReferenceEquality>]
type private Guide =
    {
        Definition: Definition
        /// What is proved of the network as a whole.
        Probed: ProbedReaches option
    }

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

/// The inputs of a stage within what is proved of them.
let private probed guide (layer: PlacedLayer) (reach: Reach) =
    guide.Probed
    |> Option.bind (fun probed -> Map.tryFind layer.Index probed.Stages)
    |> Option.fold (fun reach bounds -> Reach.within bounds reach) reach

/// The step of a stage with an activation behind `map`. `image` are its pre-activations.
let private activated
    context
    guide
    (layer: PlacedLayer)
    kind
    (domain: Domain)
    map
    (activations: EntryActivations)
    image
    =
    let y = probed guide layer image |> Reach.beforeActivation context activations
    let excursions = Reach.excursions y

    let ofEntries (of': Activation -> Excursion -> float) =
        Array.Parallel.init excursions.Length (fun i -> of' activations[i] excursions[i])
        |> Tensor.ofArray y.Nominal.Value.Shape

    let slopes = ofEntries (Propositions.activationSlope guide.Definition)
    let norm = Propositions.affineRelu context map slopes domain.Ball

    { reported
          layer
          kind
          domain
          norm.Bound
          (Witness.ofNorm context norm)
          (Reach.activate context.Engine activations y)
          (ofEntries Propositions.movesAfterActivation) with
        Enclosures = [ layer.Index, Reach.enclosure y ]
    }

/// What Proposition 4 allows the image under `map` to differ from its nominal values by.
let private ballBehind context map (nominal: EnclosedTensor) (domain: Domain) =
    (Propositions.affineUpperBound context.Engine map nominal.Value domain.Ball).Reach

let private affineStage
    context
    guide
    (domain: Domain)
    (layers: PlacedLayer list)
    map
    (activations: EntryActivations option)
    =
    let layer = layers.Head

    let nominal =
        (domain.Reach.Nominal, layers)
        ||> List.fold (fun enclosed layer -> EnclosedTensor.apply context.Engine layer enclosed)

    let image =
        let ball = ballBehind context map nominal domain
        Reach.affine context.Engine (Some ball) layer map nominal domain.Reach

    let kind =
        Layer.kind layer.Layer + (if layers.Tail.IsEmpty then "" else "+diagonal")

    match activations with
    | Some activations -> activated context guide layer $"{kind}+{activations.Name}" domain map activations image
    | None ->
        let norm = Propositions.affine context map domain.Ball

        reported
            layer
            kind
            domain
            norm.Bound
            (Witness.ofNorm context norm)
            image
            (Propositions.zerosAfterAffine nominal.Value.Shape)

/// An activation on its own follows the identity as its matrix.
let private activationStage context guide (domain: Domain) (layer: PlacedLayer) (activations: EntryActivations) =
    let identity = Diagonal(Tensor.create domain.Ball.Center.Shape 1.0)
    let ball = ballBehind context identity domain.Reach.Nominal domain

    activated context guide layer activations.Name domain identity activations (Reach.limited ball domain.Reach)

let private maxPoolingStage context guide (domain: Domain) layer (geometry: PoolingGeometry) =
    let lipschitz = Propositions.maxPooling geometry.MaxOverlap

    let mask =
        Propositions.zerosAfterMaxPooling context.Engine geometry domain.Ball.Mask

    let inputs =
        let ball = domain.Ball.Mask |> Tensor.map (Rounding.mulUp domain.Ball.Radius.Value)

        Reach.within ball domain.Reach
        |> probed guide layer
        |> Reach.beforeMaxPooling context geometry

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

let rec private stage context guide (domain: Domain) stage =
    Context.check context

    match stage with
    | AffineStage(layers, map, activations) ->
        context
        |> LayerContext.run layers.Head (fun context -> affineStage context guide domain layers map activations)
    | ActivationStage(layer, activations) -> activationStage context guide domain layer activations
    | MaxPoolingStage(layer, geometry) -> maxPoolingStage context guide domain layer geometry
    | SumStage branches -> sumStage context guide domain branches

and private sumStage context guide domain branches =
    let steps = branches |> List.map (series context guide domain)

    { step
          domain
          (steps |> List.map _.Lipschitz |> Propositions.joined branches)
          (steps |> List.map _.Output.Reach |> Reach.sum domain.Reach)
          (steps |> List.map _.Output.Ball.Mask |> Propositions.zerosAfterSum)
          (steps |> List.collect _.Layers) with
        Enclosures = steps |> List.collect _.Enclosures
    }

/// The stages one after the other; the empty series is the identity.
and private series context guide domain stages =
    let start =
        {
            Output = domain
            Lipschitz = Bound.one
            Layers = []
            Enclosures = []
        }

    (start, stages)
    ||> List.fold (fun before next ->
        let step = stage context guide before.Output next

        {
            Output = step.Output
            Lipschitz = Propositions.composition before.Lipschitz step.Lipschitz
            Layers = before.Layers @ step.Layers
            Enclosures = before.Enclosures @ step.Enclosures
        })

/// The walk through a network, and the outputs.
[<ReferenceEquality>]
type private Outcome =
    {
        Result: Step
        /// How enclosures were computed.
        Kind: EnclosureKind
        /// Why not as was asked, where that is so.
        Explanation: string option
        Output: Reach
    }

let private walk context kind guide (network: Network) (input: Tensor) (radius: Radius) =
    let center = Tensor.reshape network.InputShape input
    let ball = RestrictedBall.whole center radius

    // What reaches promise, all that follows from them does: the radii, and with them the lines of the report.
    let promised bound =
        match guide.Probed with
        | Some probed -> Bound.weaken probed.Rigor bound
        | None -> bound

    let domain =
        {
            Ball =
                { ball with
                    Radius = promised ball.Radius
                }
            Reach = Reach.start Euclidean kind (EnclosedTensor.exact center) radius.Value
        }

    let result =
        series (LayerContext.share network context) guide domain (Stage.ofNetwork network)

    {
        Result =
            { result with
                Lipschitz = promised result.Lipschitz
            }
        Kind = kind
        Explanation = None
        Output =
            match guide.Probed with
            | Some probed -> Reach.within probed.Output result.Output.Reach
            | None -> result.Output.Reach
    }

/// The part of the time for reaches.
let private forReaches = 0.5

let private run context kind definition network input radius =
    let guide =
        {
            Definition = definition
            Probed = None
        }

    match kind with
    | Ball
    | Interval
    | Crown -> walk context kind guide network input radius
    | Probes ->
        let half = Context.share 2 context
        let own = Context.forComputation 1 half |> Context.withPart forReaches

        match ProbedReaches.find own network input radius with
        | Ok reaches ->
            walk (Context.forComputation 2 half) Probes { guide with Probed = Some reaches } network input radius
        | Error reason ->
            context.Report $"intervals instead of probes: {reason}"

            { walk (Context.forComputation 2 half) Interval guide network input radius with
                Explanation = Some $"the enclosures are intervals: {reason}"
            }

let private boundOf (outcome: Outcome) : NetworkBound =
    {
        Bound = outcome.Result.Lipschitz
        Layers = outcome.Result.Layers
    }

/// Bounds the local Lipschitz constant of the network around `input` over the ball of the given radius. The weights and
/// the input are taken as exact; the result promises what the weakest of its spectral norms does.
let bound context definition network input radius : NetworkBound =
    run context Ball definition network input radius |> boundOf

/// As `bound`, with slopes and zero propagation from enclosures of this kind: `Ball` are the paper's.
let boundWith context kind definition network input radius : NetworkBound =
    run context kind definition network input radius |> boundOf

/// As `boundWith`, and why the enclosures are not of this kind where they are not.
let boundExplained context kind definition network input radius : struct (NetworkBound * string option) =
    let outcome = run context kind definition network input radius
    struct (boundOf outcome, outcome.Explanation)

let private enclosureOf context (outcome: Outcome) : NetworkEnclosure =
    {
        Kind = outcome.Kind
        Explanation = outcome.Explanation
        Stages = Map.ofList outcome.Result.Enclosures
        Output = Reach.atOutput context outcome.Output |> Reach.enclosure
        Rigor = outcome.Result.Lipschitz.Rigor
    }

/// Encloses everything that bends in a network, and its outputs, over the ball of the given radius around `input`.
let enclose context kind network input radius : NetworkEnclosure =
    run context kind Nominal network input radius |> enclosureOf context

/// The bound and the enclosures behind it, from one run and so with one set of draws.
let internal boundAndEnclosure context kind definition network input radius =
    let outcome = run context kind definition network input radius
    struct (boundOf outcome, enclosureOf context outcome)
