namespace LipVerify.Core.Bounds.Multipliers.DeepChains

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks

/// A bound of a chain by multipliers of all its layers together.
[<NoComparison>]
type internal ChainBound =
    {
        /// Certified.
        Bound: Bound
        /// Slopes that have a part in multipliers.
        Slopes: int
        /// Whether the time was over first: more of it might have given less.
        IsCut: bool
    }

/// LipSDP (Fazlyab, Robey, Hassani, Morari & Pappas 2019) for chains of any depth: its matrix is block tridiagonal, so that layers can be
/// eliminated one after the other (Xu & Sivaranjani 2024, ECLipsE), in time linear in the depth (METHODS section 15).
///
/// - `MultiplierChain`: the matrices of a network, without dead neurons.
/// - `ChainStep`: the elimination of one layer.
/// - `ChainUnits`: powers of two that keep the recursion near 1, and the closed form of ECLipsE-Fast as the start.
/// - `ChainRecursion`: LipSDP's matrix at some multipliers, and the derivatives of its determinant.
/// - `ChainDescent`: the search for multipliers of all layers together, which is not trusted.
/// - `ChainProof`: the proof.
module internal ChainLipSdp =

    /// The part of the time that the search may take; the proof takes about as long as a few of its steps.
    let private searchPart = 0.8

    /// One line on what was bounded how.
    let explain (found: ChainBound) =
        let end' =
            if found.IsCut then
                ", as far as they were found in time"
            else
                ""

        $"multipliers for {found.Slopes} slopes of all layers together bound the whole network{end'}"

    /// Bounds the Lipschitz constant over all inputs, `perLayer` with one multiplier a layer, or says why not.
    let bound (context: Context) perLayer (network: Network) : Result<ChainBound, string> =
        match MultiplierChain.ofNetwork context.Engine network with
        | Error reason -> Error reason
        | Ok [||] ->
            Ok
                {
                    Bound = Bound.zero
                    Slopes = 0
                    IsCut = false
                }
        | Ok maps ->
            let found =
                Context.attempt context (fun attempt ->
                    ChainUnits.choose attempt perLayer maps
                    |> Option.bind (fun scaled ->
                        let search =
                            { attempt with
                                Deadline = (Context.withPart searchPart context).Deadline
                            }

                        ChainDescent.run search perLayer scaled
                        |> Option.bind (fun found ->
                            ChainProof.tryProve attempt scaled.Chain found.Weights found.Level
                            |> Option.map (fun bound ->
                                {
                                    Bound = bound
                                    Slopes = scaled.Chain.Neurons
                                    IsCut = found.IsCut
                                }))))

            match found with
            | None -> Error "the time was over before multipliers proved a bound"
            | Some None -> Error "no multipliers were found that prove a bound"
            | Some(Some bound) -> Ok bound
