namespace LipVerify.Core.Bounds.Multipliers

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Multipliers.DeepChains

/// A bound by multipliers of a chain, layer by layer, and how it came about.
[<NoComparison>]
type EclipseBound =
    {
        /// The bound, never above the product of norms, or Algorithm 1 over a ball, with the layers of that.
        Result: NetworkBound
        /// Slopes that have a part in multipliers; 0 where these give no bound.
        Slopes: int
        /// Whether the time was over first: more of it might have given less.
        IsCut: bool
        /// One line on what was bounded how.
        Explanation: string
    }

/// How multipliers of a chain are chosen.
type EclipseMultipliers =
    /// One a layer, in closed form: ECLipsE-Fast.
    | InClosedForm
    /// One a neuron, those of all layers together by a search: LipSDP's own least bound, which ECLipsE approaches layer by layer.
    | AllTogether

/// LipSDP's matrix of a chain factorised layer by layer (Xu & Sivaranjani, *ECLipsE: Efficient compositional Lipschitz constant estimation for
/// deep neural networks*, NeurIPS 2024), in time linear in the depth: over all inputs, and over a ball with the slopes that are possible there
/// (METHODS section 15).
module Eclipse =

    /// Linear functions carried backward through deep chains take as many passes as there are neurons: beyond this many values in a network
    /// intervals have to do.
    let private mostForCrown = 5_000L

    let private enclosureKind multipliers network =
        match multipliers with
        | AllTogether when CheaperBounds.values network <= mostForCrown -> Crown
        | AllTogether
        | InClosedForm -> Interval

    /// Bounds of other methods that a search is not to end above; for the closed form they would cost more than it does.
    let private cheaper multipliers find =
        match multipliers with
        | AllTogether -> find ()
        | InClosedForm -> []

    let private run (context: Context) multipliers chain network region =
        match multipliers with
        | InClosedForm -> ChainLipSdp.closedForm context chain network region
        | AllTogether -> ChainLipSdp.together context false chain network region

    /// The least of what multipliers prove, with what their slopes promise, of a product and of other bounds.
    let private least
        (context: Context)
        (product: NetworkBound)
        name
        promise
        others
        (found: Result<ChainBound, string>)
        =
        let alone isCut reason =
            {
                Result = product
                Slopes = 0
                IsCut = isCut
                Explanation = $"the bound is {name}: {reason}"
            }

        let own =
            match found with
            | Error reason -> alone (Context.isOver context) reason
            | Ok chain when chain.Bound.Value < product.Bound.Value ->
                {
                    Result =
                        { product with
                            Bound = Bound.weaken promise chain.Bound
                        }
                    Slopes = chain.Slopes
                    IsCut = chain.IsCut
                    Explanation = ChainLipSdp.explain chain
                }
            | Ok chain -> alone chain.IsCut "multipliers prove no less"

        match CheaperBounds.least own.Result.Bound others with
        | _, None -> own
        | bound, Some method ->
            { own with
                Result = { own.Result with Bound = bound }
                Slopes = 0
                Explanation = $"the bound is that of {method}, less than what was proved without it: {own.Explanation}"
            }

    /// The chain of a network, or why it has none.
    let private chainOf (context: Context) network =
        MultiplierChain.ofNetwork context.Engine network
        |> Result.mapError (fun reason ->
            $"multipliers layer by layer are for chains of affine maps and activations: {reason}")

    /// Bounds the Lipschitz constant over all inputs, or says why the network is not of this kind.
    let ``global`` (context: Context) multipliers (network: Network) : Result<EclipseBound, string> =
        chainOf context network
        |> Result.map (fun chain ->
            let product = Global.bound context network

            let others =
                cheaper multipliers (fun () -> CheaperBounds.overAllInputs context network)

            run context multipliers chain network AllInputs
            |> least context product "the product of norms" Certified others)

    /// The norm of the map of each stage, by the index of its first layer.
    let private norms (product: NetworkBound) =
        let known =
            product.Layers
            |> List.map (fun layer -> layer.Index, layer.Lipschitz.Value)
            |> Map.ofList

        fun index -> Map.find index known

    /// Bounds the local Lipschitz constant around `input` over the ball of the given radius, or says why the network is not of this kind.
    let local
        (context: Context)
        multipliers
        definition
        (network: Network)
        (input: Tensor)
        (radius: Radius)
        : Result<EclipseBound, string> =
        chainOf context network
        |> Result.map (fun chain ->
            let others =
                cheaper multipliers (fun () -> CheaperBounds.overBall context definition network input radius)

            let shared = Context.share 2 context

            let struct (analytic, enclosure) =
                Analytic.boundAndEnclosure
                    (Context.forComputation 1 shared)
                    (enclosureKind multipliers network)
                    definition
                    network
                    input
                    radius

            let found =
                if radius.Value = 0.0 then
                    struct (Error "the ball is a point", Certified)
                else
                    let product = Global.bound (Context.forComputation 2 shared) network

                    let ball =
                        InBall
                            {
                                Definition = definition
                                Input = input
                                Radius = radius
                                Enclosures = enclosure.Stages
                                Norms = norms product
                            }

                    struct (run context multipliers chain network ball,
                            Rigor.combine enclosure.Rigor product.Bound.Rigor)

            let struct (found, promise) = found
            least context analytic "that of Algorithm 1" promise others found)

    /// Maps beyond which a chain is better taken layer by layer: in one matrix it loses its digits where layers shrink what they get.
    let private mostMaps = 8

    /// Whether a network has more maps than one matrix takes well.
    let internal isDeep network =
        let isAffine (layer: PlacedLayer) =
            match layer.Layer with
            | Affine _ -> true
            | _ -> false

        Network.layers network |> List.filter isAffine |> List.length > mostMaps

    /// What multipliers of a chain certify over a ball, for methods that have other bounds beside it. None where the network is no chain, where they
    /// prove nothing, and where that rests on draws.
    let internal tryCertified context definition network input radius : EclipseBound option =
        try
            match local context AllTogether definition network input radius with
            | Ok found when found.Slopes > 0 && found.Result.Bound.Rigor = Certified -> Some found
            | _ -> None
        with :? Spectral.NotCertifiableException ->
            None
