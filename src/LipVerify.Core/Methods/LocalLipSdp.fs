namespace LipVerify.Core

open System
open System.Diagnostics

/// A bound by local LipSDP, and how it came about.
[<NoComparison>]
type LocalLipSdpBound =
    {
        /// The bound, never above that of Algorithm 1, with the layers of Algorithm 1.
        Result: NetworkBound
        /// Slopes that are not known, and so have a multiplier; 0 where Algorithm 1 gives the bound.
        Uncertain: int
        /// One line on what was bounded how.
        Explanation: string
    }

/// What proves a bound of a whole network by multipliers, for a checker that builds the representation itself.
[<NoComparison>]
type MultiplierWitness =
    {
        /// The entries that have a multiplier, for each time that slopes were applied, in order, with their multipliers `t`.
        Bends: (int[] * float[]) list
        /// The members that can win each window, the leader first, for each max pooling in order.
        Windows: int[][] list
    }

/// Local LipSDP with slope intervals (METHODS section 7).
module LocalLipSdp =

    let rec private stage context definition (slopes: UncertainSlopes) (enclosures: Map<int, Enclosure>) signal stage =
        match stage with
        | AffineStage(layers, map, _) -> Signal.affine context slopes layers map signal
        | ReluStage layer -> enclosed enclosures layer signal |> Signal.relu context definition slopes
        | MaxPoolingStage(layer, geometry) ->
            enclosed enclosures layer signal
            |> Tournament.maxPooling context definition slopes geometry false
        | SumStage branches ->
            branches
            |> List.map (series context definition slopes enclosures signal)
            |> List.reduce (Signal.add slopes)

    and private enclosed enclosures (layer: PlacedLayer) signal =
        match Map.tryFind layer.Index enclosures with
        | Some enclosure -> Signal.within enclosure signal
        | None -> signal

    and private series context definition (slopes: UncertainSlopes) enclosures (signal: Signal) stages : Signal =
        let preActivation (layers: PlacedLayer list) map =
            context.Report
                $"layer {layers.Head.Index} ({layers.Head.Name}), {slopes.Count} slopes that are not known so far"

            Signal.affine context slopes layers map signal
            |> enclosed enclosures layers.Head

        match stages with
        | [] -> signal
        | AffineStage(layers, map, true) :: MaxPoolingStage(_, geometry) :: rest ->
            // The ReLU is monotone: with the maximum first, a window takes one ReLU instead of one a member.
            let after =
                preActivation layers map
                |> Tournament.maxPooling context definition slopes geometry true
                |> Signal.relu context definition slopes

            series context definition slopes enclosures after rest
        | AffineStage(layers, map, true) :: rest ->
            let after = preActivation layers map |> Signal.relu context definition slopes
            series context definition slopes enclosures after rest
        | next :: rest ->
            let after = stage context definition slopes enclosures signal next
            series context definition slopes enclosures after rest

    /// What comes behind the layers that Algorithm 1 takes: its stages and the ball that they start from.
    [<ReferenceEquality>]
    type private Suffix =
        {
            Stages: Stage list
            /// Layers before it.
            Before: PlacedLayer list
            /// The constant of what comes before.
            Lipschitz: Bound
            /// The radius of the ball around the nominal value.
            Radius: Bound
            Nominal: EnclosedTensor
            Fall: float[]
            Rise: float[]
        }

    let private layersOf stage =
        match stage with
        | AffineStage(layers, _, _) -> layers
        | ReluStage layer
        | MaxPoolingStage(layer, _) -> [ layer ]
        | SumStage _ -> []

    /// How far the outputs of a stage lie from their nominal values at most, from the enclosure of what it bends.
    let private reachBehind (enclosures: Map<int, Enclosure>) stage (nominal: EnclosedTensor) suffix =
        let unknown = Array.create nominal.Value.Length Double.PositiveInfinity

        match stage with
        | AffineStage(layers, _, true) when enclosures.ContainsKey layers.Head.Index ->
            let enclosure = enclosures[layers.Head.Index]
            let upper = Tensor.values enclosure.Upper

            // What is never positive is 0.
            let behind reach =
                Array.map2 (fun upper reach -> if upper <= 0.0 then 0.0 else reach) upper (Tensor.values reach)

            behind enclosure.Fall, behind enclosure.Rise
        | MaxPoolingStage(_, geometry) ->
            let largest (reach: float[]) =
                let pooled = Array.zeroCreate<float> geometry.OutputSize

                PoolingWindows.iterate geometry (fun output members ->
                    for i in members do
                        pooled[output] <- max pooled[output] reach[i])

                pooled

            largest suffix.Fall, largest suffix.Rise
        | _ -> unknown, unknown

    /// One stage more for Algorithm 1; none where there is none that it can take.
    let private advance (context: Context) enclosures (lines: LayerBound list) suffix =
        match suffix.Stages with
        | []
        | [ _ ]
        | SumStage _ :: _ -> None
        | first :: rest ->
            let layers = layersOf first
            let line = lines |> List.find (fun line -> line.Index = layers.Head.Index)

            let applied =
                (suffix.Nominal, layers)
                ||> List.fold (fun enclosed layer -> EnclosedTensor.apply context.Engine layer enclosed)

            let nominal =
                match first with
                | AffineStage(_, _, true) -> EnclosedTensor.rectify context.Engine applied
                | _ -> applied

            let fall, rise = reachBehind enclosures first nominal suffix

            Some
                {
                    Stages = rest
                    Before = suffix.Before @ layers
                    Lipschitz = Propositions.composition suffix.Lipschitz line.Lipschitz
                    Radius = Propositions.radiusTransfer suffix.Radius line.Lipschitz
                    Nominal = nominal
                    Fall = fall
                    Rise = rise
                }

    /// The representation of a suffix, with its outputs replaced by `read` of them, and what it was built from.
    let private representTraced context definition enclosures read suffix =
        let live =
            [|
                for i in 0 .. suffix.Fall.Length - 1 do
                    if suffix.Fall[i] > 0.0 || suffix.Rise[i] > 0.0 then
                        i
            |]

        if live.Length = 0 then
            raise (TooLargeException "nothing moves there")

        let slopes = UncertainSlopes(live.Length, suffix.Radius.Value)

        let start =
            AffineForms.identity live suffix.Fall.Length
            |> Signal.create slopes suffix.Nominal suffix.Fall suffix.Rise

        let output = series context definition slopes enclosures start suffix.Stages
        struct (slopes, slopes.Represent(read output.Forms))

    let private represent context definition enclosures read suffix =
        let struct (_, lfr) = representTraced context definition enclosures read suffix
        lfr

    /// The representation that leaves the fewest layers to Algorithm 1, or what was too large in the last one tried.
    let rec private representWhatFits context definition enclosures lines read suffix =
        try
            Ok(suffix, represent context definition enclosures read suffix)
        with :? TooLargeException as reason ->
            match advance context enclosures lines suffix with
            | Some shorter -> representWhatFits context definition enclosures lines read shorter
            | None -> Error $"the network is too large for multipliers ({reason.Message})"

    /// Linear functions carried backward pay off up to this many values inside the network; beyond it they take minutes.
    let private mostForCrown = 30_000

    let private enclosureKind (network: Network) =
        let values =
            Network.layers network
            |> List.sumBy (fun layer -> int64 (Shape.size layer.Output))

        if values <= int64 mostForCrown then Crown else Interval

    let private describe suffix =
        match suffix.Before with
        | [] -> "the whole network"
        | before -> $"what follows layer {(List.last before).Index} ({(List.last before).Name})"

    let private startOf (network: Network) (input: Tensor) (radius: Radius) =
        let center = Tensor.reshape network.InputShape input
        let reach = Array.create center.Length radius.Value

        {
            Stages = Stage.ofNetwork network
            Before = []
            Lipschitz = Bound.one
            Radius = Bound.certified radius.Value
            Nominal = EnclosedTensor.exact center
            Fall = reach
            Rise = reach
        }

    let private analyticAlone (analytic: NetworkBound) reason =
        {
            Result = analytic
            Uncertain = 0
            Explanation = $"the bound is that of Algorithm 1: {reason}"
        }

    /// Everything that is needed before multipliers are sought.
    [<ReferenceEquality>]
    type internal Prepared =
        {
            /// What Algorithm 1 gives.
            Analytic: NetworkBound
            /// What the enclosures promise, and so everything that rests on them.
            Rigor: Rigor
            /// The constant of the layers that Algorithm 1 takes, the representation of the rest, and its name; or why there is none.
            Problem: Result<struct (Bound * LinearFractional * string), string>
        }

    /// Algorithm 1 and the representation of `read` of the outputs.
    let internal prepare context definition (network: Network) (input: Tensor) (radius: Radius) read =
        let struct (analytic, enclosure) =
            Analytic.boundAndEnclosure context (enclosureKind network) definition network input radius

        let problem =
            if radius.Value = 0.0 then
                Error "the ball is a point"
            else
                startOf network input radius
                |> representWhatFits context definition enclosure.Stages analytic.Layers read
                |> Result.bind (fun (suffix, lfr) ->
                    if LinearFractional.isFinite lfr then
                        Ok(struct (suffix.Lipschitz, lfr, describe suffix))
                    else
                        Error "coefficients left the range of doubles")

        {
            Analytic = analytic
            Rigor = enclosure.Rigor
            Problem = problem
        }

    /// The representation of the network, or of what Algorithm 1 leaves of it, over the ball around `input`, or why there is
    /// none: the problem whose multipliers local LipSDP seeks.
    let representation context definition network input radius : Result<LinearFractional, string> =
        (prepare context definition network input radius id).Problem
        |> Result.map (fun (struct (_, lfr, _)) -> lfr)

    /// Bounds the local Lipschitz constant of the network around `input` over the ball of the given radius: the least of what
    /// Algorithm 1 and the multipliers prove. After `limit` the best multipliers so far have to do; preparations and proof
    /// come on top of it.
    let bound
        (context: Context)
        definition
        (network: Network)
        (input: Tensor)
        (radius: Radius)
        (limit: TimeSpan option)
        : LocalLipSdpBound =
        let clock = Stopwatch.StartNew()

        let isOver () =
            limit |> Option.exists (fun limit -> clock.Elapsed > limit)

        let prepared = prepare context definition network input radius id
        let alone reason = analyticAlone prepared.Analytic reason

        match prepared.Problem with
        | Error reason -> alone reason
        | Ok _ when isOver () -> alone "the time was over before multipliers were sought"
        | Ok(before, lfr, place) ->
            match MultiplierSearch.prove context lfr None None (fun _ -> isOver ()) with
            | None
            | Some(struct (_, None)) -> alone "no multipliers were found that prove a bound"
            | Some(struct (_, Some proved)) ->
                // One run of Algorithm 1 made every draw that anything here rests on: each counts once.
                let total =
                    { Propositions.composition before proved with
                        Rigor = Rigor.combine prepared.Rigor proved.Rigor
                    }

                if total.Value < prepared.Analytic.Bound.Value then
                    {
                        Result = { prepared.Analytic with Bound = total }
                        Uncertain = lfr.Uncertain
                        Explanation = $"multipliers for {lfr.Uncertain} slopes that are not known bound {place}"
                    }
                else
                    alone "multipliers prove no less"

    /// Multipliers `t = 1/s` beside the entries that they belong to.
    let private witnessOf (slopes: UncertainSlopes) (multipliers: Multipliers) =
        let counts = slopes.Bends |> Seq.map _.Length |> List.ofSeq
        let firsts = counts |> List.scan (+) 0 |> List.take counts.Length

        {
            Bends =
                (firsts, slopes.Bends)
                ||> Seq.map2 (fun first entries ->
                    entries, Array.init entries.Length (fun k -> 1.0 / multipliers.Weights[first + k]))
                |> List.ofSeq
            Windows = List.ofSeq slopes.Windows
        }

    /// As `bound`, in a form that an independent checker can follow: ranges come from the representation alone and not from
    /// enclosures beside it, and multipliers take the whole network. Without a witness the bound is that of Algorithm 1.
    let boundWithWitness
        (context: Context)
        definition
        (network: Network)
        (input: Tensor)
        (radius: Radius)
        (limit: TimeSpan option)
        : struct (LocalLipSdpBound * MultiplierWitness option) =
        let clock = Stopwatch.StartNew()

        let isOver () =
            limit |> Option.exists (fun limit -> clock.Elapsed > limit)

        let analytic = Analytic.bound context definition network input radius

        let alone reason : struct (LocalLipSdpBound * MultiplierWitness option) =
            struct (analyticAlone analytic reason, None)

        if radius.Value = 0.0 then
            alone "the ball is a point"
        else
            try
                let struct (slopes, lfr) =
                    startOf network input radius |> representTraced context definition Map.empty id

                let proved =
                    if LinearFractional.isFinite lfr then
                        MultiplierSearch.prove context lfr None None (fun _ -> isOver ())
                    else
                        None

                match proved with
                | Some(struct (multipliers, Some proved)) when
                    proved.Value < analytic.Bound.Value && Double.IsFinite proved.Value
                    ->
                    struct ({
                                Result = { analytic with Bound = proved }
                                Uncertain = lfr.Uncertain
                                Explanation =
                                    $"multipliers for {lfr.Uncertain} slopes that are not known bound the whole network"
                            },
                            Some(witnessOf slopes multipliers))
                | Some(struct (_, Some _)) -> alone "multipliers prove no less"
                | _ -> alone "no multipliers were found that prove a bound"
            with :? TooLargeException as reason ->
                alone $"the network is too large for multipliers ({reason.Message})"
