/// Proves a Lipschitz constant of a chain from multipliers, layer by layer, with rounding enclosed (METHODS sections 4a and 15).
///
/// What is claimed of a layer is a matrix `P`: every increment behind it lies in the ellipsoid `y yᵀ ⪯ b P`, where the budget `b` is the squared
/// length of the input's increment, less `|E^½ z|² − |D^−½ δ|² ≥ 0` for each layer so far. With `A = W P Wᵀ` exactly, the next claim `P⁺`
/// follows from
///
///     [ P⁺ − D − R A R    −R A E^½    ]
///     [ −E^½ A R          I − E^½ A E^½ ]  ⪰ 0,
///
/// the Schur complement of ECLipsE's recursion. Claims are guesses in doubles: one Cholesky factorisation shows that they hold, so that no
/// inverse has to be enclosed, and what a layer adds for its rounding is in its claim. At the end `L² I ⪰ W P Wᵀ`.
module internal LipVerify.Core.Bounds.Multipliers.DeepChains.ChainProof

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Spectral
open LipVerify.Core.Bounds.Multipliers.Solver

/// Entries of claims and weights are no larger, or nothing is proved: products then lose less by underflow than is allowed for it.
let private largest = Math.ScaleB(1.0, 200)

/// The same for entries of maps and the factors beside an image.
let private largestFactor = Math.ScaleB(1.0, 100)

/// Whether all entries are numbers that leave room for products.
let private isModerate limit (values: float[]) =
    values |> Array.forall (fun x -> abs x <= limit)

/// The weights of a layer as the proof takes them: roots `E^½` as they are, and no less than the `D` that belongs to them.
let private exactly (slopes: ChainSlope[]) (weights: float[]) =
    let roots = ChainStep.roots slopes weights

    let own =
        Array.map2
            (fun (slope: ChainSlope) root ->
                if slope.IsOpen then
                    let quotient = Rounding.divUp slope.Width root
                    Rounding.mulUp quotient quotient
                else
                    0.0)
            slopes
            roots

    struct (roots, own)

/// The matrix whose positive semidefiniteness is the step from a claim to the next, its first rows and columns scaled by powers of two.
[<ReferenceEquality>]
type private Step =
    {
        Envelope: SymmetricEnvelope
        Values: float[]
        /// The largest entry on the diagonal.
        Largest: float
        /// A bound on the norm of what it differs by from the exact matrix.
        Error: float
    }

/// Powers of two that bring diagonal entries near 1.
let private units (claim: float[]) n =
    Array.init n (fun i ->
        let own = claim[i * n + i]

        if own > 0.0 && Double.IsFinite own then
            Math.ScaleB(1.0, -(Math.ILogB own / 2))
        else
            1.0)

let private step (image: ChainImage) (slopes: ChainSlope[]) (roots: float[]) (own: float[]) (claim: float[]) : Step =
    let n = slopes.Length
    let a = image.Values
    let units = units claim n

    let opened = [| 0 .. n - 1 |] |> Array.filter (fun i -> slopes[i].IsOpen)

    let order = n + opened.Length
    let envelope = SymmetricEnvelope.Full order
    let values = LargeArrays.Allocate<float>(int envelope.Length)
    // Absolute row sums of what the entries are made of.
    let sizes = Array.zeroCreate<float> order
    let mutable largest = 0.0

    let put i j value size =
        values[int (envelope.Index(i, j))] <- value
        sizes[i] <- sizes[i] + size

        if i = j then
            largest <- max largest value
        else
            sizes[j] <- sizes[j] + size

    for i in 0 .. n - 1 do
        for j in 0..i do
            let unit = units[i] * units[j]
            let through = slopes[i].Center * a[i * n + j] * slopes[j].Center
            let diagonal = if i = j then own[i] else 0.0
            let value = claim[i * n + j] - through - diagonal
            put i j (unit * value) (unit * (abs claim[i * n + j] + abs through + diagonal))

    for row in 0 .. opened.Length - 1 do
        let i = opened[row]

        for j in 0 .. n - 1 do
            let value = roots[i] * a[i * n + j] * slopes[j].Center * units[j]
            put (n + row) j -value (abs value)

        for column in 0..row do
            let j = opened[column]
            let through = roots[i] * a[i * n + j] * roots[j]
            let diagonal = if i = j then 1.0 else 0.0
            put (n + row) (n + column) (diagonal - through) (diagonal + abs through)

    let beside =
        Array.map2 (fun (slope: ChainSlope) unit -> unit * abs slope.Center) slopes units

    // An error of A goes into all four blocks.
    let byImage =
        ChainImage.errors image (Array.map2 (+) beside roots)
        |> Array.mapi (fun i error -> max beside[i] roots[i] * error)
        |> Array.max

    let isFit =
        isModerate largestFactor (Array.append beside roots)
        && isModerate largestFactor units

    {
        Envelope = envelope
        Values = values
        Largest = largest
        Error =
            if isFit then
                1.01 * byImage
                + 6.0
                  * Rounding.unitRoundoff
                  * Array.max sizes
                  * (1.0 + Rounding.gamma (2 * order))
                + ChainImage.underflow
            else
                Double.PositiveInfinity
    }

/// Whether the matrix of a step is positive semidefinite.
let private isPositive (context: Context) (step: Step) =
    let envelope = step.Envelope
    let ceiling = Math.BitIncrement step.Largest

    // What the shift of the proof, with its own rounding, takes.
    let shift =
        7.0
        * Rounding.gamma (envelope.LongestRow + 1)
        * float envelope.MostCoupled
        * ceiling

    let target = (ceiling - step.Error) * (1.0 - 1e-15) - shift

    // Not so for numbers that are not finite.
    target > 0.0
    && Double.IsFinite target
    && (let below = LargeArrays.Allocate<float> step.Values.Length
        Array.iteri (fun k value -> below[k] <- -value) step.Values

        for i in 0 .. envelope.Order - 1 do
            let place = int (envelope.Index(i, i))
            below[place] <- ceiling - step.Values[place]

        match SemidefiniteProof.tryBound context envelope (HostStorage below) target with
        | Some found ->
            // Each diagonal entry was rounded once more.
            let rounding = 2.0 * Rounding.unitRoundoff * ceiling
            Rounding.addUp (Rounding.addUp found step.Error) rounding <= ceiling
        | None -> false)

/// Whether a claim follows from the one before, whose image it is given, by activations with these slopes and weights.
let follows (context: Context) (image: ChainImage) (slopes: ChainSlope[]) (weights: float[]) (claim: float[]) =
    let struct (roots, own) = exactly slopes weights

    isModerate largestFactor image.Map.Values
    && isModerate largest claim
    && isModerate largest own
    && step image slopes roots own claim |> isPositive context

/// A first guess of how much a claim has to leave for rounding, and the most that is left.
let private leastRoom = 1e-11
let private mostRoom = 1e-3

/// A claim just above what the recursion gives that is proved; none where none is.
let tryClaim (context: Context) (image: ChainImage) (slopes: ChainSlope[]) (weights: float[]) : float[] option =
    let candidate room =
        ChainStep.tryBend context.Engine room image.Values slopes weights
        |> Option.map (fun bent ->
            TriangularProducts.mirror slopes.Length bent.After
            bent.After)

    Seq.unfold (fun room -> Some(room, 4.0 * room)) leastRoom
    |> Seq.takeWhile (fun room -> room < mostRoom)
    |> Seq.map candidate
    |> Seq.takeWhile Option.isSome
    |> Seq.choose id
    |> Seq.tryFind (follows context image slopes weights)

/// A bound on the squared constant, from the image of the last claim under the last map; none where none is proved.
let tryOutputs (context: Context) (image: ChainImage) : float option =
    let n = image.Map.Rows
    let gram = image.Values
    let envelope = SymmetricEnvelope.Full n
    let values = LargeArrays.Allocate<float>(int envelope.Length)

    for i in 0 .. n - 1 do
        for j in 0..i do
            // What was computed below 0 is no less than that.
            let value = gram[i * n + j]
            values[int (envelope.Index(i, j))] <- if i = j then max 0.0 value else value

    let estimate =
        context.Engine.SymmetricEigen(n, HostStorage(Array.copy gram), false)
        |> Array.last

    let error = ChainImage.errors image (Array.create n 1.0) |> Array.max

    if
        isModerate largestFactor image.Map.Values
        && estimate > 0.0
        && Double.IsFinite estimate
    then
        SemidefiniteProof.prove context envelope (HostStorage values) estimate 1e-3
        |> Option.map (fun found -> Rounding.addUp found error)
    else
        None

/// The constant of a chain in its units that weights `d = 1/λ` prove; none where they prove none.
let tryProve (context: Context) (chain: MultiplierChain) (weights: float[]) : float option =
    let offsets = chain.Offsets
    let last = chain.Maps.Length - 1

    let rec next k before =
        Context.check context
        let image = ChainImage.create context.Engine chain.Maps[k] before

        if k = last then
            tryOutputs context image |> Option.map Rounding.sqrtUp
        else
            tryClaim context image chain.Slopes[k] weights[offsets[k] .. offsets[k + 1] - 1]
            |> Option.bind (fun claim -> next (k + 1) (Some claim))

    next 0 None
