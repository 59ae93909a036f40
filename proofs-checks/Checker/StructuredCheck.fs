/// Shows what a structured certificate states. Frozen by the certificate are the loop, its factors, and three kinds of claims:
///
/// - `‖E‖ ≤ κ < 1` for the channels alone, `E: (dx, u) ↦ v` with the factors of reaches;
/// - `‖row‖·ε/√(1 − κ²) ≤ t` for each reach `t` that slopes rest on, `row` being that of the increment as a function of `(dx, u)`;
/// - `‖K‖ ≤ μ` for the loop with the factors of the bound and its outputs times `s`.
///
/// Let `‖dx‖ ≤ ε`, and let reaches hold before some place, so that `|u_j| ≤ |v_j|` for the channels before it. Then `‖u‖² ≤ ‖v‖² ≤
/// κ²(‖dx‖² + ‖u‖²)` with those channels alone, so that `‖(dx, u)‖ ≤ ε/√(1 − κ²)`, and the reaches at that place hold too. So all hold. With the other
/// factors, `s²‖df‖² ≤ μ²‖dx‖² + (μ² − 1)‖u‖²`, and `‖u‖ ≤ ω‖dx‖` for `ω` the largest quotient of factors times `κ/√(1 − κ²)`: that is the
/// value. Over all inputs there are no reaches, and `μ ≤ 1`.
///
/// Norms are shown by random vectors (`Replay`), rows exactly by unit vectors, or by random vectors where these are fewer. All vectors are drawn
/// after everything was frozen. A certificate that is false has a false claim, and that one by itself is found true with a probability of at most
/// the failure probability.
module LipVerify.Checker.StructuredCheck

open System
open System.Runtime.Intrinsics
open LipVerify.Checker.Directed
open LipVerify.Checker.Forms
open LipVerify.Checker.Loop
open LipVerify.Checker.LoopSizes
open LipVerify.Checker.Network
open LipVerify.Checker.Readers
open LipVerify.Checker.StructuredFile
open LipVerify.Checker.StructuredWalk
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

let rec private bendsOf steps =
    steps
    |> List.collect (fun step ->
        match step with
        | Mapped _ -> []
        | Bent(place, bend) -> [ place, bend ]
        | Added branches -> List.collect bendsOf branches)

/// The loop with the half-width 0 for differences that are always 0: no factor of them matters, however small it is.
let private withoutStill places (loop: Loop) =
    let ones = Array.create loop.Widths.Length 1.0
    let sizes = measure (withFactors ones 0.0 loop) places
    let widths = Array.copy loop.Widths

    for place, bend in bendsOf loop.Steps do
        let sum i =
            if i < 0 then 0.0 else sizes.Increments[place][i]

        for k in 0 .. bend.Channels.Length - 1 do
            let channel = bend.Channels[k]

            if channel >= 0 && sum bend.Plus[k] + sum bend.Minus[k] = 0.0 then
                widths[channel] <- 0.0

    { loop with Widths = widths }

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
let private showNorm (operator: Loop.Operator) places (c: float) failure =
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
let private rowNorms (operator: Loop.Operator) places (claims: Claims[]) probing failure =
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

/// `√(1 − κ²)` from below.
let private rest kappa =
    let square = addDown 1.0 -(mulUp kappa kappa)
    Math.BitDecrement(sqrt square)

let private showReaches (walked: Walked) kappa radius probing failure say =
    let places = walked.Claims.Length
    let operator = withFactors walked.ReachFactors 0.0 walked.Loop
    let norms = rowNorms operator places walked.Claims probing failure
    let rho = divUp radius (rest kappa)

    let reached = norms |> Array.map (Array.map (fun norm -> mulUp norm rho))

    /// How many times further than it may each one reaches that reaches too far.
    let broken =
        (reached, walked.Claims)
        ||> Array.map2 (fun reached claims -> Array.zip reached claims.Bound)
        |> Array.concat
        |> Array.filter (fun (reach, bound) -> not (reach <= bound))
        |> Array.map (fun (reach, bound) -> reach / bound)

    let count = walked.Claims |> Array.sumBy _.Bound.Length

    let how =
        match probing with
        | UnitVectors -> "rows measured exactly"
        | RandomVectors vectors -> $"rows measured with {vectors} fresh random vectors"

    if broken.Length = 0 then
        say true $"increments reach no further than the {count} slopes allow: {how}"
    else
        say
            false
            $"{broken.Length} of {count} increments may reach further than their slopes allow, up to {Decimals.asRead (Math.Round(Array.max broken, 6))} times as far: {how}"

/// The value that follows, from above.
let private derived (certificate: StructuredCertificate) (omega: float) =
    let base' = divUp 1.0 certificate.Scale
    let mu = certificate.Norm

    if mu <= 1.0 then
        mulUp base' mu
    else
        let square = mulUp mu mu
        mulUp base' (sqrtUp (addUp square (mulUp (addUp square -1.0) (mulUp omega omega))))

let private residual (walked: Walked) kappa =
    match kappa with
    | _ when walked.Factors.Length = 0 -> 0.0
    | None -> Double.PositiveInfinity
    | Some kappa ->
        let ratio = Array.map2 divUp walked.ReachFactors walked.Factors |> Array.max
        mulUp ratio (divUp kappa (rest kappa))

let private replay (certificate: StructuredCertificate) probing (walked: Walked) say =
    let places = walked.Claims.Length
    let failure = certificate.Failure

    let walked =
        { walked with
            Loop = withoutStill places walked.Loop
        }

    let norm text outcome =
        match outcome with
        | Ok how -> say true $"{text}: {how}"
        | Error why -> say false $"{text}: {why}"

    let isProved =
        match certificate.Kappa, certificate.Radius with
        | Some kappa, Some radius when kappa < 1.0 ->
            let text = $"the norm of the channels alone is at most {Decimals.upward kappa}"

            (if walked.Factors.Length = 0 then
                 Ok "there are none"
             else
                 showNorm (withFactors walked.ReachFactors 0.0 walked.Loop) places kappa failure)
            |> norm text

            let probing = probing |> Option.defaultWith (fun () -> probingFor walked.Loop)
            showReaches walked kappa radius probing failure say
            true
        | Some _, _ ->
            say false "the norm of the channels alone has to be below 1"
            false
        | None, _ -> true

    if isProved then
        showNorm (withFactors walked.Factors certificate.Scale walked.Loop) places certificate.Norm failure
        |> norm $"the norm of the loop is at most {Decimals.upward certificate.Norm}"

        let value = derived certificate (residual walked certificate.Kappa)

        say (certificate.Value >= value) $"the value {Decimals.upward certificate.Value} follows from these norms"

/// Checks everything that a certificate states about a network and an input, with rows measured in a given way; `say` receives each verdict.
let checkWith probing (certificate: StructuredCertificate) (lines, tensors, networkHash) input say =
    say (certificate.Network = networkHash) "the certificate is about this network"
    let size, root = parse lines tensors

    let nominal =
        match certificate.Input, input with
        | None, _ -> Array.create size (point 0.0)
        | Some _, None -> refuse "a local certificate needs the input: with lipverify check it is --input"
        | Some stated, Some(values: float[], hash) ->
            say (stated = hash) "it is about this input"

            if values.Length <> size then
                refuse "the input does not fit the network"

            Array.map point values

    let excess = Walk.oversized root

    for index, entries in excess do
        say
            false
            $"layer {index}: not checked: its map has {int64 entries} entries, and this checker takes {Walk.entryLimit} at most"

    try
        if excess.IsEmpty then
            let walked = walk certificate nominal root
            say true $"slopes follow from the reaches claimed, {walked.Factors.Length} of which are not known"
            replay certificate probing walked say
    with
    | Broken text -> say false text
    | TooLarge text -> say false $"not checked: {text}"

/// Checks everything that a certificate states about a network and an input; `say` receives each verdict.
let check certificate network input say =
    checkWith None certificate network input say
