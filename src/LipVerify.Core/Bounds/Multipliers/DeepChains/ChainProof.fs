/// Proves a Lipschitz constant of a chain from multipliers, with rounding enclosed (METHODS sections 4a and 15). LipSDP's matrix has blocks for the
/// inputs, the layers and the outputs, of which only neighbours are coupled. Scaled to a diagonal of ones it is `I − T` with
///
///     T_{i,i−1} = ½ diag(1/a_i) W_i diag(a_{i−1}),   a_0 = 1, and W_K diag(a_{K−1})/L instead of ½ … for the outputs,
///
/// `λ = 1/a²` being the multipliers. If `T ⪯ I` then `L` is a bound. One Cholesky factorisation inside the envelope of `T` proves that, in time
/// linear in the depth.
module internal LipVerify.Core.Bounds.Multipliers.DeepChains.ChainProof

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Spectral

/// The most values of an envelope: 1 GB.
let private largestEnvelope = 1L <<< 27

/// Square roots of multipliers in a chain's units lie within this and its reciprocal, or nothing is proved: products with entries then
/// lose less by underflow than is allowed for it.
let private largestRoot = Math.ScaleB(1.0, 200)

/// What all underflows together may change in norm, amply.
let private underflow = Math.ScaleB(1.0, -500)

/// Where each block of `T` begins, the end of the last behind it.
let private starts (chain: MultiplierChain) =
    chain.Maps
    |> Array.map _.Rows
    |> Array.append [| 0; chain.Maps[0].Columns |]
    |> Array.scan (+) 0
    |> Array.skip 1

/// The envelope of `T`: a row of a block begins where the block before does.
let private envelopeOf (starts: int[]) =
    let firsts =
        [|
            yield! seq { 0 .. starts[1] - 1 }

            for k in 1 .. starts.Length - 2 do
                yield! Array.create (starts[k + 1] - starts[k]) starts[k - 1]
        |]

    SymmetricEnvelope(ReadOnlySpan firsts)

/// `T` inside its envelope.
[<ReferenceEquality>]
type private Scaled =
    {
        Envelope: SymmetricEnvelope
        Values: float[]
        /// A bound on the norm of what it differs by from the exact matrix.
        Error: float
    }

/// `T`, each entry after two roundings; roots of multipliers are what the proof takes as exact.
let private scale (chain: MultiplierChain) (roots: float[][]) lipschitz (envelope: SymmetricEnvelope) =
    let starts = starts chain
    let values = LargeArrays.Allocate<float>(int envelope.Length)
    let last = chain.Maps.Length - 1
    // Absolute row sums of the whole symmetric matrix, times the relative error of their entries.
    let errors = Array.zeroCreate<float> envelope.Order

    chain.Maps
    |> Array.iteri (fun k map ->
        let relative = map.Error + 3.0 * Rounding.unitRoundoff

        for i in 0 .. map.Rows - 1 do
            let row = starts[k + 1] + i
            let place = int (envelope.RowStart row)
            let divisor = if k = last then lipschitz else 2.0 * roots[k + 1][i]

            for j in 0 .. map.Columns - 1 do
                let column = starts[k] + j
                let value = map.Values[i * map.Columns + j] * roots[k][j] / divisor
                let error = relative * abs value
                values[place + column] <- value
                errors[row] <- errors[row] + error
                errors[column] <- errors[column] + error)

    {
        Envelope = envelope
        Values = values
        Error =
            Array.max errors * (1.0 + 2.0 * Rounding.gamma (envelope.MostCoupled + 4))
            + underflow
    }

/// Whether `T ⪯ I`.
let private isContraction (context: Context) (scaled: Scaled) =
    let envelope = scaled.Envelope

    // What the shift of the proof, with its own rounding, takes.
    let shift =
        7.0 * Rounding.gamma (envelope.LongestRow + 1) * float envelope.MostCoupled

    let target = (1.0 - scaled.Error) * (1.0 - 1e-15) - shift

    // Not so for numbers that are not finite.
    target > 0.0
    && match SemidefiniteProof.tryBound context envelope (HostStorage scaled.Values) target with
       | Some largest -> Rounding.addUp largest scaled.Error <= 1.0
       | None -> false

/// Whether multipliers `1/a²`, `a` given layer by layer in the chain's units, prove a constant of the chain in its units.
let proves (context: Context) (chain: MultiplierChain) (a: float[][]) lipschitz =
    let inRange x =
        x >= 1.0 / largestRoot && x <= largestRoot

    let envelope = envelopeOf (starts chain)

    envelope.Length <= largestEnvelope
    && inRange lipschitz
    && Array.forall (Array.forall inRange) a
    && (let roots = Array.append [| Array.create chain.Maps[0].Columns 1.0 |] a
        scale chain roots lipschitz envelope |> isContraction context)

/// Relative steps by which the constant may be raised until the proof closes.
let private raises =
    Seq.unfold (fun raise -> Some(raise, 4.0 * raise)) 1e-9
    |> Seq.takeWhile (fun raise -> raise < 0.1)

/// The constant of the network just above that of `ln L² = level` that `d = 1/λ` proves; none where none is.
let tryProve (context: Context) (chain: MultiplierChain) (weights: float[]) level : Bound option =
    let offsets = chain.Offsets

    let a =
        Array.init (offsets.Length - 1) (fun k -> weights[offsets[k] .. offsets[k + 1] - 1] |> Array.map sqrt)

    let constant = exp (0.5 * level)

    raises
    |> Seq.map (fun raise -> constant * (1.0 + raise))
    |> Seq.tryFind (proves context chain a)
    |> Option.map (fun lipschitz -> Rounding.scaleUp lipschitz chain.Exponent |> Bound.certified)
