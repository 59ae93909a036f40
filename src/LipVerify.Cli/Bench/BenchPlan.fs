namespace LipVerify.Cli

open LipVerify.Core.Computation
open LipVerify.Cli.Workloads

/// Something to measure.
[<NoComparison; NoEquality>]
type BenchItem =
    {
        /// `kernels`, `spectral`, `bounds`, `baseline` or `growth`.
        Group: string
        Name: string
        /// Measured where no name is given.
        ByDefault: bool
        Run: Context -> BenchResult list
    }

/// Which workloads a name stands for.
module BenchPlan =

    let private item group name byDefault run =
        {
            Group = group
            Name = name
            ByDefault = byDefault
            Run = run
        }

    let private kernels =
        vgg16Convolutions @ alexnetConvolutions @ denseMaps
        |> List.map (fun operator ->
            item "kernels" operator.Name true (fun context ->
                Benchmarks.kernels context operator |> List.map KernelResult))

    let private spectral =
        spectralOperators
        |> List.map (fun operator ->
            item "spectral" operator.Name true (fun context ->
                [ SpectralResult(Benchmarks.spectral context operator) ]))

    /// A bound of VGG-16 takes minutes.
    let private bounds =
        networks
        |> List.map (fun name ->
            item "bounds" name (name <> "vgg16") (fun context -> [ BoundResult(Benchmarks.bound context name) ]))

    /// The published procedure takes an hour on the large networks.
    let private baseline =
        [ "mnist-net"; "cifar10-net" ]
        |> List.map (fun name ->
            item "baseline" name true (fun context -> [ BaselineResult(Benchmarks.baseline context name) ]))

    let private growth =
        [ Side; Channels ]
        |> List.map (fun series ->
            item "growth" (Growth.name series) false (fun context ->
                [ GrowthResult(Benchmarks.growth context series) ]))

    /// Everything there is.
    let all = kernels @ spectral @ bounds @ baseline @ growth

    /// Names that may be asked for: groups, then workloads.
    let names = (all |> List.map _.Group) @ (all |> List.map _.Name) |> List.distinct

    let private answersTo name item =
        name = item.Group || name = item.Name || name = $"{item.Group}/{item.Name}"

    /// The workloads of a name, or those of the default. A network stands for its bound and its baseline.
    let select (name: string option) : Result<BenchItem list, string> =
        match name with
        | None -> Ok(all |> List.filter _.ByDefault)
        | Some name ->
            match all |> List.filter (answersTo name) with
            | [] ->
                let known = String.concat ", " names
                Error $"there is no benchmark \"{name}\"; use one of {known}"
            | items -> Ok items

    /// What the default leaves out, as names to ask for.
    let leftOut =
        all
        |> List.filter (fun item -> not item.ByDefault)
        |> List.map (fun item -> if item.Group = "growth" then item.Group else item.Name)
        |> List.distinct
