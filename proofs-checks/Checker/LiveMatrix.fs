/// The part of a scaled and masked map that its norm depends on, as a sparse matrix.
module LipVerify.Checker.LiveMatrix

open System
open System.Threading.Tasks
open LipVerify.Checker.Directed
open LipVerify.Checker.Network

/// Row `i` has the entries at the positions `Starts[i] .. Starts[i + 1] − 1` of the other two arrays.
type Matrix =
    {
        ColumnCount: int
        Starts: int[]
        Indices: int[]
        Values: float[]
    }

    member matrix.RowCount = matrix.Starts.Length - 1

/// The entries of `A` that matter under consecutive indices of rows and columns, with the row factors `ρ` that are not zero.
/// Since `‖diag(ρ) A D‖` does not fall when a factor grows, upper bounds on the factors stand for them.
let live (operator: Operator) (factors: float[]) (mask: bool[]) : Matrix * float[] =
    let number = Array.create operator.Inputs -1
    let indices = Array.zeroCreate<int>(int operator.Entries)
    let values = Array.zeroCreate<float> indices.Length
    let starts = ResizeArray [ 0 ]
    let kept = ResizeArray<float>()
    let mutable columns = 0
    let mutable filled = 0

    for i in 0 .. factors.Length - 1 do
        if factors[i] > 0.0 then
            for struct (j, a) in operator.Row i do
                if mask[j] && a <> 0.0 then
                    if number[j] < 0 then
                        number[j] <- columns
                        columns <- columns + 1

                    indices[filled] <- number[j]
                    values[filled] <- a
                    filled <- filled + 1

            if filled > starts[starts.Count - 1] then
                starts.Add filled
                kept.Add factors[i]

    {
        ColumnCount = columns
        Starts = starts.ToArray()
        Indices = indices
        Values = values
    },
    kept.ToArray()

/// `diag(ρ) A`, each entry rounded to nearest.
let weighted (matrix: Matrix) (factors: float[]) =
    let values = Array.zeroCreate<float> matrix.Starts[matrix.RowCount]

    for i in 0 .. factors.Length - 1 do
        for k in matrix.Starts[i] .. matrix.Starts[i + 1] - 1 do
            values[k] <- factors[i] * matrix.Values[k]

    { matrix with Values = values }

/// The transposed matrix; the indices of each of its rows ascend.
let transpose (matrix: Matrix) =
    let count = matrix.Starts[matrix.RowCount]
    let starts = Array.zeroCreate<int>(matrix.ColumnCount + 1)

    for k in 0 .. count - 1 do
        let j = matrix.Indices[k]
        starts[j + 1] <- starts[j + 1] + 1

    for j in 0 .. matrix.ColumnCount - 1 do
        starts[j + 1] <- starts[j + 1] + starts[j]

    let next = Array.copy starts
    let indices = Array.zeroCreate<int> count
    let values = Array.zeroCreate<float> count

    for i in 0 .. matrix.RowCount - 1 do
        for k in matrix.Starts[i] .. matrix.Starts[i + 1] - 1 do
            let j = matrix.Indices[k]
            indices[next[j]] <- i
            values[next[j]] <- matrix.Values[k]
            next[j] <- next[j] + 1

    {
        ColumnCount = matrix.RowCount
        Starts = starts
        Indices = indices
        Values = values
    }

/// The rows in the order in which a search finds them that starts at the first one and goes from row to row through common
/// columns: rows that share a column come out close together.
let private breadthFirst (matrix: Matrix) (columns: Matrix) =
    let order = Array.zeroCreate<int> matrix.RowCount
    let found = Array.zeroCreate<bool> matrix.RowCount
    let passed = Array.zeroCreate<bool> matrix.ColumnCount
    let mutable count = 0

    let add i =
        if not found[i] then
            found[i] <- true
            order[count] <- i
            count <- count + 1

    let mutable next = 0

    for start in 0 .. matrix.RowCount - 1 do
        add start

        while next < count do
            let i = order[next]
            next <- next + 1

            for k in matrix.Starts[i] .. matrix.Starts[i + 1] - 1 do
                let j = matrix.Indices[k]

                if not passed[j] then
                    passed[j] <- true

                    for m in columns.Starts[j] .. columns.Starts[j + 1] - 1 do
                        add columns.Indices[m]

    order

/// The rows in another order, which is as good for a norm: one that keeps the products of rows near the diagonal.
let reordered (matrix: Matrix) (columns: Matrix) =
    let order = breadthFirst matrix columns
    let starts = Array.zeroCreate<int>(matrix.RowCount + 1)
    let indices = Array.zeroCreate<int> matrix.Indices.Length
    let values = Array.zeroCreate<float> matrix.Values.Length

    order
    |> Array.iteri (fun place i ->
        let first, count = matrix.Starts[i], matrix.Starts[i + 1] - matrix.Starts[i]
        starts[place + 1] <- starts[place] + count
        Array.blit matrix.Indices first indices starts[place] count
        Array.blit matrix.Values first values starts[place] count)

    { matrix with
        Starts = starts
        Indices = indices
        Values = values
    }

/// For each row the first one with which it shares a column: where its row of `MMᵀ` starts.
let profile (matrix: Matrix) (columns: Matrix) =
    Array.init matrix.RowCount (fun i ->
        (i, seq { matrix.Starts[i] .. matrix.Starts[i + 1] - 1 })
        ||> Seq.fold (fun least k -> min least columns.Indices[columns.Starts[matrix.Indices[k]]]))

/// Entries of the longest row.
let longestRow (matrix: Matrix) =
    matrix.Starts |> Array.pairwise |> Array.map (fun (a, b) -> b - a) |> Array.max

/// `‖diag(ρ) A‖₁ · ‖diag(ρ) A‖_∞` from above: at least `‖|diag(ρ) A|‖²`.
let absoluteProduct (matrix: Matrix) (factors: float[]) =
    let columns = Array.zeroCreate<float> matrix.ColumnCount
    let mutable largestRow = 0.0

    for i in 0 .. matrix.RowCount - 1 do
        let mutable sum = 0.0

        for k in matrix.Starts[i] .. matrix.Starts[i + 1] - 1 do
            let size = abs matrix.Values[k]
            let j = matrix.Indices[k]
            sum <- addUp sum size
            columns[j] <- addUp columns[j] (mulUp factors[i] size)

        largestRow <- max largestRow (mulUp factors[i] sum)

    mulUp largestRow (Array.max columns)

/// Runs the work of all rows on all cores.
let inParallel count (work: int -> unit) = Parallel.For(0, count, work) |> ignore
