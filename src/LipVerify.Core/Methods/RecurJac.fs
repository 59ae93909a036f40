namespace LipVerify.Core

open System
open System.Diagnostics
open LipVerify.Core.JacobianRows

/// A bound by RecurJac, and how far the recursion went.
[<NoComparison>]
type RecurJacBound =
    {
        /// The bound, never above that of FastLip.
        Bound: Bound
        /// Whether the time was over first: what the recursion did not reach has the bounds of FastLip.
        EndedEarly: bool
        /// One line on the recursions.
        Explanation: string
    }

/// Local Lipschitz bounds from elementwise bounds on Jacobians by recursion (RecurJac, Zhang, Zhang & Hsieh, AAAI 2019; here with the slopes of
/// `FastLip`, nominal or uniform), in the 2-norm, the maximum norm and the 1-norm.
module RecurJac =

    /// Multiplications that a recursion without a time limit takes at most: some minutes.
    let private mostWork = 1e12

    /// Those up to which both recursions are done.
    let private bothWork = 2e10

    /// Entries of bounds on derivatives that a recursion keeps, at most.
    let private mostDerivatives = 1L <<< 25

    /// The tighter of two bounds, entry by entry.
    let private intersect (a: Derivatives) (b: Derivatives) =
        {
            Lower = Array.map2 max a.Lower b.Lower
            Upper = Array.map2 min a.Upper b.Upper
        }

    /// A matrix of `rows × columns`, row-major, transposed.
    let private transpose rows columns (values: float[]) =
        Array.init values.Length (fun k -> values[k % rows * columns + k / rows])

    /// The columns with what `bounds` add to them.
    let private within (bounds: Derivatives) (columns: EnclosedTensor[]) =
        columns
        |> Array.mapi (fun k column ->
            let values, errors = Tensor.values column.Value, Tensor.values column.Error

            Array.init values.Length (fun j ->
                let struct (low, high) = JacobianIntervals.ends values[j] errors[j]
                let at = j * columns.Length + k

                // Written so that a NaN changes nothing.
                if bounds.Lower[at] > low || bounds.Upper[at] < high then
                    JacobianIntervals.middle (max low bounds.Lower[at]) (min high bounds.Upper[at])
                else
                    struct (values[j], errors[j]))
            |> JacobianIntervals.ofPairs column.Value.Shape)

    /// The recursion from the outputs and that from the inputs, which is the same one on the transposed product: their bounds, and a line on
    /// them.
    let private recursion (context: Context) (limit: TimeSpan option) isOver inputs factors =
        let outputs = JacobianFactor.outputs inputs factors
        let transposed = JacobianFactor.transpose factors
        let size = int64 (JacobianRecursion.sizes inputs factors)

        let work = JacobianRecursion.work inputs factors
        let transposedWork = JacobianRecursion.work outputs transposed

        let ofKept isKept work =
            if isKept then work else Double.PositiveInfinity

        // What takes less than `mostWork` from the outputs keeps few enough.
        let own =
            work |> ofKept (work <= mostWork || int64 outputs * size <= mostDerivatives)

        let other = transposedWork |> ofKept (int64 inputs * size <= mostDerivatives)
        let most = if limit.IsSome then Double.MaxValue else mostWork

        let fromOutputs () =
            JacobianRecursion.bounds context isOver inputs factors

        let fromInputs () =
            let bounds = JacobianRecursion.bounds context isOver outputs transposed

            {
                Lower = transpose inputs outputs bounds.Lower
                Upper = transpose inputs outputs bounds.Upper
            }

        context.Report
            $"{Figure.nearestTo 2 own} multiplications from the outputs, {Figure.nearestTo 2 other} from the inputs"

        if max own other <= bothWork then
            Ok(struct (intersect (fromOutputs ()) (fromInputs ()), "recursions from the outputs and from the inputs"))
        elif own <= min other most then
            Ok(struct (fromOutputs (), "a recursion from the outputs"))
        elif other <= most then
            Ok(struct (fromInputs (), "a recursion from the inputs"))
        elif limit.IsSome then
            Error $"the recursion would keep bounds on more than {mostDerivatives:N0} derivatives of layers"
        else
            Error
                $"the recursion would take {Figure.nearestTo 2 (min work transposedWork)} multiplications, for each output and each entry of a layer a way through those behind it; at most {Figure.nearestTo 2 mostWork} are without a time limit"

    /// How many entries have a bound.
    let private reached (bounds: Derivatives) =
        Array.fold2
            (fun count lower upper ->
                if Double.IsInfinity lower && Double.IsInfinity upper then
                    count
                else
                    count + 1)
            0
            bounds.Lower
            bounds.Upper

    /// The columns of FastLip and those of the recursion.
    [<NoComparison; NoEquality>]
    type private Columns =
        {
            Forward: EnclosedTensor[]
            Recursive: EnclosedTensor[]
            EndedEarly: bool
            Explanation: string
        }

    let private compute context norm definition (network: Network) input radius (limit: TimeSpan option) =
        let clock = Stopwatch.StartNew()

        let isOver () =
            limit |> Option.exists (fun limit -> clock.Elapsed > limit)

        FastLip.checkSize network
        |> Result.bind (fun () ->
            let struct (columns, factors) =
                JacobianIntervals.columnsAndFactors context norm definition network input radius

            recursion context limit isOver columns.Length factors
            |> Result.map (fun (struct (bounds, way)) ->
                let endedEarly = isOver ()

                {
                    Forward = columns
                    Recursive = within bounds columns
                    EndedEarly = endedEarly
                    Explanation =
                        if endedEarly then
                            $"{way}, ended by the time limit: it reached {reached bounds:N0} of {bounds.Lower.Length:N0} entries of the Jacobian, the others are FastLip's"
                        else
                            way
                }))

    /// Encloses the columns of every `J` with `f(x) − f(x') = J (x − x')`, as `JacobianIntervals.columns` does and never less tightly but
    /// for a rounding. An error says that the network is too large.
    let columns context norm definition network input radius : Result<EnclosedTensor[], string> =
        compute context norm definition network input radius None
        |> Result.map _.Recursive

    /// Bounds the local Lipschitz constant over the ball of this norm and radius around `input`, the outputs measured in the same norm; never
    /// above `FastLip.bound`. After `limit` what the recursion has not reached keeps the bounds of FastLip, which are computed first whatever
    /// they take. An error says that the network is too large.
    let bound context norm definition network input radius (limit: TimeSpan option) : Result<RecurJacBound, string> =
        compute context norm definition network input radius limit
        |> Result.map (fun found ->
            let context = Context.share 2 context
            let tighter = JacobianNorms.bound context norm found.Recursive

            {
                Bound =
                    match norm with
                    | Maximum
                    | Taxicab -> tighter
                    | Euclidean ->
                        // Of the two norms behind the 2-norm, that of centers and errors is not monotonous.
                        let other = JacobianNorms.bound context norm found.Forward

                        {
                            Value = min tighter.Value other.Value
                            Rigor = Rigor.combine tighter.Rigor other.Rigor
                        }
                EndedEarly = found.EndedEarly
                Explanation = found.Explanation
            })
