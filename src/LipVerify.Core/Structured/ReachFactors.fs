namespace LipVerify.Core

open System.Collections.Generic

/// The factors of channels in the course of a search for reaches within a radius: those that were found serve again in loops with more channels.
/// `outputs` says how far outputs may move that are to move by less than 1; empty where they do not matter.
[<Sealed>]
type internal ReachFactors
    (context: Context, plan: LoopPlan, effort: SearchEffort, definition, outputs: float[], radius: float) =

    let known = Dictionary<struct (int * int * int), float>()

    /// What channels are known by, one a channel.
    let names (loop: Loop) =
        Reaches.channelNames loop
        |> Array.map (fun (struct (place, _, _) as name) -> if effort.IsByPlace then struct (place, -1, -1) else name)

    /// Factors with which residuals of the largest size have a length of the order of the radius.
    let natural (loop: Loop) reaches =
        Array.map2
            (fun width reach -> max (2.0 * width * reach / radius) 1e-200)
            (loop.Bends |> Array.collect _.Width)
            (Reaches.ofChannels loop reaches)

    /// What factors are known in parts of. A factor a costs a²R behind the channel and S·width²/a² before it, which is least for a root of the
    /// width.
    let profile natural =
        natural
        |> Array.map (fun natural -> if effort.IsByPlace then sqrt natural else 1.0)

    let start (loop: Loop) (natural: float[]) (profile: float[]) =
        (names loop, natural, profile)
        |||> Array.map3 (fun name natural profile ->
            match known.TryGetValue name with
            | true, factor -> factor * profile
            | _ when effort.IsByPlace -> profile
            | _ -> natural)

    /// Factors to start with, for a loop that rests on reaches.
    member _.Start(loop: Loop, reaches: PlaceReach[]) : float[] =
        let natural = natural loop reaches
        start loop natural (profile natural)

    /// The loop for reaches and what it claims, with factors after some more steps.
    member _.Weigh(steps: int, reaches: PlaceReach[]) : struct (Loop * Claims[] * ReachWeights.FoundReach) =
        let struct (loop, claims) = LoopSlopes.loop definition plan reaches

        if loop.Channels = 0 then
            struct (loop, claims, ReachWeights.nothing)
        else
            let natural = natural loop reaches
            let profile = profile natural
            let start = start loop natural profile

            // All outputs together count as much as all channels.
            let outputs =
                if Array.isEmpty outputs then
                    Array.zeroCreate plan.Outputs
                else
                    outputs
                    |> Array.map (fun t -> Reaches.importance 1.0 t * sqrt (float loop.Channels))

            let roots = Reaches.importances plan reaches

            let found =
                ReachWeights.search context plan effort loop roots outputs natural start steps

            names loop
            |> Array.iteri (fun j name -> known[name] <- found.Factors[j] / profile[j])

            struct (loop, claims, found)

    /// Whether factors were found for all channels of the loop.
    member _.KnowsAll(loop: Loop) =
        names loop |> Array.forall known.ContainsKey

    /// An estimate of the norm of the channels alone.
    member _.Kappa(loop: Loop, factors: float[]) =
        if loop.Channels = 0 then
            0.0
        else
            1.01
            * Balance.norm context effort (LoopOperator.create loop factors 0.0) effort.NormSteps
