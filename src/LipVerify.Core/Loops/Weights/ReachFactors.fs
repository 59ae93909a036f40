namespace LipVerify.Core.Loops.Weights

open System.Collections.Generic
open LipVerify.Core.Computation
open LipVerify.Core.Loops.Operator

/// The factors of channels in the course of a search for reaches within a radius: those that were found serve again in loops with more channels.
/// `outputs` says how far outputs may move that are to move by less than 1; empty where they do not matter.
[<Sealed>]
type internal ReachFactors(context: Context, plan: LoopPlan, effort: SearchEffort, outputs: float[], radius: float) =

    let known = Dictionary<struct (int * int * int), float>()

    /// What channels are known by, one a channel.
    let names (loop: Loop) =
        Reaches.channelNames loop
        |> Array.map (fun (struct (place, _, _) as name) -> if effort.IsByPlace then struct (place, -1, -1) else name)

    /// How the factors of a place differ from one another. A factor a costs a²R behind the channel and S·width²/a² before it, which is least for a
    /// root of the width. Wider reaches alone change no factor.
    let profile (loop: Loop) (natural: float[]) =
        if effort.IsByPlace then
            loop.Bends
            |> Array.collect (fun bend ->
                let natural = Array.sub natural bend.First (Bend.channels bend)
                let mean = exp (Array.sumBy log natural / float (max 1 natural.Length))
                natural |> Array.map (fun natural -> sqrt (natural / mean)))
        else
            natural |> Array.map (fun _ -> 1.0)

    let start (loop: Loop) (natural: float[]) (profile: float[]) =
        (names loop, natural, profile)
        |||> Array.map3 (fun name natural profile ->
            match known.TryGetValue name with
            | true, factor -> factor * profile
            | _ when effort.IsByPlace -> sqrt natural
            | _ -> natural)

    /// Factors to start with, for a loop that rests on reaches.
    member _.Start(loop: Loop, reaches: PlaceReach[]) : float[] =
        let natural = Reaches.naturalFactors loop radius reaches
        start loop natural (profile loop natural)

    /// Factors for a loop that rests on reaches, after some more steps.
    member _.Weigh(steps: int, loop: Loop, reaches: PlaceReach[]) : float[] =
        if loop.Channels = 0 then
            [||]
        else
            let natural = Reaches.naturalFactors loop radius reaches
            let profile = profile loop natural
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

            names loop |> Array.iteri (fun j name -> known[name] <- found[j] / profile[j])
            found

    /// Whether factors were found for the channels of the loop, all but a few.
    member _.KnowsMost(loop: Loop) =
        let unknown = names loop |> Array.filter (known.ContainsKey >> not) |> Array.length
        50 * unknown <= loop.Channels

    /// An estimate of the norm of the channels alone.
    member _.Kappa(loop: Loop, factors: float[]) =
        if loop.Channels = 0 then
            0.0
        else
            1.01
            * Balance.norm context effort.Directions (LoopOperator.create loop factors 0.0) effort.NormSteps
