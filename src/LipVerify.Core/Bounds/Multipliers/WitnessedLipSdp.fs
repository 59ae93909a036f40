namespace LipVerify.Core.Bounds.Multipliers

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Multipliers.Representation
open LipVerify.Core.Bounds.Multipliers.Solver

/// What proves a bound of a whole network by multipliers, for a checker that builds the representation itself.
[<NoComparison>]
type MultiplierWitness =
    {
        /// The entries that have a multiplier, for each time that slopes were applied, in order, with their multipliers `t`.
        Bends: (int[] * float[]) list
        /// The members that can win each window, the leader first, for each max pooling in order.
        Windows: int[][] list
        /// What multipliers narrowed inside the network, for each place where slopes are applied, in order.
        Reaches: NarrowedReach list
    }

/// Local LipSDP with what an independent checker needs to follow it (METHODS section 7).
module WitnessedLipSdp =

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
            Reaches = List.ofSeq slopes.Narrowed
        }

    /// As `LocalLipSdp.bound`, in a form that an independent checker can follow: ranges come from the representation alone and not from
    /// enclosures beside it, and multipliers take the whole network. Without a witness the bound is that of Algorithm 1.
    let bound
        (context: Context)
        definition
        (network: Network)
        (input: Tensor)
        (radius: Radius)
        (limit: TimeSpan option)
        : struct (LocalLipSdpBound * MultiplierWitness option) =
        let context = Context.within limit context
        let isHalfOver = LocalLipSdp.halfOf context
        let analytic = Analytic.bound context definition network input radius

        let alone reason : struct (LocalLipSdpBound * MultiplierWitness option) =
            struct (LocalLipSdp.analyticAlone analytic (Context.isOver context) reason, None)

        if radius.Value = 0.0 then
            alone "the ball is a point"
        else
            try
                let represented =
                    Context.attempt context (fun context ->
                        Representation.startOf network input radius
                        |> Representation.represent
                            {
                                Context = context
                                Definition = definition
                                Enclosures = Map.empty
                                Tighten = Bootstrap.tighten context isHalfOver
                            }
                            id)

                let proved =
                    represented
                    |> Option.filter (fun (struct (_, lfr)) -> LinearFractional.isFinite lfr)
                    |> Option.bind (fun (struct (slopes, lfr)) ->
                        let struct (found, isCut) =
                            MultiplierSearch.proveInTime context lfr None None (fun _ -> false)

                        found
                        |> Option.map (fun (struct (multipliers, proved)) ->
                            struct (slopes, lfr, multipliers, proved, isCut)))

                match proved with
                | Some(struct (slopes, lfr, multipliers, Some proved, isCut)) when
                    proved.Value < analytic.Bound.Value && Double.IsFinite proved.Value
                    ->
                    struct ({
                                Result = { analytic with Bound = proved }
                                Uncertain = lfr.Uncertain
                                IsCut = isCut
                                Explanation =
                                    $"multipliers for {lfr.Uncertain} slopes that are not known bound the whole network"
                            },
                            Some(witnessOf slopes multipliers))
                | Some(struct (_, _, _, Some _, _)) -> alone "multipliers prove no less"
                | _ when Context.isOver context -> alone "the time was over before multipliers proved a bound"
                | _ -> alone "no multipliers were found that prove a bound"
            with :? TooLargeException as reason ->
                alone $"the network is too large for multipliers ({reason.Message})"
