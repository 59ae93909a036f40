/// The norm of a loop operator, certified by random vectors (METHODS sections 4b and 14a).
module internal LipVerify.Core.Loops.Operator.LoopGram

open System
open System.Runtime.InteropServices
open System.Security.Cryptography
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Spectral

let private addIndices (hash: IncrementalHash) (indices: int[]) =
    OperatorHash.addText hash $"{indices.Length}"
    hash.AppendData(MemoryMarshal.AsBytes(ReadOnlySpan indices))

let private addFloats (hash: IncrementalHash) (values: float[]) =
    OperatorHash.addText hash $"{values.Length}"
    hash.AppendData(MemoryMarshal.AsBytes(ReadOnlySpan values))

let private addBend (hash: IncrementalHash) (bend: Bend) (gains: Gains) =
    OperatorHash.addText hash $"bend {bend.Inputs} {bend.Outputs} {bend.First} {bend.Leaders.IsSome}"
    addIndices hash (bend.Leaders |> Option.defaultValue [||])
    OperatorHash.addValues hash bend.Slopes
    addIndices hash bend.Into
    addIndices hash bend.Plus
    addIndices hash bend.Minus
    addFloats hash bend.Mean
    addFloats hash bend.Width
    OperatorHash.addValues hash gains.In
    OperatorHash.addValues hash gains.Out

let rec private addStep (hash: IncrementalHash) step =
    match step with
    | Mapped(_, map) -> OperatorHash.addMap hash map
    | Bent bend -> OperatorHash.addText hash $"bend {bend}"
    | Added branches ->
        OperatorHash.addText hash $"sum of {branches.Length}"

        for steps in branches do
            OperatorHash.addText hash $"branch of {steps.Length}"
            List.iter (addStep hash) steps

/// SHA-256 of the seed and of everything that the operator is made of: what is frozen before draws certify it.
let key (operator: LoopOperator) (seed: int) : byte[] =
    use hash = IncrementalHash.CreateHash HashAlgorithmName.SHA256
    hash.AppendData(Gaussian.keyOf seed)
    List.iter (addStep hash) operator.Loop.Steps
    Array.iter2 (addBend hash) operator.Loop.Bends operator.Gains
    addFloats hash [| operator.Scale |]
    hash.GetHashAndReset()

/// The length of vector `i`, within a few roundings: no square underflows by more than the least double.
let private norm (engine: IEngine) (x: Storage) length i =
    sqrt (engine.Dot(x, i * length, x, i * length, length) + float length * Double.Epsilon)

/// Lengths of the computed vectors of a batch at each point of a pass, one a vector, the longest where a point is met again.
[<Sealed>]
type private PassLengths(engine: IEngine, count: int) =
    let noted = Collections.Generic.Dictionary<LoopPoint, float[]>()

    member _.Visit point (x: Storage) =
        let lengths = Array.init count (norm engine x (x.Length / count))

        noted[point] <-
            match noted.TryGetValue point with
            | true, before -> Array.map2 max before lengths
            | _ -> lengths

    /// For vector `i` in parts of the length it began with; computed norms err by little.
    member _.Of i (start: float) point = noted[point][i] / start * (1.0 + 1e-6)

/// Vectors that norms on the way are measured with, and how many of them pass at a time.
let private measured, together = 32, 8

/// Bounds on the norms of what lies before each point of a loop and behind it, for passes over batches of a size. For a unit vector `w` that an operator `H` stretches most,
/// `‖H g‖ ≥ ‖H‖·|⟨w, g⟩|`, so that for Gaussian vectors `‖H‖² ≤ Σ‖H g‖²/q` except with a probability of at most that of `χ² ≤ q`.
let private measure (context: Context) norms (operator: LoopOperator) (failure: float) : int -> LoopRounding.Carried =
    let engine = context.Engine
    let rows, columns = LoopOperator.rows operator, LoopOperator.columns operator

    let errorsOf =
        LoopRounding.errors context norms LoopRounding.nothingCarried operator

    let errors = errorsOf together

    let key = key operator (Context.forComputation 3 context).Seed

    /// Sums of squares at each point over passes of batches of Gaussian vectors of a length, and of these vectors.
    let sums length stream pass =
        let sums = Collections.Generic.Dictionary<LoopPoint, float>()
        let mutable pushed = 0.0

        for first in 0..together .. measured - 1 do
            let vectors =
                Array.init together (fun k -> Gaussian.drawWith key (stream + first + k) length)
                |> Array.concat
                |> HostStorage

            pushed <- pushed + engine.Dot(vectors, 0, vectors, 0, vectors.Length)

            pass vectors (fun point (x: Storage) ->
                let before =
                    match sums.TryGetValue point with
                    | true, sum -> sum
                    | _ -> 0.0

                // No square underflows by more than the least double.
                sums[point] <- before + engine.Dot(x, 0, x, 0, x.Length) + float x.Length * Double.Epsilon)

        struct (sums, pushed)

    let struct (heads, pushed) =
        sums columns 0 (fun vectors visit ->
            LoopOperator.push context operator visit together vectors (engine.Allocate(Checked.(*) together rows)))

    let struct (tails, pulled) =
        sums rows measured (fun vectors visit ->
            LoopOperator.pull context operator visit together vectors (engine.Allocate(Checked.(*) together columns)))

    let quantile =
        ChiSquare.lowerQuantile measured (failure / float (heads.Count + tails.Count + 1))

    // What the passes erred by themselves is added to what they found, and what later ones err by to the whole.
    let bound (sums: Collections.Generic.Dictionary<LoopPoint, float>) total (own: LoopPoint -> float) later point =
        ((sqrt sums[point] + sqrt total * own point) / sqrt quantile + later point)
        * (1.0 + 1e-6)

    fun batch ->
        let later = errorsOf batch

        {
            Heads = bound heads pushed errors.Increments later.Increments
            Tails = bound tails pulled errors.Adjoints later.Adjoints
        }

/// `K Kᵀ`.
let private gram
    (context: Context)
    norms
    (carried: int -> LoopRounding.Carried)
    (operator: LoopOperator)
    : GramOperator =
    let engine = context.Engine
    let rows, columns = LoopOperator.rows operator, LoopOperator.columns operator

    let opened count =
        let carried = carried count
        let errors = LoopRounding.errors context norms carried operator count
        let own = LoopRounding.passErrors context norms carried operator count
        let between = engine.Allocate(Checked.(*) count columns)

        fun x y ->
            let back, forth = PassLengths(engine, count), PassLengths(engine, count)
            LoopOperator.pull context operator back.Visit count x between
            LoopOperator.push context operator forth.Visit count between y

            // K (Kᵀq + e) + e′: the top eigenvector sees K e as √λ1 times something no longer than e. A computed unit vector is
            // longer than 1 by little, and computed norms err by little.
            Array.init count (fun i ->
                let start, middle = norm engine x rows i, norm engine between columns i

                {
                    Plain = (own.Forward(forth.Of i middle) * middle + errors.Underflow) * (1.0 + 1e-6)
                    PerRoot = own.Backward(back.Of i start) * (1.0 + 1e-6)
                    Size = norm engine y rows i * (1.0 + 1e-6)
                })

    let ceiling = (LoopRounding.errors context norms (carried 1) operator 1).Norm

    {
        Length = rows
        Support = None
        Ceiling = Rounding.mulUp ceiling ceiling
        Key = key operator
        Open = opened
    }

/// The part of the failure probability for norms on the way.
let private forMeasures = 0.1

/// `‖K‖`, except with the failure probability of the context; `Attained` is what was found from below. The purpose is about squares of norms.
let private certifyFor
    purpose
    (context: Context)
    norms
    (operator: LoopOperator)
    tolerance
    : LanczosCertificate.Certificate =
    let failure = context.Certification.FailureProbability
    let carried = measure context norms operator (forMeasures * failure)

    LanczosCertificate.largestEigenvalueFor
        purpose
        context
        (gram context norms carried operator)
        tolerance
        ((1.0 - forMeasures) * failure * (1.0 - 1e-9))

/// `‖K‖`, except with the failure probability of the context; `Attained` is what was found from below.
let certify context norms operator tolerance =
    certifyFor LanczosCertificate.asLowAsPossible context norms operator tolerance

/// A checker that has its own rounding cannot show norms that are as good as attained.
let private forChecker = 1.0 + 1e-9

/// `certify` as a bound on `‖K‖` that a checker with draws and rounding of its own can show, too, as far as its purpose asks for it.
let normUpFor (purpose: LanczosCertificate.Purpose) (context: Context) norms (operator: LoopOperator) tolerance =
    (certifyFor
        { purpose with
            Enough = purpose.Enough / (forChecker * forChecker)
        }
        context
        norms
        operator
        tolerance)
        .Upper
    |> Rounding.sqrtUp
    |> Rounding.mulUp forChecker
