/// Proposes what proves a statement about a dense chain: reaches, slopes and factors, rounded so that the proved checker
/// accepts them. Nothing here is trusted.
module LipVerify.Checker.DenseProposal

open System
open System.Numerics
open LipVerify.Checker.Json
open LipVerify.Checker.Readers
open LipVerify.Checker.Dyadic
open LipVerify.Checker.DenseInstance

/// Digits of slopes behind the binary point: a slope rounded up by `2⁻⁶⁰` costs nothing against the looseness of a claim.
let private slopeExponent = 60

let private oneSlope = BigInteger.One <<< slopeExponent

/// Where the walk is: nominal values, coordinates that may differ from zero, and the radius.
type private Domain =
    {
        Values: BigInteger[]
        ValueExponent: int
        Live: bool[]
        Radius: BigInteger
        RadiusExponent: int
    }

let private nominal (layer: DenseLayer) (domain: Domain) =
    let bias = layer.Bias |> Array.map (fun b -> b <<< domain.ValueExponent)

    Array.map2
        (fun row b ->
            (b, row, domain.Values)
            |||> Array.fold2 (fun sum (w: BigInteger) (x: BigInteger) ->
                if w.IsZero || x.IsZero then sum else sum + w * x))
        layer.Weights
        bias

/// `⌈ε·|D a_i|⌉` in units of `2^-(weights' exponent + radius' exponent)`.
let private reach (domain: Domain) (row: BigInteger[]) =
    let square =
        (BigInteger.Zero, row, domain.Live)
        |||> Array.fold2 (fun sum w live -> if live then sum + w * w else sum)

    rootAbove (domain.Radius * domain.Radius * square)

/// Theorem 1, rounded up; `y` and `t` have one exponent.
let private slope isUniform (y: BigInteger) (t: BigInteger) =
    if (y + t).Sign <= 0 then BigInteger.Zero
    elif isUniform then oneSlope
    elif t.IsZero then BigInteger.Zero
    elif y.Sign >= 0 then oneSlope
    else quotientAbove ((y + t) <<< slopeExponent) t

/// Rows of a Cholesky factor of `I − GGᵀ − shift·I`; `None` where that is not positive definite.
let private cholesky (g: float[][]) shift =
    let n = g.Length
    let factor = Array.init n (fun i -> Array.zeroCreate<float>(i + 1))

    let dot (a: float[]) (b: float[]) count =
        let mutable sum = 0.0

        for k in 0 .. count - 1 do
            sum <- sum + a[k] * b[k]

        sum

    let rec row i =
        if i = n then
            Some factor
        else
            for j in 0 .. i - 1 do
                factor[i][j] <- (-(dot g[i] g[j] g[i].Length) - dot factor[i] factor[j] j) / factor[j][j]

            let pivot = 1.0 - shift - dot g[i] g[i] g[i].Length - dot factor[i] factor[i] i

            if pivot > 0.0 then
                factor[i][i] <- sqrt pivot
                row (i + 1)
            else
                None

    row 0

/// A factor for the rows of `M`, which the constant exceeds: what its rounding leaves must lie within the shift, in units of the
/// squared constant. Where even the smallest shift leaves too little, the factor is 0, and sums of rows have to do.
let private factor (constant: float) (rows: float[][]) =
    let scaledRows = rows |> Array.map (Array.map (fun m -> m / constant))
    let rounding = float rows.Length * Math.ScaleB(1.0, -50)

    [ 8.0 * rounding; rounding; rounding / 8.0 ]
    |> List.tryPick (cholesky scaledRows)
    |> Option.defaultWith (fun () -> Array.create rows.Length [||])

/// `M = R A D` without its zero rows, and whether it is its transpose.
let private smallerSide (layer: DenseLayer) (slopes: BigInteger[]) (live: bool[]) =
    let entries =
        Array.map2
            (fun (r: BigInteger) row ->
                Array.map2
                    (fun w alive ->
                        if alive then
                            nearest (slopeExponent + layer.Exponent) (r * w)
                        else
                            0.0)
                    row
                    live)
            slopes
            layer.Weights

    // Zeros of the integers, not of their doubles, which may have underflowed: the checker counts rows.
    let isLive i j =
        live[j] && not slopes[i].IsZero && not (layer.Weights[i][j]: BigInteger).IsZero

    let liveRows =
        [|
            for i in 0 .. slopes.Length - 1 do
                if Seq.exists (isLive i) (seq { 0 .. live.Length - 1 }) then
                    i
        |]

    let liveColumns =
        [|
            for j in 0 .. live.Length - 1 do
                if Seq.exists (fun i -> isLive i j) (seq { 0 .. slopes.Length - 1 }) then
                    j
        |]

    if liveColumns.Length < liveRows.Length then
        liveColumns
        |> Array.map (fun j -> liveRows |> Array.map (fun i -> entries[i][j])),
        true
    else
        liveRows
        |> Array.map (fun i -> liveColumns |> Array.map (fun j -> entries[i][j])),
        false

let private propose isUniform (layer: DenseLayer) (domain: Domain) (claim: Claim) =
    let y = nominal layer domain
    let valueExponent = layer.Exponent + domain.ValueExponent
    let reachExponent = layer.Exponent + domain.RadiusExponent

    let reaches =
        if layer.IsRectified then
            Array.map (reach domain) layer.Weights
        else
            [||]

    let common t = t <<< valueExponent
    let lifted = y |> Array.map (fun y -> y <<< reachExponent)

    let slopes =
        if layer.IsRectified then
            Array.map2 (fun y t -> slope isUniform y (common t)) lifted reaches
        else
            Array.create y.Length oneSlope

    let constant, constantExponent = ofDouble claim.Lipschitz
    let rows, isTransposed = smallerSide layer slopes domain.Live

    // Entries of the factor are at most the constant; 53 binary digits of it are kept.
    let factorExponent =
        if claim.Lipschitz = 0.0 then
            0
        else
            max 0 (52 - Math.ILogB claim.Lipschitz)

    let rounded (value: float) =
        integerOf 0 (Math.Round(Math.ScaleB(value * claim.Lipschitz, factorExponent)))

    let factor =
        if claim.Lipschitz = 0.0 then
            Array.create rows.Length [||]
        else
            factor claim.Lipschitz rows |> Array.map (Array.map rounded)

    {
        Reaches = reaches
        ReachExponent = reachExponent
        Slopes = slopes
        SlopeExponent = slopeExponent
        Constant = constant
        ConstantExponent = constantExponent
        IsTransposed = isTransposed
        Factor = factor
        FactorExponent = factorExponent
    },
    {
        Values =
            if layer.IsRectified then
                y |> Array.map (fun y -> BigInteger.Max(BigInteger.Zero, y))
            else
                y
        ValueExponent = valueExponent
        Live =
            if layer.IsRectified then
                Array.map2 (fun y t -> (y + common t).Sign > 0) lifted reaches
            else
                Array.create y.Length true
        Radius = domain.Radius * constant
        RadiusExponent = domain.RadiusExponent + constantExponent
    }

/// One proposal a layer, with the constants that the certificate claims.
let proposals (certificate: Certificate) (statement: Statement) : LayerProposal list =
    if certificate.Claims.Length <> statement.Layers.Length then
        refuse $"the certificate has {certificate.Claims.Length} claims for {statement.Layers.Length} layers"

    let start =
        {
            Values = statement.Point
            ValueExponent = statement.Exponent
            Live = Array.create statement.Point.Length true
            Radius = statement.Radius
            RadiusExponent = statement.Exponent
        }

    (start, List.zip statement.Layers certificate.Claims)
    ||> List.mapFold (fun domain (layer, claim) -> propose statement.IsUniform layer domain claim)
    |> fst
