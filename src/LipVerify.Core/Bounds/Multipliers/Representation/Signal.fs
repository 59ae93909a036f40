namespace LipVerify.Core.Bounds.Multipliers.Representation

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Activations
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures

/// A tensor inside the network: its nominal values, how far they can move, and their changes as affine forms.
[<ReferenceEquality>]
type internal Signal =
    {
        /// `y0`, with rounding enclosed.
        Nominal: EnclosedTensor
        /// `y − y0 ≥ −Fall`, entry by entry.
        Fall: float[]
        /// `y − y0 ≤ Rise`.
        Rise: float[]
        /// `δy`.
        Forms: AffineForms
    }

/// Stages applied to signals: affine maps, sums and activations.
module internal Signal =

    /// The signal with what its affine forms say about its reach.
    let create (slopes: UncertainSlopes) nominal fall rise forms : Signal =
        let reach = slopes.Reach forms

        {
            Nominal = nominal
            Fall = Array.map2 min fall reach
            Rise = Array.map2 min rise reach
            Forms = forms
        }

    /// The signal with a further enclosure of its entries.
    let within (enclosure: Enclosure) (signal: Signal) : Signal =
        { signal with
            Fall = Array.map2 min signal.Fall (Tensor.values enclosure.Fall)
            Rise = Array.map2 min signal.Rise (Tensor.values enclosure.Rise)
        }

    let private unbounded size =
        Array.create size Double.PositiveInfinity

    /// What an affine stage makes of a signal.
    let affine context (slopes: UncertainSlopes) (layers: PlacedLayer list) map (signal: Signal) =
        let nominal =
            (signal.Nominal, layers)
            ||> List.fold (fun enclosed layer -> EnclosedTensor.apply context.Engine layer enclosed)

        let free = unbounded nominal.Value.Length
        AffineForms.apply context map signal.Forms |> create slopes nominal free free

    /// The sum of signals.
    let add (slopes: UncertainSlopes) (a: Signal) (b: Signal) : Signal =
        create
            slopes
            (EnclosedTensor.add a.Nominal b.Nominal)
            (Array.map2 Rounding.addUp a.Fall b.Fall)
            (Array.map2 Rounding.addUp a.Rise b.Rise)
            (AffineForms.add a.Forms b.Forms)

    /// Where an entry lies and how far it can move.
    let excursion (signal: Signal) i =
        let value = (Tensor.values signal.Nominal.Value)[i]
        let error = (Tensor.values signal.Nominal.Error)[i]

        {
            NominalLow =
                if error = 0.0 then
                    value
                else
                    Math.BitDecrement(value - error)
            NominalHigh = Rounding.addUp value error
            Down = signal.Fall[i]
            Up = signal.Rise[i]
        }

    /// `λ_i y_i = c_i y_i + w_i` for slopes in the intervals: the forms `c_i y_i + w_i`, and new coordinates `w_i` where there is
    /// more than one slope.
    let bend (slopes: UncertainSlopes) (intervals: SlopeInterval[]) (reach: float[]) (forms: AffineForms) =
        let centered = intervals |> Array.map SlopeIntervals.centered
        let dormant = AffineForms.dormant forms

        // Where a form is rounding alone, the largest slope covers every other; 1 those of a ReLU.
        let centers =
            Array.map3
                (fun struct (center, _) dormant interval ->
                    if dormant then
                        max 1.0 (SlopeIntervals.size interval)
                    else
                        center)
                centered
                dormant
                intervals

        let bent =
            [|
                for i in 0 .. centered.Length - 1 do
                    let struct (_, width) = centered[i]

                    // What does not move needs no slope; what is no number is not said to stand still.
                    if not (width <= 0.0 || reach[i] <= 0.0 || dormant[i]) then
                        i
            |]

        let width i =
            let struct (_, width) = centered[i]
            width

        slopes.Bends.Add bent

        let scaled = AffineForms.scale centers forms

        if bent.Length = 0 then
            scaled
        else
            let v =
                AffineForms.combine forms (bent |> Array.map (fun i -> struct (i, width i, i, 0.0)))

            let bounds =
                Array.map2 min (bent |> Array.map (fun i -> Rounding.mulUp (width i) reach[i])) (slopes.Reach v)

            let first = slopes.Add v bounds
            AffineForms.withOwnCoordinates first bent scaled

    /// The activations of a signal.
    let activate context definition (activations: EntryActivations) (slopes: UncertainSlopes) (signal: Signal) =
        Context.check context

        let excursions = Array.init signal.Forms.Size (excursion signal)

        let intervals =
            excursions
            |> Array.mapi (fun i excursion -> activations[i].Slopes definition excursion)

        let forms =
            bend slopes intervals (Array.map2 max signal.Fall signal.Rise) signal.Forms

        let ends =
            excursions
            |> Array.mapi (fun i excursion -> activations[i].Deviations excursion)

        let fall = ends |> Array.map (fun struct (fall, _) -> fall)
        let rise = ends |> Array.map (fun struct (_, rise) -> rise)

        create slopes (EnclosedTensor.activate context.Engine activations signal.Nominal) fall rise forms
