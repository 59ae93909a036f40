namespace LipVerify.Core.Bounds.Polynomials

open System
open LipVerify.Core.Numbers

/// The gradient of one output as a product, `2^Exponent·∏ A_iᵀ diag(u_i)·c`, in units in which the magnitudes of all paths from inputs to a
/// neuron come to between 1 and 2, and those to the output as well. Paths through ReLUs that are off, or that no path reaches, are left out: their
/// weights may be larger than all others by more than the range of doubles, and would leave nothing of those.
///
/// So what underflow takes from an entry, a coefficient or a product of two of these, 2⁻¹⁰⁷⁵ each time, stays about as small in the gradient, and is nothing
/// beside an allowance for rounding in proportion to all paths.
[<ReferenceEquality>]
type GradientFactors =
    {
        /// The number of unknown slopes.
        Count: int
        /// The slope of each ReLU, layer by layer, first to last: known to be 0 or 1, or a variable.
        Slopes: Choice<float, int>[] list
        /// `A_i`, first to last, with zeros for what is left out.
        Weights: float[,] list
        /// `c`.
        Output: float[]
        /// The power of two that was taken out of all of them.
        Exponent: int
    }

module GradientFactors =

    /// A neuron that a path reaches.
    [<Struct>]
    type private Reached =
        {
            /// It stands for so many `2^Unit`.
            Unit: int
            /// The magnitudes of all paths to it, between 1 and 2.
            Paths: float
        }

    /// A row in the units of the neurons before it, and in one of its own, where a path reaches it.
    let private inUnits (before: Reached voption[]) (row: float[]) =
        let mutable largest = Int32.MinValue

        Array.iter2
            (fun w before ->
                match before with
                | ValueSome reached when w <> 0.0 -> largest <- max largest (Math.ILogB w + reached.Unit)
                | _ -> ())
            row
            before

        let scaled unit =
            Array.map2
                (fun (w: float) before ->
                    match before with
                    | ValueSome reached -> Math.ScaleB(w, reached.Unit - unit)
                    | ValueNone -> 0.0)
                row
                before

        if largest = Int32.MinValue then
            ValueNone, Array.zeroCreate row.Length
        else
            let paths =
                Array.fold2
                    (fun sum w before ->
                        match before with
                        | ValueSome reached -> sum + abs w * reached.Paths
                        | ValueNone -> sum)
                    0.0
                    (scaled largest)
                    before

            let carry = Math.ILogB paths

            ValueSome
                {
                    Unit = largest + carry
                    Paths = Math.ScaleB(paths, -carry)
                },
            scaled (largest + carry)

    /// The factors for output `output` over a region.
    let create norm (chain: DenseChain) output region =
        let count, slopes = UnknownSlopes.ofChain norm chain region

        let inputs =
            Array.create (Array2D.length2 chain.Hidden.Head.Weights) (ValueSome { Unit = 0; Paths = 1.0 })

        let through (before, done') (layer: DenseLayer, slopes: Choice<float, int>[]) =
            let reached, rows =
                slopes
                |> Array.mapi (fun i slope ->
                    match slope with
                    | Choice1Of2 0.0 -> ValueNone, Array.zeroCreate (Array2D.length2 layer.Weights)
                    | _ -> inUnits before (UnknownSlopes.rowOf layer.Weights i))
                |> Array.unzip

            reached, array2D rows :: done'

        let reached, weights =
            ((inputs, []), List.zip chain.Hidden slopes) ||> List.fold through

        let exponent, output =
            match inUnits reached (UnknownSlopes.rowOf chain.Output.Weights output) with
            | ValueSome reached, row -> reached.Unit, row
            | ValueNone, row -> 0, row

        {
            Count = count
            Slopes = slopes
            Weights = List.rev weights
            Output = output
            Exponent = exponent
        }

    /// The dual norm of the gradient where no two paths cancel, without its power of two: no gradient exceeds it.
    let size norm factors =
        let through (weights: float[,]) (behind: float[]) =
            Array.init (Array2D.length2 weights) (fun j ->
                behind |> Seq.mapi (fun i w -> w * abs weights[i, j]) |> Seq.sum)

        List.foldBack through factors.Weights (Array.map abs factors.Output)
        |> Norm.dual norm
