/// METHODS section 7: proves `‖δf‖ ≤ γ‖δx‖` from multipliers, with rounding enclosed.
module LipVerify.Core.Bounds.Multipliers.Solver.MultiplierProof

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Core.Bounds.Multipliers.Representation

/// `D_r [H G; M T] D_c` with `D_r = diag(√t, I)` and `D_c = diag(I/γ, 1/√t)`: `γ` is proved if its norm is at most 1.
[<ReferenceEquality>]
type private Scaled =
    {
        Values: float[]
        /// A bound on the Frobenius norm of what it differs by from the exact matrix.
        Error: float
        /// A bound on its own Frobenius norm, squared.
        SquaredNorm: float
    }

let private scale (lfr: LinearFractional) gamma (weights: float[]) =
    // √t and its reciprocal: the square roots are what the proof takes as exact.
    let roots = weights |> Array.map (fun s -> 1.0 / sqrt s)
    let columns = lfr.Columns
    let values = Array.zeroCreate<float> lfr.Values.Length
    let mutable errors = 0.0
    let mutable squares = 0.0
    // Two reciprocals, two products, and the arithmetic of the lines below.
    let rounding = 8.0 * Rounding.unitRoundoff

    let columnFactors =
        Array.append (Array.create lfr.Inputs (1.0 / gamma)) (roots |> Array.map (fun a -> 1.0 / a))

    for i in 0 .. lfr.Height - 1 do
        let row = if i < lfr.Uncertain then roots[i] else 1.0

        for j in 0 .. columns - 1 do
            let k = i * columns + j
            let value = row * lfr.Values[k] * columnFactors[j]

            let error =
                row * lfr.Errors[k] * columnFactors[j] * (1.0 + rounding) + rounding * abs value

            values[k] <- value
            errors <- errors + error * error
            squares <- squares + value * value

    // All terms are non-negative; the summands that underflow are fewer than the entries.
    let inflation = 1.0 + 2.0 * Rounding.gamma (lfr.Values.Length + 8)
    let underflow = float lfr.Values.Length * Math.ScaleB(1.0, -1000)

    {
        Values = values
        Error = Rounding.sqrtUp (errors * inflation + underflow) + Math.ScaleB(1.0, -500)
        SquaredNorm = squares * inflation + underflow
    }

/// Whether the norm of the scaled matrix is at most 1.
let private isContraction (context: Context) (lfr: LinearFractional) (scaled: Scaled) =
    let matrix =
        MaskedMap.whole (Dense(Dense.create (Tensor.ofArray [ lfr.Height; lfr.Columns ] scaled.Values)))

    let layout = GramLayout.cheapest matrix
    let n = layout.Envelope.Order

    // |fl(G) − G| ≤ γ_k |N||N|ᵀ, whose norm is at most ‖N‖_F².
    let forming =
        2.0
        * Rounding.gamma (Gram.roundingsPerEntry layout.Side matrix)
        * scaled.SquaredNorm
        + Math.ScaleB(1.0, -700)

    // What the shift of the proof, with its own rounding, takes.
    let shift = 8.0 * Rounding.gamma (n + 1) * float n
    let room = 1.0 - scaled.Error
    let target = room * room * (1.0 - 1e-14) - forming - shift

    room > 0.0
    && target > 0.0
    && match SemidefiniteProof.tryBound context layout.Envelope (GramMatrix.form context matrix layout) target with
       | Some largest ->
           let norm = Rounding.sqrtUp (Rounding.addUp largest forming)
           Rounding.addUp norm scaled.Error <= 1.0
       | None -> false

/// Relative steps by which `γ` may be raised until the proof closes.
let private raises = [ 0.0; 1e-8; 1e-7; 1e-6; 1e-5; 1e-4; 1e-3 ]

/// The least relative step by which `γ` is lowered: a solver that ended well leaves less.
let private leastDescent = 0.01

/// Whether the multipliers prove `γ`.
let private proves (context: Context) (lfr: LinearFractional) (weights: float[]) gamma =
    Context.check context

    Double.IsFinite gamma
    && gamma > 0.0
    && (let scaled = scale lfr gamma weights

        Double.IsFinite scaled.Error
        && Double.IsFinite scaled.SquaredNorm
        && isContraction context lfr scaled)

/// A proven bound on `‖δf‖ / ‖δx‖` at or just above the multipliers' own `γ`; none where they do not prove that.
let tryShow (context: Context) (lfr: LinearFractional) (multipliers: Multipliers) : Bound option =
    if multipliers.Weights |> Array.forall (fun s -> s > 0.0 && Double.IsFinite s) then
        raises
        |> Seq.map (fun raise -> multipliers.Gamma * (1.0 + raise))
        |> Seq.tryFind (proves context lfr multipliers.Weights)
        |> Option.map Bound.certified
    else
        None

/// A proven bound on `‖δf‖ / ‖δx‖`: the multipliers' own `γ`, or just above it where the proof does not close there, or far below
/// where they prove much less, as where scales far apart stopped their solver early. None where the multipliers prove nothing.
let tryProve (context: Context) (lfr: LinearFractional) (multipliers: Multipliers) : Bound option =
    let rec descend gamma step =
        let lower = gamma * (1.0 - step)

        if proves context lfr multipliers.Weights lower then
            descend lower (min 0.5 (4.0 * step))
        elif step > leastDescent then
            descend gamma (max leastDescent (0.25 * step))
        else
            gamma

    tryShow context lfr multipliers
    |> Option.map (fun shown -> Bound.certified (descend shown.Value leastDescent))
