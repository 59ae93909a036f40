/// Norms of a loop and of its rows, shown by vectors that are drawn after the loop was frozen, or exactly by unit vectors.
module LipVerify.Checker.LoopNorms

open System
open System.Runtime.Intrinsics
open LipVerify.Checker.Directed
open LipVerify.Checker.LiveMatrix
open LipVerify.Checker.Loop
open LipVerify.Checker.LoopSizes
open LipVerify.Checker.StructuredBends
open LipVerify.Checker.Subject
open LipVerify.Checker.Twofold

/// How rows are measured.
type Probing =
    | UnitVectors
    | RandomVectors of int

/// Sums of paths beyond which underflow might count.
let private largestSum = 1e20

/// More than underflow takes from a pass then.
let private underflow = 1e-250

/// Random vectors, where unit vectors are more and take too long.
let private randomVectors = 4096

/// Multiplications that unit vectors may take: no fewer than where the engine measures rows exactly, and so leaves no room for chance.
let private affordable = 1e12

let rec private entriesOf steps =
    steps
    |> List.sumBy (fun step ->
        match step with
        | Mapped map -> float map.Rows.Values.Length
        | Bent _ -> 0.0
        | Added branches -> branches |> List.sumBy entriesOf)

/// What suits a loop.
let probingFor (loop: Loop) =
    let columns = loop.Inputs + loop.Widths.Length

    if
        float columns
        <= max (float randomVectors) (affordable / max 1.0 (entriesOf loop.Steps))
    then
        UnitVectors
    else
        RandomVectors randomVectors

let private sizesOf (operator: Loop.Operator) places =
    let sizes = measure operator places

    if not (sizes.Largest <= largestSum && Double.IsFinite sizes.Relative) then
        raise (TooLarge "sums of paths through the network, or uncertain factors of its rows, are too large")

    sizes

/// `KKᵀ`. With `‖fl(Kᵀv) − Kᵀv‖ ≤ φ‖v‖` and the same forward, `φ = Relative·Norm`, the product errs by `φ(2·Norm + φ)‖v‖` at most; vectors that
/// passes start from are stored with nothing lost.
let private gram (operator: Loop.Operator) (sizes: Sizes) : Replay.Gram =
    let phi = sizes.Relative * sizes.Norm

    {
        Side = operator.Loop.Outputs + operator.Loop.Widths.Length
        Apply =
            fun x y ->
                let image = pull operator x |> push operator unseen
                Array.blit image 0 y 0 image.Length
        Error = phi * (2.0 * sizes.Norm + phi) * (1.0 + 1e-6)
        Ceiling = sizes.Norm * sizes.Norm * (1.0 + 1e-6)
    }

/// Whether `‖K‖ ≤ c` is shown; in units of a power of two near `c` it is near 1.
let showNorm (operator: Loop.Operator) places (c: float) failure =
    let sizes = sizesOf operator places

    if sizes.Norm <= c then
        Ok "sums of paths"
    elif c = 0.0 then
        Error "it is not 0"
    else
        match Replay.runOn (gram operator sizes) c failure with
        | Replay.Shown steps -> Ok $"shown with {lanes} fresh random vectors in {steps} Lanczos steps"
        | Replay.Exceeded steps ->
            Error $"the norm is larger, or closer than rounding resolves, after {steps} Lanczos steps"
        | Replay.Undecided steps -> Error $"not shown with fresh random vectors in {steps} Lanczos steps"

/// A `q > 0` with `P(χ²_m ≤ q) ≤ failure`, by Chernoff's bound `P(χ²_m ≤ x·m) ≤ (x·e^{1−x})^{m/2}` for `x < 1`.
let lowerQuantile (m: int) (failure: float) =
    // Logarithms err by some 1e-16.
    let proves x =
        0.5 * float m * (log x + 1.0 - x + 1e-14 * (1.0 + abs (log x)))
        <= log failure - 1e-9

    let rec bisect low high steps =
        let middle = sqrt (low * high)

        if steps = 0 then low
        elif proves middle then bisect middle high (steps - 1)
        else bisect low middle (steps - 1)

    let least = 1e-300

    if proves least then
        float m * bisect least 1.0 200 * (1.0 - 1e-12)
    else
        0.0

/// Bounds on the norms of the rows of all claims: sums of squares over vectors pushed.
let rowNorms (operator: Loop.Operator) places (claims: Claims[]) probing failure =
    let sizes = sizesOf operator places
    let loop = operator.Loop
    let columns = loop.Inputs + loop.Widths.Length

    let sums =
        claims
        |> Array.map (fun claims -> Array.create claims.Bound.Length Vector256<float>.Zero)

    let mutable largestDraw = 1.0

    let visit place (z: Twofold[]) =
        let claims, sums = claims[place], sums[place]

        for i in 0 .. sums.Length - 1 do
            let d =
                if claims.Minus[i] < 0 then
                    z[claims.Plus[i]]
                else
                    plus z[claims.Plus[i]] (scaled -1.0 z[claims.Minus[i]])

            sums[i] <- sums[i] + d.High * d.High

    let count, divisor =
        match probing with
        | UnitVectors -> columns, 1.0
        | RandomVectors count -> (count + lanes - 1) / lanes * lanes, lowerQuantile count failure

    let x = Array.create columns zero

    for first in 0..lanes .. count - 1 do
        match probing with
        | UnitVectors ->
            let last = min columns (first + lanes) - 1

            for k in first..last do
                x[k] <-
                    { zero with
                        High = Vector256.Create(0.0).WithElement(k - first, 1.0)
                    }

            push operator visit x |> ignore

            for k in first..last do
                x[k] <- zero
        | RandomVectors _ ->
            let draws = Replay.normals (lanes * columns)
            largestDraw <- Array.fold (fun most (draw: float) -> max most (abs draw)) largestDraw draws

            for k in 0 .. columns - 1 do
                x[k] <-
                    { zero with
                        High = Vector256.LoadUnsafe &draws[lanes * k]
                    }

            push operator visit x |> ignore

    // A pass errs in a row by at most Relative times its sum, times the largest entry of the vector; unit vectors share that sum.
    let shared =
        match probing with
        | UnitVectors -> 1.0
        | RandomVectors _ -> largestDraw * sqrt (float count)

    let norm place i =
        let rowSums = sizes.Increments[place]
        let claims = claims[place]

        let sum =
            rowSums[claims.Plus[i]]
            + (if claims.Minus[i] < 0 then
                   0.0
               else
                   rowSums[claims.Minus[i]])

        if sum = 0.0 then
            0.0
        else
            let error = (sizes.Relative + 4.0 * error) * sum + underflow
            // Squares of high parts, and sums of as many as there are vectors.
            let ofSquares: Vector256<float> = sums[place][i]
            let squares = Vector256.Sum ofSquares * (1.0 + 1e-9) + 1e-300
            (sqrt squares + shared * error) / sqrt divisor * (1.0 + 1e-12)

    claims
    |> Array.mapi (fun place claims -> Array.init claims.Bound.Length (norm place))
