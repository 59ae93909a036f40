namespace LipVerify.Core.Loops.Reaches

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Loops.Operator
open LipVerify.Core.Loops.Weights

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

/// What an attempt to prove reaches came to.
[<NoEquality; NoComparison>]
type internal ReachAttempt =
    | Held of ProvedReach
    /// Some exceed what was claimed: these are the reaches that were found.
    | Exceeded of PlaceReach[]
    /// The channels alone are not known to have a norm below 1.
    | TooWeak

/// The proof of reaches (METHODS section 14b): fresh vectors measure the rows of a loop that is frozen, and a certificate bounds its channels.
module internal ReachProof =

    /// Operations that the probes of one proof may take: some five seconds.
    let private affordable = 1e12

    let private fewest, most = 200, 2000

    /// The probes that are affordable for a proof.
    let probing (plan: LoopPlan) (loop: Loop) =
        let vectors = affordable / max 1.0 (SearchEffort.operations plan)

        if float (loop.Inputs + loop.Channels) <= vectors then
            UnitVectors
        else
            GaussianVectors(int (Math.Clamp(vectors, float fewest, float most)))

    /// Sums of squares of rows, one an entry and a pair of each place; for Gaussian vectors what they are to be divided by differs. Gaussian vectors come from `draw index count`.
    let squares
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

    /// Gaussian vectors of a stream, the given one on.
    let drawWith key columns first count =
        // Every vector has a stream of its own, whatever the batches.
        let values = LipVerify.Compute.LargeArrays.Allocate<float>(count * columns)

        for b in 0 .. count - 1 do
            let vector = Gaussian.drawWith key (first + b) columns
            Array.blit vector 0 values (b * columns) columns

        values

    /// Claims that reaches exceed.
    let broken (claims: Claims[]) (reaches: PlaceReach[]) =
        Array.map2
            (fun (claims: Claims) reach ->
                Array.map2
                    (fun reach bound -> if reach <= bound then 0 else 1)
                    (LoopSlopes.claimed claims reach)
                    claims.Bound
                |> Array.sum)
            claims
            reaches
        |> Array.sum

    /// Rows that are measured: the failure probability is shared out among them.
    let measured (plan: LoopPlan) =
        LoopSlopes.still plan
        |> Array.sumBy (fun reach -> reach.Entries.Length + reach.Pairs.Length)
        |> max 1

    /// Looseness of the norm of the channels alone that will do, or of reaches for its sake.
    let private coarse = 0.01

    /// Proves the claims over the ball, or gives the reaches that exceed them. `estimate` of the norm of the channels alone tells beforehand whether
    /// it is worth proving. `failure` may be used up by that norm and, the same again, by the probes.
    let prove
        (context: Context)
        norms
        probing
        (plan: LoopPlan)
        loop
        (claims: Claims[])
        (factors: float[])
        (estimate: float)
        (radius: float)
        failure
        : ReachAttempt =
        let operator = LoopOperator.create loop factors 0.0
        let effort = SearchEffort.forPlan plan

        let context =
            { context with
                Certification =
                    { context.Certification with
                        FailureProbability = failure
                    }
            }

        let columns = LoopOperator.columns operator
        let key = LoopGram.key operator (Context.forComputation 2 context).Seed
        let sums = squares context plan operator probing (drawWith key columns)

        let divisor =
            match probing with
            | UnitVectors -> 1.0
            | GaussianVectors count -> ChiSquare.lowerQuantile count (failure / float (measured plan))

        let errors = LoopProbes.errors context norms operator sums

        // Sums of squares, their roots, and the products below.
        let inflation = 1.0 + 4.0 * Rounding.gamma (sums.Vectors + 64)

        /// The length of `(s dx, Dδ)` for `‖dx‖ ≤ radius`, where `‖E‖ ≤ kappa`, in parts of `s`; and what `‖Dδ‖` is in parts of `‖dx‖`.
        let lengthFor kappa =
            let own =
                Math.BitDecrement(sqrt (Math.BitDecrement(1.0 - Math.BitIncrement(kappa * kappa))))

            struct (Rounding.divUp radius own, Rounding.divUp kappa own)

        let reachesFor rho : PlaceReach[] =
            let bound place =
                // Differences of pairs have the errors of two entries.
                let error = 2.0 * errors place
                // No square underflows by more than the least double.
                let underflow = float sums.Vectors * Double.Epsilon

                fun sum ->
                    (sqrt ((sum + underflow) * inflation) + error * 1.000001 + Double.Epsilon)
                    / sqrt divisor
                    * rho
                    * inflation

            Array.init plan.Places.Length (fun place ->
                {
                    Entries = sums.Entries[place] |> Array.map (bound place)
                    Pairs = sums.Pairs[place] |> Array.map (bound place)
                })

        let against kappa =
            if not (kappa < 1.0) then
                TooWeak
            else
                let struct (rho, residual) = lengthFor kappa
                let reaches = reachesFor rho

                if broken claims reaches > 0 then
                    Exceeded reaches
                else
                    Held
                        {
                            Loop = loop
                            Claims = claims
                            Reaches = reaches
                            Factors = factors
                            Kappa = kappa
                            Residual = residual
                        }

        /// A norm with which reaches are a little longer than with the estimate.
        let relaxed =
            sqrt (1.0 - (1.0 - estimate * estimate) / ((1.0 + coarse) * (1.0 + coarse)))

        let certified enough tolerance =
            LoopGram.normUpFor
                {
                    Vectors = effort.CertificateVectors
                    Enough = enough
                    Useful = 1.0
                }
                (Context.forComputation 1 context)
                norms
                operator
                tolerance
            |> against

        if loop.Channels = 0 then
            against 0.0
        else
            match against (max estimate relaxed) with
            | Held _ ->
                certified
                    (relaxed * relaxed)
                    (if effort.IsByPlace then
                         Math.Clamp(0.9 * (relaxed / estimate - 1.0), coarse, 0.1)
                     else
                         coarse)
            // Where rows are exact, a claim that is near to break stays as near.
            | Exceeded _ when probing = UnitVectors ->
                match against estimate with
                | Held _ -> certified 0.0 coarse
                | failed -> failed
            | failed -> failed
