/// Every method on networks with activations other than ReLU: no upper end is below a slope that is attained, and methods that are there for ReLU
/// alone say so.
module LipVerify.Tests.ActivationMethodTests

open System
open Expecto
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Activations
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Enclosures
open LipVerify.Core.Methods
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Expectations

let private kinds: Activation list =
    [
        LeakyRelu.activation 0.1
        LeakyRelu.activation -1.0
        Clip.activation 0.0 6.0
        Clip.activation -0.5 0.5
        HardSigmoid.activation 0.2 0.5
        HardSwish.activation
        Elu.elu 1.0
        Elu.selu 1.6732632423543772 1.0507009873554805
        Elu.celu 0.5
        Sigmoid.activation
        Tanh.activation
        Softplus.activation
        Softsign.activation
        Silu.activation
        Gelu.activation
        Gelu.byTanh
        Mish.activation
        Relu.activation
    ]

/// The network with its ReLUs replaced; now and then each entry of one has a slope of its own.
let private replaced (draw: Draw) kind (network: Network) =
    let layerOf (placed: PlacedLayer) =
        match placed.Layer with
        | Activation _ when draw.Chance 0.15 ->
            let slopes = [| 0.0; 0.25; -0.5; 1.5 |] |> Array.map LeakyRelu.activation
            let choice = Array.init (Shape.size placed.Output) (fun _ -> draw.Int(0, 3))
            Activation(EntryActivations.chosen slopes choice)
        | Activation _ -> Layer.activation kind
        | layer -> layer

    let rec block node =
        match node with
        | Leaf placed -> Step(placed.Name, layerOf placed)
        | Chain nodes -> Series(List.map block nodes)
        | Branches nodes -> Sum(List.map block nodes)

    build network.InputShape [ block network.Node ]

let private case seed =
    let draw = Draw(seed ^^^ 0x2f6b)
    let case = network seed

    { case with
        Network = replaced draw (draw.Pick kinds) case.Network
        Radius =
            radius (
                match draw.Int(0, 9) with
                | 0 -> 0.0
                | 1 -> 1e-9
                | 2 -> 1e3
                | _ -> draw.Power(-3.0, 1.0)
            )
    }

/// Dense layers with activations between them: what methods for chains take.
let private chainCase seed =
    let draw = Draw(seed ^^^ 0x51c3)
    let widths = List.init (draw.Int(3, 5)) (fun _ -> draw.Int(1, 6))
    let struct (network, input) = generalChain draw widths

    {
        Seed = seed
        Network = replaced draw (draw.Pick kinds) network
        Input = input
        Radius = radius (draw.Power(-3.0, 0.5))
    }

/// Points of the ball in a norm, the centre first.
let private points (draw: Draw) norm (case: NetworkCase) =
    let ball = RestrictedBall.whole case.Input case.Radius

    let point scale =
        let direction = draw.Gaussians case.Input.Length
        let size = NormedVectors.size norm (ReadOnlySpan direction)

        direction
        |> Array.map (fun d -> scale * case.Radius.Value * d / size)
        |> LowerBound.inside norm ball

    [|
        case.Input
        for scale in [ 1.0; 1.0; 1.0; 1.0; 0.3; 1e-3 ] do
            point scale
    |]

/// The largest slope between pairs of points, rounded downward.
let private attained norm definition (network: Network) (points: Tensor[]) =
    match definition with
    | Nominal -> points[1..] |> Array.map (fun x -> points[0], x)
    | Uniform -> Array.allPairs points points
    |> Array.map (fun (x, y) -> (LowerBound.between context norm network x y).Value)
    |> Array.fold max 0.0

let private query (case: NetworkCase) norm definition enclosure =
    {
        Context =
            { context with Seed = case.Seed }
            |> Context.within (Some(TimeSpan.FromSeconds 1.0))
        Network = case.Network
        Norm = norm
        Definition = definition
        Enclosure = enclosure
        NeedsWitness = false
        Solvers = LipVerify.Solvers.InstalledSolvers.all
    }

/// Methods that take every activation.
let private general =
    set
        [
            "global"
            "analytic"
            "structured"
            "local-lipsdp"
            "lipsdp-neuron"
            "lipsdp-layer"
            "fastlip"
            "recurjac"
        ]

let private holds kind count (grow: int -> NetworkCase) (general: Set<string>) (method: BoundMethod) =
    statement
        $"{method.Name} holds on {kind} with any activation, or says why it is not for it"
        count
        grow
        (fun (case: NetworkCase) ->
            let draw = Draw(case.Seed + 17)

            for norm in method.Norms do
                let inBall = BoundMethod.takesBall method
                let definition = if inBall then draw.Pick [ Nominal; Uniform ] else Uniform

                let enclosure =
                    if method.TakesEnclosure then
                        draw.Pick [ Ball; Interval; Crown; Probes ]
                    else
                        Ball

                let place = $"{method.Name}, {norm}, {definition}, {enclosure} at {case.Text}"
                let ball = if inBall then Some(case.Input, case.Radius) else None

                match BoundMethod.run method (query case norm definition enclosure) ball (Some 0) with
                | Error reason when general.Contains method.Name -> failtest $"{place}: {reason}"
                | Error _ -> ()
                | Ok _ when BoundMethod.isOfOneOutput method -> ()
                | Ok found ->
                    let attained = points draw norm case |> attained norm definition case.Network
                    Expect.isGreaterThanOrEqual found.Result.Bound.Value attained place

                    // The derivative in a direction at the centre is a limit of slopes.
                    let direction = Tensor.ofArray case.Input.Shape (draw.Gaussians case.Input.Length)
                    let along = LowerBound.along context norm case.Network case.Input direction

                    if case.Radius.Value > 0.0 then
                        Expect.isGreaterThanOrEqual found.Result.Bound.Value along.Value $"{place}: derivative")

[<Tests>]
let tests =
    testList
        "ActivationMethods"
        [
            for method in BoundMethods.all |> List.filter (fun method -> method.Name <> "seqlip-greedy") do
                holds "networks" 40 case general method
                holds "chains" 30 chainCase (general.Add("eclipse").Add("eclipse-fast")) method
        ]
