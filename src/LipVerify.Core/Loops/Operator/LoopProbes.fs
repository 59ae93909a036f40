/// Row norms of everything before each bend, all at once, from vectors pushed through a loop operator (METHODS section 14b).
module internal LipVerify.Core.Loops.Operator.LoopProbes

open System
open System.Collections.Generic
open System.Numerics.Tensors
open System.Threading.Tasks
open LipVerify.Compute
open LipVerify.Core.Computation

/// Sums of squares of increments over the vectors pushed, for each place where the network bends: one an entry, and one for the difference of each
/// pair of a round.
[<NoEquality; NoComparison>]
type RowSquares =
    {
        Entries: float[][]
        Pairs: float[][]
        /// Vectors pushed, and those that went at a time: all but the last ones.
        Vectors: int
        Batch: int
        /// The sum of squares of everything pushed, and of what came to each point.
        Pushed: float
        Passed: IReadOnlyDictionary<LoopPoint, float>
    }

let private pairsOf (place: Place) : struct (int[] * int[]) =
    match place with
    | ActivationPlace _ -> struct ([||], [||])
    | RoundPlace(_, pairs, _) ->
        struct (pairs |> Array.map (fun struct (_, b) -> b), pairs |> Array.map (fun struct (a, _) -> a))

let private sizeOf place =
    match place with
    | ActivationPlace(nominal, _)
    | RoundPlace(nominal, _, _) -> nominal.Value.Length

/// Entries that one task sums.
let private grain = 4096

/// Runs `work first count` over pieces, side by side.
let private inPieces count work =
    Parallel.For(0, (count + grain - 1) / grain, fun piece -> work (piece * grain) (min grain (count - piece * grain)))
    |> ignore

/// The sums over vectors that `fill` makes, `count` of them from the given one on, a batch at a time. Each vector has the length of the columns of
/// the operator.
let squares
    (context: Context)
    (plan: LoopPlan)
    (operator: LoopOperator)
    (batch: int)
    (vectors: int)
    (fill: int -> int -> float[])
    : RowSquares =
    let pairs = plan.Places |> Array.map pairsOf

    let passed = Dictionary<LoopPoint, float>()

    let sums =
        {
            Entries = plan.Places |> Array.map (fun place -> Array.zeroCreate (sizeOf place))
            Pairs = pairs |> Array.map (fun struct (plus, _) -> Array.zeroCreate plus.Length)
            Vectors = vectors
            Batch = min batch vectors
            Pushed = 0.0
            Passed = passed
        }

    let visitBend count place (x: Storage) =
        let x = Tensor.values (Tensor.ofStorage [ x.Length ] x)
        let entries = sums.Entries[place]
        let n = entries.Length

        inPieces n (fun first length ->
            let sums = Span(entries, first, length)

            for b in 0 .. count - 1 do
                let y = ReadOnlySpan(x, b * n + first, length)
                TensorPrimitives.MultiplyAdd(y, y, sums, sums))

        let struct (plus, minus) = pairs[place]
        let differences = sums.Pairs[place]

        inPieces plus.Length (fun first length ->
            for b in 0 .. count - 1 do
                for k in first .. first + length - 1 do
                    let y = x[b * n + plus[k]] - x[b * n + minus[k]]
                    differences[k] <- differences[k] + y * y)

    let visit count point (x: Storage) =
        // No square underflows by more than the least double.
        let square =
            context.Engine.Dot(x, 0, x, 0, x.Length) + float x.Length * Double.Epsilon

        passed[point] <-
            square
            + (match passed.TryGetValue point with
               | true, sum -> sum
               | _ -> 0.0)

        match point with
        | BeforeBend place -> visitBend count place x
        | BeforeMap _ -> ()

    let rows = LoopOperator.rows operator
    let mutable pushed = 0.0
    let mutable first = 0

    while first < vectors do
        let count = min batch (vectors - first)
        let x, y = HostStorage(fill first count), context.Engine.Allocate(count * rows)
        pushed <- pushed + context.Engine.Dot(x, 0, x, 0, x.Length)
        LoopOperator.push context operator (visit count) count x y
        first <- first + count

    { sums with Pushed = pushed }

/// Bounds on the root of the sum of squares of what rounding adds to an entry at each place, over all vectors. The errors of a pass are a
/// norm of the lengths on its way, so that those of all passes are no more than that of their lengths together.
let errors (context: Context) norms (operator: LoopOperator) (squares: RowSquares) : int -> float =
    // Underflow is in the bounds for vectors of length 1, and shorter ones have no less.
    let pushed = max squares.Pushed (float squares.Vectors)
    let total = sqrt pushed * (1.0 + 1e-6)

    let lengths point =
        sqrt (squares.Passed[point] / pushed) * (1.0 + 1e-6)

    // The last batch may be smaller, and then summed in another order.
    let errors =
        [ squares.Batch; squares.Vectors % squares.Batch ]
        |> List.filter (fun size -> size > 0)
        |> List.map (fun size ->
            (LoopRounding.passErrors context norms LoopRounding.nothingCarried operator size).Increments lengths)

    fun place ->
        total
        * (errors |> List.map (fun errors -> errors (BeforeBend place)) |> List.reduce max)

/// Vectors to push at a time: their largest tensor takes no more than 128 MB.
let batchFor (plan: LoopPlan) (operator: LoopOperator) =
    let widest =
        Seq.append [ LoopOperator.columns operator; LoopOperator.rows operator ] (plan.Places |> Seq.map sizeOf)
        |> Seq.max

    Math.Clamp((1 <<< 24) / widest, 1, 256)

/// The unit vectors of the columns from `first` on: with them, the sums are the squares of the row norms themselves.
let unitVectors columns offset first count =
    let values = LargeArrays.Allocate<float>(count * columns)
    Array.Clear values

    for b in 0 .. count - 1 do
        values[b * columns + offset + first + b] <- 1.0

    values
