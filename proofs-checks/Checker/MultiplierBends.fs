/// Slopes beside a certificate by multipliers: which entries have one is taken from the certificate, all ranges are derived.
module LipVerify.Checker.MultiplierBends

open System
open LipVerify.Checker.Directed
open LipVerify.Checker.Forms
open LipVerify.Checker.MultiplierFile
open LipVerify.Checker.Slopes
open LipVerify.Checker.Subject

/// The most multipliers.
let private most = 4000

/// A tensor: the ranges of its entries, and their changes.
[<NoEquality; NoComparison>]
type Signal = { Ranges: Range[]; Forms: Form[] }

/// The slopes of a network over a ball of this radius around an input of this size, in the order of a walk. What is not known of one is a
/// coordinate `w_i` that a multiplier bounds.
type Bends(certificate: MultiplierCertificate, inputs: int) =
    let isUniform = certificate.Definition = "uniform"
    let mutable bends = certificate.Bends
    let mutable narrowed = certificate.Reaches
    // Entries of the bends so far, and for each coordinate of `w` which of them it is.
    let mutable passed = 0
    let places = ResizeArray<int>()
    let reaches = ResizeArray<float>()
    let v = ResizeArray<Form>()
    let multipliers = ResizeArray<float>()

    let reachOf form =
        reach inputs certificate.Radius reaches form

    let limited range form =
        let reach = reachOf form
        let fall, rise = min range.Fall reach, min range.Rise reach

        if not (List.forall Double.IsFinite [ range.Nominal.Lo; range.Nominal.Hi; fall; rise ]) then
            stop "not checked: values leave the range of doubles"

        { range with Fall = fall; Rise = rise }

    let nextBend size =
        match bends with
        | bend :: rest when bend.Entries |> Array.forall (fun i -> i < size) ->
            bends <- rest

            if multipliers.Count + bend.Entries.Length > most then
                stop $"not checked: this checker takes {most} multipliers at most"

            let multiplier = Array.create size 0.0
            Array.iter2 (fun i t -> multiplier[i] <- t) bend.Entries bend.Multipliers

            Array.iter
                (fun i ->
                    if multiplier[i] <= 0.0 then
                        stop "a multiplier is not positive")
                bend.Entries

            let place = Array.create size -1
            bend.Entries |> Array.iteri (fun k i -> place[i] <- passed + k)
            passed <- passed + bend.Entries.Length
            bend.Entries, multiplier, place
        | _ -> stop "the certificate has no multipliers where slopes are applied"

    let narrow signal =
        match narrowed with
        | reach :: rest when
            reach.Entries.Length = 0
            || reach.Multipliers.Length = passed
               && reach.Entries |> Array.forall (fun i -> i < signal.Forms.Length)
            ->
            narrowed <- rest
            let rows = v.ToArray()
            let ranges = Array.copy signal.Ranges

            for k in 0 .. reach.Entries.Length - 1 do
                let i, bound = reach.Entries[k], reach.Bounds[k]

                let own =
                    places.ToArray() |> Array.map (fun p -> reach.Factors[k] * reach.Multipliers[p])

                let gamma = -(divUp -bound certificate.Radius)

                match Contraction.show inputs rows [| signal.Forms[i] |] own gamma with
                | Ok _ ->
                    ranges[i] <-
                        { ranges[i] with
                            Fall = min ranges[i].Fall bound
                            Rise = min ranges[i].Rise bound
                        }
                | Error why -> stop $"the reach {Decimals.upward bound} of an entry is not shown: {why}"

            { signal with Ranges = ranges }
        | _ -> stop "the certificate does not say what is narrowed where slopes are applied, or not in a way that fits"

    /// `λ_i y_i` for the slopes of entries: `c y_i + w_i` where there is a multiplier; elsewhere what is unknown of a slope is an
    /// error of the coefficients.
    let bend (slopes: Interval[]) (ranges: Range[]) (forms: Form[]) =
        let entries, multiplier, place = nextBend forms.Length

        // A slope that turns out to be known needs no multiplier: setting `w` to what it then is keeps `F ⪰ 0`.
        let entries =
            entries
            |> Array.filter (fun i ->
                let struct (_, width) = middle slopes[i]
                width > 0.0)

        let first = inputs + reaches.Count

        let bounds =
            entries
            |> Array.map (fun i ->
                let struct (_, width) = middle slopes[i]
                let form = scaleWithin width 0.0 forms[i]
                v.Add form
                multipliers.Add multiplier[i]
                places.Add place[i]
                min (mulUp width (max ranges[i].Fall ranges[i].Rise)) (reachOf form))

        reaches.AddRange bounds
        allow forms.Length (inputs + reaches.Count)

        let bent =
            Array.map2
                (fun (form: Form) slopes ->
                    let struct (center, width) = middle slopes
                    struct (form, center, width))
                forms
                slopes
            |> Array.mapi (fun i (struct (form, center, width)) ->
                scaleWithin center (if multiplier[i] > 0.0 then 0.0 else width) form)

        entries
        |> Array.iteri (fun k i -> bent[i] <- withCoordinate (first + k) bent[i])

        bent

    let relu signal =
        let slopes = signal.Ranges |> Array.map (slopes isUniform)
        let forms = bend slopes signal.Ranges signal.Forms

        {
            Ranges = Array.map2 (rectify >> limited) signal.Ranges forms
            Forms = forms
        }

    let differenceOf signal a b =
        let form =
            if a = b then
                scaleWithin 0.0 0.0 signal.Forms[a]
            else
                addSigned -1.0 signal.Forms[b] signal.Forms[a]

        limited (difference signal.Ranges[a] signal.Ranges[b]) form, form

    let largerOf (pairs: struct (int * int)[]) signal =
        let differences =
            let all = pairs |> Array.map (fun struct (a, b) -> differenceOf signal a b)

            let narrowed =
                narrow
                    {
                        Ranges = Array.map fst all
                        Forms = Array.map snd all
                    }

            Array.zip narrowed.Ranges narrowed.Forms

        let slopes =
            Array.map2
                (fun (struct (a, b)) (range, _) -> if a = b then point 0.0 else slopes isUniform range)
                pairs
                differences

        let wins = slopes |> Array.map (fun slopes -> slopes.Lo = 1.0)

        let bent =
            bend
                (Array.map2 (fun wins slopes -> if wins then point 0.0 else slopes) wins slopes)
                (Array.map fst differences)
                (Array.map snd differences)

        let forms =
            Array.map3
                (fun (struct (a, b)) wins bent ->
                    let taken = signal.Forms[if wins then b else a]

                    if isZero bent then taken else addSigned 1.0 taken bent)
                pairs
                wins
                bent

        {
            Ranges =
                Array.map2
                    (fun (struct (a, b)) form -> limited (larger signal.Ranges[a] signal.Ranges[b]) form)
                    pairs
                    forms
            Forms = forms
        }

    /// Coordinates of the forms so far.
    member _.Coordinates = inputs + reaches.Count

    /// A range with what the form says about it. Beyond the doubles directed rounding ends.
    member _.Limited range form = limited range form

    /// Ranges narrowed by multipliers of their own: with `γ` shown for a form, `|δy_i| ≤ γ ε`.
    member _.Narrow signal = narrow signal

    /// Behind a ReLU.
    member _.Relu signal = relu signal

    /// `b − a`.
    member _.DifferenceOf signal a b = differenceOf signal a b

    /// `max(a, b) = a + relu(b − a)` for pairs of entries, all of them at once.
    member _.LargerOf pairs signal = largerOf pairs signal

    /// Whether all that the certificate says of slopes was asked for.
    member _.AreAllTaken = bends.IsEmpty && narrowed.IsEmpty

    /// Whether the multipliers prove this value for the outputs.
    member _.Show outputs value =
        Contraction.show inputs (v.ToArray()) outputs (multipliers.ToArray()) value
