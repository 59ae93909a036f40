/// Lower bounds on local Lipschitz constants: slopes that were attained at points of the ball (METHODS section 8).
/// They are evaluated in double precision, so they hold up to rounding.
module LipVerify.Core.LowerBounds

open System
open LipVerify.Compute

/// An attained slope and the point of the ball that attains it.
[<ReferenceEquality>]
type Attained =
    {
        /// The slope.
        Value: float
        /// `x`, for which the slope is `‖f(x) − f(x0)‖ / ‖x − x0‖` (nominal) or `‖J(x) D‖` (uniform).
        Witness: Tensor
    }

let private length (v: ReadOnlySpan<float>) =
    Numerics.Tensors.TensorPrimitives.Norm v

let private row (values: float[]) size index =
    ReadOnlySpan(values, index * size, size)

/// Displacements from the centre, uniform in the ball: a normal direction, a radius with density `r^(n−1)`.
let private displacements seed stream (ball: RestrictedBall) count =
    let mask = Tensor.values ball.Mask
    let size = mask.Length
    let dimension = max 1 (Tensor.countNonZero ball.Mask)
    let values = Gaussian.draw seed stream (count * size)
    let random = Random(seed + 7919 * stream)

    for i in 0 .. values.Length - 1 do
        values[i] <- values[i] * mask[i % size]

    for index in 0 .. count - 1 do
        let norm = length (row values size index)

        let radius =
            ball.Radius.Value * Math.Pow(random.NextDouble(), 1.0 / float dimension)

        for i in index * size .. (index + 1) * size - 1 do
            values[i] <- if norm > 0.0 then values[i] * radius / norm else 0.0

    values

let private shifted (ball: RestrictedBall) (displacement: float[]) =
    let center = Tensor.values ball.Center
    displacement |> Array.mapi (fun i d -> center[i % center.Length] + d)

/// Slopes `‖f(x) − f(x0)‖ / ‖x − x0‖` of a batch, 0 where `x = x0`; displacements are those of the rounded points.
let private slopes (outputs: float[]) (nominal: float[]) (points: float[]) (center: float[]) count =
    let difference (values: float[]) (origin: float[]) index =
        Array.init origin.Length (fun i -> values[index * origin.Length + i] - origin[i])

    Array.init count (fun index ->
        let moved = difference points center index
        let changed = difference outputs nominal index
        let distance = length (ReadOnlySpan moved)

        struct ((if distance > 0.0 then
                     length (ReadOnlySpan changed) / distance
                 else
                     0.0),
                moved,
                changed))

let private best (ball: RestrictedBall) (values: float[]) (points: float[]) =
    let winner = values |> Array.indexed |> Array.maxBy snd |> fst
    let size = ball.Center.Length

    {
        Value = values[winner]
        Witness = Tensor.ofArray ball.Center.Shape points[winner * size .. (winner + 1) * size - 1]
    }

let private nominalOutput (context: Context) network (ball: RestrictedBall) =
    (Linearization.at context network 1 ball.Center.Storage).Value
    |> Tensor.ofStorage network.OutputShape
    |> Tensor.values

/// The largest slope over `count` points drawn uniformly from the ball (nominal definition).
let sampling (context: Context) (network: Network) (ball: RestrictedBall) count : Attained =
    let points = displacements context.Seed 1 ball count |> shifted ball
    let outputs = (Linearization.at context network count (HostStorage points)).Value
    let values = Tensor.ofStorage [ outputs.Length ] outputs |> Tensor.values

    let slopes =
        slopes values (nominalOutput context network ball) points (Tensor.values ball.Center) count

    best ball (slopes |> Array.map (fun struct (slope, _, _) -> slope)) points

/// Projected gradient ascent on the slope `‖f(x) − f(x0)‖ / ‖x − x0‖` from `starts` random points of the ball. Each start
/// has its own step, which grows on success and shrinks on failure.
let gradientAscent (context: Context) (network: Network) (ball: RestrictedBall) starts steps : Attained =
    let size = ball.Center.Length
    let center = Tensor.values ball.Center
    let mask = Tensor.values ball.Mask
    let nominal = nominalOutput context network ball
    let step = Array.create starts 0.5

    /// Slopes at the points and their gradients `Jᵀv/(‖v‖‖δ‖) − ‖v‖δ/‖δ‖³` with `v = f(x) − f(x0)`, `δ = x − x0`.
    let look (points: float[]) =
        let linear = Linearization.at context network starts (HostStorage points)
        let outputs = Tensor.ofStorage [ linear.Value.Length ] linear.Value |> Tensor.values
        let slopes = slopes outputs nominal points center starts
        let directions = slopes |> Array.collect (fun struct (_, _, v) -> v)
        let pulled = linear.Pullback(HostStorage directions)
        let pulled = Tensor.ofStorage [ pulled.Length ] pulled |> Tensor.values

        let gradient =
            Array.init (starts * size) (fun k ->
                let struct (slope, moved, v) = slopes[k / size]
                let m = length (ReadOnlySpan moved)
                let n = length (ReadOnlySpan v)

                if m = 0.0 || n = 0.0 then
                    0.0
                else
                    mask[k % size] * (pulled[k] / (n * m) - slope * moved[k % size] / (m * m)))

        struct (slopes |> Array.map (fun struct (slope, _, _) -> slope), gradient)

    /// The next point along the gradient: a step relative to the radius, back into the ball.
    let advance (points: float[]) (gradient: float[]) =
        let next = Array.zeroCreate points.Length

        for index in 0 .. starts - 1 do
            let norm = length (row gradient size index)

            let scale =
                if norm > 0.0 then
                    step[index] * ball.Radius.Value / norm
                else
                    0.0

            let moved =
                Array.init size (fun i -> points[index * size + i] - center[i] + scale * gradient[index * size + i])

            let shrink =
                ball.Radius.Value
                / max ball.Radius.Value (length (ReadOnlySpan moved) * (1.0 + 1e-12))

            for i in 0 .. size - 1 do
                next[index * size + i] <- center[i] + shrink * moved[i]

        next

    let rec climb remaining (points: float[]) (values: float[]) (gradient: float[]) =
        Context.check context

        if remaining = 0 then
            best ball values points
        else
            let candidates = advance points gradient
            let struct (reached, gradients) = look candidates
            let improved = Array.map2 (>) reached values

            for index in 0 .. starts - 1 do
                step[index] <-
                    if improved[index] then
                        min 1.0 (1.5 * step[index])
                    else
                        0.5 * step[index]

            let choose (fresh: float[]) (old: float[]) =
                Array.init old.Length (fun k ->
                    if improved[k * starts / old.Length] then
                        fresh[k]
                    else
                        old[k])

            climb (remaining - 1) (choose candidates points) (choose reached values) (choose gradients gradient)

    if ball.Radius.Value = 0.0 then
        { Value = 0.0; Witness = ball.Center }
    else
        let points = displacements context.Seed 2 ball starts |> shifted ball
        let struct (values, gradient) = look points
        climb steps points values gradient

/// The largest `‖J(x) D‖` over `count` points drawn from the ball (uniform definition), each from below by `iterations`
/// steps of power iteration.
let jacobianSampling (context: Context) (network: Network) (ball: RestrictedBall) count iterations : Attained =
    let size = ball.Center.Length
    let points = displacements context.Seed 3 ball count |> shifted ball
    let linear = Linearization.at context network count (HostStorage points)

    let normalised (v: Storage) =
        let restricted = context.Engine.Allocate v.Length
        context.Engine.MultiplyRows(v, count, ball.Mask.Storage, restricted)
        let values = Array.copy (Tensor.values (Tensor.ofStorage [ v.Length ] restricted))

        for index in 0 .. count - 1 do
            let norm = length (row values size index)

            for i in index * size .. (index + 1) * size - 1 do
                values[i] <- if norm > 0.0 then values[i] / norm else 0.0

        HostStorage values

    let rec iterate remaining (v: HostStorage) =
        let pushed = linear.Pushforward v

        if remaining = 0 then
            let values = Tensor.values (Tensor.ofStorage [ pushed.Length ] pushed)
            let outputs = values.Length / count
            Array.init count (fun index -> length (row values outputs index))
        else
            iterate (remaining - 1) (normalised (linear.Pullback pushed))

    let start = normalised (HostStorage(Gaussian.draw context.Seed 4 (count * size)))
    best ball (iterate iterations start) points
