/// The network as the lines of its canonical text describe it; linear maps give their sparse rows.
module LipVerify.Checker.Network

open System
open LipVerify.Checker.Directed
open LipVerify.Checker.Json
open LipVerify.Checker.Windows

/// `y_i = factor_i · Σ_j a_ij x_j`. Rows are formed when they are asked for, so that only what is asked for takes memory.
[<NoEquality; NoComparison>]
type Operator =
    {
        Inputs: int
        Outputs: int
        /// Upper bound on the number of entries of all rows.
        Entries: float
        /// The entries `(j, a_ij)` of row `i`.
        Row: int -> struct (int * float)[]
        /// Exact reals in intervals, without negative numbers: 1, 1/n of an average, or what rounding left of a factor.
        Factor: int -> Interval
    }

[<NoEquality; NoComparison>]
type Layer =
    /// The operator, then row scalings from the first to the last, then the bias.
    | Affine of Operator * scales: float[] list * bias: float[] * isDiagonal: bool
    | Relu
    /// The inputs in each window.
    | MaxPool of inputs: int * windows: int[][]
    /// Values stay as they are.
    | Skip

[<NoEquality; NoComparison>]
type Node =
    | Leaf of index: int * Layer
    | Series of Node list
    | Sum of Node list

/// How deep series and sums may lie in each other: as deep as the engine takes them.
let private nestingLimit = 256

let private one = point 1.0

let private dense outputs inputs (weights: float[]) =
    if int64 outputs * int64 inputs <> int64 weights.Length then
        refuse "a weight matrix has the wrong size"

    {
        Inputs = inputs
        Outputs = outputs
        Entries = float weights.Length
        Row = fun i -> Array.init inputs (fun j -> struct (j, weights[i * inputs + j]))
        Factor = fun _ -> one
    }

/// Number and position of the taps that lie inside the input, for each window.
let private insideTaps input (windows: int[][]) =
    windows |> Array.map (Array.indexed >> Array.filter (snd >> inside input))

let private convolution inChannels outChannels groups rowAxis columnAxis (weights: float[]) =
    let rows, height, _, _ = windows rowAxis
    let columns, width, _, _ = windows columnAxis
    let kh, kw = rows[0].Length, columns[0].Length

    if groups < 1 || inChannels % groups <> 0 || outChannels % groups <> 0 then
        refuse "the groups of a convolution do not divide its channels"

    let perGroup = inChannels / groups

    if size "a convolution" [ outChannels; perGroup; kh; kw ] <> weights.Length then
        refuse "a convolution has the wrong number of weights"

    let outputs = size "a convolution" [ outChannels; rows.Length; columns.Length ]
    let inputs = size "a convolution" [ inChannels; height; width ]
    let positions = float rows.Length * float columns.Length

    let rowTaps, columnTaps = insideTaps height rows, insideTaps width columns

    let row i =
        let channel = i / (rows.Length * columns.Length)
        let r = rowTaps[i / columns.Length % rows.Length]
        let c = columnTaps[i % columns.Length]
        let entries = Array.zeroCreate (perGroup * r.Length * c.Length)
        let mutable filled = 0

        for k in 0 .. perGroup - 1 do
            let input = channel / (outChannels / groups) * perGroup + k

            for tapRow, y in r do
                for tapColumn, x in c do
                    let weight = weights[((channel * perGroup + k) * kh + tapRow) * kw + tapColumn]
                    entries[filled] <- struct ((input * height + y) * width + x, weight)
                    filled <- filled + 1

        entries

    {
        Inputs = inputs
        Outputs = outputs
        Entries = float weights.Length * positions
        Row = row
        Factor = fun _ -> one
    }

/// The inputs of each pooling window, and the number of its taps that a padded average counts.
let private pooling channels rowAxis columnAxis =
    let rows, height, top, bottom = windows rowAxis
    let columns, width, left, right = windows columnAxis
    let inputs = size "a pooling layer" [ channels; height; width ]

    sizeWithin tapLimit "a pooling layer" [ channels; rows.Length; columns.Length; rows[0].Length; columns[0].Length ]
    |> ignore

    let counted low high (taps: int[]) =
        taps |> Array.filter (fun t -> t >= -low && t < high) |> Array.length

    let all =
        [|
            for channel in 0 .. channels - 1 do
                for r in rows do
                    for c in columns do
                        [|
                            for a in r do
                                for b in c do
                                    if inside height a && inside width b then
                                        (channel * height + a) * width + b
                        |],
                        counted top (height + bottom) r * counted left (width + right) c
        |]

    if all |> Array.exists (fun (window, _) -> window.Length = 0) then
        refuse "a pooling window is empty"

    inputs, all

let private averagePooling channels rowAxis columnAxis padded =
    let inputs, windows = pooling channels rowAxis columnAxis

    let reciprocal n =
        let up = divUp 1.0 (float n)

        {
            Lo = Math.BitDecrement(Math.BitDecrement up)
            Hi = up
        }

    let reciprocal n = if n = 1 then one else reciprocal n

    {
        Inputs = inputs
        Outputs = windows.Length
        Entries = windows |> Array.sumBy (fun (window, _) -> float window.Length)
        Row = fun i -> fst windows[i] |> Array.map (fun j -> struct (j, 1.0))
        Factor =
            fun i ->
                let window, counted = windows[i]
                reciprocal (if padded then counted else window.Length)
    }

/// A diagonal matrix.
let diagonal (values: float[]) =
    {
        Inputs = values.Length
        Outputs = values.Length
        Entries = float values.Length
        Row = fun i -> [| struct (i, values[i]) |]
        Factor = fun _ -> one
    }

/// Roundings of row factors beyond which a map is refused; a division or a batch normalisation has a handful.
let private roundingLimit = 1000

/// The operator with row factors `1 − γ_k ≤ θ ≤ 1`, of which no more is known.
let private rounded roundings operator =
    if roundings < 1 || roundings > roundingLimit then
        refuse "the roundings of a linear map are out of range"

    let theta =
        {
            // γ_k ≤ 2ku, and the difference is exact.
            Lo = 1.0 - float roundings * Math.ScaleB(1.0, -52)
            Hi = 1.0
        }

    { operator with
        Factor = fun i -> multiply theta (operator.Factor i)
    }

/// A matrix by its entries: where those of each row begin, their columns, and their values.
let private sparse outputs inputs (starts: float[]) (columns: float[]) (values: float[]) =
    let whole (value: float) =
        if value >= 0.0 && value <= float Int32.MaxValue && Math.Floor value = value then
            int value
        else
            refuse "a place in a sparse map is no whole number"

    let starts, columns = Array.map whole starts, Array.map whole columns

    let isOrdered =
        starts.Length = outputs + 1
        && starts[0] = 0
        && starts[outputs] = values.Length
        && columns.Length = values.Length
        && Array.pairwise starts |> Array.forall (fun (a, b) -> a <= b)
        && columns |> Array.forall (fun column -> column < inputs)

    if not isOrdered then
        refuse "a sparse map is described wrongly"

    let row i =
        Array.init (starts[i + 1] - starts[i]) (fun k -> struct (columns[starts[i] + k], values[starts[i] + k]))

    for i in 0 .. outputs - 1 do
        let own = columns[starts[i] .. starts[i + 1] - 1]

        if (Array.distinct own).Length < own.Length then
            refuse "a row of a sparse map has a column twice"

    {
        Inputs = inputs
        Outputs = outputs
        Entries = float values.Length
        Row = row
        Factor = fun _ -> one
    }

/// Takes one line or tensor after the other.
type private Cursor<'a>(items: 'a list, what: string) =
    let mutable rest = items

    member _.Next() =
        match rest with
        | first :: others ->
            rest <- others
            first
        | [] -> refuse $"the network file has too few {what}"

    member _.Finish() =
        if not rest.IsEmpty then
            refuse $"the network file has too many {what}"

let private integers (words: string list) =
    words
    |> List.map (fun word ->
        match Int32.TryParse word with
        | true, value -> value
        | _ -> refuse $"\"{word}\" in the network file is no integer")

/// The words of a map, and what it makes of the operator that they describe.
let private splitRoundings words =
    match List.rev words with
    | count :: "rounded" :: rest -> List.rev rest, rounded (integers [ count ]).Head
    | _ -> words, id

let private affine (tensors: Cursor<float[]>) scalings words =
    let words, round = splitRoundings words

    let operator, isDiagonal =
        match words with
        | "dense" :: rest ->
            match integers rest with
            | [ outputs; inputs ] when outputs > 0 && inputs > 0 -> dense outputs inputs (tensors.Next()), false
            | _ -> refuse "a dense layer is described wrongly"
        | "conv2d" :: rest ->
            match integers rest with
            | inChannels :: outChannels :: groups :: axes when axes.Length = 14 && inChannels > 0 && outChannels > 0 ->
                convolution inChannels outChannels groups (List.take 7 axes) (List.skip 7 axes) (tensors.Next()), false
            | _ -> refuse "a convolution is described wrongly"
        | "avgpool2d" :: rest ->
            match integers rest with
            | channels :: numbers when numbers.Length = 15 ->
                averagePooling channels (List.take 7 numbers) (numbers |> List.skip 7 |> List.take 7) (numbers[14] = 1),
                false
            | _ -> refuse "an average pooling is described wrongly"
        | "sparse" :: rest ->
            match integers rest with
            | [ outputs; inputs ] when outputs > 0 && inputs > 0 ->
                let starts = tensors.Next()
                let columns = tensors.Next()
                sparse outputs inputs starts columns (tensors.Next()), false
            | _ -> refuse "a sparse map is described wrongly"
        | "diagonal" :: _ -> diagonal (tensors.Next()), true
        | _ -> refuse "the network file has a linear map that is not known"

    if scalings < 0 then
        refuse "a layer has a number of scalings below 0"

    let scales = List.init scalings (fun _ -> tensors.Next())
    let bias = tensors.Next()

    if bias :: scales |> List.exists (fun values -> values.Length <> operator.Outputs) then
        refuse "a bias or scaling has the wrong size"

    Affine(round operator, scales, bias, isDiagonal && scalings = 0)

/// The network of a file, with the size of its input.
let parse (lines: string list) (tensors: float[][]) : int * Node =
    let lines = Cursor(lines, "lines")
    let tensors = Cursor(List.ofArray tensors, "tensors")
    let mutable index = -1

    let leaf layer =
        index <- index + 1
        Leaf(index, layer)

    let rec node depth =
        match lines.Next().Split ' ' |> List.ofArray with
        | [ "series"; count ] -> Series(nodes depth count)
        | [ "sum"; count ] when count <> "0" -> Sum(nodes depth count)
        | "affine" :: scalings :: words -> leaf (affine tensors (integers [ scalings ]).Head words)
        | [ "relu" ] -> leaf Relu
        | "maxpool2d" :: words ->
            match integers words with
            | channels :: axes when axes.Length = 14 ->
                let inputs, windows = pooling channels (List.take 7 axes) (List.skip 7 axes)
                leaf (MaxPool(inputs, Array.map fst windows))
            | _ -> refuse "a max pooling is described wrongly"
        | "reshape" :: _
        | [ "identity" ] -> leaf Skip
        | line -> refuse $"a layer of kind {line.Head} is not covered by this checker"

    and nodes depth count =
        let count = (integers [ count ]).Head

        if count < 0 || depth >= nestingLimit then
            refuse $"series and sums of the network are nested more than {nestingLimit} deep, or have a count below 0"

        List.init count (fun _ -> node (depth + 1))

    match lines.Next().Split ' ' |> List.ofArray with
    | "input" :: extents ->
        let size = integers extents |> size "the input"
        let root = node 0
        lines.Finish()
        tensors.Finish()
        size, root
    | _ -> refuse "the network file does not start with its input"
