namespace LipVerify.Core.Bounds.Jacobian

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Jacobian.JacobianRows

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
    let private recursion (context: Context) isOver inputs factors =
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
        let isLimited = (Deadline.left context.Deadline).IsSome
        let most = if isLimited then Double.MaxValue else mostWork

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
        elif isLimited then
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

    /// The part of the time that columns and recursion may take; the rest is for norms.
    let private forEntries = 0.8

    /// The columns, or none where the time of the context is over before those of FastLip are known.
    let private compute
        (context: Context)
        norm
        definition
        (network: Network)
        input
        radius
        : Result<Columns option, string> =
        let limited = Context.withPart forEntries context
        let isOver () = Context.isOver limited

        let refine (struct (columns: EnclosedTensor[], factors)) =
            recursion context isOver columns.Length factors
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
                })

        FastLip.checkSize network
        |> Result.bind (fun () ->
            Context.attempt context (fun context ->
                JacobianIntervals.columnsAndFactors context norm definition network input radius)
            |> Option.map (refine >> Result.map Some)
            |> Option.defaultValue (Ok None))

    /// Encloses the columns of every `J` with `f(x) − f(x') = J (x − x')`, as `JacobianIntervals.columns` does and never less tightly but
    /// for a rounding. An error says that the network is too large.
    let columns context norm definition network input radius : Result<EnclosedTensor[], string> =
        compute
            { context with
                Deadline = Deadline.never
            }
            norm
            definition
            network
            input
            radius
        |> Result.bind (fun found ->
            match found with
            | Some found -> Ok found.Recursive
            | None -> Error "the time was over before the columns were known")

    let private ofColumns context norm (found: Columns) =
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
        }

    /// Bounds the local Lipschitz constant over the ball of this norm and radius around `input`, the outputs measured in the same norm; never
    /// above `FastLip.bound`. By the end of `limit` what the recursion has not reached keeps the bounds of FastLip, and where those are not known
    /// either, the bound is what `FastLip.bound` gives then. An error says that the network is too large.
    let bound context norm definition network input radius (limit: TimeSpan option) : Result<RecurJacBound, string> =
        let context = Context.within limit context

        compute context norm definition network input radius
        |> Result.map (fun found ->
            match found with
            | Some found -> ofColumns context norm found
            | None ->
                {
                    Bound = FastLip.outOfTime context norm definition network input radius
                    EndedEarly = true
                    Explanation = "the time was over before the entries of the Jacobian were bounded"
                })
