namespace LipVerify.Core.Enclosures

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks

/// How enclosures are computed (METHODS section 6). Each kind of the first three is intersected with the ones before it.
type EnclosureKind =
    /// Proposition 4 with both signs: `y0 ± ε_k‖D a_i‖`, with the radii of Algorithm 1.
    | Ball
    /// Interval arithmetic from stage to stage.
    | Interval
    /// Linear lower and upper functions carried back to the input.
    | Crown
    /// Reaches that random vectors prove over the network as a whole (METHODS section 14), intersected with intervals; intervals
    /// alone where none can be proved.
    | Probes

module EnclosureKind =

    let private named =
        [ "ball", Ball; "interval", Interval; "crown", Crown; "probes", Probes ]

    /// The word for a kind on the command line and in files.
    let name kind =
        named |> List.find (fun (_, known) -> known = kind) |> fst

    /// The kind of this name.
    let tryFind name =
        named |> List.tryFind (fun (known, _) -> known = name) |> Option.map snd

/// Bounds on the inputs of one non-linear stage over a ball: for every permitted input, entry by entry,
/// `Lower ≤ y ≤ Upper`, and `−Fall ≤ y − y0 ≤ Rise` for the exact nominal values `y0`. The latter stay accurate when the ball is
/// so small that the former are `y0` up to its rounding.
[<ReferenceEquality>]
type Enclosure =
    {
        /// `y0` with its rounding error.
        Nominal: EnclosedTensor
        /// How far below its exact nominal value each entry can lie; non-negative.
        Fall: Tensor
        /// How far above it; non-negative.
        Rise: Tensor
        /// Lower bounds, rounded downward.
        Lower: Tensor
        /// Upper bounds, rounded upward.
        Upper: Tensor
    }

module Enclosure =

    /// The end of an interval around computed values; anything where a value is not a finite number.
    let private upperEnds sign (nominal: EnclosedTensor) (reach: Tensor) =
        let nominalEnd (value: float) error =
            if Double.IsFinite value && Double.IsFinite error then
                Rounding.addUp (sign * value) error
            else
                Double.PositiveInfinity

        Tensor.map2 nominalEnd nominal.Value nominal.Error
        |> fun ends -> Tensor.map2 Rounding.addUp ends reach

    /// The enclosure with these deviations from the nominal values.
    let ofDeviations (nominal: EnclosedTensor) (fall: Tensor) (rise: Tensor) =
        {
            Nominal = nominal
            Fall = fall
            Rise = rise
            Lower = upperEnds -1.0 nominal fall |> Tensor.map (~-)
            Upper = upperEnds 1.0 nominal rise
        }

    let private count holds (enclosure: Enclosure) =
        Array.map2 holds (Tensor.values enclosure.Lower) (Tensor.values enclosure.Upper)
        |> Array.sumBy (fun held -> if held then 1 else 0)

    /// Entries that are surely not negative: a ReLU leaves them as they are.
    let active enclosure =
        count (fun lower upper -> lower >= 0.0 && upper > 0.0) enclosure

    /// Entries that are surely not positive: a ReLU makes them 0.
    let inactive enclosure =
        count (fun _ upper -> upper <= 0.0) enclosure

    /// Entries that may have either sign.
    let unstable enclosure =
        count (fun lower upper -> not (lower >= 0.0 || upper <= 0.0)) enclosure

    /// The widths `Fall + Rise`, rounded upward.
    let widths (enclosure: Enclosure) =
        Tensor.map2 Rounding.addUp enclosure.Fall enclosure.Rise

/// Enclosures of everything in a network that is bent, over a ball of inputs.
[<NoComparison>]
type NetworkEnclosure =
    {
        /// How they were computed: as was asked, or as could be.
        Kind: EnclosureKind
        /// Why not as was asked, where that is so.
        Explanation: string option
        /// The inputs of ReLUs and of max pooling, by the index of the layer in reports: the affine layer that a ReLU is fused
        /// with, a bare ReLU's own, a max pooling's own (the values that it takes the maximum of, behind a ReLU where there is one).
        Stages: Map<int, Enclosure>
        /// The outputs of the network.
        Output: Enclosure
        /// What all of them together promise: that of the spectral norms behind the radii of `Ball`, and of `Probes`.
        Rigor: Rigor
    }
