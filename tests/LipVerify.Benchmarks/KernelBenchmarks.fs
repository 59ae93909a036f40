namespace LipVerify.Benchmarks

open BenchmarkDotNet.Attributes
open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Cli.Workloads

/// Each operator of a family and its adjoint.
[<AbstractClass>]
type KernelBenchmarks(operators: Operator list) =
    let context = Context.create (Engines.Create("auto", 0))
    let mutable apply: Context -> unit = ignore
    let mutable adjoint: Context -> unit = ignore

    /// What `Operator` may be.
    member _.Operators = operators |> List.map _.Name

    /// The operator by its name.
    [<ParamsSource("Operators")>]
    member val Operator = "" with get, set

    /// Vectors a batch.
    [<Params(1, 2)>]
    member val Vectors = 1 with get, set

    /// Draws weights and vectors.
    [<GlobalSetup>]
    member this.Setup() =
        let map =
            (operators |> List.find (fun operator -> operator.Name = this.Operator)).Make()

        apply <- kernelWork map Apply this.Vectors
        adjoint <- kernelWork map Adjoint this.Vectors

    /// `y ← A x`.
    [<Benchmark>]
    member _.Apply() = apply context

    /// `x ← Aᵀ y`.
    [<Benchmark>]
    member _.Adjoint() = adjoint context

/// The convolutions of VGG-16.
type Vgg16Convolutions() =
    inherit KernelBenchmarks(vgg16Convolutions)

/// The convolutions of AlexNet.
type AlexNetConvolutions() =
    inherit KernelBenchmarks(alexnetConvolutions)

/// The largest fully connected layers.
type DenseMaps() =
    inherit KernelBenchmarks(denseMaps)
