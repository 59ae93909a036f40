namespace LipVerify.Core

open System
open LipVerify.Compute

/// A loop whose slopes hold over a ball, because the reaches of its increments were proved (METHODS section 14b), and what else they tell.
[<NoEquality; NoComparison>]
type internal ProvedReach =
    {
        Loop: Loop
        /// What was proved of each place; nothing where the loop holds everywhere.
        Claims: Claims[]
        /// How far increments reach at each place, as the proof measured it: all entries and pairs, whether anything is claimed of them or not.
        Reaches: PlaceReach[]
        /// Factors of its channels, those of the proof where there was one.
        Factors: float[]
        /// `‖E‖`, of the channels alone with these factors, is at most this; infinite where nothing is known.
        Kappa: float
        /// `‖Dδ‖ ≤ Residual·‖dx‖`, for `D` the inverses of the factors; infinite where nothing is known.
        Residual: float
    }

/// How rows are measured.
type internal Probing =
    /// By unit vectors, all of them: exactly.
    | UnitVectors
    /// By this many Gaussian vectors.
    | GaussianVectors of int

module internal LoopReach =

    /// Operations that the probes of one proof may take: some ten seconds.
    let private affordable = 1.5e12

    let private fewest, most = 256, 2000

    /// The probes that are affordable for a proof.
    let probing (plan: LoopPlan) (loop: Loop) =
        let vectors = affordable / max 1.0 (SearchEffort.operations plan)

        if float (loop.Inputs + loop.Channels) <= vectors then
            UnitVectors
        else
            GaussianVectors(int (Math.Clamp(vectors, float fewest, float most)))

    /// Roots of sums of squares of rows, one an entry and a pair of each place; for Gaussian vectors what they are to be divided by
    /// differs. Gaussian vectors come from `draw index count`.
    let private rows
        (context: Context)
        (plan: LoopPlan)
        operator
        probing
        (draw: int -> int -> float[])
        : LoopProbes.RowSquares =
        let batch = LoopProbes.batchFor plan operator
        let columns = LoopOperator.columns operator

        match probing with
        | UnitVectors -> LoopProbes.squares context plan operator batch columns (LoopProbes.unitVectors columns 0)
        | GaussianVectors count -> LoopProbes.squares context plan operator batch count draw

    let private drawWith key columns first count =
        // Every vector has a stream of its own, whatever the batches.
        let values = LipVerify.Compute.LargeArrays.Allocate<float>(count * columns)

        for b in 0 .. count - 1 do
            let vector = Gaussian.drawWith key (first + b) columns
            Array.blit vector 0 values (b * columns) columns

        values

    let private scaled (factor: float) (squares: LoopProbes.RowSquares) =
        Array.map2
            (fun entries pairs ->
                {
                    Entries = entries |> Array.map (fun sum -> factor * sqrt sum)
                    Pairs = pairs |> Array.map (fun sum -> factor * sqrt sum)
                })
            squares.Entries
            squares.Pairs

    /// Estimates of the reaches for a loop and factors whose channels alone have the norm `kappa`.
    let private estimate (context: Context) plan operator (radius: float) kappa probing =
        let columns = LoopOperator.columns operator

        let key = Gaussian.keyOf (context.Seed ^^^ 0x0E57)

        let vectors =
            match probing with
            | UnitVectors -> 1.0
            | GaussianVectors count -> float count

        rows context plan operator probing (drawWith key columns)
        |> scaled (radius / sqrt ((1.0 - kappa * kappa) * vectors))

    let private withoutChannels (loop: Loop) =
        { loop with
            Channels = 0
            Bends =
                loop.Bends
                |> Array.map (fun bend ->
                    { bend with
                        First = 0
                        Into = [||]
                        Plus = [||]
                        Minus = [||]
                        Mean = [||]
                        Width = [||]
                    })
        }

    /// The outputs as a linear function of the inputs near the nominal one, up to ties.
    let linear (plan: LoopPlan) =
        let struct (still, _) = LoopPlan.loop Nominal plan (LoopPlan.still plan)
        LoopOperator.create (withoutChannels still) [||] 1.0

    /// An estimate of its norm.
    let linearNorm (context: Context) (plan: LoopPlan) =
        LoopWeights.norm context (SearchEffort.forPlan plan) (linear plan) 10

    /// How far outputs move over a ball, as linear functions of the inputs near the nominal one.
    let linearOutputs (context: Context) (plan: LoopPlan) (radius: float) =
        let operator = linear plan
        let rows = LoopProbes.unitVectors plan.Outputs 0 0 plan.Outputs
        let image = context.Engine.Allocate(Checked.(*) plan.Outputs plan.Inputs)
        LoopOperator.pull context operator LoopOperator.unseen plan.Outputs (HostStorage rows) image

        Array.init plan.Outputs (fun k ->
            let first = k * plan.Inputs
            radius * sqrt (context.Engine.Dot(image, first, image, first, plan.Inputs)))

    /// What a channel is called whatever others there are.
    let private channelNames (loop: Loop) =
        loop.Bends
        |> Array.mapi (fun place bend -> Array.map2 (fun plus into -> struct (place, plus, into)) bend.Plus bend.Into)
        |> Array.concat

    /// Reaches behind the channels, one a channel.
    let private channelReaches (loop: Loop) (reaches: PlaceReach[]) =
        Array.map2
            (fun (bend: Bend) (reach: PlaceReach) ->
                if bend.Minus.Length > 0 then
                    bend.Into |> Array.map (fun output -> reach.Pairs[output])
                else
                    bend.Plus |> Array.map (fun i -> reach.Entries[i]))
            loop.Bends
            reaches
        |> Array.concat

    /// The root of how much the reach `t` of something matters whose nominal value is `value`: most where it is about to be open, less and less
    /// towards a kink, where every slope is possible anyway, and far from it.
    let private importance (value: float) t =
        let value = abs value

        if t > 0.0 && value > 0.0 then
            sqrt (min (value / t) (Math.Pow(t / value, 4.0))) / t
        else
            0.0

    /// Roots of the weights of reaches.
    let private importances (plan: LoopPlan) (reaches: PlaceReach[]) : PlaceReach[] =
        Array.map2
            (fun place (reach: PlaceReach) ->
                match place with
                | ReluPlace nominal ->
                    { reach with
                        Entries = Array.map2 importance (Tensor.values nominal.Value) reach.Entries
                    }
                | RoundPlace(nominal, pairs, _) ->
                    let values = Tensor.values nominal.Value

                    {
                        Entries = [||]
                        Pairs =
                            Array.map2 (fun struct (a, b) t -> importance (values[a] - values[b]) t) pairs reach.Pairs
                    })
            plan.Places
            reaches

    /// Reaches widened by a factor, and by what rounding may add at each place.
    let private widened factor (floors: float[]) (reaches: PlaceReach[]) =
        let widen floor (values: float[]) =
            values |> Array.map (fun value -> factor * value + floor)

        Array.map2
            (fun floor reach ->
                {
                    Entries = widen floor reach.Entries
                    Pairs = widen floor reach.Pairs
                })
            floors
            reaches

    let private larger (a: PlaceReach[]) (b: PlaceReach[]) =
        Array.map2
            (fun a b ->
                {
                    Entries = Array.map2 max a.Entries b.Entries
                    Pairs = Array.map2 max a.Pairs b.Pairs
                })
            a
            b

    /// Claims that reaches exceed.
    let private broken (claims: Claims[]) (reaches: PlaceReach[]) =
        Array.map2
            (fun (claims: Claims) reach ->
                Array.map2
                    (fun reach bound -> if reach <= bound then 0 else 1)
                    (LoopPlan.claimed claims reach)
                    claims.Bound
                |> Array.sum)
            claims
            reaches
        |> Array.sum

    /// Rows that are measured: the failure probability is shared out among them.
    let private measured (plan: LoopPlan) =
        LoopPlan.still plan
        |> Array.sumBy (fun reach -> reach.Entries.Length + reach.Pairs.Length)
        |> max 1

    /// Looseness of the norm of the channels alone that will do.
    let private coarse = 0.01

    /// A checker that has its own rounding cannot show norms that are as good as attained.
    let private forChecker = 1.0 + 1e-9

    /// Proves the claims over the ball, or gives the reaches that are proved if they hold: those of the loop itself. `failure` may be
    /// used up by the norm of the channels and, the same again, by the probes.
    let private prove
        (context: Context)
        norms
        probing
        (plan: LoopPlan)
        loop
        (claims: Claims[])
        (factors: float[])
        (radius: float)
        failure
        =
        let operator = LoopOperator.create loop factors 0.0

        let context =
            { context with
                Certification =
                    { context.Certification with
                        FailureProbability = failure
                    }
            }

        let kappa =
            if loop.Channels = 0 then
                0.0
            else
                (LoopGram.certify (Context.forComputation 1 context) norms operator coarse).Upper
                |> Rounding.sqrtUp
                |> Rounding.mulUp forChecker

        if not (kappa < 1.0) then
            None
        else
            let columns = LoopOperator.columns operator
            let key = LoopGram.key operator (Context.forComputation 2 context).Seed
            let lengths = ref 0.0

            let draw first count =
                let vectors = drawWith key columns first count
                let length = Numerics.Tensors.TensorPrimitives.Norm(ReadOnlySpan vectors)
                lengths.Value <- lengths.Value + length * length
                vectors

            let squares = rows context plan operator probing draw

            let struct (divisor, vectors, pushed) =
                match probing with
                | UnitVectors -> struct (1.0, columns, float columns)
                | GaussianVectors count ->
                    struct (ChiSquare.lowerQuantile count (failure / float (measured plan)),
                            count,
                            lengths.Value * (1.0 + 1e-9))

            let ownSquare = Math.BitDecrement(1.0 - Math.BitIncrement(kappa * kappa))
            let rho = Rounding.divUp radius (Math.BitDecrement(sqrt ownSquare))

            let batch = min vectors (LoopProbes.batchFor plan operator)

            // The last batch may be smaller, and then summed in another order.
            let errors =
                [ batch; vectors % batch ]
                |> List.filter (fun size -> size > 0)
                |> List.map (LoopRounding.errors context norms LoopRounding.nothingCarried operator)

            // Sums of squares, their roots, and the products below.
            let inflation = 1.0 + 4.0 * Rounding.gamma (vectors + 64)

            let bound place =
                let error =
                    2.0
                    * sqrt pushed
                    * (errors
                       |> List.map (fun errors -> errors.Increments(BeforeBend place))
                       |> List.reduce max)

                // No square underflows by more than the least double.
                let underflow = float vectors * Double.Epsilon

                fun sum ->
                    (sqrt ((sum + underflow) * inflation) + error * 1.000001 + Double.Epsilon)
                    / sqrt divisor
                    * rho
                    * inflation

            let proved =
                Array.init plan.Places.Length (fun place ->
                    {
                        Entries = squares.Entries[place] |> Array.map (bound place)
                        Pairs = squares.Pairs[place] |> Array.map (bound place)
                    })

            Some
                struct (proved,
                        {
                            Loop = loop
                            Claims = claims
                            Reaches = proved
                            Factors = factors
                            Kappa = kappa
                            Residual = Rounding.divUp kappa (Math.BitDecrement(sqrt ownSquare))
                        })

    /// What rounding may add to a reach at each place, generously.
    let private floors context norms (plan: LoopPlan) (operator: LoopOperator) (radius: float) =
        let errors =
            LoopRounding.errors context norms LoopRounding.nothingCarried operator (LoopProbes.batchFor plan operator)

        let vectors = float (LoopOperator.columns operator)

        plan.Places
        |> Array.mapi (fun place _ ->
            64.0
            * radius
            * (sqrt vectors * errors.Increments(BeforeBend place) + Double.Epsilon))

    /// How much larger than estimated what Gaussian vectors prove may turn out to be.
    let private allowance probing failure rows =
        match probing with
        | UnitVectors -> 1.05
        | GaussianVectors count ->
            sqrt (float count / ChiSquare.lowerQuantile count (failure / float rows))
            * (1.0 + 2.0 / sqrt (float count))

    /// By how much what one attempt proves is widened for the next, whose vectors find some of very many rows a few deviations longer.
    let private settling probing =
        match probing with
        | UnitVectors -> 1.05
        | GaussianVectors count -> 1.0 + 5.0 / sqrt (2.0 * float count)

    let private mostRounds = 16

    /// Times that factors may turn out to be too weak.
    let private mostWeak = 4

    /// More channels take too long.
    let private mostChannels = 20_000

    /// Tries to prove what was found.
    let tries = 5

    /// Bounds on the sum of the probabilities that `find` fails with, for the `failure` of a single certificate.
    let parts = 2 * tries

    /// `find` with rows measured as `probing` says.
    let findWith
        (probing: Loop -> Probing)
        (context: Context)
        norms
        definition
        (plan: LoopPlan)
        (outputs: float[])
        (radius: float)
        failure
        : ProvedReach option =
        let effort = SearchEffort.forPlan plan
        let sampled = GaussianVectors effort.Vectors
        let known = Collections.Generic.Dictionary<struct (int * int * int), float>()

        /// Factors with which residuals of the largest size have a length of the order of the radius.
        let natural (loop: Loop) reaches =
            Array.map2
                (fun width reach -> max (2.0 * width * reach / radius) 1e-200)
                (loop.Bends |> Array.collect _.Width)
                (channelReaches loop reaches)

        /// The loop for reaches, with factors.
        let weighted steps reaches =
            let struct (loop, claims) = LoopPlan.loop definition plan reaches

            if loop.Channels = 0 then
                struct (loop, claims, LoopWeights.nothing)
            else
                let names = channelNames loop
                let natural = natural loop reaches

                let start =
                    Array.map2
                        (fun name natural ->
                            match known.TryGetValue name with
                            | true, factor -> factor
                            | _ -> natural)
                        names
                        natural

                // All outputs together count as much as all channels.
                let outputs =
                    if Array.isEmpty outputs then
                        Array.zeroCreate plan.Outputs
                    else
                        outputs |> Array.map (fun t -> importance 1.0 t * sqrt (float loop.Channels))

                let found =
                    LoopWeights.forReach context plan effort loop (importances plan reaches) outputs natural start steps

                Array.iter2 (fun name factor -> known[name] <- factor) names found.Factors
                struct (loop, claims, found)

        let kappaOf loop factors =
            if Array.isEmpty factors then
                0.0
            else
                1.01 * LoopWeights.norm context effort (LoopOperator.create loop factors 0.0) 10

        let struct (still, _) = LoopPlan.loop definition plan (LoopPlan.still plan)

        let linear = withoutChannels still
        let linearOperator = LoopOperator.create linear [||] 0.0
        let floors = floors context norms plan linearOperator radius
        let factor = allowance (probing linear) failure (measured plan)

        let rec search round weak (reaches: PlaceReach[]) =
            let struct (loop, claims, found) =
                weighted (if round = 1 then effort.FirstSteps else effort.Steps) reaches

            context.Report $"reaches, round {round}: {loop.Channels} slopes that are not known"

            if round > mostRounds || loop.Channels > mostChannels || Context.isOver context then
                None
            else
                let kappa = kappaOf loop found.Factors

                if not (kappa < 1.0) then
                    // Factors of new channels may need more steps.
                    if weak = mostWeak then
                        None
                    else
                        search round (weak + 1) reaches
                else
                    let operator = LoopOperator.create loop found.Factors 0.0

                    let next =
                        estimate context plan operator radius kappa sampled |> widened factor floors

                    let many = broken claims next

                    // A few are settled in the course of the proof.
                    if many = 0 || round > 3 && 50 * many < loop.Channels then
                        Some(larger reaches next)
                    else
                        search (round + 1) weak (larger reaches (widened 1.01 floors next))

        let isNew (loop: Loop) =
            channelNames loop |> Array.exists (known.ContainsKey >> not)

        let rec proveFrom attempt steps (reaches: PlaceReach[]) =
            let struct (loop, claims, found) = weighted steps reaches

            if attempt > tries || loop.Channels > mostChannels || Context.isOver context then
                None
            else
                context.Report $"proving the reaches of {loop.Channels} slopes that are not known, attempt {attempt}"
                let own = Context.forComputation (100 * attempt) context

                match prove own norms (probing loop) plan loop claims found.Factors radius failure with
                | None -> proveFrom (attempt + 1) effort.FirstSteps reaches
                | Some(struct (proved, answer)) ->
                    if broken claims proved = 0 then
                        Some answer
                    else
                        let wider = larger reaches (widened (settling (probing loop)) floors proved)
                        let struct (next, _) = LoopPlan.loop definition plan wider
                        // Where a proof was near, other factors would break other claims.
                        proveFrom (attempt + 1) (if isNew next then effort.Steps else 0) wider

        estimate context plan linearOperator radius 0.0 sampled
        |> widened factor floors
        |> search 1 0
        |> Option.bind (proveFrom 1 effort.Steps)

    /// Reaches that hold over the ball, with the loop that rests on them; none where they grow without end, or the time is over. `outputs` says how
    /// far outputs may move that are to move by less than 1; empty where they do not matter.
    let find (context: Context) norms definition (plan: LoopPlan) outputs radius failure : ProvedReach option =
        findWith (probing plan) context norms definition plan outputs radius failure

    /// The loop over all inputs, where every slope is possible and nothing is proved of reaches; its factors are natural ones for
    /// increments along inputs of length 1.
    let everywhere (context: Context) (plan: LoopPlan) : ProvedReach =
        let unbounded =
            LoopPlan.still plan
            |> Array.map (fun reach ->
                {
                    Entries = reach.Entries |> Array.map (fun _ -> Double.PositiveInfinity)
                    Pairs = reach.Pairs |> Array.map (fun _ -> Double.PositiveInfinity)
                })

        let struct (loop, _) = LoopPlan.loop Uniform plan unbounded
        let middle = LoopOperator.create (withoutChannels loop) [||] 0.0

        let reaches =
            estimate context plan middle 1.0 0.0 (GaussianVectors (SearchEffort.forPlan plan).Vectors)

        {
            Loop = loop
            Claims = [||]
            Reaches = unbounded
            Factors =
                Array.map2
                    (fun width reach -> max (2.0 * width * reach) 1e-200)
                    (loop.Bends |> Array.collect _.Width)
                    (channelReaches loop reaches)
            Kappa = Double.PositiveInfinity
            Residual = Double.PositiveInfinity
        }
