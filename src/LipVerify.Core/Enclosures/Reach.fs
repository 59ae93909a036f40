namespace LipVerify.Core.Enclosures

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Activations
open LipVerify.Core.Networks

/// Values between two stages: nominal, and how far they can lie from that over a ball of inputs.
[<ReferenceEquality>]
type internal Reach =
    {
        Kind: EnclosureKind
        /// The norm of the ball of inputs of the network.
        Norm: Norm
        /// Its radius.
        Radius: float
        Nominal: EnclosedTensor
        Fall: float[]
        Rise: float[]
        /// True where the values are the inputs of the network, whose ball is known exactly.
        IsInput: bool
        /// The way back to the input, the last step first; only `Crown` goes it.
        Steps: Backward.Step list
        /// Entries whose deviations linear functions have tightened already.
        Refined: bool[]
    }

module internal Reach =

    /// A bound that is known; not a number says nothing.
    let private known (bound: float) =
        if Double.IsNaN bound then
            Double.PositiveInfinity
        else
            max bound 0.0

    let private tighter (bound: float) other = if other < bound then other else bound

    /// The inputs of a network: a ball of this norm around `center`.
    let start norm kind (center: EnclosedTensor) radius =
        let size = center.Value.Length

        {
            Kind = kind
            Norm = norm
            Radius = radius
            Nominal = center
            Fall = Array.create size radius
            Rise = Array.create size radius
            IsInput = true
            Steps = []
            Refined = Array.create size true
        }

    /// `max |δ|`, entry by entry.
    let private sizes (reach: Reach) = Array.map2 max reach.Fall reach.Rise

    let private deviations (reach: Reach) =
        Relaxation.Deviations.create reach.Nominal reach.Fall reach.Rise

    /// What is known of the values as bounds.
    let enclosure (reach: Reach) =
        let tensor = Tensor.ofArray reach.Nominal.Value.Shape
        Enclosure.ofDeviations reach.Nominal (tensor reach.Fall) (tensor reach.Rise)

    /// The values lie within `ball` of the nominal ones, entry by entry.
    let within (ball: Tensor) (reach: Reach) : Reach =
        let ball = Tensor.values ball

        { reach with
            Fall = Array.map2 tighter reach.Fall ball
            Rise = Array.map2 tighter reach.Rise ball
        }

    /// The same where Proposition 4 gives `ball`, which is all that `Ball` takes.
    let limited (ball: Tensor) (reach: Reach) : Reach =
        if reach.Kind = Ball then
            let deviations = Tensor.values ball |> Array.map known

            { reach with
                Fall = deviations
                Rise = deviations
            }
        else
            within ball reach

    /// Middles and reaches of intervals `[−fall, rise]`.
    let private centered shape (fall: float[]) (rise: float[]) : EnclosedTensor =
        let middle (fall: float) rise =
            let middle = 0.5 * rise - 0.5 * fall
            if Double.IsFinite middle then middle else 0.0

        let middles = Array.map2 middle fall rise

        let reaches =
            Array.map3
                (fun middle fall rise -> max (Rounding.addUp rise -middle) (Rounding.addUp fall middle))
                middles
                fall
                rise

        {
            Value = Tensor.ofArray shape middles
            Error = Tensor.ofArray shape reaches
        }

    /// Deviations behind a linear map, in interval arithmetic; over the ball of inputs exactly, `ε‖a_i‖` in the dual norm.
    let private throughMap (engine: IEngine) (layer: PlacedLayer) map (reach: Reach) =
        if reach.IsInput then
            let norms = RowNorms.dualNorms engine reach.Norm map |> Tensor.values

            let deviations = norms |> Array.map (Rounding.mulUp reach.Radius >> known)
            struct (deviations, deviations)
        else
            let image =
                centered (LinearMap.inputShape map) reach.Fall reach.Rise
                |> EnclosedTensor.apply engine { layer with Layer = Layer.linear map }

            let ends sign =
                Array.map2
                    (fun value error -> known (Rounding.addUp (sign * value) error))
                    (Tensor.values image.Value)
                    (Tensor.values image.Error)

            struct (ends -1.0, ends 1.0)

    /// Behind an affine map. `ball` holds the deviations that Proposition 4 allows, where a radius is known: they are what
    /// `Ball` takes, and limit what the others find.
    let affine (engine: IEngine) (ball: Tensor option) layer map (nominal: EnclosedTensor) (reach: Reach) : Reach =
        let struct (fall, rise) =
            if reach.Kind = Ball then
                let unknown = Array.create nominal.Value.Length Double.PositiveInfinity
                struct (unknown, unknown)
            else
                throughMap engine layer map reach

        let image =
            { reach with
                Nominal = nominal
                Fall = fall
                Rise = rise
                IsInput = false
                Steps =
                    if reach.Kind = Crown then
                        Backward.linear engine map (sizes reach) :: reach.Steps
                    else
                        []
                Refined = Array.create fall.Length reach.IsInput
            }

        match ball with
        | Some ball -> limited ball image
        | None -> image

    /// Tightens the entries that are `wanted` and have not been yet, by linear functions. This may take a part of the time that is left, so
    /// that some is left for the layers behind and for the norms.
    let private refine (context: Context) (wanted: int -> bool) (reach: Reach) : Reach =
        let entries =
            [|
                for i in 0 .. reach.Fall.Length - 1 do
                    if not reach.Refined[i] && wanted i then
                        i
            |]

        if reach.Kind <> Crown || entries.Length = 0 then
            reach
        else
            let fill row (coefficients: Memory<float>) =
                coefficients.Span[entries[row / 2]] <- if row % 2 = 0 then -1.0 else 1.0

            let bounds =
                Backward.upperBounds
                    (Context.withPart 0.3 context)
                    reach.Steps
                    reach.Norm
                    reach.Radius
                    reach.Fall.Length
                    (2 * entries.Length)
                    fill

            let fall, rise, refined =
                Array.copy reach.Fall, Array.copy reach.Rise, Array.copy reach.Refined

            entries
            |> Array.iteri (fun k i ->
                fall[i] <- tighter fall[i] (max 0.0 bounds[2 * k])
                rise[i] <- tighter rise[i] (max 0.0 bounds[2 * k + 1])
                refined[i] <- true)

            { reach with
                Fall = fall
                Rise = rise
                Refined = refined
            }

    /// Where the values lie and how far each can move.
    let excursions (reach: Reach) : Excursion[] =
        let d = deviations reach
        Array.init reach.Fall.Length (Relaxation.Deviations.excursion d)

    /// The inputs of activations: entries whose slope is known stay as they are.
    let beforeActivation context (activations: EntryActivations) (reach: Reach) : Reach =
        let d = deviations reach

        let isOpen i =
            activations[i].Settled(Relaxation.Deviations.excursion d i) = ValueNone

        refine context isOpen reach

    /// The inputs of max pooling: entries that lose in all their windows, or win them surely, stay as they are.
    let beforeMaxPooling context geometry (reach: Reach) : Reach =
        if reach.Kind = Crown then
            let contested = Relaxation.contested geometry (deviations reach)
            refine context (fun i -> contested[i]) reach
        else
            reach

    /// The outputs of the network: all matter.
    let atOutput context reach = refine context (fun _ -> true) reach

    let private bent (reach: Reach) bend overlap =
        if reach.Kind = Crown then
            Backward.Bent(bend, sizes reach, overlap) :: reach.Steps
        else
            []

    /// Behind activations.
    let activate engine (activations: EntryActivations) (reach: Reach) : Reach =
        let d = deviations reach
        let struct (fall, rise) = Relaxation.activated activations d

        let isConstant i =
            activations[i].Settled(Relaxation.Deviations.excursion d i) = ValueSome 0.0

        { reach with
            Nominal = EnclosedTensor.activate engine activations reach.Nominal
            Fall = fall
            Rise = rise
            IsInput = false
            Steps =
                if reach.Kind = Crown then
                    bent reach (Relaxation.activation activations d) 1
                else
                    []
            // Where the slope is open, the functions of the activation give no more than its own ends do.
            Refined = Array.mapi (fun i refined -> refined || isConstant i) reach.Refined
        }

    /// Behind max pooling, whose nominal outputs are given.
    let maxPooling (geometry: PoolingGeometry) nominal (reach: Reach) : Reach =
        let struct (bend, fall, rise) = Relaxation.maxPooling geometry (deviations reach)

        { reach with
            Nominal = nominal
            Fall = fall
            Rise = rise
            IsInput = false
            Steps = bent reach bend geometry.MaxOverlap
            Refined = Array.create fall.Length false
        }

    /// The sum of branches that all begin at `before`.
    let sum (before: Reach) (branches: Reach list) : Reach =
        let own branch =
            branch.Steps |> List.take (branch.Steps.Length - before.Steps.Length)

        let total (deviations: Reach -> float[]) =
            branches |> List.map deviations |> List.reduce (Array.map2 Rounding.addUp)

        let fall = total _.Fall

        { before with
            Nominal = branches |> List.map _.Nominal |> List.reduce EnclosedTensor.add
            Fall = fall
            Rise = total _.Rise
            IsInput = false
            Steps =
                if before.Kind = Crown then
                    Backward.Summed(List.map own branches, sizes before) :: before.Steps
                else
                    []
            Refined = Array.create fall.Length false
        }
