/// What the benchmarks count and compute; nothing here depends on how long it takes.
module LipVerify.Tests.BenchMeasurementTests

open Expecto
open LipVerify.Propositions.Expectations
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

[<Tests>]
let tests =
    testSequenced
    <| testList
        "BenchMeasurement"
        [
            testCase "The counting engine counts convolutions, adjoints, products and factorisations" (fun () ->
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
                Expect.isTrue (engine.TryCholesky(3, host identity)) "engine.TryCholesky(3, host identity)"

                let each = 2.0 * float (terms geometry)
                let work = counting.Work

                Expect.equal
                    work.Convolve
                    {
                        Calls = 2L
                        Vectors = 4L
                        Flops = 4.0 * each
                    }
                    "convolve"

                Expect.equal
                    work.ConvolveAdjoint
                    {
                        Calls = 1L
                        Vectors = 3L
                        Flops = 3.0 * each
                    }
                    "convolve adjoint"

                Expect.equal
                    work.MatrixMultiply
                    {
                        Calls = 1L
                        Vectors = 2L
                        Flops = 60.0
                    }
                    "matrix multiply"

                Expect.equal
                    work.Cholesky
                    {
                        Calls = 1L
                        Vectors = 0L
                        Flops = 9.0
                    }
                    "cholesky"

                Expect.equal (Work.applications work) 9L "Work.applications work"
                Expect.equal (Work.flops work) (7.0 * each + 69.0) "Work.flops work"

                counting.Reset()
                Expect.equal counting.Work Work.zero "work")

            testCase "Counting changes no bit of a bound" (fun () ->
                let network = Workloads.network "mnist-net"
                let input = Workloads.input network

                let bound engine =
                    (Analytic.bound (Context.create engine) Nominal network input Workloads.radius).Bound

                let counting = CountingEngine(managed ())
                Expect.equal (bound counting) (bound (managed ())) "bound counting"
                Expect.isGreaterThan counting.Work.Convolve.Calls 0L "calls"
                Expect.isGreaterThan counting.Work.ConvolveAdjoint.Calls 0L "calls"
                Expect.isGreaterThan counting.Work.MatrixMultiply.Calls 0L "calls"
                Expect.isGreaterThan counting.Work.Cholesky.Calls 0L "calls")

            testCase "A measurement repeats as often as its effort says, and counts one run" (fun () ->
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
                Expect.equal long.Repetitions 4 "repetitions"
                Expect.equal runs 5 "runs"
                Expect.equal long.Result 5 "result"
                Expect.equal long.Work.MatrixMultiply.Calls 1L "calls"
                Expect.equal (Work.flops long.Work) 24.0 "Work.flops long.Work"
                Expect.isGreaterThan long.PeakWorkingSetBytes 0L "peak working set bytes"

                // No time at all: the first run is the measurement.
                let short = measure { Seconds = 0.0; Least = 1; Most = 4 }
                Expect.equal short.Repetitions 1 "repetitions"
                Expect.equal runs 1 "runs")

            testCase "The memory of a measurement holds what one run allocates" (fun () ->
                let bytes = 1 <<< 20

                let measurement =
                    Measurement.run (Context.create (managed ())) { Seconds = 1e9; Least = 1; Most = 3 } (fun _ ->
                        Array.zeroCreate<byte> bytes)

                // Other threads of the process may allocate at the same time: a lower bound alone is sure.
                Expect.isGreaterThanOrEqual measurement.AllocatedBytes (int64 bytes) "allocated bytes")

            testCase "The median lies in the middle" (fun () ->
                Expect.equal (Measurement.median [ 3.0; 1.0; 2.0 ]) 2.0 "Measurement.median [ 3.0; 1.0; 2.0 ]"

                Expect.equal
                    (Measurement.median [ 4.0; 1.0; 2.0; 8.0 ])
                    3.0
                    "Measurement.median [ 4.0; 1.0; 2.0; 8.0 ]"

                Expect.equal (Measurement.median [ 5.0 ]) 5.0 "Measurement.median [ 5.0 ]")

            testTheory "The exponent of a power is found" [ 2.0; 0.5; 0.0 ] (fun (power: float) ->
                let points = [ 16.0; 32.0; 64.0; 256.0 ] |> List.map (fun x -> x, 3.0 * x ** power)
                let points = (8.0, 0.0) :: points
                // Logarithms of numbers up to 2¹⁸ err by a few units of 2⁻⁴⁹.
                Expect.isWithin 1e-12 (Growth.exponent points) power "Growth.exponent points")

            testCase "The networks of a series differ in what grows" (fun () ->
                let network = Growth.network 3 5
                Expect.equal network.InputShape [ 3; 5; 5 ] "input shape"
                Expect.equal network.OutputShape [ 3; 5; 5 ] "output shape"

                for series in [ Side; Channels ] do
                    let extents =
                        Growth.sizes series
                        |> List.map (fun (channels, side) -> if series = Side then side else channels)

                    Expect.isAscending extents "extents"
                    Expect.equal (List.distinct extents) extents "extents")

            testCase "Every name stands for something, and the longest workloads must be asked for" (fun () ->
                for name in BenchPlan.names do
                    match BenchPlan.select (Some name) with
                    | Ok items -> Expect.isNonEmpty items name
                    | Error problem -> failtest problem

                let selected name =
                    match BenchPlan.select name with
                    | Ok items -> items |> List.map (fun item -> $"{item.Group}/{item.Name}")
                    | Error problem -> failwith problem

                Expect.equal
                    (selected (Some "mnist-net"))
                    [ "bounds/mnist-net"; "baseline/mnist-net" ]
                    "selected (Some \"mnist-net\")"

                Expect.equal
                    (selected (Some "bounds/mnist-net"))
                    [ "bounds/mnist-net" ]
                    "selected (Some \"bounds/mnist-net\")"

                Expect.equal (selected (Some "vgg16")) [ "bounds/vgg16" ] "selected (Some \"vgg16\")"
                Expect.isFalse (List.contains "bounds/vgg16" (selected None)) "vgg16 must be asked for"
                Expect.contains (selected None) "bounds/alexnet" "all workloads"
                Expect.equal (List.distinct (selected None)) (selected None) "workloads"
                Expect.equal BenchPlan.leftOut [ "vgg16"; "growth" ] "left out")

            testTheory
                "The published procedure ends below our bound, layer by layer, and near it"
                [ 0.0; 0.001; 0.1; 10.0 ]
                (fun (radius: float) ->
                    let estimate, bound = both (Workloads.network "mnist-net") radius
                    Expect.equal estimate.Value.Rigor Estimate "rigor"
                    Expect.equal estimate.Layers.Length bound.Layers.Length "length"

                    for theirs, ours in List.zip estimate.Layers bound.Layers do
                        Expect.isLessThanOrEqual theirs (ours.Lipschitz.Value * (1.0 + rounding)) ours.Name

                    Expect.isLessThanOrEqual estimate.Value.Value (bound.Bound.Value * (1.0 + rounding)) "value"
                    // 100 steps leave a fraction of a percent a layer here (0.1 % in all at radius 0.001), and draws are fixed.
                    Expect.isGreaterThanOrEqual estimate.Value.Value (0.95 * bound.Bound.Value) "value")

            testCase "The published procedure gives 0 for a network without weights" (fun () ->
                let zero = Layer.linear (Dense(Dense.create (Tensor.create [ 3; 4 ] 0.0)))

                match Network.create [ 4 ] (Series [ Step("zero", zero); Step("relu", Layer.relu) ]) with
                | Ok network ->
                    let estimate, bound = both network 1.0
                    Expect.equal estimate.Value.Value 0 "value"
                    Expect.equal bound.Bound.Value 0 "value"
                | Error problem -> failtest problem)
        ]
