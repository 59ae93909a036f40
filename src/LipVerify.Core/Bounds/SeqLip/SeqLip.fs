namespace LipVerify.Core.Bounds.SeqLip

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.Bounds.Analytic

/// How SeqLip takes the maximum over slopes between two maps.
type SeqLipMaximum =
    /// An upper bound, from multipliers or norms.
    | Relaxed
    /// All vertices, for layers of few ReLUs.
    | Enumerated
    /// One that is attained: an estimate, which may lie below the constant.
    | Greedy

/// A bound by SeqLip, and how it came about.
[<NoComparison>]
type SeqLipBound =
    {
        /// The bound, never above the product of norms; an estimate where the maximum is greedy.
        Bound: Bound
        /// One line on the factors.
        Explanation: string
    }

/// SeqLip (Scaman & Virmaux 2018, METHODS section 12): with singular value decompositions `A_i = U_i Σ_i V_iᵀ` of the maps of a chain,
/// `L ≤ Π_i max_σ ‖Σ̃_{i+1} V_{i+1}ᵀ diag(σ) U_i Σ̃_i‖` over `σ ∈ [0, 1]ⁿ`, where `Σ̃ = Σ` for the first and the last map and `Σ^{1/2}` between.
///
/// Only `A_i = L_i R_i + E_i` is needed. With `‖E_i‖ ≤ η_i` write `A_i = [L_i, √η_i·I] [R_i; E_i/√η_i]`, exactly: a factor becomes
/// `‖[R D L, R D √η; F D L, F D √η]‖` with `‖F‖ ≤ √η'`, which is at most the norm of the 2×2 matrix of bounds on the blocks' norms.
/// So rounding is enclosed, and costs a part of about `η` and not of `√η`.
module SeqLip =

    /// The norm of `[a b; c d]` with entries that are not negative, rounded upward.
    let private blockNorm a b c d =
        let p, q, o = a * a + c * c, b * b + d * d, a * b + c * d
        let largest = 0.5 * (p + q) + Math.Sqrt(0.25 * (p - q) * (p - q) + o * o)
        // Some ten operations, each relative to `p + q`, which is at most twice the eigenvalue.
        Rounding.sqrtUp (largest * (1.0 + 64.0 * Rounding.unitRoundoff) + Math.ScaleB(1.0, -900))

    /// What one layer of ReLUs contributes: the factor, and a line about it.
    type private Contribution = { Value: float; Line: string }

    let private place (link: Link) =
        $"layer {link.Layer.Index} ({link.Layer.Name})"

    let private outOfTime = "the product of norms, as the time was over"

    /// The maximum over the ReLUs between the maps below and above, for the norms of `R` above and `L` below.
    let private inner context maximum (link: Link) product aboveNorm belowNorm =
        context.Report $"{place link}: {product.Neurons} ReLUs"
        let simple = Rounding.mulUp aboveNorm belowNorm

        match maximum with
        | Relaxed ->
            let struct (value, means) =
                SlopeRelaxation.bound context product aboveNorm belowNorm

            let how =
                match means with
                | SlopeRelaxation.ProductOfNorms -> "the product of norms"
                | SlopeRelaxation.HalvedSum -> "slopes around one half"
                | SlopeRelaxation.OneMultiplierEach -> $"{product.Neurons} multipliers"

            Ok(value, how)
        | Enumerated when product.Neurons > SlopeEnumeration.most ->
            Error
                $"{place link} has {product.Neurons} ReLUs, and the vertices of at most {SlopeEnumeration.most} are enumerated; seqlip bounds wider layers"
        | Enumerated ->
            let largest context =
                SlopeEnumeration.largest context product (SlopeFlips.attained context product)

            match Context.attempt context largest with
            | Some value -> Ok(min value simple, $"all vertices of {product.Neurons} ReLUs")
            | None -> Ok(simple, outOfTime)
        | Greedy ->
            match Context.attempt context (fun context -> SlopeFlips.attained context product) with
            | Some value -> Ok(value, $"{product.Neurons} slopes flipped")
            | None -> Ok(simple, outOfTime)

    let private productBetween (below: SingularFactors) (above: SingularFactors) =
        SlopeProduct.create below.Outputs above.Rank above.Right below.Rank below.Left

    let private contribution context maximum (link: Link) (below: SingularFactors) (above: SingularFactors) =
        let aboveNorm = SlopeProduct.norm context above.Inputs above.Rank above.Right
        let belowNorm = SlopeProduct.norm context below.Outputs below.Rank below.Left
        let product = productBetween below above

        inner context maximum link product aboveNorm belowNorm
        |> Result.map (fun (value, how) ->
            let f, g = Rounding.sqrtUp above.Error, Rounding.sqrtUp below.Error

            {
                Value =
                    match maximum with
                    | Greedy -> value
                    | Relaxed
                    | Enumerated ->
                        blockNorm value (Rounding.mulUp aboveNorm g) (Rounding.mulUp f belowNorm) (Rounding.mulUp f g)
                Line = $"{place link} {Figure.ratioTo 3 value (aboveNorm * belowNorm)} ({how})"
            })

    /// The first problem, or all values.
    let private sequence results =
        List.foldBack
            (fun next rest ->
                match next, rest with
                | Ok value, Ok values -> Ok(value :: values)
                | Error problem, _
                | _, Error problem -> Error problem)
            results
            (Ok [])

    /// The constant of maps with factors, times `2^exponent`; rounded upward.
    let private total maximum (factors: SingularFactors list) (contributions: Contribution list) firstNorm lastNorm =
        let product =
            contributions
            |> List.fold (fun product next -> Rounding.mulUp product next.Value) 1.0

        let outer (norm: float) (factors: SingularFactors) =
            Rounding.sqrtUp (Rounding.addUp (Rounding.mulUp norm norm) factors.Error)

        let framed =
            match maximum with
            | Greedy -> product
            | Relaxed
            | Enumerated ->
                product
                |> Rounding.mulUp (outer firstNorm factors.Head)
                |> Rounding.mulUp (outer lastNorm (List.last factors))

        Rounding.scaleUp framed (factors |> List.sumBy _.Exponent)

    let private splitAt index last =
        if index = 0 then LeftTakesAll
        elif index = last then RightTakesAll
        else Halves

    let private productOfNorms (links: Link list) =
        links
        |> List.fold (fun product link -> Propositions.composition product link.Norm) Bound.one

    /// Maps of which each has factors, with ReLUs between.
    let private ofFactors context maximum (links: Link list) (factors: SingularFactors list) =
        let neighbours =
            List.zip (List.pairwise factors) (List.take (links.Length - 1) links)

        neighbours
        |> List.mapi (fun index ((below, above), link) ->
            // Each may take its part of the time that is left.
            let context = Context.withPart (1.0 / float (neighbours.Length - index)) context
            contribution context maximum link below above)
        |> sequence
        |> Result.map (fun contributions ->
            let first, last = factors.Head, List.last factors

            let firstNorm, lastNorm =
                match maximum with
                | Greedy -> 1.0, 1.0
                | Relaxed
                | Enumerated ->
                    SlopeProduct.norm context first.Inputs first.Rank first.Right,
                    SlopeProduct.norm context last.Outputs last.Rank last.Left

            let value = total maximum factors contributions firstNorm lastNorm
            let norms = productOfNorms links

            struct ((if value < norms.Value then Bound.certified value else norms), contributions |> List.map _.Line))

    let private factorsOf context split (link: Link) =
        Context.attempt context (fun context ->
            if Link.isExplicit link then
                Link.factors context split link
            else
                LeadingTriplets.find context split link.Maps)
        |> Option.flatten

    /// A run of maps that have ReLUs between.
    let private run context maximum (links: Link list) =
        let norms = Ok(struct (productOfNorms links, []))

        if links.Length < 2 then
            norms
        else
            let factors =
                links
                |> List.mapi (fun index -> factorsOf context (splitAt index (links.Length - 1)))

            if factors |> List.exists Option.isNone then
                norms
            else
                ofFactors context maximum links (List.choose id factors)

    /// Neighbours that can be written out stay together; each other map is alone.
    let private runs (links: Link list) =
        List.foldBack
            (fun (link: Link) (runs: Link list list) ->
                match runs with
                | (next :: _ as run) :: rest when Link.isExplicit link && Link.isExplicit next -> (link :: run) :: rest
                | _ -> [ link ] :: runs)
            links
            []

    let private hasTriplets (link: Link) =
        Link.isExplicit link || LeadingTriplets.count link.Inputs link.Outputs > 0

    let private tooLarge (link: Link) instead =
        Error $"{place link} is too large for its singular vectors to be found{instead}"

    let private chain context maximum (links: Link list) =
        let missing = links |> List.tryFind (Link.isExplicit >> not)
        let hopeless = links |> List.tryFind (hasTriplets >> not)

        match maximum, missing, hopeless with
        | Greedy, _, Some link when links.Length > 1 -> tooLarge link ""
        | Enumerated, Some link, _ when links.Length > 1 -> tooLarge link "; seqlip takes its norm"
        | Greedy, _, _ -> run context maximum links |> Result.map List.singleton
        | _ -> runs links |> List.map (run context maximum) |> sequence

    let private explain (lines: string list) =
        match lines with
        | [] -> "no two maps with ReLUs between them could be taken together: the bound is the product of norms"
        | lines ->
            let factors = String.concat ", " lines
            $"parts of the product of norms that are left: {factors}"

    /// Bounds the global Lipschitz constant. What is not reached by the end of `limit` is bounded by norms. An error says why the method does not apply.
    let bound (context: Context) maximum (network: Network) limit : Result<SeqLipBound, string> =
        let context = Context.within limit context
        let norms = Global.bound context network

        SeqLipChains.ofNetwork network norms
        |> Result.bind (fun chains ->
            chains.Chains
            |> List.map (chain context maximum)
            |> sequence
            |> Result.map (fun found ->
                let found = List.concat found

                let value =
                    (chains.Pooling, found)
                    ||> List.fold (fun product (struct (bound, _)) -> Propositions.composition product bound)

                let least =
                    if value.Value < norms.Bound.Value then
                        value
                    else
                        norms.Bound

                {
                    Bound =
                        match maximum with
                        | Greedy -> Bound.weaken Estimate least
                        | Relaxed
                        | Enumerated -> least
                    Explanation = found |> List.collect (fun (struct (_, lines)) -> lines) |> explain
                }))
