/// What the benchmarks count and compute; nothing here depends on how long it takes.
module LipVerify.Tests.BenchMeasurementTests

open NUnit.Framework
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Analytic
open LipVerify.Cli
open LipVerify.Tests.ComputeReference

let private managed () = ManagedEngine 2 :> IEngine

/// Two groups, a kernel and strides that differ in height and width, and padding.
let private grouped =
    ConvolutionGeometry(4, 6, WindowAxis(7, 3, 2, 1, 1), WindowAxis(5, 2, 1, 0, 1), 2)

/// Terms of the sums of one output tensor, counted one by one.
let private terms (geometry: ConvolutionGeometry) =
    let mutable count = 0

    for _ in 1 .. geometry.OutChannels do
        for _ in 1 .. geometry.Rows.Output do
            for _ in 1 .. geometry.Columns.Output do
                for _ in 1 .. geometry.InChannels / geometry.Groups do
                    for _ in 1 .. geometry.Rows.Kernel * geometry.Columns.Kernel do
                        count <- count + 1

    count

[<Test>]
let ``The counting engine counts convolutions, adjoints, products and factorisations`` () =
    let counting = CountingEngine(managed ())
    let engine = counting :> IEngine
    let geometry, batch = grouped, 3
    let weights = host (randomValues 1 geometry.WeightSize)
    let x = host (randomValues 2 (batch * geometry.InputSize))
    let y = engine.Allocate(batch * geometry.OutputSize)
    engine.Convolve(&geometry, weights, x, batch, y)
    engine.Convolve(&geometry, weights, x, 1, y)
    engine.ConvolveAdjoint(&geometry, weights, y, batch, x)

    let a, b, c = randomValues 3 6, randomValues 4 15, Array.zeroCreate 10

    engine.MatrixMultiply(
        false,
        false,
        2,
        5,
        3,
        1.0,
        MatrixView.Of(host a, 3),
        MatrixView.Of(host b, 5),
        0.0,
        MatrixView.Of(host c, 5)
    )

    let identity = Array.init 9 (fun i -> if i % 4 = 0 then 1.0 else 0.0)
    Assert.That(engine.TryCholesky(3, host identity), Is.True)

    let each = 2.0 * float (terms geometry)
    let work = counting.Work

    Assert.That(
        work.Convolve,
        Is.EqualTo
            {
                Calls = 2L
                Vectors = 4L
                Flops = 4.0 * each
            }
    )

    Assert.That(
        work.ConvolveAdjoint,
        Is.EqualTo
            {
                Calls = 1L
                Vectors = 3L
                Flops = 3.0 * each
            }
    )

    Assert.That(
        work.MatrixMultiply,
        Is.EqualTo
            {
                Calls = 1L
                Vectors = 2L
                Flops = 60.0
            }
    )

    Assert.That(
        work.Cholesky,
        Is.EqualTo
            {
                Calls = 1L
                Vectors = 0L
                Flops = 9.0
            }
    )

    Assert.That(Work.applications work, Is.EqualTo 9L)
    Assert.That(Work.flops work, Is.EqualTo(7.0 * each + 69.0))

    counting.Reset()
    Assert.That(counting.Work, Is.EqualTo Work.zero)

[<Test>]
let ``Counting changes no bit of a bound`` () =
    let network = Workloads.network "mnist-net"
    let input = Workloads.input network

    let bound engine =
        (Analytic.bound (Context.create engine) Nominal network input Workloads.radius).Bound

    let counting = CountingEngine(managed ())
    Assert.That(bound counting, Is.EqualTo(bound (managed ())))
    Assert.That(counting.Work.Convolve.Calls, Is.GreaterThan 0L)
    Assert.That(counting.Work.ConvolveAdjoint.Calls, Is.GreaterThan 0L)
    Assert.That(counting.Work.MatrixMultiply.Calls, Is.GreaterThan 0L)
    Assert.That(counting.Work.Cholesky.Calls, Is.GreaterThan 0L)

[<Test>]
let ``A measurement repeats as often as its effort says, and counts one run`` () =
    let x, y = host (Array.zeroCreate 6), host (Array.zeroCreate 6)
    let map = Dense(Dense.create (Tensor.ofArray [ 2; 3 ] (randomValues 5 6)))
    let mutable runs = 0

    let measure effort =
        runs <- 0

        Measurement.run (Context.create (managed ())) effort (fun context ->
            runs <- runs + 1
            LinearMap.apply context.Engine map 2 x y
            runs)

    // Time without end: the largest number of repetitions ends it, behind a run that warms up.
    let long = measure { Seconds = 1e9; Least = 1; Most = 4 }
    Assert.That(long.Repetitions, Is.EqualTo 4)
    Assert.That(runs, Is.EqualTo 5)
    Assert.That(long.Result, Is.EqualTo 5)
    Assert.That(long.Work.MatrixMultiply.Calls, Is.EqualTo 1L)
    Assert.That(Work.flops long.Work, Is.EqualTo 24.0)
    Assert.That(long.PeakWorkingSetBytes, Is.GreaterThan 0L)

    // No time at all: the first run is the measurement.
    let short = measure { Seconds = 0.0; Least = 1; Most = 4 }
    Assert.That(short.Repetitions, Is.EqualTo 1)
    Assert.That(runs, Is.EqualTo 1)

[<Test>]
let ``The memory of a measurement holds what one run allocates`` () =
    let bytes = 1 <<< 20

    let measurement =
        Measurement.run (Context.create (managed ())) { Seconds = 1e9; Least = 1; Most = 3 } (fun _ ->
            Array.zeroCreate<byte> bytes)

    // Other threads of the process may allocate at the same time: a lower bound alone is sure.
    Assert.That(measurement.AllocatedBytes, Is.GreaterThanOrEqualTo(int64 bytes))

[<Test>]
let ``The median lies in the middle`` () =
    Assert.That(Measurement.median [ 3.0; 1.0; 2.0 ], Is.EqualTo 2.0)
    Assert.That(Measurement.median [ 4.0; 1.0; 2.0; 8.0 ], Is.EqualTo 3.0)
    Assert.That(Measurement.median [ 5.0 ], Is.EqualTo 5.0)

[<TestCase(2.0)>]
[<TestCase(0.5)>]
[<TestCase(0.0)>]
let ``The exponent of a power is found`` (power: float) =
    let points = [ 16.0; 32.0; 64.0; 256.0 ] |> List.map (fun x -> x, 3.0 * x ** power)
    let points = (8.0, 0.0) :: points
    // Logarithms of numbers up to 2¹⁸ err by a few units of 2⁻⁴⁹.
    Assert.That(Growth.exponent points, Is.EqualTo(power).Within 1e-12)

[<Test>]
let ``The networks of a series differ in what grows`` () =
    let network = Growth.network 3 5
    Assert.That(network.InputShape, Is.EqualTo<Shape> [ 3; 5; 5 ])
    Assert.That(network.OutputShape, Is.EqualTo<Shape> [ 3; 5; 5 ])

    for series in [ Side; Channels ] do
        let extents =
            Growth.sizes series
            |> List.map (fun (channels, side) -> if series = Side then side else channels)

        Assert.That(extents, Is.Ordered.Ascending)
        Assert.That(extents, Is.Unique)

[<Test>]
let ``Every name stands for something, and the longest workloads must be asked for`` () =
    for name in BenchPlan.names do
        match BenchPlan.select (Some name) with
        | Ok items -> Assert.That(items, Is.Not.Empty, name)
        | Error problem -> Assert.Fail problem

    let selected name =
        match BenchPlan.select name with
        | Ok items -> items |> List.map (fun item -> $"{item.Group}/{item.Name}")
        | Error problem -> failwith problem

    Assert.That(selected (Some "mnist-net"), Is.EqualTo<string list> [ "bounds/mnist-net"; "baseline/mnist-net" ])
    Assert.That(selected (Some "bounds/mnist-net"), Is.EqualTo<string list> [ "bounds/mnist-net" ])
    Assert.That(selected (Some "vgg16"), Is.EqualTo<string list> [ "bounds/vgg16" ])
    Assert.That(selected None, Does.Not.Contain "bounds/vgg16")
    Assert.That(selected None, Does.Contain "bounds/alexnet")
    Assert.That(selected None, Is.Unique)
    Assert.That(BenchPlan.leftOut, Is.EqualTo<string list> [ "vgg16"; "growth" ])

/// Each layer's estimate is the norm of an image of a unit vector in plain arithmetic. With sums of at most 1152 terms and
/// ‖|M|‖ ≤ √1152·‖M‖ a layer errs by less than 2·1152·34·2⁻⁵³ < 1e-11 of itself, and a layer more moves the radius, and so the next
/// layer's slopes, by as much.
let private rounding = 1e-9

let private both network radius =
    let context = Context.create (managed ())
    let input = Workloads.input network

    let radius =
        match Radius.create radius with
        | Ok radius -> radius
        | Error problem -> failwith problem

    PaperProcedure.estimate context network input radius, Analytic.bound context Nominal network input radius

[<TestCase(0.0)>]
[<TestCase(0.001)>]
[<TestCase(0.1)>]
[<TestCase(10.0)>]
let ``The published procedure ends below our bound, layer by layer, and near it`` (radius: float) =
    let estimate, bound = both (Workloads.network "mnist-net") radius
    Assert.That(estimate.Value.Rigor, Is.EqualTo Estimate)
    Assert.That(estimate.Layers.Length, Is.EqualTo bound.Layers.Length)

    for theirs, ours in List.zip estimate.Layers bound.Layers do
        Assert.That(theirs, Is.LessThanOrEqualTo(ours.Lipschitz.Value * (1.0 + rounding)), ours.Name)

    Assert.That(estimate.Value.Value, Is.LessThanOrEqualTo(bound.Bound.Value * (1.0 + rounding)))
    // 100 steps leave a fraction of a percent a layer here (0.1 % in all at radius 0.001), and draws are fixed.
    Assert.That(estimate.Value.Value, Is.GreaterThanOrEqualTo(0.95 * bound.Bound.Value))

[<Test>]
let ``The published procedure gives 0 for a network without weights`` () =
    let zero = Layer.linear (Dense(Dense.create (Tensor.create [ 3; 4 ] 0.0)))

    match Network.create [ 4 ] (Series [ Step("zero", zero); Step("relu", Relu) ]) with
    | Ok network ->
        let estimate, bound = both network 1.0
        Assert.That(estimate.Value.Value, Is.Zero)
        Assert.That(bound.Bound.Value, Is.Zero)
    | Error problem -> Assert.Fail problem
