/// What the bounds are held against: explicit matrices, singular values, slopes at points and along lines, each with
/// the rounding that separates it from its value in real arithmetic.
module LipVerify.Propositions.Oracles

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks

/// `‖v‖`, safe from overflow and underflow of the squares.
let norm (v: float[]) =
    let largest = (0.0, v) ||> Array.fold (fun best x -> max best (abs x))

    if largest = 0.0 || not (Double.IsFinite largest) then
        largest
    else
        largest * sqrt (v |> Array.sumBy (fun x -> (x / largest) * (x / largest)))

/// The rows of the matrix of a map, column by column from basis vectors: exact, since each output is one product.
let matrix map : float[][] =
    let inputs, outputs = LinearMap.inputs map, LinearMap.outputs map

    let basis =
        Array.init (inputs * inputs) (fun k -> if k / inputs = k % inputs then 1.0 else 0.0)

    let columns = Array.zeroCreate (inputs * outputs)
    LinearMap.apply engine map inputs (HostStorage basis) (HostStorage columns)
    Array.init outputs (fun i -> Array.init inputs (fun j -> columns[j * outputs + i]))

let private maskedRow (factor: float) (mask: float[]) (row: float[]) =
    Array.map2 (fun a d -> if d = 0.0 then 0.0 else factor * a) row mask

/// The rows of `R A D`.
let masked (rows: float[]) (matrix: float[][]) (mask: float[]) =
    Array.map2 (fun r row -> maskedRow r mask row) rows matrix

/// Singular values, descending, by one-sided Jacobi rotations of the rows. Backward stable row by row: a sweep rotates
/// each of `n` rows `n` times at `6u`, and about eight sweeps suffice, so the largest is right to `48·n·u`.
let singularValues (rows: float[][]) =
    let largest = rows |> Seq.concat |> Seq.fold (fun best x -> max best (abs x)) 0.0

    if largest = 0.0 then
        [| 0.0 |]
    else
        // A power of two, so that scaling is exact but for entries that no longer matter.
        let exponent = Math.ILogB largest
        let work = rows |> Array.map (Array.map (fun x -> Math.ScaleB(x, -exponent)))

        let dot (a: float[]) (b: float[]) =
            let mutable sum = 0.0

            for i in 0 .. a.Length - 1 do
                sum <- sum + a[i] * b[i]

            sum

        let rotate (a: float[]) (b: float[]) =
            let aa, bb, ab = dot a a, dot b b, dot a b

            if abs ab > 1e-16 * sqrt (aa * bb) && ab <> 0.0 then
                let zeta = (bb - aa) / (2.0 * ab)
                let t = (if zeta >= 0.0 then 1.0 else -1.0) / (abs zeta + sqrt (1.0 + zeta * zeta))
                let c = 1.0 / sqrt (1.0 + t * t)

                for i in 0 .. a.Length - 1 do
                    let x, y = a[i], b[i]
                    a[i] <- c * (x - t * y)
                    b[i] <- c * (t * x + y)

                abs ab > 1e-15 * sqrt (aa * bb)
            else
                false

        let rec sweep remaining =
            let mutable turned = false

            for i in 0 .. work.Length - 1 do
                for j in i + 1 .. work.Length - 1 do
                    if rotate work[i] work[j] then
                        turned <- true

            if turned && remaining > 0 then
                sweep (remaining - 1)

        sweep 40

        work
        |> Array.map (fun row -> Math.ScaleB(sqrt (dot row row), exponent))
        |> Array.sortDescending

/// The relative error of the largest of `singularValues`.
let singularError (rows: float[][]) =
    48.0 * float (max 2 rows.Length + rows[0].Length) * Rounding.unitRoundoff

/// The largest singular value, over the shorter side.
let spectralNorm (rows: float[][]) =
    let across = rows[0].Length

    let shorter =
        if across < rows.Length then
            Array.init across (fun j -> rows |> Array.map (fun row -> row[j]))
        else
            rows

    singularValues shorter |> Array.head

/// `f(x)` at each point.
let evaluateAll (network: Network) (points: float[][]) =
    let inputs =
        Tensor.ofArray (points.Length :: network.InputShape) (Array.concat points)

    let outputs = Network.evaluateBatch context network inputs |> Tensor.values
    Array.chunkBySize (outputs.Length / points.Length) outputs

/// The network with the absolute values of all weights and biases. Over `|x|` its values dominate the partial sums of `f`.
let absolute (network: Network) =
    let layer layer =
        match layer with
        | Affine(map, bias) -> Affine(LinearMap.absolute map, Tensor.map abs bias)
        | other -> other

    let rec block node =
        match node with
        | Leaf placed -> Step(placed.Name, layer placed.Layer)
        | Chain nodes -> Series(List.map block nodes)
        | Branches nodes -> Sum(List.map block nodes)

    build network.InputShape [ block network.Node ]

/// Roundings on the way of one term through the network.
let private roundings network =
    Network.layers network
    |> List.sumBy (fun placed ->
        match placed.Layer with
        | Affine(map, _) -> LinearMap.termsInRow map + 4
        | _ -> 4)

/// A bound on `‖fl(f(x)) − f(x)‖`: each value errs by at most `γ_N` times the value of the absolute network, since ReLU
/// and max pooling expand no entry's error. Twice that also covers the rounding of the nominal values in a bound: these
/// are the exact ones of a network with biases changed by as little.
let evaluationErrors network points =
    let gamma = 2.0 * Rounding.gamma (roundings network)

    evaluateAll (absolute network) (points |> Array.map (Array.map abs))
    |> Array.map (fun values -> gamma * norm values)

/// A slope `‖f(x) − f(x′)‖ / ‖x − x′‖` and what rounding may have added to it.
[<Struct>]
type Slope = { Value: float; Noise: float }

/// Slopes from `origin` to each of the points that differ from it.
let slopes network (origin: float[]) (points: float[][]) =
    let all = Array.append [| origin |] points
    let values, errors = evaluateAll network all, evaluationErrors network all

    [|
        for k in 1 .. points.Length do
            let distance = norm (Array.map2 (-) all[k] origin)

            if distance > 0.0 then
                {
                    Value = norm (Array.map2 (-) values[k] values[0]) / distance
                    Noise = (errors[k] + errors[0]) / distance
                }
    |]

/// Relative error of a norm of some hundred entries and a quotient.
let relative = 1e-12

/// Fails where a slope exceeds the bound by more than rounding explains.
let assertBounds (what: string) (bound: float) (slopes: Slope[]) =
    for slope in slopes do
        // Written so that a NaN among them fails, unless the values themselves left the range of doubles.
        if
            not (slope.Value <= bound * (1.0 + relative) + slope.Noise)
            && Double.IsFinite slope.Value
        then
            failwith
                $"{what}: the slope {slope.Value:R} exceeds the bound {bound:R} (rounding explains {slope.Noise:G3})"

/// The points of the ball among candidates, as they were rounded.
let within (center: float[]) radius (points: float[][]) =
    points |> Array.filter (fun x -> norm (Array.map2 (-) x center) <= radius)

/// Points of a restricted ball: random directions and coordinate directions, at random and at full distance.
let samples (draw: Draw) count (center: float[]) (mask: float[]) radius =
    let direction index =
        if index % 4 = 3 then
            let at, sign = draw.Int(0, center.Length - 1), draw.Pick [ -1.0; 1.0 ]
            Array.init center.Length (fun i -> if i = at then sign else 0.0)
        else
            draw.Gaussians center.Length

    let point index =
        let moved = Array.map2 (*) mask (direction index)
        let size = norm moved
        // Just inside: the sum with the centre is rounded, and `within` drops what was rounded out of the ball.
        let distance =
            radius * (1.0 - 1e-13) * draw.Pick [ 1.0; 1.0; draw.Real(0.0, 1.0); 1e-3 ]

        Array.map2 (fun c m -> if size = 0.0 then c else c + m / size * distance) center moved

    Array.init count point |> within center radius

/// A piecewise linear curve: values at ascending parameters.
type private Curve = { At: float[]; Values: float[][] }

let private interpolate (a: float[]) (b: float[]) s =
    Array.map2 (fun x y -> x + s * (y - x)) a b

/// Splits each piece where one of the given differences of coordinates changes sign.
let private split (crossings: float[] -> float[] -> float seq) curve =
    let pieces =
        [|
            for k in 0 .. curve.At.Length - 2 do
                yield curve.At[k], curve.Values[k]
                let a, b = curve.Values[k], curve.Values[k + 1]

                for s in crossings a b |> Seq.distinct |> Seq.sort do
                    yield curve.At[k] + s * (curve.At[k + 1] - curve.At[k]), interpolate a b s

            yield Array.last curve.At, Array.last curve.Values
        |]

    {
        At = Array.map fst pieces
        Values = Array.map snd pieces
    }

let private crossing before after =
    if before * after < 0.0 then
        Some(before / (before - after))
    else
        None

let private kinks (a: float[]) (b: float[]) =
    Seq.init a.Length (fun i -> crossing a[i] b[i]) |> Seq.choose id

/// Input positions of each pooling window.
let windows (g: PoolingGeometry) =
    [|
        for channel in 0 .. g.Channels - 1 do
            for row in 0 .. g.Rows.Output - 1 do
                for column in 0 .. g.Columns.Output - 1 do
                    [|
                        for i in 0 .. g.Rows.Kernel - 1 do
                            for j in 0 .. g.Columns.Kernel - 1 do
                                let r = row * g.Rows.Stride - g.Rows.PadBefore + i * g.Rows.Dilation
                                let c = column * g.Columns.Stride - g.Columns.PadBefore + j * g.Columns.Dilation

                                if r >= 0 && r < g.Rows.Input && c >= 0 && c < g.Columns.Input then
                                    (channel * g.Rows.Input + r) * g.Columns.Input + c
                    |]
    |]

let private ties geometry =
    let pairs =
        windows geometry
        |> Seq.collect (fun w -> Seq.allPairs w w)
        |> Seq.filter (fun (i, j) -> i < j)
        |> Seq.distinct
        |> Seq.toArray

    fun (a: float[]) (b: float[]) -> pairs |> Seq.choose (fun (i, j) -> crossing (a[i] - a[j]) (b[i] - b[j]))

let private through layer curve =
    let batch = curve.Values.Length
    let values = Layer.apply engine layer batch (HostStorage(Array.concat curve.Values))
    let flat = Tensor.values (Tensor.ofStorage [ values.Length ] values)

    { curve with
        Values = Array.chunkBySize (flat.Length / batch) flat
    }

let private resample (at: float[]) curve =
    let value t =
        let k =
            Array.FindLastIndex(curve.At, fun a -> a <= t)
            |> min (curve.At.Length - 2)
            |> max 0

        let width = curve.At[k + 1] - curve.At[k]
        interpolate curve.Values[k] curve.Values[k + 1] (if width > 0.0 then (t - curve.At[k]) / width else 0.0)

    { At = at; Values = Array.map value at }

let rec private along node curve =
    match node with
    | Leaf { Layer = Activation _ as relu } -> split kinks curve |> through relu
    | Leaf { Layer = MaxPooling g } -> split (ties g) curve |> through (MaxPooling g)
    | Leaf placed -> through placed.Layer curve
    | Chain nodes -> (curve, nodes) ||> List.fold (fun curve node -> along node curve)
    | Branches nodes ->
        let branches = nodes |> List.map (fun node -> along node curve)
        let at = branches |> Seq.collect _.At |> Seq.distinct |> Seq.sort |> Seq.toArray

        branches
        |> List.map (resample at)
        |> List.reduce (fun a b ->
            { a with
                Values = Array.map2 (Array.map2 (+)) a.Values b.Values
            })

/// The parameters in `[0, 1]` where `f` may bend on the segment from `start` to `finish`, both ends included.
/// On a piece the slope from a fixed point of the line is convex in the reciprocal distance, so that the largest slope
/// along the segment is at one of them.
let knots (network: Network) (start: float[]) (finish: float[]) =
    let curve =
        {
            At = [| 0.0; 1.0 |]
            Values = [| start; finish |]
        }

    (along network.Node curve).At |> Array.distinct |> Array.sort

/// The points of the segment at its knots.
let knotPoints network start finish =
    knots network start finish |> Array.map (interpolate start finish)

/// Slopes of neighbouring knots along a segment: the norms of the pieces' Jacobians applied to its direction.
let pieceSlopes network start finish =
    let points = knotPoints network start finish

    points
    |> Array.pairwise
    |> Array.collect (fun (a, b) -> slopes network a [| b |])

/// Candidates for the largest slope of a network over a ball: samples, the knots of lines through the centre, and what
/// gradient ascent reaches.
let candidates (draw: Draw) (network: Network) (center: float[]) radius =
    let mask = Array.create center.Length 1.0
    let sampled = samples draw 16 center mask radius

    let traced =
        samples draw 3 center mask radius
        |> Array.collect (fun x ->
            let opposite = Array.map2 (fun c p -> 2.0 * c - p) center x
            knotPoints network opposite x)

    Array.append sampled traced |> within center radius

/// Fails where samples, lines and their knots show a nominal constant above the bound.
let assertCoversSamples (bound: float) (case: NetworkCase) =
    let center = Tensor.values case.Input

    slopes case.Network center (candidates (Draw case.Seed) case.Network center case.Radius.Value)
    |> assertBounds "nominal" bound

/// Fails where pairs of samples and the pieces between them show a uniform constant above the bound.
let assertCoversPairs (bound: float) (case: NetworkCase) =
    let center = Tensor.values case.Input

    let points =
        samples (Draw case.Seed) 6 center (Array.create center.Length 1.0) case.Radius.Value

    for x, y in Array.pairwise points do
        slopes case.Network x [| y |] |> assertBounds "a pair" bound
        pieceSlopes case.Network x y |> assertBounds "a piece" bound
