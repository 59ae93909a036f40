/// Random networks and maps with their inputs, ugly ones among them.
module LipVerify.Propositions.RandomNetworks

open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Propositions.Generators

/// Blocks so far, the shape after them, and their value at the nominal input.
[<ReferenceEquality>]
type private Grown =
    {
        Blocks: Block list
        Shape: Shape
        Value: float[]
    }

let private append name layer grown =
    match Layer.outputShape grown.Shape layer with
    | Error problem -> failwith problem
    | Ok shape ->
        let value = Layer.apply engine layer 1 (HostStorage grown.Value)

        {
            Blocks = grown.Blocks @ [ Step(name, layer) ]
            Shape = shape
            Value = Array.copy (Tensor.values (Tensor.ofStorage [ value.Length ] value))
        }

let private appendAffine (draw: Draw) factor map grown =
    let map = multiplied factor map
    append "affine" (Affine(map, biasAt draw map grown.Value)) grown

/// A map that keeps the shape: the inside of a residual branch.
let private keepingShape (draw: Draw) (shape: Shape) =
    match shape with
    | [ c; h; w ] ->
        let axis extent = WindowAxis(extent, 3, 1, 1, 1)
        let geometry = ConvolutionGeometry(c, c, axis h, axis w)
        Convolution(Convolution.create geometry (Tensor.ofArray [ c; c; 3; 3 ] (weightMatrix draw c (9 * c))))
    | _ ->
        let n = Shape.size shape
        Dense(Dense.create (Tensor.ofArray [ n; n ] (weightMatrix draw n n)))

let private appendSum (draw: Draw) grown =
    let branch _ =
        let start = { grown with Blocks = [] }
        let shaped = append "reshape" (Reshape grown.Shape) start

        match draw.Int(0, 3) with
        | 0 -> shaped
        | 1 -> appendAffine draw 1.0 (keepingShape draw grown.Shape) start
        | _ ->
            start
            |> appendAffine draw 1.0 (keepingShape draw grown.Shape)
            |> append "relu" Layer.relu
            |> appendAffine draw 1.0 (keepingShape draw grown.Shape)

    let branches = List.init (draw.Int(1, 3)) branch

    { grown with
        Blocks = grown.Blocks @ [ Sum(branches |> List.map (fun b -> Series b.Blocks)) ]
        Value = branches |> List.map _.Value |> List.reduce (Array.map2 (+))
    }

let private batchNormalization (draw: Draw) (shape: Shape) =
    let values f =
        Tensor.vector (Array.init shape.Head (fun _ -> f ()))

    BatchNormalization.layers
        shape
        (values draw.Gaussian)
        (values draw.Gaussian)
        (values draw.Gaussian)
        (values (fun () -> draw.Real(0.0, 2.0)))
        1e-5

/// One more part of a network.
let private extend (draw: Draw) factor grown =
    let kind = draw.Int(0, 19)

    match grown.Shape with
    | [ c; h; w ] when kind < 4 -> append "maxpool" (Layer.maxPooling (poolingGeometry draw (c, h, w))) grown
    | _ when kind < 6 -> append "relu" Layer.relu grown
    | _ when kind < 9 -> appendSum draw grown
    | _ when kind < 11 -> appendAffine draw factor (linearMap draw grown.Shape) grown
    | _ when kind < 14 ->
        let affine = appendAffine draw factor (linearMap draw grown.Shape) grown

        (affine, batchNormalization draw affine.Shape)
        ||> List.fold (fun grown layer -> append "batchnorm" layer grown)
        |> append "relu" Layer.relu
    | shape when kind = 14 && shape.Length = 3 -> append "flatten" (Reshape [ Shape.size shape ]) grown
    | _ ->
        appendAffine draw factor (linearMap draw grown.Shape) grown
        |> append "dropout" Identity
        |> append "relu" Layer.relu

/// A network, a nominal input and a radius.
[<ReferenceEquality; StructuredFormatDisplay("{Text}")>]
type NetworkCase =
    {
        Seed: int
        Network: Network
        Input: Tensor
        Radius: Radius
    }

    /// One line for a failing property.
    member case.Text =
        let layer (placed: PlacedLayer) =
            $"{Layer.kind placed.Layer}({Shape.text placed.Output})"

        let layers = Network.layers case.Network |> List.map layer |> String.concat " → "

        $"seed {case.Seed}, radius {case.Radius.Value:R}: {Shape.text case.Input.Shape} → {layers}"

let radius value =
    match Radius.create value with
    | Ok radius -> radius
    | Error problem -> failwith problem

let build shape blocks =
    match Network.create shape (Series blocks) with
    | Ok network -> network
    | Error problem -> failwith problem

/// Dense layers of these widths with ReLUs between them, and an input, all drawn from a normal distribution: in general position.
let generalChain (draw: Draw) (widths: int list) =
    let layers =
        List.pairwise widths
        |> List.collect (fun (inputs, outputs) ->
            [
                Step("relu", Layer.relu)
                Step(
                    "dense",
                    Layer.dense
                        (Tensor.ofArray [ outputs; inputs ] (draw.Gaussians(inputs * outputs)))
                        (Tensor.vector (draw.Gaussians outputs))
                )
            ])
        |> List.tail

    struct (build [ widths.Head ] layers, Tensor.vector (draw.Gaussians widths.Head))

/// 0, tiny, ordinary, huge.
let private anyRadius (draw: Draw) =
    match draw.Int(0, 19) with
    | 0 -> 0.0
    | 1 -> 1e-9
    | 2 -> 1e6
    | 3 -> 1e100
    | _ -> draw.Power(-3.0, 1.5)

/// A nominal input: ordinary, zero, or with few different values, so that pooling windows tie.
let nominalInput (draw: Draw) shape =
    let value =
        draw.Pick
            [
                draw.Gaussian
                draw.Gaussian
                fun () -> float (draw.Int(0, 2))
                fun () -> 0.0
            ]

    Tensor.ofArray shape (Array.init (Shape.size shape) (fun _ -> value ()))

/// A network of up to five parts over inputs of a shape; every tenth has weights around 1e±30.
let networkOver shape seed =
    let draw = Draw seed
    let extreme = draw.Chance 0.1
    let parts = draw.Int(1, (if extreme then 3 else 5))

    let factor () =
        if extreme then draw.Power(-30.0, 30.0) else 1.0

    let input = nominalInput draw shape

    let start =
        {
            Blocks = []
            Shape = shape
            Value = Tensor.values input
        }

    let grown =
        (start, [ 1..parts ])
        ||> List.fold (fun grown _ -> extend draw (factor ()) grown)

    {
        Seed = seed
        Network = build shape grown.Blocks
        Input = input
        Radius = radius (anyRadius draw)
    }

/// A network over images or vectors.
let network seed =
    networkOver (inputShape (Draw(seed ^^^ 0x5bd1e995))) seed

/// A network over a restricted ball: some zeros of the centre stay zero.
let restrictedNetwork seed =
    let case = network seed
    let draw = Draw(seed + 2)

    let mask =
        Tensor.values case.Input
        |> Array.map (fun c -> if c = 0.0 && draw.Chance 0.5 then 0.0 else 1.0)

    let ball =
        { RestrictedBall.whole case.Input case.Radius with
            Mask = Tensor.ofArray case.Input.Shape mask
        }

    case, ball

/// A linear map times a factor from 1e-150 to 1e150, over a restricted ball.
[<ReferenceEquality; StructuredFormatDisplay("{Text}")>]
type MapCase =
    {
        Seed: int
        Map: LinearMap
        Scale: float
        Ball: RestrictedBall
    }

    /// One line for a failing property.
    member case.Text =
        $"seed {case.Seed}: {Layer.kind (Layer.linear case.Map)} {Shape.text (LinearMap.inputShape case.Map)} → {Shape.text (LinearMap.outputShape case.Map)} at scale {case.Scale:R}, radius {case.Ball.Radius.Value:R}"

let linearMapCase seed =
    let draw = Draw seed
    let shape = inputShape draw

    let scale = if draw.Chance 0.3 then draw.Power(-150.0, 150.0) else 1.0

    let diagonal = mask draw (Shape.size shape)

    let center = Array.map2 (*) diagonal (Tensor.values (nominalInput draw shape))

    {
        Seed = seed
        Map = linearMap draw shape |> multiplied scale
        Scale = scale
        Ball =
            {
                Center = Tensor.ofArray shape center
                Radius = Bound.certified (anyRadius draw |> min 1e6)
                Mask = Tensor.ofArray shape diagonal
            }
    }

/// A map over a restricted ball with a bias for the pre-activations.
let biasOf (case: MapCase) =
    biasAt (Draw(case.Seed + 1)) case.Map (Tensor.values case.Ball.Center)

/// Thirty dense layers with shortcuts around every two of them, and an input.
let residualChain (draw: Draw) =
    let layer gain outputs inputs =
        let weights =
            draw.Gaussians(outputs * inputs)
            |> Array.map (fun w -> gain * w / sqrt (float inputs))

        Step("dense", Layer.dense (Tensor.ofArray [ outputs; inputs ] weights) (Tensor.vector (draw.Gaussians outputs)))

    let relu = Step("relu", Layer.relu)

    let block _ =
        [ Sum [ Series [ layer 1.4 12 12; relu; layer 0.4 12 12 ]; Series [] ]; relu ]

    let blocks =
        layer 1.4 12 6 :: relu :: List.collect block [ 1..14 ] @ [ layer 1.0 3 12 ]

    struct (build [ 6 ] blocks, Tensor.vector (draw.Gaussians 6))
