/// Random linear maps and pooling windows, with the cases that break careless code. Everything grows from one
/// seed, which a failing property prints.
module LipVerify.Propositions.Generators

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps

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

let private seeds = Gen.choose (0, Int32.MaxValue - 1)

/// Runs a property on cases grown from random seeds.
let check count (grow: int -> 'a) (property: 'a -> unit) =
    checkCases count (Gen.map grow seeds) property

/// A test that a property holds for cases of a generator.
let statementOn name count (cases: Gen<'a>) (property: 'a -> unit) =
    let replay = replay |> Option.map (fun r -> r.Rnd.Seed, r.Rnd.Gamma, r.Size)

    let config =
        { FsCheckConfig.defaultConfig with
            maxTest = count
            replay = replay
        }

    testPropertyWithConfig config name (Prop.forAll (Arb.fromGen cases) property)

/// A test that a property holds for cases grown from random seeds.
let statement name count (grow: int -> 'a) (property: 'a -> unit) =
    statementOn name count (Gen.map grow seeds) property

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

/// Few entries a row: a selection, with repetitions and gaps, or any.
let private sparse (draw: Draw) (shape: Shape) =
    let inputs, outputs = Shape.size shape, draw.Int(1, 12)
    let isSelection = draw.Chance 0.5

    Sparse.create shape [ outputs ] (fun _ ->
        let columns =
            List.init (if isSelection then draw.Int(0, 1) else draw.Int(0, 3)) (fun _ -> draw.Int(0, inputs - 1))

        columns
        |> List.distinct
        |> List.map (fun column -> struct (column, (if isSelection then 1.0 else draw.Gaussian())))
        |> Array.ofList)

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
    | _ when kind = 7 && draw.Chance 0.4 -> Sparse(sparse draw shape)
    | _ when kind = 7 && draw.Chance 0.3 -> Rounded(draw.Int(1, 6), Diagonal(diagonal draw shape))
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
    | Sparse sparse -> Sparse(Sparse.mapEntries (fun w -> factor * w) sparse)
    | Diagonal scale -> Diagonal(Tensor.map (fun s -> factor * s) scale)
    | Scaled(scale, map) -> Scaled(scale, multiplied factor map)
    | Rounded(roundings, map) -> Rounded(roundings, multiplied factor map)

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
let biasAt (draw: Draw) map (x: float[]) =
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
