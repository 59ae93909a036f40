namespace LipVerify.Core.Bounds.Multipliers

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Multipliers.Representation
open LipVerify.Core.Bounds.Multipliers.Solver
open LipVerify.Core.Bounds.Multipliers.DeepChains

/// Which slopes share a multiplier in LipSDP. The mode with multipliers between neurons (LipSDP-Network) is left out: its
/// bound does not hold (Pauli et al. 2021).
type LipSdpMode =
    /// One multiplier a neuron: the tighter bound.
    | PerNeuron
    /// One multiplier a layer.
    | PerLayer

/// A bound by LipSDP, and how it came about.
[<NoComparison>]
type LipSdpBound =
    {
        /// The bound, never above the product of norms, with the layers of that product.
        Result: NetworkBound
        /// Slopes that have a part in multipliers; 0 where the product of norms gives the bound.
        Slopes: int
        /// Whether the time was over first: more of it might have given less.
        IsCut: bool
        /// One line on what was bounded how.
        Explanation: string
    }

/// LipSDP (Fazlyab, Robey, Hassani, Morari & Pappas 2019): the Lipschitz constant over all pairs of inputs, by multipliers for
/// slopes in `[0, 1]` (METHODS section 13).
module LipSdp =

    /// Rows of the matrix that a search for multipliers factorises in each step; beyond it a step takes minutes.
    let private tallest = 2400

    let private outputSize inputs stage =
        let rec size inputs stage =
            match stage with
            | AffineStage(_, map, _) -> LinearMap.outputs map
            | ActivationStage(layer, _) -> Shape.size layer.Output
            | MaxPoolingStage(_, geometry) -> geometry.OutputSize
            | SumStage branches -> List.head branches |> List.fold size inputs

        size inputs stage

    /// Stages that follow each other.
    [<ReferenceEquality>]
    type private Piece =
        {
            /// The product of the constants of its stages.
            Product: NetworkBound
            /// Its representation with the layer of each slope; or why there is none.
            Problem: Result<struct (LinearFractional * int[]), string>
        }

    /// What multipliers prove of a piece.
    [<ReferenceEquality>]
    type private Proved =
        {
            Bound: Bound
            Slopes: int
            /// Whether the time for the piece was over before the search was.
            IsCut: bool
        }

    let private overBefore = "the time was over before multipliers were sought"

    let private representStages context inputs stages =
        try
            match Context.attempt context (fun context -> GlobalRepresentation.ofStages context inputs stages) with
            | None -> Error overBefore
            | Some(struct (lfr, _)) when lfr.Height > tallest ->
                Error $"{lfr.Uncertain} slopes and {lfr.Outputs} outputs"
            | Some(struct (lfr, layers)) when LinearFractional.isFinite lfr -> Ok(struct (lfr, layers))
            | Some _ -> Error "coefficients left the range of doubles"
        with :? TooLargeException as reason ->
            Error reason.Message

    /// The representation of a network over all pairs of inputs, with the layer of each slope, or why there is none: the
    /// problem whose multipliers LipSDP seeks.
    let represent (context: Context) (network: Network) : Result<struct (LinearFractional * int[]), string> =
        Stage.ofNetwork network
        |> representStages context (Shape.size network.InputShape)

    /// The parts of a network, last first: each time the longest piece at the end that has a representation, or a stage alone.
    let rec private pieces context inputs parts =
        let stageOf (struct (stage, _, _)) = stage

        let rec longest before inputs parts =
            match representStages context inputs (List.map stageOf parts), parts with
            | Error _, first :: (_ :: _ as rest) -> longest (first :: before) (outputSize inputs (stageOf first)) rest
            | problem, _ ->
                before,
                {
                    Product = Global.compose parts
                    Problem = problem
                }

        let before, piece = longest [] inputs parts

        if before.IsEmpty then
            [ piece ]
        else
            piece :: pieces context inputs (List.rev before)

    /// What multipliers prove of a piece, where that is less than the product of norms, and whether the time cut the search.
    let private prove context mode (product: NetworkBound) (struct (lfr: LinearFractional, layers)) =
        if Context.isOver context then
            struct (Error overBefore, true)
        else
            let ties =
                match mode with
                | PerNeuron -> None
                | PerLayer -> Some layers

            let struct (found, isCut) =
                MultiplierSearch.proveInTime context lfr ties None (fun _ -> false)

            let outcome =
                match found with
                | Some(struct (_, Some proved)) when proved.Value < product.Bound.Value ->
                    Ok
                        {
                            Bound = proved
                            Slopes = lfr.Uncertain
                            IsCut = isCut
                        }
                | Some(struct (_, Some _)) when isCut -> Error "the time was over before multipliers proved less"
                | Some(struct (_, Some _)) -> Error "multipliers prove no less"
                | Some(struct (_, None))
                | None when isCut -> Error "the time was over before multipliers proved a bound"
                | Some(struct (_, None))
                | None -> Error "no multipliers were found that prove a bound"

            struct (outcome, isCut)

    let private multipliers proved place =
        let end' =
            if proved.IsCut then
                ", as far as they were found in time"
            else
                ""

        $"multipliers for {proved.Slopes} slopes bound {place}{end'}"

    let private describe (piece: Piece) outcome =
        let place =
            match piece.Product.Layers with
            | [] -> "a sum of inputs"
            | [ only ] -> $"layer {only.Index}"
            | lines -> $"layers {lines.Head.Index} to {(List.last lines).Index}"

        match outcome with
        | Ok proved -> multipliers proved place
        | Error reason -> $"the product of norms bounds {place} ({reason})"

    let private explain pieces (outcomes: Result<Proved, string> list) =
        match outcomes with
        | [ Ok proved ] -> multipliers proved "the whole network"
        | [ Error reason ] -> $"the bound is the product of norms: {reason}"
        | _ -> List.map2 describe pieces outcomes |> List.rev |> String.concat "; "

    /// Slopes beyond which a chain is bounded layer by layer, in a time that grows with its depth alone.
    let private mostTogether = 256

    /// Whether a chain is taken layer by layer: what would be cut, and what takes long in one matrix.
    let private isDeep pieces =
        match pieces with
        | [ { Problem = Ok(struct (lfr, _)) } ] -> lfr.Uncertain > mostTogether
        | _ -> true

    /// What multipliers of a chain prove, all layers together; none for other networks, and where nothing is proved.
    let private ofChain (context: Context) mode (product: NetworkBound) (network: Network) : LipSdpBound option =
        ChainLipSdp.bound context (mode = PerLayer) network
        |> Result.toOption
        |> Option.map (fun chain ->
            let isLess = chain.Bound.Value < product.Bound.Value

            {
                Result =
                    if isLess then
                        { product with Bound = chain.Bound }
                    else
                        product
                Slopes = if isLess then chain.Slopes else 0
                IsCut = chain.IsCut
                Explanation =
                    if isLess then
                        ChainLipSdp.explain chain
                    else
                        "the bound is the product of norms: multipliers prove no less"
            })

    /// What multipliers of each piece prove, multiplied.
    let private inPieces (context: Context) mode (product: NetworkBound) pieces : LipSdpBound =
        let toSearch = pieces |> List.filter (_.Problem >> Result.isOk) |> List.length

        // Each piece that has a problem may take its part of the time that is left.
        let searches =
            (toSearch, pieces)
            ||> List.mapFold (fun left piece ->
                match piece.Problem with
                | Error reason -> struct (Error reason, false), left
                | Ok problem ->
                    prove (Context.withPart (1.0 / float left) context) mode piece.Product problem, left - 1)
            |> fst

        let outcomes = searches |> List.map (fun (struct (outcome, _)) -> outcome)

        let total =
            (Bound.one, List.rev pieces, List.rev outcomes)
            |||> List.fold2 (fun total piece outcome ->
                match outcome with
                | Ok proved -> proved.Bound
                | Error _ -> piece.Product.Bound
                |> Propositions.composition total)

        // Which norms are used depends on the draws of all of them.
        let total =
            if total.Rigor = Certified then
                total
            else
                { total with
                    Rigor = product.Bound.Rigor
                }

        {
            Result =
                { product with
                    Bound =
                        if total.Value < product.Bound.Value then
                            total
                        else
                            product.Bound
                }
            Slopes =
                outcomes
                |> List.sumBy (fun outcome ->
                    match outcome with
                    | Ok proved -> proved.Slopes
                    | Error _ -> 0)
            IsCut =
                Context.isOver context
                || searches |> List.exists (fun (struct (_, isCut)) -> isCut)
            Explanation = explain pieces outcomes
        }

    /// The part of the time for a chain as a whole, before its pieces are looked at.
    let private chainPart = 0.6

    /// Bounds the global Lipschitz constant: the least of the product of norms, of SeqLip and of what multipliers prove. A chain that is deep is
    /// taken layer by layer; another network that is too large is cut into pieces, whose constants are multiplied. By the end of `limit` the best
    /// multipliers so far have to do.
    let bound (context: Context) mode (network: Network) limit : LipSdpBound =
        let context = Context.within limit context
        let parts = Global.stages context network
        let product = Global.compose parts
        let pieces = pieces context (Shape.size network.InputShape) parts
        let cheaper = CheaperBounds.overAllInputs context network

        let ofChain part =
            ofChain (Context.withPart part context) mode product network

        let isDeep = isDeep pieces
        let layered = if isDeep then ofChain chainPart else None

        let proved =
            match layered with
            | Some chain when not chain.IsCut -> chain
            | _ ->
                let inPieces = inPieces context mode product pieces

                // One matrix may fail where layers do not.
                let layered =
                    if not isDeep && inPieces.Slopes = 0 then
                        ofChain 1.0
                    else
                        layered

                inPieces :: Option.toList layered |> List.minBy _.Result.Bound.Value

        let bound, cheaper = CheaperBounds.least proved.Result.Bound cheaper

        { proved with
            Result = { product with Bound = bound }
            IsCut = Context.isOver context || proved.IsCut
            Explanation =
                match cheaper with
                | Some method ->
                    $"the bound is that of {method}, less than what was proved without it: {proved.Explanation}"
                | None -> proved.Explanation
        }
