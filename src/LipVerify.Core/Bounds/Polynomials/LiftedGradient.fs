/// Shor's relaxation and HR-2 for networks with several hidden layers. The gradient is a product of slopes there, so its factors get
/// variables of their own: behind layer `l` stands `p_i`, and `s_i = u_i·p_i` is a new variable with `u_i·s_i = s_i` and `s_i² = s_i·p_i`.
/// Everything is quadratic in `1, u, t, s, ξ` then (METHODS section 9).
module LipVerify.Core.Bounds.Polynomials.LiftedGradient

open System
open System.Collections.Generic
open LipVerify.Core.Numbers
open LipVerify.Core.Bounds.Polynomials.FirstOrderMatrix
open LipVerify.Core.Bounds.Polynomials.RowForms

/// A slope times what stands behind it, and forms that are never negative.
[<ReferenceEquality>]
type private MaskedUnit =
    {
        Value: Form
        /// Where the slope or what is behind it is unknown: for example `u` and `1 − u`.
        NonNegative: (int * float) list list
    }

/// The rows that have been given out, and what ties them.
type private Rows(count: int) =
    let constraints = List<MatrixConstraint>()
    member val Next = count with get, set
    member _.Constraints = constraints

/// `u·p` for an unknown slope with a row of its own, and `p` that is not constant.
let private lift (rows: Rows) u (behind: Form) =
    let size = max (abs behind.Low) (abs behind.High)
    let v = rows.Next
    rows.Next <- v + 1
    let scaled = behind.Terms |> times (1.0 / size)
    let value = [ v, 1.0 ]
    let slope = [ u, 1.0 ]
    rows.Constraints.Add(equals 0.0 (product 1.0 one value @ product -1.0 slope scaled))
    rows.Constraints.Add(equals 0.0 [ entry 0 u v 1.0; entry 0 0 v -1.0 ])
    rows.Constraints.Add(equals 0.0 (product 1.0 value value @ product -1.0 value scaled))
    let low, high = min 0.0 (behind.Low / size), max 0.0 (behind.High / size)
    let rest = plus -1.0 scaled value
    let off = plus -1.0 one slope

    let nonNegative =
        [
            plus -low value slope
            plus -1.0 (times high slope) value
            plus -low rest off
            plus -1.0 (times high off) rest
        ]

    for form in nonNegative do
        rows.Constraints.Add(atMost 0.0 (product -1.0 one form))

    {
        Value =
            {
                Terms = [ v, size ]
                Low = size * low
                High = size * high
            }
        NonNegative = nonNegative
    }

/// Beside forms near 1 it is no more than what underflow takes, and its reciprocal may be no number.
let private isLost (form: Form) =
    max (abs form.Low) (abs form.High) < Math.ScaleB(1.0, -1000)

let private isConstant form =
    form.Terms |> List.forall (fun (row, _) -> row = 0)

let private mask rows slope (behind: Form) =
    match slope with
    | Choice1Of2 value when value = 0.0 -> { Value = zero; NonNegative = [] }
    | Choice1Of2 _ -> { Value = behind; NonNegative = [] }
    | Choice2Of2 _ when behind.Terms.IsEmpty || isLost behind -> { Value = zero; NonNegative = [] }
    | Choice2Of2 variable when isConstant behind ->
        let u = 1 + variable

        {
            Value =
                {
                    Terms = [ for _, value in behind.Terms -> u, value ]
                    Low = min 0.0 behind.Low
                    High = max 0.0 behind.High
                }
            NonNegative = [ [ u, 1.0 ]; [ 0, 1.0; u, -1.0 ] ]
        }
    | Choice2Of2 variable -> lift rows (1 + variable) behind

/// `1 + t ≥ 0` and `1 − t ≥ 0`, or `u ≥ 0` and `1 − u ≥ 0`.
let private sides kind row =
    match kind with
    | Sign -> [ [ 0, 1.0; row, 1.0 ]; [ 0, 1.0; row, -1.0 ] ]
    | Bit -> [ [ row, 1.0 ]; [ 0, 1.0; row, -1.0 ] ]

/// No more pairs of each sort are multiplied, but for the heaviest few of each member.
let private mostPairs = 100

/// Two of each, or one in wide layers, to keep the program small.
let private fewOf (units: MaskedUnit[]) = if units.Length <= 40 then 2 else 1

/// Products of forms that are not negative: of units with signs (or with each other), and of units with the slopes behind them.
let private pairProducts countOfBits (units: MaskedUnit[]) (weight: int -> int -> float) partners =
    let pairs =
        [
            for i in 0 .. units.Length - 1 do
                if not units[i].NonNegative.IsEmpty then
                    for j, forms in partners i do
                        let size = weight i j

                        if size > 0.0 then
                            (i, countOfBits + j), (size, forms)
        ]

    let forms = dict (pairs |> List.map (fun (pair, (_, forms)) -> pair, forms))

    [
        for pair in
            pairs
            |> List.map (fun (pair, (size, _)) -> pair, size)
            |> strongest mostPairs (fewOf units) do
            for a in units[fst pair].NonNegative do
                for b in forms[pair] do
                    atMost 0.0 (product -1.0 a b)
    ]

/// A relaxation, the norm, and the factor by which its objective was divided.
[<ReferenceEquality>]
type LiftedProgram =
    {
        /// The relaxation.
        Program: SemidefiniteProgram
        /// The maximum of the polynomial is that of the program times this.
        Factor: float
        /// As in `GradientProblem`.
        Exponent: int
    }

/// The units of each layer, first to last, with what stands behind them.
let private walk rows (factors: GradientFactors) =
    let start =
        factors.Output
        |> Array.map (fun c ->
            {
                Terms = if c = 0.0 then [] else [ 0, c ]
                Low = c
                High = c
            })

    ((start, []), List.rev (List.zip factors.Weights factors.Slopes))
    ||> List.fold (fun (behind, layers) (weights, slopes) ->
        let units = Array.map2 (mask rows) slopes behind

        let pulledBack =
            Array.init (Array2D.length2 weights) (fun j ->
                combine (units |> Seq.mapi (fun i unit -> weights[i, j], unit.Value)))

        pulledBack, (units, behind, weights) :: layers)

/// The power of two next below the largest weight of a row: times a coefficient behind its unit it does not depend on the scale of the unit.
let private unitOf (row: float[]) =
    match row |> Array.fold (fun largest w -> max largest (abs w)) 0.0 with
    | 0.0 -> 0.0
    | largest -> Math.ScaleB(1.0, Math.ILogB largest)

let private scaledDown (objective: MatrixEntry list) =
    let factor = UnknownSlopes.scaleOf (objective |> Seq.map _.Value)

    factor,
    objective
    |> List.map (fun entry ->
        { entry with
            Value = entry.Value / factor
        })

/// The relaxation for output `output`: Shor's, or HR-2 with products of pairs.
let create norm (chain: DenseChain) output region isPaired =
    let factors = GradientFactors.create norm chain output region
    let count = factors.Count
    let inputs = Array2D.length2 chain.Hidden.Head.Weights
    let signCount = if norm = Maximum then inputs else 0
    let signRow j = 1 + count + j
    let rows = Rows(1 + count + signCount)

    let gradient, layers = walk rows factors
    let units, _, weights = List.head layers

    let objective =
        match norm with
        | Maximum -> gradient |> Seq.mapi (fun j g -> product 1.0 [ signRow j, 1.0 ] g.Terms)
        | Euclidean
        | Taxicab -> gradient |> Seq.map (fun g -> product 1.0 g.Terms g.Terms)
        |> Seq.concat
        |> merged

    let size (form: Form) = max (abs form.Low) (abs form.High)

    let paired =
        [
            if isPaired then
                match norm with
                | Maximum ->
                    yield!
                        pairProducts units.Length units (fun i j -> abs weights[i, j] * size units[i].Value) (fun _ ->
                            [ for j in 0 .. inputs - 1 -> j, sides Sign (signRow j) ])
                | Euclidean
                | Taxicab -> ()

                for units, behind, weights in layers do
                    let scales = Array.init units.Length (fun i -> unitOf weights[i, *])

                    yield!
                        pairProducts
                            units.Length
                            units
                            (fun i row ->
                                behind[i].Terms
                                |> List.tryFind (fun (r, _) -> r = row)
                                |> Option.map (fun (_, value) -> scales[i] * abs value)
                                |> Option.defaultValue 0.0)
                            (fun i ->
                                [
                                    for row, _ in behind[i].Terms do
                                        if row > 0 && row <= count then
                                            row, sides Bit row
                                ])
        ]

    let ball =
        UnknownSlopes.signs norm chain region factors.Slopes.Head
        |> List.map (fun sign -> 1 + sign.Variable, sign)
        |> ball norm rows.Next

    let factor, objective = scaledDown objective

    {
        Program =
            {
                Sides = [| rows.Next + ball.Count |]
                // Bits, signs and scaled products are at most 1 in size.
                Traces = [| float rows.Next + ball.Trace |]
                Objective = objective
                Constraints =
                    [|
                        normalised
                        for variable in 0 .. count - 1 do
                            squared Bit (1 + variable)
                        for j in 0 .. signCount - 1 do
                            squared Sign (signRow j)
                        yield! rows.Constraints
                        yield! ball.Constraints
                        yield! paired
                    |]
            }
        Factor = factor
        Exponent = factors.Exponent
    }
