/// Walks the network beside a structured certificate: derives nominal values, the slopes that the claimed reaches allow, and the loop, and
/// lists what has to be shown of reaches for that. Pairs of tournaments may be any that meet all members of their windows.
module LipVerify.Checker.StructuredWalk

open System
open LipVerify.Checker.Directed
open LipVerify.Checker.Forms
open LipVerify.Checker.Json
open LipVerify.Checker.LiveMatrix
open LipVerify.Checker.Loop
open LipVerify.Checker.Network
open LipVerify.Checker.StructuredBends
open LipVerify.Checker.StructuredFile
open LipVerify.Checker.Subject

/// A network as a loop, and what it rests on.
[<NoEquality; NoComparison>]
type Walked =
    {
        Loop: Loop
        Claims: Claims[]
        /// Factors of all channels.
        ReachFactors: float[]
        Factors: float[]
    }

/// Entries of all maps together beyond which a network is not checked: each takes 24 bytes.
let private most = 1L <<< 27

/// `diag(f) A` as it is, without its zeros.
let private mapOf (operator: Operator) scales : Map =
    let factors, spreads =
        Array.init operator.Outputs (rowFactor operator scales) |> Array.unzip

    let starts = Array.zeroCreate<int>(operator.Outputs + 1)
    let indices, values = ResizeArray<int>(), ResizeArray<float>()

    for i in 0 .. operator.Outputs - 1 do
        for struct (j, a) in operator.Row i do
            if a <> 0.0 then
                indices.Add j
                values.Add a

        starts[i + 1] <- indices.Count

    let rows: Matrix =
        {
            ColumnCount = operator.Inputs
            Starts = starts
            Indices = indices.ToArray()
            Values = values.ToArray()
        }

    let relative factor spread =
        if spread = 0.0 then
            0.0
        else
            spread / abs factor * (1.0 + 1e-12)

    {
        Rows = rows
        Columns = transpose rows
        Factors = if Array.forall ((=) 1.0) factors then [||] else factors
        Spread =
            Array.map2 (fun factor spread -> if factor = 0.0 then 0.0 else relative factor spread) factors spreads
            |> Array.max
    }

/// One walk.
type private Walker(certificate: StructuredCertificate) =
    let bends = Bends certificate
    let mutable entries = 0L

    let finite (nominal: Interval[]) =
        if
            certificate.Radius.IsSome
            && not (nominal |> Array.forall (fun x -> Double.IsFinite x.Lo && Double.IsFinite x.Hi))
        then
            stop "not checked: nominal values leave the range of doubles"

        nominal

    /// Rounds until one value of each window is left; one round even where there is nothing to decide.
    let rec tournament rectified windows nominal =
        let step, values, left = bends.Round rectified windows nominal

        if left |> Array.forall (fun window -> window.Length = 1) then
            [ step ], values
        else
            let steps, values = tournament rectified left values
            step :: steps, values

    let maxPool rectified inputs windows (nominal: Interval[]) =
        if nominal.Length <> inputs then
            refuse "a layer of the network does not fit the one before"

        tournament rectified windows nominal

    let affine operator scales bias nominal =
        entries <- entries + int64 operator.Entries

        if entries > most then
            raise (TooLarge $"maps with more than {most} entries together are not replayed")

        let values = Nominal.apply operator scales bias nominal
        Mapped(mapOf operator scales), finite values

    let rec series afterAffine nominal nodes =
        match nodes with
        | [] -> [], nominal
        | Leaf(_, Affine(operator, scales, bias, _)) :: rest ->
            let step, nominal = affine operator scales bias nominal
            let steps, nominal = series true nominal rest
            step :: steps, nominal
        | Leaf(_, Relu) :: Leaf(_, MaxPool(inputs, windows)) :: rest when afterAffine ->
            // The ReLU is monotone, so that it may come after the maximum.
            let rounds, nominal = maxPool true inputs windows nominal
            let step, nominal = bends.Relu nominal
            let steps, nominal = series false nominal rest
            rounds @ step :: steps, nominal
        | Leaf(_, Relu) :: rest ->
            let step, nominal = bends.Relu nominal
            let steps, nominal = series false nominal rest
            step :: steps, nominal
        | Leaf(_, MaxPool(inputs, windows)) :: rest ->
            let rounds, nominal = maxPool false inputs windows nominal
            let steps, nominal = series false nominal rest
            rounds @ steps, nominal
        | Leaf(_, Skip) :: rest -> series afterAffine nominal rest
        | Series nodes :: rest -> series afterAffine nominal (nodes @ rest)
        | Sum branches :: rest ->
            let ends = branches |> List.map (flatten >> series false nominal)

            let sum (a: Interval[]) (b: Interval[]) =
                if a.Length <> b.Length then
                    refuse "the branches of a sum differ in size"

                Array.map2 add a b

            let total = ends |> List.map snd |> List.reduce sum |> finite
            let steps, nominal = series false total rest
            Added(List.map fst ends) :: steps, nominal

    member _.Run (input: Interval[]) root =
        let steps, output = series false input (flatten root)

        let struct (widths, claims) = bends.Taken()

        let all choose =
            certificate.Places |> List.map choose |> Array.concat

        {
            Loop =
                {
                    Steps = steps
                    Inputs = input.Length
                    Outputs = output.Length
                    Widths = widths
                }
            Claims = claims
            ReachFactors = all _.ReachFactors
            Factors = all _.Factors
        }

/// The loop of a certificate.
let walk certificate input root = Walker(certificate).Run input root
