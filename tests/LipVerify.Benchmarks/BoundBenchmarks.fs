namespace LipVerify.Benchmarks

open BenchmarkDotNet.Attributes
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Cli

/// Spectral norms of single operators.
[<MemoryDiagnoser>]
type SpectralNorms() =
    let context = Context.create (Engines.Create("auto", 0))
    let mutable norm = fun (_: Context) -> Bound.zero

    /// What `Operator` may be.
    member _.Operators = Workloads.spectralOperators |> List.map _.Name

    /// The operator by its name.
    [<ParamsSource("Operators")>]
    member val Operator = "" with get, set

    /// Draws the weights.
    [<GlobalSetup>]
    member this.Setup() =
        let map =
            (Workloads.spectralOperators
             |> List.find (fun operator -> operator.Name = this.Operator))
                .Make()

        norm <- fun context -> (Workloads.spectralWork map context).Bound

    /// The norm with its certificate.
    [<Benchmark>]
    member _.Norm() = norm context

/// Local bounds of whole networks.
[<MemoryDiagnoser>]
type WholeBounds() =
    let context = Context.create (Engines.Create("auto", 0))
    let mutable bound = fun (_: Context) -> Bound.zero

    /// What `Network` may be.
    member _.Networks = Workloads.networks

    /// The network by its name in the zoo.
    [<ParamsSource("Networks")>]
    member val Network = "" with get, set

    /// Draws weights and input.
    [<GlobalSetup>]
    member this.Setup() =
        bound <- Workloads.boundWork (Workloads.network this.Network)

    /// The local bound.
    [<Benchmark>]
    member _.Bound() = bound context
