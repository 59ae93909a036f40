namespace LipVerify.Cli

open System
open LipVerify.Core
open LipVerify.Solvers

/// Over which pairs of inputs a bound holds.
type Scope =
    /// Those of a ball around the nominal input.
    | Local
    /// All.
    | Global

/// A method whose upper bound `compare` sets beside others.
[<NoComparison; NoEquality>]
type ComparedMethod =
    {
        /// Its name on the command line.
        Name: string
        /// The constant that it bounds; a global bound holds for both, and is listed under the stronger, uniform one.
        Definition: Definition
        /// The norm of inputs and outputs.
        Norm: Norm
        /// Where it holds.
        Scope: Scope
        /// The bound, or why the method does not apply.
        Run: Context -> Network -> Tensor -> Radius -> Result<Bound, string>
    }

/// The methods that `compare` runs, in the order of its rows.
module ComparedMethods =

    /// What a search may take where no time limit is given.
    let private patience = TimeSpan.FromMinutes 1.0

    let private local name norm definition run =
        {
            Name = name
            Definition = definition
            Norm = norm
            Scope = Local
            Run = run
        }

    let private inBoth method = [ method Nominal; method Uniform ]

    /// The product of the layers' norms: AutoLip of Scaman & Virmaux (2018).
    let private globalProduct =
        {
            Name = "global"
            Definition = Uniform
            Norm = Euclidean
            Scope = Global
            Run = fun context network _ _ -> Ok (Global.bound context network).Bound
        }

    /// SeqLip of Scaman & Virmaux (2018), its maximum bounded or enumerated. What is found greedily is no upper bound.
    let private seqLip name maximum limit =
        {
            Name = name
            Definition = Uniform
            Norm = Euclidean
            Scope = Global
            Run = fun context network _ _ -> SeqLip.bound context maximum network (Some limit) |> Result.map _.Bound
        }

    /// LipSDP of Fazlyab et al. (2019).
    let private lipSdp limit (name, mode) =
        { globalProduct with
            Name = name
            Run = fun context network _ _ -> Ok (LipSdp.bound context mode network (Some limit)).Result.Bound
        }

    let private analytic name kind definition =
        local name Euclidean definition (fun context network input radius ->
            Ok (Analytic.boundWith context kind definition network input radius).Bound)

    let private localLipSdp limit definition =
        local "local-lipsdp" Euclidean definition (fun context network input radius ->
            Ok (LocalLipSdp.bound context definition network input radius (Some limit)).Result.Bound)

    let private exact limit =
        local "exact" Euclidean Uniform (fun context network input radius ->
            let found = ExactSearch.bound context Uniform network input radius 1e-3 (Some limit)

            if found.Regions = 0 then
                Error found.Explanation
            else
                Ok found.Result.Bound)

    let private fastLip norm definition =
        local "fastlip" norm definition (fun context network input radius ->
            FastLip.bound context norm definition network input radius)

    /// For networks with one output: the constant of one among several is another quantity.
    let private polynomial norm name =
        local name norm Uniform (fun context network input radius ->
            match PolynomialBound.tryFind name, Shape.size network.OutputShape with
            | Some method, 1 ->
                BallAround(Tensor.values input, radius)
                |> PolynomialBound.compute context InstalledSolvers.all method norm network 0
            | _, outputs ->
                Error $"bounds one output, and the network has {outputs}: see bound --method {name} --class K")

    /// All of them; `limit` is what each search may take.
    let all (limit: TimeSpan option) : ComparedMethod list =
        let limit = limit |> Option.defaultValue patience

        [
            [ globalProduct ]
            [ seqLip "seqlip" Relaxed limit; seqLip "seqlip-exact" Enumerated limit ]
            LipSdpCommand.names |> List.map (lipSdp limit)
            inBoth (analytic "analytic" Ball)
            inBoth (analytic "crown-analytic" Crown)
            inBoth (localLipSdp limit)
            [ exact limit ]
            inBoth (fastLip Euclidean)
            inBoth (fastLip Maximum)
            PolynomialBound.names |> List.map (polynomial Euclidean)
            PolynomialBound.names |> List.map (polynomial Maximum)
        ]
        |> List.concat
