/// Walks the network beside a certificate by multipliers: derives ranges, slopes and the linear fractional representation,
/// and has `F(γ², t) ⪰ 0` shown. Nothing of this is taken from the certificate, but for which entries have a multiplier and
/// which members of a pooling window are kept; the others are shown to lose.
module LipVerify.Checker.MultiplierWalk

open System
open LipVerify.Checker.Directed
open LipVerify.Checker.Forms
open LipVerify.Checker.MultiplierFile
open LipVerify.Checker.Network
open LipVerify.Checker.Readers
open LipVerify.Checker.Slopes

/// Something that the certificate should say otherwise.
exception private Broken of string

let private stop text = raise (Broken text)

/// The most multipliers.
let private most = 4000

/// A tensor: the ranges of its entries, and their changes.
[<NoEquality; NoComparison>]
type private Signal = { Ranges: Range[]; Forms: Form[] }

/// One walk over a ball of this radius around an input of this size.
type private Walker(certificate: MultiplierCertificate, inputs: int) =
    let isUniform = certificate.Definition = "uniform"
    let mutable bends = certificate.Bends
    let mutable windows = certificate.Windows
    let mutable narrowed = certificate.Reaches
    // Entries of the bends so far, and for each coordinate of `w` which of them it is.
    let mutable passed = 0
    let places = ResizeArray<int>()
    let reaches = ResizeArray<float>()
    let v = ResizeArray<Form>()
    let multipliers = ResizeArray<float>()

    let reachOf form =
        reach inputs certificate.Radius reaches form

    /// A range with what the form says about it. Beyond the doubles directed rounding ends.
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

    /// Ranges narrowed by multipliers of their own: with `γ` shown for a form, `|δy_i| ≤ γ ε`.
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

    /// `b − a`.
    let differenceOf signal a b =
        let form =
            if a = b then
                scaleWithin 0.0 0.0 signal.Forms[a]
            else
                addSigned -1.0 signal.Forms[b] signal.Forms[a]

        limited (difference signal.Ranges[a] signal.Ranges[b]) form, form

    /// `max(a, b) = a + relu(b − a)` for pairs of entries, all of them at once.
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

    /// Whether every member that is not kept surely stays below a kept one, or, where a ReLU follows, at or below 0.
    let loses rectified signal (window: int[]) (kept: int[]) =
        let ends = window |> Array.map (fun i -> extremes signal.Ranges[i])

        let isCovered =
            Array.map2
                (fun i ends ->
                    Array.contains i kept
                    || rectified && ends.Hi <= 0.0
                    || ends.Hi <= (extremes signal.Ranges[kept[0]]).Lo
                    || (extremes (fst (differenceOf signal kept[0] i))).Hi <= 0.0)
                window
                ends

        // A member that is covered itself covers what stays below it. One that is at most 0 does so where a ReLU follows.
        let floor =
            Array.map2 (fun covered ends -> if covered then ends.Lo else Double.NegativeInfinity) isCovered ends
            |> Array.max

        Array.forall2 (fun covered ends -> covered || ends.Hi <= floor) isCovered ends

    let rec tournament (windows: int[][]) signal =
        if windows |> Array.forall (fun window -> window.Length = 1) then
            let winners = Array.concat windows

            {
                Ranges = winners |> Array.map (fun i -> signal.Ranges[i])
                Forms = winners |> Array.map (fun i -> signal.Forms[i])
            }
        else
            let pairs =
                windows
                |> Array.map (
                    Array.chunkBySize 2
                    >> Array.map (fun pair -> struct (pair[0], pair[pair.Length - 1]))
                )

            let firsts = pairs |> Array.map _.Length |> Array.scan (+) 0

            let positions =
                pairs
                |> Array.mapi (fun i pairs -> Array.init pairs.Length (fun k -> firsts[i] + k))

            tournament positions (largerOf (Array.concat pairs) signal)

    let maxPool rectified (members: int[][]) signal =
        match windows with
        | kept :: rest when kept.Length = members.Length ->
            windows <- rest

            let isFine (members: int[]) (kept: int[]) =
                kept.Length > 0
                && kept.Length <= members.Length
                && kept |> Array.forall (fun i -> Array.contains i members)
                && loses rectified signal members kept

            if not (Array.forall2 isFine members kept) then
                stop "a member of a pooling window was left out that may win"

            tournament kept signal
        | _ -> stop "the certificate has no windows where a max pooling is"

    let affine operator scales bias signal =
        let nominal = Walk.apply operator scales bias (signal.Ranges |> Array.map _.Nominal)

        let forms = apply operator scales (inputs + reaches.Count) signal.Forms

        {
            Ranges =
                Array.map2
                    (fun nominal form ->
                        let unlimited =
                            {
                                Nominal = nominal
                                Fall = Double.PositiveInfinity
                                Rise = Double.PositiveInfinity
                                Least = Double.NegativeInfinity
                            }

                        limited unlimited form)
                    nominal
                    forms
            Forms = forms
        }

    let rec series afterAffine signal nodes =
        match nodes with
        | [] -> signal
        | Leaf(_, Affine(operator, scales, bias, _)) :: rest -> series true (affine operator scales bias signal) rest
        | Leaf(_, Relu) :: Leaf(_, MaxPool(inputs, windows)) :: rest when afterAffine ->
            // The ReLU is monotone, so that it may come after the maximum.
            fits inputs signal
            series false (narrow signal |> maxPool true windows |> relu) rest
        | Leaf(_, Relu) :: rest -> series false (narrow signal |> relu) rest
        | Leaf(_, MaxPool(inputs, windows)) :: rest ->
            fits inputs signal
            series false (maxPool false windows signal) rest
        | Leaf(_, Skip) :: rest -> series afterAffine signal rest
        | Series nodes :: rest -> series afterAffine signal (nodes @ rest)
        | Sum branches :: rest ->
            let ends = branches |> List.map (Walk.flatten >> series false signal)
            series false (List.reduce added ends) rest

    and fits inputs signal =
        if signal.Forms.Length <> inputs then
            refuse "a layer of the network does not fit the one before"

    and added a b =
        if a.Forms.Length <> b.Forms.Length then
            refuse "the branches of a sum differ in size"

        let forms = Array.map2 (addSigned 1.0) a.Forms b.Forms

        {
            Ranges = Array.map3 (fun a b form -> limited (sum a b) form) a.Ranges b.Ranges forms
            Forms = forms
        }

    member _.Run (input: Interval[]) root (say: bool -> string -> unit) =
        allow inputs inputs

        let start =
            {
                Ranges =
                    input
                    |> Array.map (fun x ->
                        {
                            Nominal = x
                            Fall = certificate.Radius
                            Rise = certificate.Radius
                            Least = Double.NegativeInfinity
                        })
                Forms = Array.init inputs coordinate
            }

        let output = series false start (Walk.flatten root)

        if not (bends.IsEmpty && windows.IsEmpty && narrowed.IsEmpty) then
            stop "the certificate speaks of more slopes or windows than the network has"

        say true $"slopes and windows are derived over the ball of radius {Decimals.asRead certificate.Radius}"

        let text = $"the value {Decimals.upward certificate.Value}"

        match Contraction.show inputs (v.ToArray()) output.Forms (multipliers.ToArray()) certificate.Value with
        | Ok how -> say true $"{text}: {how}"
        | Error why -> say false $"{text}: {why}"

/// Checks everything that a certificate states about a network and an input; `say` receives each verdict.
let check (certificate: MultiplierCertificate) (lines, tensors, networkHash) input say =
    say (certificate.Network = networkHash) "the certificate is about this network"
    let size, root = parse lines tensors

    match input with
    | None -> refuse "a local certificate needs the input: with lipverify check it is --input"
    | Some(values: float[], hash) ->
        say (certificate.Input = hash) "it is about this input"

        if values.Length <> size then
            refuse "the input does not fit the network"

        let excess = Walk.oversized root

        for index, entries in excess do
            say
                false
                $"layer {index}: not checked: its map has {int64 entries} entries, and this checker takes {Walk.entryLimit} at most"

        try
            if excess.IsEmpty then
                Walker(certificate, size).Run (Array.map point values) root say
        with
        | Broken text -> say false text
        | TooLarge text -> say false $"not checked: {text}"
