/// The Lipschitz constant of a loop (METHODS sections 14a and 14c): factors are sought, and then the norm of one operator is proved.
module internal LipVerify.Core.Bounds.Structured.LoopBound

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Spectral
open LipVerify.Core.Loops.Operator
open LipVerify.Core.Loops.Weights
open LipVerify.Core.Loops.Reaches

/// A constant that is proved, and what proves it.
[<NoEquality; NoComparison>]
type LoopProof =
    {
        Lipschitz: float
        /// Factors of the channels,
        Factors: float[]
        /// and that of the outputs, with which
        Scale: float
        /// `‖K‖` is at most this.
        Norm: float
    }

/// Certificates of the loop's norm for one bound, each for a constant that is larger by so much than the one that was sought: directions that the
/// search did not see may ask for more.
let private rooms (effort: SearchEffort) =
    if effort.IsByPlace then
        [| 0.01; 0.03; 0.3 |]
    else
        [| 0.0; 0.02; 0.3 |]

let private proofs = 3

/// Looseness aimed at where none is asked for. A search for very many factors leaves more open than a certificate.
let private defaultTolerance (loop: Loop) =
    if loop.Channels > 10_000 then 2e-2
    elif loop.Inputs > 100_000 then 5e-3
    else 2e-3

/// How far factors may move from those of the reaches; over all inputs there is no such start.
let private spread = 1e4

/// `L·√(μ² + (μ² − 1)ω²)` for `‖K‖ ≤ μ` and `‖Dδ‖ ≤ ω‖dx‖`, or `L·μ` where `μ ≤ 1`, rounded upward (METHODS section 14a).
let private lipschitzOf (scale: float) (mu: float) (omega: float) =
    let lipschitz = Rounding.divUp 1.0 scale

    if mu <= 1.0 then
        Rounding.mulUp lipschitz mu
    else
        let square = Rounding.mulUp mu mu

        let excess =
            Rounding.mulUp (Math.BitIncrement(square - 1.0)) (Rounding.mulUp omega omega)

        Rounding.mulUp lipschitz (Rounding.sqrtUp (Rounding.addUp square excess))

/// What the square of the norm is to be in the room of an index: above some value the bound is no less than the one that the next room may prove.
/// In large networks a norm of 1 is worth no second attempt.
let private purpose (effort: SearchEffort) (rooms: float[]) index (omega: float) : LanczosCertificate.Purpose =
    {
        Vectors = effort.CertificateVectors
        Enough = if effort.IsByPlace then 1.0 else 0.0
        Useful =
            if index + 1 = rooms.Length then
                Double.PositiveInfinity
            elif Double.IsFinite(omega * omega) then
                let next = (1.0 + rooms[index + 1]) / (1.0 + rooms[index])
                (next * next + omega * omega) / (1.0 + omega * omega)
            else
                1.0
    }

/// `‖Dδ‖ ≤ ω‖dx‖` for the factors of the bound, from those of the reaches.
let private residual (proved: ProvedReach) (factors: float[]) =
    if factors.Length = 0 then
        0.0
    else
        let ratio = Array.map2 Rounding.divUp proved.Factors factors |> Array.max
        Rounding.mulUp ratio proved.Residual

/// A Lipschitz constant for a loop that is proved, from factors that are sought; none where none was proved in time.
let bound (context: Context) norms plan (proved: ProvedReach) lipschitz failure : LoopProof option =
    let loop = proved.Loop
    let effort = SearchEffort.forPlan plan

    let report lipschitz =
        context.Report $"{loop.Channels} slopes that are not known, {Figure.upward lipschitz} so far"

    let tolerance =
        context.Certification.Tolerance
        |> Option.defaultWith (fun () -> defaultTolerance loop)

    let found =
        if loop.Channels = 0 then
            let norm =
                Balance.norm context effort.Directions (LoopOperator.create loop [||] 1.0) 30

            ({ Factors = [||]; Lipschitz = norm }: BoundWeights.Found)
        else
            BoundWeights.search
                (Context.withPart 0.6 context)
                effort
                loop
                (1.0 / (1.0 + tolerance))
                (if Double.IsFinite proved.Residual then
                     spread
                 else
                     Double.PositiveInfinity)
                {
                    Factors = proved.Factors
                    Lipschitz = lipschitz
                }
                report

    if not (Double.IsFinite found.Lipschitz && found.Lipschitz > 0.0) then
        None
    else
        let context =
            { context with
                Certification =
                    { context.Certification with
                        FailureProbability = failure
                    }
            }

        let omega = residual proved found.Factors
        let rooms = rooms effort

        /// The bound that is proved with this much room for the certificate's looseness.
        let prove index room =
            Context.attempt (Context.forComputation (7 + index) context) (fun context ->
                let scale = 1.0 / (found.Lipschitz * (1.0 + room))

                let mu =
                    LoopGram.normUpFor
                        (purpose effort rooms index omega)
                        context
                        norms
                        (LoopOperator.create loop found.Factors scale)
                        tolerance

                {
                    Lipschitz = lipschitzOf scale mu omega
                    Factors = found.Factors
                    Scale = scale
                    Norm = mu
                })

        /// The least of what further and further rooms prove; the first with a norm below 1 is the last, and in large networks one that is no worse
        /// than the next room would be.
        let rec least index (best: LoopProof option) =
            if index = proofs then
                best
            else
                match prove index rooms[index] with
                | None -> best
                | Some proof ->
                    let best =
                        match best with
                        | Some before when before.Lipschitz <= proof.Lipschitz -> before
                        | _ -> proof

                    let isEnough =
                        effort.IsByPlace
                        && index + 1 < proofs
                        && proof.Lipschitz <= found.Lipschitz * (1.0 + rooms[index + 1])

                    if proof.Norm <= 1.0 || isEnough then
                        Some best
                    else
                        least (index + 1) (Some best)

        least 0 None |> Option.filter (fun proof -> Double.IsFinite proof.Lipschitz)

/// Shares of the failure probability: norms of maps, reaches, and the norm of the loop.
let parts = 1 + LoopReach.parts + proofs
