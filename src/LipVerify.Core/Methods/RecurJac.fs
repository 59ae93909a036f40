/// Local Lipschitz bounds from elementwise bounds on Jacobians by recursion (RecurJac, Zhang, Zhang & Hsieh, AAAI 2019; here with the slopes of
/// `FastLip`, nominal or uniform), in the 2-norm, the maximum norm and the 1-norm.
module LipVerify.Core.RecurJac

open System
open LipVerify.Core.JacobianRows

/// Multiplications that a recursion takes at most: some minutes.
let private mostWork = 1e12

/// Those up to which both recursions are done.
let private bothWork = 2e10

/// Entries of bounds on derivatives that the recursion from the inputs keeps, at most.
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

/// The recursion from the outputs, and that from the inputs: it is the same one on the transposed product.
let private recursion (context: Context) inputs factors =
    let outputs = JacobianFactor.outputs inputs factors
    let transposed = JacobianFactor.transpose factors
    let work = JacobianRecursion.work inputs factors
    let transposedWork = JacobianRecursion.work outputs transposed

    let isSmall =
        int64 inputs * int64 (JacobianRecursion.sizes inputs factors) <= mostDerivatives

    let fromOutputs () =
        JacobianRecursion.bounds context inputs factors

    let fromInputs () =
        let bounds = JacobianRecursion.bounds context outputs transposed

        {
            Lower = transpose inputs outputs bounds.Lower
            Upper = transpose inputs outputs bounds.Upper
        }

    let transposedWork = if isSmall then transposedWork else Double.PositiveInfinity

    context.Report $"{work:G2} multiplications from the outputs, {transposedWork:G2} from the inputs"

    if max work transposedWork <= bothWork then
        Ok(intersect (fromOutputs ()) (fromInputs ()))
    elif work <= min transposedWork mostWork then
        Ok(fromOutputs ())
    elif transposedWork <= mostWork then
        Ok(fromInputs ())
    else
        Error
            $"the recursion would take {min work transposedWork:G2} multiplications, for each output and each entry of a layer a way through those behind it; at most {mostWork:G2} are"

let private compute context norm definition (network: Network) input radius =
    FastLip.checkSize network
    |> Result.bind (fun () ->
        let struct (columns, factors) =
            JacobianIntervals.columnsAndFactors context norm definition network input radius

        recursion context columns.Length factors
        |> Result.map (fun bounds -> struct (columns, within bounds columns)))

/// Encloses the columns of every `J` with `f(x) − f(x') = J (x − x')`, as `JacobianIntervals.columns` does and never less tightly but
/// for a rounding. An error says that the network is too large.
let columns context norm definition network input radius : Result<EnclosedTensor[], string> =
    compute context norm definition network input radius
    |> Result.map (fun struct (_, columns) -> columns)

/// Bounds the local Lipschitz constant over the ball of this norm and radius around `input`, the outputs measured in the same norm; never
/// above `FastLip.bound`. An error says that the network is too large.
let bound context norm definition network input radius : Result<Bound, string> =
    compute context norm definition network input radius
    |> Result.map (fun struct (forward, recursive) ->
        let context = Context.share 2 context
        let tighter = JacobianNorms.bound context norm recursive

        match norm with
        | Maximum
        | Taxicab -> tighter
        | Euclidean ->
            // Of the two norms behind the 2-norm, that of centers and errors is not monotonous.
            let other = JacobianNorms.bound context norm forward

            {
                Value = min tighter.Value other.Value
                Rigor = Rigor.combine tighter.Rigor other.Rigor
            })
