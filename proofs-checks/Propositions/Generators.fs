/// Random linear maps, pooling windows and networks, with the cases that break careless code. Everything grows from one
/// seed, which a failing property prints.
module LipVerify.Propositions.Generators

open System
open FsCheck
open FsCheck.FSharp
open LipVerify.Compute
open LipVerify.Core

/// The engine under test: `LIPVERIFY_TEST_ENGINE`, else the best one here.
let engine: IEngine =
    let name =
        Environment.GetEnvironmentVariable "LIPVERIFY_TEST_ENGINE"
        |> Option.ofObj
        |> Option.defaultValue "auto"

    Engines.Create(name, 0)

let context = Context.create engine

/// Random choices that one seed determines.
type Draw(seed: int) =
    let random = Random seed

    member _.Int(low, high) = random.Next(low, high + 1)

    member _.Real(low, high) =
        low + (high - low) * random.NextDouble()

    member _.Chance probability = random.NextDouble() < probability
    member _.Pick(choices: 'a list) = choices[random.Next choices.Length]

    member _.Gaussian() =
        sqrt (-2.0 * log (1.0 - random.NextDouble()))
        * cos (2.0 * Math.PI * random.NextDouble())

    /// A power of ten with an exponent between the two.
    member draw.Power(low, high) = Math.Pow(10.0, draw.Real(low, high))

    member draw.Gaussians count =
        Array.init count (fun _ -> draw.Gaussian())

/// The same cases in every run, so that a change is judged by what it changes; `LIPVERIFY_TEST_SEED` takes another number for
/// other cases, or `random`.
let private replay =
    match Environment.GetEnvironmentVariable "LIPVERIFY_TEST_SEED" |> Option.ofObj with
    | Some "random" -> None
    | Some number when number <> "" -> Some(UInt64.Parse number)
    | _ -> Some 1UL
    |> Option.map (fun seed ->
        {
            Rnd = Rnd(seed, 0x9E3779B97F4A7C15UL)
            Size = None
        })

/// Runs a property on cases of a generator; a failure names the case and the seed that replays it.
let checkCases count (cases: Gen<'a>) (property: 'a -> unit) =
    let config =
        Config.QuickThrowOnFailure.WithMaxTest(count).WithQuietOnSuccess(true).WithReplay(replay)

    Check.One(config, Prop.forAll (Arb.fromGen cases) property)

/// Runs a property on cases grown from random seeds.
let check count (grow: int -> 'a) (property: 'a -> unit) =
    checkCases count (Gen.choose (0, Int32.MaxValue - 1) |> Gen.map grow) property

/// A weight matrix, row-major: normal, sparse, of signs, or of rank one; with zero rows and duplicate rows.
let weightMatrix (draw: Draw) rows columns =
    let entry =
        draw.Pick
            [
                draw.Gaussian
                draw.Gaussian
                fun () -> if draw.Chance 0.6 then 0.0 else draw.Gaussian()
                fun () -> float (draw.Int(-1, 1))
            ]

    let weights = Array.init (rows * columns) (fun _ -> entry ())

    if draw.Chance 0.1 then
        let left, right = draw.Gaussians rows, draw.Gaussians columns

        for k in 0 .. weights.Length - 1 do
            weights[k] <- left[k / columns] * right[k % columns]

    if draw.Chance 0.2 then
        Array.fill weights (draw.Int(0, rows - 1) * columns) columns 0.0

    if draw.Chance 0.2 then
        Array.blit weights (draw.Int(0, rows - 1) * columns) weights (draw.Int(0, rows - 1) * columns) columns

    weights

/// A window along an axis: stride beyond the kernel, overlap, dilation, lopsided padding.
let rec windowAxis (draw: Draw) pooling input =
    let dilation =
        if draw.Chance(if pooling then 0.9 else 0.75) then
            1
        else
            draw.Int(2, 3)

    let padding () =
        if draw.Chance 0.5 then 0 else draw.Int(0, 2)

    let axis =
        WindowAxis(input, draw.Int(1, 4), draw.Int(1, 4), padding (), padding (), dilation, pooling && draw.Chance 0.3)

    if axis.Output >= 1 then
        axis
    else
        windowAxis draw pooling input

/// Pooling windows over inputs of `channels × height × width`.
let rec poolingGeometry (draw: Draw) (channels, height, width) =
    let geometry =
        PoolingGeometry(channels, windowAxis draw true height, windowAxis draw true width)

    try
        geometry.Validate()
        geometry
    with :? ArgumentException ->
        poolingGeometry draw (channels, height, width)

/// A convolution: ordinary, grouped, depthwise or pointwise.
let convolution (draw: Draw) (channels, height, width) =
    let groups = draw.Pick([ 1..channels ] |> List.filter (fun g -> channels % g = 0))

    let perGroup = draw.Int(1, 3)

    let geometry =
        ConvolutionGeometry(
            channels,
            groups * perGroup,
            windowAxis draw false height,
            windowAxis draw false width,
            groups
        )

    let shape =
        [
            geometry.OutChannels
            channels / groups
            geometry.Rows.Kernel
            geometry.Columns.Kernel
        ]

    let weights =
        weightMatrix draw geometry.OutChannels (geometry.WeightSize / geometry.OutChannels)

    Convolution(Convolution.create geometry (Tensor.ofArray shape weights))

/// Factors of a diagonal map: batch normalisation may turn a sign or switch a channel off.
let private diagonal (draw: Draw) shape =
    let factor () =
        if draw.Chance 0.1 then 0.0 else draw.Gaussian()

    let factors =
        match shape with
        | channels :: _ when draw.Chance 0.7 ->
            let perChannel = Shape.size shape / channels
            let values = Array.init channels (fun _ -> factor ())
            Array.init (Shape.size shape) (fun i -> values[i / perChannel])
        | _ -> Array.init (Shape.size shape) (fun _ -> factor ())

    Tensor.ofArray shape factors

/// A linear map that takes inputs of `shape`.
let rec linearMap (draw: Draw) (shape: Shape) =
    let scaled () =
        let map = linearMap draw shape
        Scaled(diagonal draw (LinearMap.outputShape map), map)

    let kind = draw.Int(0, 9)

    match shape with
    | [ c; h; w ] when kind < 6 -> convolution draw (c, h, w)
    | [ c; h; w ] when kind = 6 ->
        AveragePooling(AveragePooling.create (poolingGeometry draw (c, h, w)) (draw.Chance 0.5))
    | _ when kind = 7 -> Diagonal(diagonal draw shape)
    | _ when kind > 7 -> scaled ()
    | _ ->
        let inputs, outputs = Shape.size shape, draw.Int(1, 9)
        Dense(Dense.create (Tensor.ofArray [ outputs; inputs ] (weightMatrix draw outputs inputs)))

/// The map times `factor`; average pooling has no weights to multiply and gets a row scaling.
let rec multiplied factor map =
    match map with
    | Dense dense -> Dense(Dense.mapEntries (fun w -> factor * w) dense)
    | Convolution convolution -> Convolution(Convolution.mapEntries (fun w -> factor * w) convolution)
    | AveragePooling _ -> Scaled(Tensor.create (LinearMap.outputShape map) factor, map)
    | Diagonal scale -> Diagonal(Tensor.map (fun s -> factor * s) scale)
    | Scaled(scale, map) -> Scaled(scale, multiplied factor map)

/// An image of 1×1 up to 3×6×6, or a vector of up to 9.
let inputShape (draw: Draw) : Shape =
    let extent () =
        if draw.Chance 0.15 then 1 else draw.Int(2, 6)

    if draw.Chance 0.6 then
        [ draw.Int(1, 3); extent (); extent () ]
    else
        [ draw.Int(1, 9) ]

/// 0 and 1, about a third of them 0; at times all of one kind.
let mask (draw: Draw) size =
    let zeros = draw.Pick [ 0.0; 0.3; 0.3; 0.7; 1.0 ]
    Array.init size (fun _ -> if draw.Chance zeros then 0.0 else 1.0)

/// A bias that leaves pre-activations anywhere, exactly at zero, all below zero or alone.
let private biasAt (draw: Draw) map (x: float[]) =
    let y =
        LinearMap.applyTo engine map (Tensor.ofArray (LinearMap.inputShape map) x)
        |> Tensor.values

    let size =
        match Array.max (Array.map abs y) with
        | 0.0 -> 1.0
        | largest -> largest

    let values =
        match draw.Int(0, 9) with
        | 0
        | 1 -> Array.zeroCreate y.Length
        | 2
        | 3 -> y |> Array.map (fun v -> if draw.Chance 0.5 then -v else size * draw.Gaussian())
        | 4 -> y |> Array.map (fun v -> -v - size * draw.Real(0.0, 2.0))
        | _ -> y |> Array.map (fun _ -> size * draw.Gaussian())

    Tensor.ofArray (LinearMap.outputShape map) values

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
            |> append "relu" Relu
            |> appendAffine draw 1.0 (keepingShape draw grown.Shape)

    let branches = List.init (draw.Int(1, 3)) branch

    { grown with
        Blocks = grown.Blocks @ [ Sum(branches |> List.map (fun b -> Series b.Blocks)) ]
        Value = branches |> List.map _.Value |> List.reduce (Array.map2 (+))
    }

let private batchNormalization (draw: Draw) (shape: Shape) =
    let values f =
        Tensor.vector (Array.init shape.Head (fun _ -> f ()))

    BatchNormalization.layer
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
    | _ when kind < 6 -> append "relu" Relu grown
    | _ when kind < 9 -> appendSum draw grown
    | _ when kind < 11 -> appendAffine draw factor (linearMap draw grown.Shape) grown
    | _ when kind < 14 ->
        let affine = appendAffine draw factor (linearMap draw grown.Shape) grown

        affine
        |> append "batchnorm" (batchNormalization draw affine.Shape)
        |> append "relu" Relu
    | shape when kind = 14 && shape.Length = 3 -> append "flatten" (Reshape [ Shape.size shape ]) grown
    | _ ->
        appendAffine draw factor (linearMap draw grown.Shape) grown
        |> append "dropout" Identity
        |> append "relu" Relu

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
                Step("relu", Relu)
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
