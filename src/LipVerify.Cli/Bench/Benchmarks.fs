namespace LipVerify.Cli

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Cli.Workloads

/// A kernel on one operator.
type KernelTiming =
    {
        Name: string
        Kind: string
        Operation: Operation
        Vectors: int
        /// Weights and vectors, each read or written once.
        Bytes: float
        Measurement: Measurement<unit>
    }

/// The spectral norm of one operator.
type SpectralTiming =
    {
        Name: string
        Kind: string
        Measurement: Measurement<Spectral.SpectralNorm>
    }

/// The bound of one network.
type BoundTiming =
    {
        Name: string
        Measurement: Measurement<Bound>
    }

/// The bound of one network against the published procedure, run in turns.
type BaselineTiming =
    {
        Name: string
        Ours: Measurement<Bound>
        Published: Measurement<PaperProcedure.PaperEstimate>
    }

/// The networks of a growing series.
type GrowthTiming =
    {
        Series: GrowthSeries
        Points: GrowthPoint list
    }

/// What a benchmark gives.
type BenchResult =
    | KernelResult of KernelTiming
    | SpectralResult of SpectralTiming
    | BoundResult of BoundTiming
    | BaselineResult of BaselineTiming
    | GrowthResult of GrowthTiming

/// Runs the workloads.
module Benchmarks =

    let private kernelEffort =
        {
            Seconds = 0.25
            Least = 3
            Most = 100
        }

    /// Batches of a kernel: the random certificates use two vectors.
    let private batches map =
        match map with
        | Dense _ -> [ 2 ]
        | _ -> [ 1; 2 ]

    let private weightCount map =
        match map with
        | Dense dense -> dense.Weights.Length
        | Convolution convolution -> convolution.Weights.Length
        | _ -> 0

    let private kernel context name map vectors operation : KernelTiming =
        let inputs, outputs = LinearMap.inputs map, LinearMap.outputs map

        {
            Name = name
            Kind = Layer.kind (Layer.linear map)
            Operation = operation
            Vectors = vectors
            Bytes =
                float sizeof<float>
                * (float (weightCount map) + float vectors * (float inputs + float outputs))
            Measurement = Measurement.run context kernelEffort (kernelWork map operation vectors)
        }

    /// One operator and its adjoint, with one and two vectors (dense: two).
    let kernels context (operator: Operator) : KernelTiming list =
        let map = operator.Make()

        [
            for vectors in batches map do
                for operation in [ Apply; Adjoint ] do
                    kernel context operator.Name map vectors operation
        ]

    let private spectralEffort = { Seconds = 1.0; Least = 1; Most = 5 }

    /// The spectral norm of one operator.
    let spectral context (operator: Operator) : SpectralTiming =
        let map = operator.Make()

        {
            Name = operator.Name
            Kind = Layer.kind (Layer.linear map)
            Measurement = Measurement.run context spectralEffort (spectralWork map)
        }

    let private boundEffort = { Seconds = 3.0; Least = 3; Most = 5 }

    /// The bound of a network of the zoo.
    let bound context name : BoundTiming =
        let network = Workloads.network name

        {
            Name = name
            Measurement = Measurement.run context boundEffort (boundWork network)
        }

    /// Rounds of ours and theirs, so that both meet the same load. An odd number has a middle one.
    let private rounds = 3

    let private once = { Seconds = 0.0; Least = 1; Most = 1 }

    /// The measurement of the middle time.
    let private middle (measurements: Measurement<'a> list) =
        let sorted = measurements |> List.sortBy _.Seconds

        { sorted[sorted.Length / 2] with
            Repetitions = sorted.Length
        }

    /// Our bound and the published procedure in turns, after a warm-up of each.
    let baseline context name : BaselineTiming =
        let network = Workloads.network name
        let input = Workloads.input network

        let round () =
            Measurement.run context once (boundWork network),
            Measurement.run context once (fun context -> PaperProcedure.estimate context network input radius)

        round () |> ignore
        let ours, published = List.init rounds (fun _ -> round ()) |> List.unzip

        {
            Name = name
            Ours = middle ours
            Published = middle published
        }

    /// One series.
    let growth (context: Context) series : GrowthTiming =
        let measure (channels: int, side: int) =
            context.Report $"{Growth.name series}: {channels} channels, {side}×{side}"
            Growth.measure context (channels, side)

        {
            Series = series
            Points = Growth.sizes series |> List.map measure
        }
