/// The engine on ILGPU, besides what all engines are held to: on the processor, and on a card where there is one.
module LipVerify.Tests.IlgpuEngineTests

open System
open System.Runtime.CompilerServices
open Expecto
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Core.Bounds.Analytic
open LipVerify.Formats
open LipVerify.Ilgpu
open LipVerify.Propositions.Expectations
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Tests.ComputeReference

let private radius value =
    Radius.create value |> Result.toOption |> Option.get

let private square channels outputs size kernel stride padding =
    let axis = WindowAxis(size, kernel, stride, padding, padding)
    ConvolutionGeometry(channels, outputs, axis, axis)

let private drawn (draw: Draw) (shape: Shape) scale =
    Tensor.ofArray shape (draw.Gaussians(Shape.size shape) |> Array.map ((*) scale))

/// Convolutions with a stride, pooling and dense layers.
let private small =
    let draw = Draw 11

    let convolution (g: ConvolutionGeometry) =
        Layer.convolution
            g
            (drawn draw [ g.OutChannels; g.InChannels; g.Rows.Kernel; g.Columns.Kernel ] 0.3)
            (drawn draw [ g.OutChannels ] 0.1)

    let pooled = WindowAxis(12, 2, 2)

    let layers =
        [
            convolution (square 2 5 12 3 1 1)
            Layer.relu
            Layer.maxPooling (PoolingGeometry(5, pooled, pooled))
            convolution (square 5 6 6 3 2 1)
            Layer.relu
            Reshape [ 54 ]
            Layer.dense (drawn draw [ 20; 54 ] 0.3) (drawn draw [ 20 ] 0.1)
            Layer.relu
            Layer.dense (drawn draw [ 4; 20 ] 0.3) (drawn draw [ 4 ] 0.1)
        ]

    match Network.create [ 2; 12; 12 ] (Series(layers |> List.mapi (fun i layer -> Step($"{i}", layer)))) with
    | Ok network -> network
    | Error problem -> failwith problem

/// What is asked of the engine on the processor and on a card.
let private suite (engine: IEngine) =

    /// An engine of its own for a test that counts, since others run beside it: engines are shared by those who ask for as many threads.
    let ownEngine threads =
        let own = engineOrSkip engine.Name threads
        own, own :?> IlgpuEngine

    let bound engine network input value =
        (Analytic.bound (Context.create engine) Nominal network input (radius value)).Bound

    [
        testCase "bounds of random networks are those of the managed engine, up to rounding" (fun () ->
            for seed in 1..25 do
                let case = network seed

                let boundOn engine =
                    (Analytic.bound (Context.create engine) Uniform case.Network case.Input case.Radius).Bound

                let expected, found = boundOn (ManagedEngine 2), boundOn engine
                Expect.equal found.Rigor expected.Rigor case.Text

                if Double.IsFinite expected.Value then
                    Expect.isWithin (1e-6 * expected.Value) found.Value expected.Value case.Text)

        testCase "Algorithm 1 on a convolutional and on the dense sample network, at several radii" (fun () ->
            let input = Tensor.ofArray [ 2; 12; 12 ] (Gaussian.draw 3 0 288)

            for value in [ 1e-3; 0.05; 1.0 ] do
                let expected, found =
                    bound (ManagedEngine 2) small input value, bound engine small input value

                Expect.equal (Rigor.label found.Rigor) (Rigor.label expected.Rigor) "rigor"
                Expect.isWithin (1e-6 * expected.Value) found.Value expected.Value $"radius {value}")

        testCase "a norm by random vectors is that of the managed engine, within its looseness" (fun () ->
            let map =
                Convolution(Convolution.create (square 6 5 14 3 2 1) (drawn (Draw 5) [ 5; 6; 3; 3 ] 1.0))

            let norm engine =
                (Spectral.coarseNorm (Context.create engine) map).Value

            let expected, found = norm (ManagedEngine 2), norm engine
            Expect.isWithin (2e-3 * expected) found expected "norm")

        testCase "a step of Lanczos waits for the device once, whatever the number of vectors" (fun () ->
            let engine, ilgpu = ownEngine 3

            let map =
                Convolution(Convolution.create (square 3 4 10 3 1 1) (drawn (Draw 7) [ 4; 3; 3; 3 ] 1.0))

            let dense = Dense(Dense.create (drawn (Draw 8) [ 30; 50 ] 1.0))

            for map in [ map; dense ] do
                for count in [ 1; 2; 4; 8 ] do
                    let context = Context.create engine
                    let gram = Gram.operator context (MaskedMap.whole map) Gram.Columns 1.0

                    let lanczos = Lanczos(context, gram, count, Gaussian.draw 1 0 (count * gram.Length))

                    // Constants go to the device with the first step.
                    lanczos.Step()
                    let waits, transfers = ilgpu.Waits, ilgpu.Transfers

                    for _ in 1..10 do
                        lanczos.Step()

                    Expect.equal (ilgpu.Waits - waits) 10 "waits"
                    Expect.equal (ilgpu.Transfers - transfers) 10 "transfers: the coefficients alone")

        testCase "a constant goes to the device once, other host memory each time" (fun () ->
            let engine, ilgpu = ownEngine 4
            let target = engine.Allocate 3

            let add storage =
                engine.AddScaled(1.0, storage, 0, target, 0, 3)

            let constant, other =
                HostStorage.Constant [| 1.0; 2.0; 3.0 |], HostStorage [| 1.0; 2.0; 3.0 |]

            let before = ilgpu.Transfers
            add constant
            add constant
            Expect.equal (ilgpu.Transfers - before) 1 "of a constant"
            add other
            other.Values[0] <- 10.0
            add other
            Expect.equal (ilgpu.Transfers - before) 3 "of the other, too"
            let values = Array.zeroCreate<float> 3
            target.CopyTo(0, Span values)
            Expect.equal values [| 13.0; 8.0; 12.0 |] "sums")

        testCase "memory that nobody holds is used again, and is zero then" (fun () ->
            // Not inlined: nothing here holds the blocks afterwards.
            let fill =
                Func<int, unit>(fun length ->
                    for _ in 1..50 do
                        let block = engine.Allocate length
                        engine.Copy(host (Array.create length nan), 0, block, 0, length))

            for length in [ 1; 255; 256; 257; 5000 ] do
                fill.Invoke length
                GC.Collect()
                GC.WaitForPendingFinalizers()
                let values = Array.create length nan
                let block = engine.Allocate length
                block.CopyTo(0, Span values)
                Expect.allEqual values 0.0 "values")

        testCase "cancellation ends a factorisation between its blocks" (fun () ->
            use cancellation = new Threading.CancellationTokenSource()
            cancellation.Cancel()

            Expect.thrown<OperationCanceledException>(fun () ->
                engine.EndedBy(cancellation.Token).TryCholesky(2, host [| 1.0; 0.0; 0.0; 1.0 |])
                |> ignore)
            |> ignore

            Expect.isTrue (engine.TryCholesky(2, host [| 1.0; 0.0; 0.0; 1.0 |])) "the engine itself goes on")
    ]

/// Threads that work together compute what one alone does: the same chains of fused operations, where no sum is cut into slices.
let private groups name isLarge =
    let alone () = engineOrSkip "ilgpu:cpu" 1

    /// Of 256 threads that wait for each other a few cases are as much as there is time for.
    let some cases =
        if isLarge then List.take 1 cases else cases

    testList
        name
        [
            testCase "matrix products have the same bits" (fun () ->
                let group, alone = engineOrSkip name 1, alone ()

                for m, n, k in some [ 70, 67, 50; 3, 300, 40; 65, 4, 33 ] do
                    for ta in some [ true; false ] do
                        for tb in some [ true; false ] do
                            let product (engine: IEngine) =
                                let c = Array.create (m * n) nan

                                engine.MatrixMultiply(
                                    ta,
                                    tb,
                                    m,
                                    n,
                                    k,
                                    1.0,
                                    MatrixView.Of(host (randomValues 1 (m * k)), (if ta then m else k)),
                                    MatrixView.Of(host (randomValues 2 (k * n)), (if tb then k else n)),
                                    0.0,
                                    MatrixView.Of(host c, n)
                                )

                                c

                            assertSameBits (product alone) (product group))

            testCase "convolutions and adjoints have the same bits" (fun () ->
                let group, alone = engineOrSkip name 1, alone ()

                for g in some [ square 2 5 9 3 2 1; square 3 20 6 2 1 0; square 1 1 7 5 3 2 ] do
                    let w = randomValues 1 g.WeightSize
                    let x, y = randomValues 2 (2 * g.InputSize), randomValues 3 (2 * g.OutputSize)

                    let both (engine: IEngine) =
                        let forward, adjoint =
                            Array.create (2 * g.OutputSize) nan, Array.create (2 * g.InputSize) nan

                        let mutable geometry = g
                        engine.Convolve(&geometry, host w, host x, 2, host forward)
                        engine.ConvolveAdjoint(&geometry, host w, host y, 2, host adjoint)
                        Array.append forward adjoint

                    assertSameBits (both alone) (both group))

            testCase "a factor has the same bits" (fun () ->
                let group, alone = engineOrSkip name 1, alone ()
                let n = if isLarge then 20 else 160

                let matrix =
                    Array.init (n * n) (fun at ->
                        if at / n = at % n then
                            float n
                        else
                            float ((at / n + at % n) % 7) / 7.0)

                let factor (engine: IEngine) =
                    let l = Array.copy matrix
                    Expect.isTrue (engine.TryCholesky(n, host l)) "definite"
                    l

                assertSameBits (factor alone) (factor group))

            testCase "inner products and Gram products are within rounding" (fun () ->
                let group = engineOrSkip name 1
                let x, y = randomValues 1 5000, randomValues 2 5000

                let expected =
                    {
                        Value = Array.fold2 (fun s a b -> s + a * b) 0.0 x y
                        Absolute = Array.fold2 (fun s a b -> s + abs (a * b)) 0.0 x y
                    }

                assertWithinRounding "dot" 5001 [| expected |] [| group.Dot(host x, 0, host y, 0, 5000) |]

                let rows, columns = 19, 300

                let a, s, v =
                    randomValues 3 (rows * columns),
                    Array.init rows (fun i -> float (i % 3)),
                    randomValues 4 (3 * columns)

                let gram (engine: IEngine) =
                    let result = Array.create (3 * columns) nan
                    engine.MultiplyGram(rows, columns, host a, host s, 3, host v, host result)
                    result

                let sizes =
                    let absolute = Array.create (3 * columns) nan

                    ManagedEngine(1)
                        .MultiplyGram(
                            rows,
                            columns,
                            host (Array.map abs a),
                            host s,
                            3,
                            host (Array.map abs v),
                            host absolute
                        )

                    absolute

                let expected =
                    Array.map2 (fun value size -> { Value = value; Absolute = size }) (gram (ManagedEngine 1)) sizes

                assertWithinRounding "Gram product" (rows + columns + 8) expected (gram group))
        ]

[<Tests>]
let tests =
    testList
        "IlgpuEngine"
        [
            onEngine "ilgpu:cpu" 2 suite
            onEngine "cuda" 2 suite
            groups "ilgpu:cpu:4" false
            // The tiles of a card.
            groups "ilgpu:cpu:256" true

            testCase "a device that is not there, and a name that is none, are one line" (fun () ->
                for name, part in
                    [
                        "cuda:77", "the engine cuda"
                        "cuda:x", "no engine 'cuda:x'; use cuda, cuda:N or ilgpu:cpu"
                        "ilgpu:tpu", "no engine 'ilgpu:tpu'; use cuda, cuda:N or ilgpu:cpu"
                    ] do
                    let missing =
                        Expect.thrown<EngineUnavailableException>(fun () -> Engines.Create(name, 1) |> ignore)

                    Expect.stringContains missing.Message part name
                    Expect.stringLacks missing.Message "\n" name)

            testCase "auto takes a card for large networks, where there is one, and the processor else" (fun () ->
                let context = Context.create (Engines.Create("auto", 2))

                let networkOf name =
                    match ModelSource.load $"zoo:{name}" None with
                    | Ok loaded -> loaded.Network
                    | Error error -> failtest (LoadError.text error)

                for name, isLarge in [ "mnist-net", false; "cifar10-net", false; "alexnet", true ] do
                    let network = networkOf name
                    Expect.equal (Network.products network >= EngineChoice.leastProducts) isLarge name
                    let chosen = (EngineChoice.fit "auto" network context).Engine

                    match Engines.TryCard 2 with
                    | null -> Expect.isTrue (obj.ReferenceEquals(chosen, context.Engine)) "no card"
                    | card -> Expect.equal (chosen.Name = card.Name) isLarge name

                    Expect.isTrue
                        (obj.ReferenceEquals((EngineChoice.fit "openblas" network context).Engine, context.Engine))
                        "an engine that was named is kept")

            testSequenced
            <| testCase "reports name the device and what drives it; a card that is missing is one line" (fun () ->
                let outcome =
                    CliRun.bound [ "--radius"; "0.01"; "--engine"; "ilgpu:cpu"; "--json" ]
                    |> CliRun.run

                Expect.equal outcome.ExitCode 0 outcome.Error
                Expect.stringContains outcome.Output "ilgpu:cpu (kernels by ILGPU 1.5.3 on the processor" "engine"

                if isNull (Engines.TryCard 1) then
                    let outcome = CliRun.bound [ "--radius"; "0.01"; "--engine"; "cuda" ] |> CliRun.run
                    Expect.equal outcome.ExitCode 2 "exit code"
                    Expect.hasLength (CliRun.lines outcome.Error) 1 outcome.Error
                    Expect.stringContains outcome.Error "the engine cuda cannot be used" "line")
        ]
