/// Walks the network beside the certificate: re-derives what each claim is about, has it proved, and checks that radii and
/// the final value follow from the claims.
module LipVerify.Checker.Walk

open System
open LipVerify.Checker.Directed
open LipVerify.Checker.Json
open LipVerify.Checker.Network
open LipVerify.Checker.Readers
open LipVerify.Checker.SpectralClaim
open LipVerify.Checker.Subject

/// The inputs of a layer: nominal values, coordinates that may differ from zero, and the radius that was claimed.
type private Domain =
    {
        Nominal: Interval[]
        Mask: bool[]
        /// 0 in a global certificate.
        Radius: float
    }

/// Rounding of the engine's products, and no more, may lie between a value and what it follows from.
let private follows (value: float) (derived: float) =
    value >= derived && value <= derived * (1.0 + 1e-12) + 1e-300

/// Upper bounds on the absolute row factors: averages and scalings.
let private rowFactors (operator: Operator) (scales: float[] list) =
    Array.init operator.Outputs (fun i ->
        ((operator.Factor i).Hi, scales)
        ||> List.fold (fun size s -> mulUp size (abs s[i])))

/// Proposition 4: `ε·‖D a_i‖` from above.
let private reach (operator: Operator) (factors: float[]) (mask: bool[]) radius =
    Array.Parallel.init factors.Length (fun i ->
        let live = operator.Row i |> Array.filter (fun struct (j, _) -> mask[j])

        // The root of a single square needs no rounding.
        let norm =
            match live with
            | [| struct (_, a) |] -> abs a
            | _ ->
                (Sum.zero, live)
                ||> Array.fold (fun sum struct (_, a) -> Sum.add a a sum)
                |> Sum.upper
                |> sqrtUp

        mulUp radius (mulUp factors[i] norm))

/// Theorem 1; it grows with the nominal value.
let private slope isUniform nominal reach =
    let upper = addUp nominal reach

    if upper <= 0.0 then 0.0
    elif isUniform then 1.0
    elif reach = 0.0 then 0.0
    elif nominal >= 0.0 then 1.0
    else min 1.0 (divUp upper reach)

let private rectify x =
    { Lo = max 0.0 x.Lo; Hi = max 0.0 x.Hi }

/// One walk; `say` receives whether a statement holds, and its text.
type private Walker(certificate: Certificate, say: bool -> string -> unit) =
    let isGlobal = certificate.Method = "global"
    let isUniform = certificate.Definition = "uniform"
    let mutable claims = certificate.Claims
    let mutable failure = 0.0

    /// The claim that is next, which must be about this layer.
    let next index radius =
        match claims with
        | claim :: rest when claim.Layer = index ->
            claims <- rest

            match claim.Radii with
            | None -> say isGlobal $"layer {index}: a claim without radii"
            | Some(radiusIn, radiusOut) ->
                say (not isGlobal && follows radiusIn radius) $"layer {index}: radius in {Decimals.upward radiusIn}"

                say
                    (follows radiusOut (mulUp radiusIn claim.Lipschitz))
                    $"layer {index}: radius out {Decimals.upward radiusOut}"

            let isRandom = claim.Method = "lanczos"

            say
                (claim.Seed.IsSome = isRandom
                 && (claim.Failure > 0.0) = isRandom
                 && claim.Failure < 1.0)
                $"layer {index}: failure probability {Decimals.upward claim.Failure}"

            failure <- addUp failure claim.Failure
            claim
        | _ -> stop $"the certificate has no claim about layer {index} where one is due"

    let verdict (claim: Claim) outcome =
        let text =
            $"layer {claim.Layer}: constant ≤ {Decimals.upward claim.Lipschitz} ({claim.Method})"

        match outcome with
        | Proved how -> say true $"{text}: {how}"
        | Refuted why -> say false $"{text}: {why}"
        | NotChecked why -> say false $"{text}: not checked: {why}"

    let radiusIn (claim: Claim) =
        claim.Radii |> Option.map fst |> Option.defaultValue 0.0

    let radiusOut (claim: Claim) =
        claim.Radii |> Option.map snd |> Option.defaultValue 0.0

    let finite (nominal: Interval[]) =
        if
            not isGlobal
            && not (nominal |> Array.forall (fun x -> Double.IsFinite x.Lo && Double.IsFinite x.Hi))
        then
            stop "not checked: nominal values leave the range of doubles"

        nominal

    /// An affine map (with the diagonals behind it), or the identity before a lone ReLU, and the ReLU after it.
    let affine index (domain: Domain) operator scales nominal rectified =
        let claim = next index domain.Radius
        let factors = rowFactors operator scales
        let nominal = finite nominal

        let rise =
            if rectified && not isGlobal then
                reach operator factors domain.Mask (radiusIn claim)
            else
                [||]

        let weights =
            if rise.Length = 0 then
                factors
            else
                Array.map3 (fun y r factor -> mulUp (slope isUniform y.Hi r) factor) nominal rise factors

        prove operator weights domain.Mask claim.Method claim.Failure claim.Lipschitz
        |> verdict claim

        claim.Lipschitz,
        {
            Nominal = if rectified then Array.map rectify nominal else nominal
            Mask =
                if rise.Length = 0 then
                    Array.create nominal.Length true
                else
                    Array.map2 (fun y r -> addUp y.Hi r > 0.0) nominal rise
            Radius = radiusOut claim
        }

    let relu index (domain: Domain) =
        if isGlobal then
            let claim = next index domain.Radius

            (if claim.Method = "nonexpansive" && claim.Lipschitz = 1.0 then
                 Proved "ReLU moves no two values further apart"
             else
                 Refuted "a ReLU by itself has the constant 1")
            |> verdict claim

            claim.Lipschitz,
            { domain with
                Nominal = Array.map rectify domain.Nominal
            }
        else
            let identity = diagonal (Array.create domain.Mask.Length 1.0)
            affine index domain identity [] domain.Nominal true

    let maxPool index (domain: Domain) inputs (windows: int[][]) =
        if inputs <> domain.Mask.Length then
            refuse "a layer of the network does not fit the one before"

        let claim = next index domain.Radius
        let overlap = Array.zeroCreate<int> inputs

        for window in windows do
            for j in window do
                overlap[j] <- overlap[j] + 1

        let most = float (Array.max overlap)

        (if claim.Method <> "maxpool" then
             Refuted $"{claim.Method} is no proof for max pooling"
         elif
             mulDown claim.Lipschitz claim.Lipschitz >= most
             || sqrt most = claim.Lipschitz && sqrt most * sqrt most = most
         then
             Proved $"one input lies in at most {most} windows"
         else
             Refuted $"one input lies in {most} windows")
        |> verdict claim

        let largest (window: int[]) =
            {
                Lo = window |> Array.map (fun j -> domain.Nominal[j].Lo) |> Array.max
                Hi = window |> Array.map (fun j -> domain.Nominal[j].Hi) |> Array.max
            }

        claim.Lipschitz,
        {
            Nominal = windows |> Array.map largest
            Mask = windows |> Array.map (Array.exists (fun j -> domain.Mask[j]))
            Radius = radiusOut claim
        }

    /// The layers one after the other: the product of their constants, and the domain behind them.
    let rec series product (domain: Domain) nodes =
        match nodes with
        | [] -> product, domain
        | node :: rest ->
            let (constant, after), rest = step domain node rest
            series (mulUp product constant) after rest

    and step domain node rest =
        match node, rest with
        | Leaf(index, Affine(operator, scales, bias, _)), _ ->
            let rec fuse scales nominal rest =
                match rest with
                | Leaf(_, Affine(diagonal, _, bias, true)) :: rest ->
                    let scale =
                        Array.init diagonal.Outputs (fun i ->
                            let struct (_, value) = (diagonal.Row i)[0]
                            value)

                    fuse (scales @ [ scale ]) (Nominal.apply diagonal [] bias nominal) rest
                | Leaf(_, Relu) :: rest -> affine index domain operator scales nominal true, rest
                | rest -> affine index domain operator scales nominal false, rest

            fuse scales (Nominal.apply operator scales bias domain.Nominal) rest
        | Leaf(index, Relu), rest -> relu index domain, rest
        | Leaf(index, MaxPool(inputs, windows)), rest -> maxPool index domain inputs windows, rest
        | Sum branches, rest ->
            let results = branches |> List.map (flatten >> series 1.0 domain)
            let constant = results |> List.map fst |> List.fold addUp 0.0
            let ends = results |> List.map snd

            let after =
                {
                    Nominal = ends |> List.map _.Nominal |> List.reduce (Array.map2 add)
                    Mask = ends |> List.map _.Mask |> List.reduce (Array.map2 (||))
                    Radius = mulUp domain.Radius constant
                }

            (constant, after), rest
        | Leaf(_, Skip), rest -> (1.0, domain), rest
        | Series nodes, rest -> series 1.0 domain nodes, rest

    member _.Run (domain: Domain) root =
        let product, _ = series 1.0 domain (flatten root)

        if not claims.IsEmpty then
            stop $"the certificate has a claim about layer {claims.Head.Layer} where none is due"

        say
            (follows certificate.Value product)
            $"the value {Decimals.upward certificate.Value} is the product of the claims"

        say
            (follows certificate.Failure failure
             && certificate.Rigor = (if failure > 0.0 then "probabilistic" else "certified"))
            $"the value is {certificate.Rigor}, with failure probability {Decimals.upward certificate.Failure}"

/// Checks everything that a certificate states about a network and an input; `say` receives each verdict.
let check (certificate: Certificate) (lines, tensors, networkHash) input say =
    say (certificate.Network = networkHash) "the certificate is about this network"
    let size, root = parse lines tensors

    let isGlobal = certificate.Method = "global"

    say
        (certificate.Radius.IsNone = isGlobal
         && certificate.Input.IsNone = isGlobal
         && (not isGlobal || certificate.Definition = "uniform"))
        $"the bound is {certificate.Method}"

    let nominal =
        if isGlobal then
            Array.create size (point 0.0)
        else
            nominalInput certificate.Input input size say

    let domain =
        {
            Nominal = nominal
            Mask = Array.create size true
            Radius = Option.defaultValue 0.0 certificate.Radius
        }

    whereSmall root say (fun () -> Walker(certificate, say).Run domain root)
