/// Proofs that `c ≥ ‖M‖` for `M = diag(ρ) A D`, by interval arithmetic alone.
module LipVerify.Checker.SpectralClaim

open System
open System.Threading.Tasks
open LipVerify.Checker.Directed
open LipVerify.Checker.Network

/// How a claim fared.
type Verdict =
    | Proved of string
    | Refuted of string
    | NotChecked of string

/// A side beyond this is not factorised.
let private sideLimit = 2500

/// The entries of `A` that matter, row by row, under consecutive indices of rows and columns, with the row factors `ρ`.
/// Since `‖diag(ρ) B‖` does not fall when a factor grows, upper bounds on the factors stand for them.
type private Matrix =
    {
        Rows: struct (int * float)[][]
        ColumnCount: int
        Factors: float[]
    }

let private live (operator: Operator) (factors: float[]) (mask: bool[]) =
    let number = Array.create operator.Inputs -1
    let mutable columns = 0

    let entries i =
        [|
            for k in 0 .. operator.Columns[i].Length - 1 do
                let j = operator.Columns[i][k]

                if mask[j] && operator.Values[i][k] <> 0.0 then
                    if number[j] < 0 then
                        number[j] <- columns
                        columns <- columns + 1

                    struct (number[j], operator.Values[i][k])
        |]

    let rows =
        [|
            for i in 0 .. factors.Length - 1 do
                if factors[i] > 0.0 then
                    let row = entries i

                    if row.Length > 0 then
                        row, factors[i]
        |]

    {
        Rows = Array.map fst rows
        ColumnCount = columns
        Factors = Array.map snd rows
    }

let private transpose columns (rows: struct (int * float)[][]) =
    let lists = Array.init columns (fun _ -> ResizeArray<struct (int * float)>())

    rows
    |> Array.iteri (fun i row ->
        for struct (j, a) in row do
            lists[j].Add(struct (i, a)))

    lists |> Array.map _.ToArray()

/// A symmetric matrix between two: the lower triangles, row by row.
type private Enclosed = { Lower: float[][]; Upper: float[][] }

/// `Σ_g w_g v_g v_gᵀ`, where `members[g]` lists the entries of `v_g` and `groups[k]` those with index `k`.
let private weightedGram (members: struct (int * float)[][]) (groups: struct (int * float)[][]) (weights: float[]) =
    let lower = Array.init groups.Length (fun k -> Array.zeroCreate<float>(k + 1))
    let upper = Array.init groups.Length (fun k -> Array.zeroCreate<float>(k + 1))

    Parallel.For(
        0,
        groups.Length,
        fun k ->
            let low, high = lower[k], upper[k]

            for struct (g, a) in groups[k] do
                let w = weights[g]

                for struct (j, b) in members[g] do
                    if j <= k then
                        let term = scale w { Lo = mulDown a b; Hi = mulUp a b }
                        low[j] <- addDown low[j] term.Lo
                        high[j] <- addUp high[j] term.Hi
    )
    |> ignore

    { Lower = lower; Upper = upper }

/// `M Mᵀ` or `Mᵀ M`, the smaller of the two.
let private gram (matrix: Matrix) =
    let columns = transpose matrix.ColumnCount matrix.Rows

    if matrix.Rows.Length <= matrix.ColumnCount then
        let gram = weightedGram columns matrix.Rows (Array.create columns.Length 1.0)
        let rho = matrix.Factors

        for i in 0 .. rho.Length - 1 do
            for j in 0..i do
                let factor =
                    {
                        Lo = mulDown rho[i] rho[j]
                        Hi = mulUp rho[i] rho[j]
                    }

                let entry =
                    multiply
                        factor
                        {
                            Lo = gram.Lower[i][j]
                            Hi = gram.Upper[i][j]
                        }

                gram.Lower[i][j] <- entry.Lo
                gram.Upper[i][j] <- entry.Hi

        gram
    else
        weightedGram matrix.Rows columns (matrix.Factors |> Array.map (fun rho -> mulUp rho rho))

/// The Cholesky factor of `(square − shift)·I − G` in plain floating point, row by row: a guess that is checked afterwards.
let private guess (gram: Enclosed) square shift =
    let n = gram.Lower.Length
    let factor = Array.init n (fun i -> Array.zeroCreate<float>(i + 1))
    let mutable succeeded = true
    let mutable i = 0

    while succeeded && i < n do
        let row = factor[i]

        for j in 0..i do
            let middle = 0.5 * gram.Lower[i][j] + 0.5 * gram.Upper[i][j]
            let mutable sum = if i = j then (square - middle) - shift else -middle
            let other = factor[j]

            for k in 0 .. j - 1 do
                sum <- sum - row[k] * other[k]

            if i > j then row[j] <- sum / other[j]
            elif sum > 0.0 then row[i] <- sqrt sum
            else succeeded <- false

        i <- i + 1

    if succeeded then Some factor else None

/// Whether `square·I − G − L Lᵀ` is diagonally dominant, and so positive semidefinite, for every `G` in the enclosure.
/// Then `square·I − G` is too.
let private dominates (gram: Enclosed) (square: float) (factor: float[][]) =
    let n = factor.Length
    let rest = Array.init n (fun i -> Array.zeroCreate<float>(i + 1))

    Parallel.For(
        0,
        n,
        fun i ->
            for j in 0..i do
                let a, b = factor[i], factor[j]
                let mutable low = -gram.Upper[i][j]
                let mutable high = -gram.Lower[i][j]

                if i = j then
                    low <- addDown square low

                for k in 0..j do
                    low <- addDown low (mulDown (-a[k]) (b[k]))

                    if i <> j then
                        high <- addUp high (mulUp (-a[k]) (b[k]))

                rest[i][j] <- if i = j then low else max -low high
    )
    |> ignore

    let others = Array.zeroCreate<float> n

    for i in 0 .. n - 1 do
        for j in 0 .. i - 1 do
            others[i] <- addUp (others[i]) (rest[i][j])
            others[j] <- addUp (others[j]) (rest[i][j])

    Seq.forall (fun i -> rest[i][i] >= others[i]) (seq { 0 .. n - 1 })

/// Shifts in units of `u·square`: large enough for the rounding of the check, small enough for the margin of the claim.
let private shifts n =
    let n = float n
    [ 3.0 * n * n; n * n; 4.0 * n; 16.0 * n * n; 1.0; 256.0 * n * n; 0.0 ]

let private byCholesky (matrix: Matrix) c =
    let side = min matrix.Rows.Length matrix.ColumnCount

    if side > sideLimit then
        NotChecked $"its smaller side has {side} live coordinates, and this checker factorises {sideLimit} at most"
    else
        let gram = gram matrix
        let square = mulDown c c
        let unit = Math.ScaleB(square, -53)

        let holds times =
            guess gram square (times * unit) |> Option.exists (dominates gram square)

        if shifts side |> List.exists holds then
            Proved $"c²I − G is positive semidefinite, side {side}"
        else
            Refuted $"c²I − G could not be shown positive semidefinite, side {side}"

/// `√(‖M‖₁‖M‖_∞)`.
let private byAbsoluteSums (matrix: Matrix) c =
    let columns = Array.zeroCreate<float> matrix.ColumnCount
    let mutable largestRow = 0.0

    for i in 0 .. matrix.Rows.Length - 1 do
        let mutable sum = 0.0

        for struct (j, a) in matrix.Rows[i] do
            sum <- addUp sum (abs a)
            columns[j] <- addUp columns[j] (mulUp matrix.Factors[i] (abs a))

        largestRow <- max largestRow (mulUp matrix.Factors[i] sum)

    if mulDown c c >= mulUp largestRow (Array.max columns) then
        Proved "row and column sums"
    else
        Refuted "row and column sums allow more"

let private byDiagonal (matrix: Matrix) c =
    let single = matrix.Rows |> Array.forall (fun row -> row.Length = 1)

    let entry i (row: struct (int * float)[]) =
        let struct (_, a) = row[0]
        mulUp matrix.Factors[i] (abs a)

    if not single || matrix.ColumnCount <> matrix.Rows.Length then
        Refuted "the map is not diagonal"
    elif matrix.Rows |> Array.mapi entry |> Array.forall (fun size -> c >= size) then
        Proved "largest entry of a diagonal"
    else
        Refuted "an entry of the diagonal is larger"

/// Whether `c ≥ ‖diag(factors) A D‖`, shown in the way that the certificate names.
let prove (operator: Operator) (factors: float[]) (mask: bool[]) method (c: float) =
    let exponent = if c > 0.0 then -(Math.ILogB c) else 0

    let matrix =
        live operator (factors |> Array.map (fun rho -> scaleUp rho exponent)) mask

    let c = Math.ScaleB(c, exponent)

    match method with
    | "lanczos" -> NotChecked "a random certificate, which this checker does not replay"
    | "zero" when matrix.Rows.Length > 0 -> Refuted "the operator is not zero"
    | "zero"
    | "cholesky"
    | "absolute"
    | "diagonal" when matrix.Rows.Length = 0 -> Proved "the operator is zero"
    | "cholesky" -> byCholesky matrix c
    | "absolute" -> byAbsoluteSums matrix c
    | "diagonal" -> byDiagonal matrix c
    | _ -> Refuted $"{method} is no proof of a spectral norm"
