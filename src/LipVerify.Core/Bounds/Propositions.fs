/// One combinator for each statement of Avant & Morgansen, *Analytical bounds on the local Lipschitz constants of
/// ReLU networks*, under its name in METHODS section 2. All rounding of the formulas is upward.
module LipVerify.Core.Bounds.Propositions

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Core.Activations
open LipVerify.Core.Networks

/// Proposition 1: a bound over `outer` is a bound over every ball inside it.
let superset (outer: RestrictedBall) (inner: RestrictedBall) (bound: Bound) =
    if RestrictedBall.contains outer inner then
        bound
    else
        invalidArg (nameof inner) "Proposition 1 needs a ball inside the one that the bound is for"

/// Proposition 2: inputs within `radius` of `x0` have outputs within `radius·L` of `f(x0)`.
let radiusTransfer (radius: Bound) (lipschitz: Bound) = Bound.product radius lipschitz

/// Proposition 3: `L(g∘f) ≤ L(f)·L(g)`, the first over the inputs, the second over the outputs of `f`.
let composition (inner: Bound) (outer: Bound) = Bound.product inner outer

/// The constant of a sum of branches over the same inputs: `L(g + h) ≤ L(g) + L(h)`.
let sumOfBranches (branches: Bound list) = List.fold Bound.sum Bound.zero branches

/// The constant of branches whose outputs are stacked, so that none adds to another's: `L² ≤ Σ L_i²`.
let concatenation (branches: Bound list) =
    let squares =
        branches
        |> List.fold (fun sum branch -> Rounding.addUp sum (Rounding.mulUp branch.Value branch.Value)) 0.0

    let sum = sumOfBranches branches

    { sum with
        Value = min sum.Value (Rounding.sqrtUp squares)
    }

/// The constant of what branches give together: stacked where no output takes more than one of them, else their sum.
let joined (branches: Stage list list) bounds =
    if Stage.areStacked branches then
        concatenation bounds
    else
        sumOfBranches bounds

/// Theorem 1: the local Lipschitz constant of the scalar ReLU at `nominal`, when the input reaches at most
/// `nominal + reach`. Nominal: `(relu(ȳ) − relu(y0)) / (ȳ − y0)`, and 0 where `reach = 0`. Uniform: 1 where `ȳ > 0`, else 0.
let reluSlope definition (nominal: float) (reach: float) =
    let upper = Rounding.addUp nominal reach

    match definition with
    | _ when upper <= 0.0 -> 0.0
    | Uniform -> 1.0
    | Nominal when reach = 0.0 -> 0.0
    | Nominal when nominal >= 0.0 -> 1.0
    | Nominal ->
        let slope = Rounding.divUp upper reach
        if slope < 1.0 then slope else 1.0

/// Theorem 1 for any activation (METHODS section 16): the largest absolute slope of its chords from the nominal value, 0 where nothing moves
/// (nominal), or between any two values (uniform).
let activationSlope definition (activation: Activation) excursion =
    match definition with
    | Nominal when excursion.Down = 0.0 && excursion.Up = 0.0 -> 0.0
    | Nominal
    | Uniform -> activation.Slopes definition excursion |> SlopeIntervals.size

/// Nominal pre-activations and how far each can rise above them.
[<ReferenceEquality>]
type PreActivations =
    {
        /// `y0 = A x0 + b`.
        Nominal: Tensor
        /// `ȳ − y0 = ε·‖D a_i‖`, one an output.
        Reach: Tensor
    }

/// Proposition 4: over the restricted ball, `A x + b` rises at most `ε·‖D a_i‖` above its nominal value `y0`.
let affineUpperBound (engine: IEngine) map (nominal: Tensor) (ball: RestrictedBall) =
    {
        Nominal = nominal
        Reach =
            RowNorms.rowNorms engine map ball.Mask
            |> Tensor.map (Rounding.mulUp ball.Radius.Value)
    }

/// The slopes `r_i` of Theorem 2, from Theorem 1 applied to each pre-activation.
let slopes definition (y: PreActivations) =
    Tensor.map2 (reluSlope definition) y.Nominal y.Reach

/// Theorem 2: `‖R A D‖` bounds the local Lipschitz constant of `x ↦ relu(A x + b)`, or with another activation; `slopes` is the diagonal of `R`.
let affineRelu context map (slopes: Tensor) (ball: RestrictedBall) =
    Spectral.norm
        context
        {
            Map = map
            Rows = slopes
            Columns = ball.Mask
        }

/// The constant of a bare affine map over a restricted ball: `‖A D‖`.
let affine context map (ball: RestrictedBall) =
    Spectral.norm
        context
        { MaskedMap.whole map with
            Columns = ball.Mask
        }

/// Theorem 3: max pooling has the constant `√n_max`, for `n_max` the most pooling regions that one input belongs to.
let maxPooling (nMax: int) =
    let root = Math.Round(sqrt (float nMax))

    // Only an integer is its own square's root without rounding.
    if root * root = float nMax then
        Bound.certified root
    else
        Bound.certified (Rounding.sqrtUp (float nMax))

/// Proposition 5: `n_max = ⌈k_h/s_h⌉·⌈k_w/s_w⌉` for dilation 1. On small inputs the count on the geometry itself,
/// `PoolingGeometry.MaxOverlap`, may be lower, and it also covers dilation.
let overlapOfWindows (kernelHeight, kernelWidth) (strideHeight, strideWidth) =
    let ceilingOf a b = (a + b - 1) / b
    ceilingOf kernelHeight strideHeight * ceilingOf kernelWidth strideWidth

/// Zero propagation through affine-ReLU: an output can differ from zero only where `ȳ > 0`.
let zerosAfterRelu (y: PreActivations) =
    Tensor.map2 (fun nominal reach -> if Rounding.addUp nominal reach <= 0.0 then 0.0 else 1.0) y.Nominal y.Reach

/// Zero propagation through any activation: an output can move only where the slope is not 0 throughout.
let movesAfterActivation (activation: Activation) excursion =
    if activation.Settled excursion = ValueSome 0.0 then
        0.0
    else
        1.0

/// Zero propagation through max pooling: an output is zero where its whole window is, `d′ = maxpool(d)`.
let zerosAfterMaxPooling (engine: IEngine) (geometry: PoolingGeometry) (mask: Tensor) =
    let pooled = engine.Allocate geometry.OutputSize
    engine.MaxPool(&geometry, mask.Storage, 1, pooled, null)
    Tensor.ofStorage [ geometry.Channels; geometry.Rows.Output; geometry.Columns.Output ] pooled

/// Zero propagation through a bare affine map: nothing is known to be zero.
let zerosAfterAffine (output: Shape) = Tensor.create output 1.0

/// Zero propagation through a sum: zero where every branch is.
let zerosAfterSum (masks: Tensor list) = masks |> List.reduce (Tensor.map2 max)

/// The gap `δ` between the two largest outputs, rounded downward and less what the enclosure leaves open; infinite for a single
/// output. Negative where the enclosure does not decide which output is the largest.
let topTwoGap (output: EnclosedTensor) =
    let values = Tensor.values output.Value
    let errors = Tensor.values output.Error
    let top = values |> Array.indexed |> Array.maxBy snd |> fst
    let least = Math.BitDecrement(values[top] - errors[top])

    let rival i =
        if errors[i] = 0.0 && errors[top] = 0.0 then
            Math.BitDecrement(values[top] - values[i])
        else
            Math.BitDecrement(least - Rounding.addUp values[i] errors[i])

    seq { 0 .. values.Length - 1 }
    |> Seq.filter (fun i -> i <> top)
    |> Seq.map rival
    |> Seq.fold min Double.PositiveInfinity

/// The right side `δ/√2` of Proposition 6, rounded downward; negative where the class is undecided.
let classThreshold (output: EnclosedTensor) =
    Math.BitDecrement(topTwoGap output / Math.BitIncrement(sqrt 2.0))
    |> Math.BitDecrement

/// Proposition 6: inputs within `radius` keep the class of the nominal output if `radius·L ≤ δ/√2`.
/// An output that is not a finite number certifies nothing.
let keepsClass (output: EnclosedTensor) (radius: Radius) (lipschitz: Bound) =
    Tensor.isFinite output.Value
    && Tensor.isFinite output.Error
    && Rounding.mulUp radius.Value lipschitz.Value <= classThreshold output
