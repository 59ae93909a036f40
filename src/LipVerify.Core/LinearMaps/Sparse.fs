namespace LipVerify.Core.LinearMaps

open System
open System.Threading.Tasks
open LipVerify.Compute
open LipVerify.Core.Computation

/// A linear map by its entries that are not 0, row by row: selections, permutations and sums of coordinates, interpolation, and whatever has few
/// terms in a row.
[<ReferenceEquality>]
type Sparse =
    private
        {
            Input: Shape
            Output: Shape
            /// Where the entries of each row begin; one more at the end.
            Starts: int[]
            /// The column of each entry.
            Places: int[]
            /// The entries.
            Entries: Tensor
            /// The same by columns: where those of each begin, their rows, and their positions in `Entries`.
            Turned: Lazy<struct (int[] * int[] * int[])>
        }

    /// The entries in order of rows.
    member sparse.Values = sparse.Entries

    /// Where the entries of each row begin; one more at the end.
    member sparse.RowStarts = sparse.Starts

    /// The column of each entry.
    member sparse.Columns = sparse.Places

module Sparse =

    let private turn columns (starts: int[]) (places: int[]) =
        let first = Array.zeroCreate (columns + 1)

        for j in places do
            first[j + 1] <- first[j + 1] + 1

        for j in 0 .. columns - 1 do
            first[j + 1] <- first[j + 1] + first[j]

        let next = Array.copy first
        let rows, positions = Array.zeroCreate places.Length, Array.zeroCreate places.Length

        for i in 0 .. starts.Length - 2 do
            for k in starts[i] .. starts[i + 1] - 1 do
                let at = next[places[k]]
                rows[at] <- i
                positions[at] <- k
                next[places[k]] <- at + 1

        struct (first, rows, positions)

    let private build (input: Shape) (output: Shape) starts places entries =
        {
            Input = input
            Output = output
            Starts = starts
            Places = places
            Entries = Tensor.vector entries
            Turned = lazy (turn (Shape.size input) starts places)
        }

    /// The map from tensors of one shape to those of another whose row `i` has the entries `row i`: columns with their values, each column once.
    let create (input: Shape) (output: Shape) (row: int -> struct (int * float)[]) =
        let columns = Shape.size input
        let rows = Array.init (Shape.size output) row

        let starts =
            rows |> Array.scan (fun start entries -> Checked.(+) start entries.Length) 0

        for entries in rows do
            for struct (j, _) in entries do
                if j < 0 || j >= columns then
                    invalidArg (nameof row) $"a row has an entry in column {j} of {columns}"

            if
                entries.Length > 1
                && (entries |> Array.distinctBy (fun struct (j, _) -> j)).Length < entries.Length
            then
                invalidArg (nameof row) "a row has a column twice"

        let all = Array.concat rows

        build
            input
            output
            starts
            (all |> Array.map (fun struct (j, _) -> j))
            (all |> Array.map (fun struct (_, value) -> value))

    /// The map that takes for output `i` the coordinate `source i`, and 0 where that is negative.
    let selection input output (source: int -> int) =
        create input output (fun i ->
            match source i with
            | j when j < 0 -> [||]
            | j -> [| struct (j, 1.0) |])

    /// Shape of one input.
    let inputShape sparse : Shape = sparse.Input

    /// Shape of one output.
    let outputShape sparse : Shape = sparse.Output

    let private most (starts: int[]) =
        starts |> Array.pairwise |> Array.fold (fun most (a, b) -> max most (b - a)) 1

    /// The most entries of a row.
    let termsInRow sparse = most sparse.Starts

    /// The most entries of a column.
    let termsInColumn sparse =
        let struct (starts, _, _) = sparse.Turned.Value
        most starts

    /// The map with `f` applied to each entry.
    let mapEntries f sparse =
        { sparse with
            Entries = Tensor.map f sparse.Entries
        }

    /// Coordinates that one task computes.
    let private grain = 4096

    /// `target ← M source` for each row of a batch, on the host: sums go through the entries in order, so that they do not depend on threads.
    let private multiply
        (engine: IEngine)
        batch
        inputs
        outputs
        (starts: int[])
        (columns: int -> int)
        (value: int -> float)
        source
        target
        =
        let x = Tensor.values (Tensor.ofStorage [ batch * inputs ] source)
        let y = LargeArrays.Allocate<float>(Checked.(*) batch outputs)
        let pieces = (outputs + grain - 1) / grain

        Parallel.For(
            0,
            batch * pieces,
            fun piece ->
                let b, first = piece / pieces, piece % pieces * grain

                for i in first .. min outputs (first + grain) - 1 do
                    let mutable sum = 0.0

                    for k in starts[i] .. starts[i + 1] - 1 do
                        sum <- sum + value k * x[b * inputs + columns k]

                    y[b * outputs + i] <- sum
        )
        |> ignore

        engine.Copy(HostStorage y, 0, target, 0, batch * outputs)

    /// `y ← A x` for each row of a batch.
    let apply (engine: IEngine) sparse batch (x: Storage) (y: Storage) =
        let values, places = Tensor.values sparse.Entries, sparse.Places

        multiply
            engine
            batch
            (Shape.size sparse.Input)
            (Shape.size sparse.Output)
            sparse.Starts
            (fun k -> places[k])
            (fun k -> values[k])
            x
            y

    /// `x ← Aᵀ y` for each row of a batch.
    let adjoint (engine: IEngine) sparse batch (y: Storage) (x: Storage) =
        let struct (starts, rows, positions) = sparse.Turned.Value
        let values = Tensor.values sparse.Entries

        multiply
            engine
            batch
            (Shape.size sparse.Output)
            (Shape.size sparse.Input)
            starts
            (fun k -> rows[k])
            (fun k -> values[positions[k]])
            y
            x

    /// The outputs that are not 0 throughout.
    let isFed sparse output =
        sparse.Starts[output + 1] > sparse.Starts[output]

    /// Whether the outputs of two maps of one output shape are never both fed.
    let areDisjoint a b =
        Seq.init (Shape.size a.Output) id
        |> Seq.forall (fun i -> not (isFed a i && isFed b i))
