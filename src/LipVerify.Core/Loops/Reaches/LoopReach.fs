namespace LipVerify.Core.Loops.Reaches

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Loops.Operator
open LipVerify.Core.Loops.Weights

/// The search for reaches that can be proved (METHODS sections 14b and 14c). Nothing here is proved but what `ReachProof` says.
module internal LoopReach =

    /// Estimates of the reaches, by so many Gaussian vectors, for a loop and factors whose channels alone have the norm `kappa`.
    let private estimate (context: Context) norms plan operator (radius: float) kappa vectors =
        let key = Gaussian.keyOf (context.Seed ^^^ 0x0E57)

        let squares =
            ReachProof.drawWith key (LoopOperator.columns operator)
            |> ReachProof.squares context plan operator (GaussianVectors vectors)

        Reaches.scaled
            (radius / sqrt ((1.0 - kappa * kappa) * float vectors))
            (LoopProbes.errors context norms operator squares)
            squares

    /// How much larger than estimated what Gaussian vectors prove may turn out to be.
    let private allowance probing failure rows =
        match probing with
        | UnitVectors -> 1.05
        | GaussianVectors count ->
            sqrt (float count / ChiSquare.lowerQuantile count (failure / float rows))
            * (1.0 + 2.0 / sqrt (float count))

    /// Standard deviations by which the worst of very many rows may be measured too short by some vectors and too long by others.
    let private deviations = 4.5

    /// By how much reaches that some vectors measured are widened, so that others find them no larger.
    let private noise (measured: int) (proving: int) =
        1.0 + deviations * sqrt (0.5 / float measured + 0.5 / float proving)

    let private mostRounds = 16

    /// Times that factors may turn out to be too weak.
    let private mostWeak = 4

    /// More channels take too long.
    let private mostChannels = 50_000

    /// Tries to prove what was found.
    let tries = 5

    /// Bounds on the sum of the probabilities that `find` fails with, for the `failure` of a single certificate.
    let parts = 2 * tries

    /// `find` with an effort, and rows measured as `probing` says.
    let findWith
        (effort: SearchEffort)
        (probing: Loop -> Probing)
        (context: Context)
        norms
        definition
        (plan: LoopPlan)
        (outputs: float[])
        (radius: float)
        failure
        : ProvedReach option =
        let factors = ReachFactors(context, plan, effort, outputs, radius)

        let struct (still, _) = LoopSlopes.loop definition plan (LoopSlopes.still plan)

        let linear = LinearLoop.withoutChannels still
        let linearOperator = LoopOperator.create linear [||] 0.0
        let factor = allowance (probing linear) failure (ReachProof.measured plan)

        /// What reaches are widened by from one round to the next, since the channels that they open make them larger.
        let growth =
            match probing linear with
            | UnitVectors -> 1.01
            | GaussianVectors count -> noise effort.Vectors count

        let asked operator kappa =
            estimate context norms plan operator radius kappa effort.Vectors
            |> Reaches.widened factor

        let run = Reaches.longestRun plan

        /// Reaches that were measured with the channels of a loop, and what those add that they open beside.
        let opened (before: Loop) reaches =
            let seen = Collections.Generic.HashSet(Reaches.channelNames before)

            let rec go times wider =
                if times = 0 then
                    wider
                else
                    let struct (loop, _) = LoopSlopes.loop definition plan wider
                    let factors = factors.Start(loop, wider)

                    // A channel lets through as much as its factor does.
                    let additions =
                        Reaches.channelNames loop
                        |> Array.mapi (fun j name ->
                            if seen.Contains name then
                                0.0
                            else
                                factor * radius * factors[j])

                    go (times - 1) (Reaches.passedOn plan before loop additions reaches |> Reaches.larger wider)

            go run reaches

        let isTooMuch (loop: Loop) =
            loop.Channels > mostChannels || Context.isOver context

        let rec search round weak (reaches: PlaceReach[]) =
            let struct (loop, claims) = LoopSlopes.loop definition plan reaches
            context.Report $"reaches, round {round}: {loop.Channels} slopes that are not known"

            if round > mostRounds || isTooMuch loop then
                None
            else
                let steps = if round = 1 then effort.FirstSteps else effort.Steps
                let found = factors.Weigh(steps, loop, reaches)
                let kappa = factors.Kappa(loop, found)

                if not (kappa < 1.0) then
                    // Factors of new channels may need more steps.
                    if weak = mostWeak then
                        None
                    else
                        search round (weak + 1) reaches
                else
                    let next = asked (LoopOperator.create loop found 0.0) kappa
                    let many = ReachProof.broken claims next

                    let wider = Reaches.widened growth next |> Reaches.larger reaches |> opened loop

                    // A few are settled in the course of the proof.
                    if many = 0 || round > 2 && 50 * many < loop.Channels then
                        Some wider
                    else
                        search (round + 1) weak wider

        /// `steps` for the factors; none where those that are known serve, unless many channels are new.
        let rec proveFrom attempt steps (reaches: PlaceReach[]) =
            let struct (loop, claims) = LoopSlopes.loop definition plan reaches

            if attempt > tries || isTooMuch loop then
                None
            else
                context.Report $"proving the reaches of {loop.Channels} slopes that are not known, attempt {attempt}"

                let steps =
                    match steps with
                    | Some steps -> steps
                    | None when factors.KnowsMost loop -> 0
                    | None -> effort.Steps

                let found = factors.Weigh(steps, loop, reaches)
                let kappa = factors.Kappa(loop, found)
                let probing = probing loop
                let own = Context.forComputation (100 * attempt) context

                match ReachProof.prove own norms probing plan loop claims found kappa radius failure with
                | Held answer -> Some answer
                | TooWeak -> proveFrom (attempt + 1) (Some effort.FirstSteps) reaches
                | Exceeded found ->
                    let settling =
                        match probing with
                        | UnitVectors -> 1.05
                        | GaussianVectors count -> noise count count

                    // Where a proof was near, other factors would break other claims.
                    Reaches.widened settling found
                    |> Reaches.larger reaches
                    |> opened loop
                    |> proveFrom (attempt + 1) None

        asked linearOperator 0.0
        |> Reaches.widened growth
        |> opened linear
        |> search 1 0
        |> Option.bind (proveFrom 1 (if effort.IsByPlace then None else Some effort.Steps))

    /// Reaches that hold over the ball, with the loop that rests on them; none where they grow without end, or the time is over. `outputs` says how
    /// far outputs may move that are to move by less than 1; empty where they do not matter.
    let find (context: Context) norms definition (plan: LoopPlan) outputs radius failure : ProvedReach option =
        findWith
            (SearchEffort.forPlan plan)
            (ReachProof.probing plan)
            context
            norms
            definition
            plan
            outputs
            radius
            failure

    /// The loop over all inputs, where every slope is possible and nothing is proved of reaches; its factors are natural ones for
    /// increments along inputs of length 1.
    let everywhere (context: Context) norms (plan: LoopPlan) : ProvedReach =
        let unbounded =
            LoopSlopes.still plan
            |> Array.map (fun reach ->
                {
                    Entries = reach.Entries |> Array.map (fun _ -> Double.PositiveInfinity)
                    Pairs = reach.Pairs |> Array.map (fun _ -> Double.PositiveInfinity)
                })

        let struct (loop, _) = LoopSlopes.loop Uniform plan unbounded
        let middle = LoopOperator.create (LinearLoop.withoutChannels loop) [||] 0.0

        let reaches =
            estimate context norms plan middle 1.0 0.0 (SearchEffort.forPlan plan).Vectors

        {
            Loop = loop
            Claims = [||]
            Reaches = unbounded
            Factors = Reaches.naturalFactors loop 1.0 reaches
            Kappa = Double.PositiveInfinity
            Residual = Double.PositiveInfinity
        }
