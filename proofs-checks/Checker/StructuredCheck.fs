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
open LipVerify.Checker.Directed
open LipVerify.Checker.Loop
open LipVerify.Checker.LoopNorms
open LipVerify.Checker.LoopSizes
open LipVerify.Checker.Network
open LipVerify.Checker.StructuredFile
open LipVerify.Checker.StructuredWalk
open LipVerify.Checker.Subject

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
        if certificate.Input.IsSome then
            nominalInput certificate.Input input size say
        else
            Array.create size (point 0.0)

    whereSmall root say (fun () ->
        let walked = walk certificate nominal root
        say true $"slopes follow from the reaches claimed, {walked.Factors.Length} of which are not known"
        replay certificate probing walked say)

/// Checks everything that a certificate states about a network and an input; `say` receives each verdict.
let check certificate network input say =
    checkWith None certificate network input say
