/// Walks the network beside a certificate by multipliers: derives ranges, slopes and the linear fractional representation,
/// and has `F(γ², t) ⪰ 0` shown. Nothing of this is taken from the certificate, but for which entries have a multiplier and
/// which members of a pooling window are kept; the others are shown to lose.
module LipVerify.Checker.MultiplierWalk

open System
open LipVerify.Checker.Directed
open LipVerify.Checker.Forms
open LipVerify.Checker.Json
open LipVerify.Checker.MultiplierBends
open LipVerify.Checker.MultiplierFile
open LipVerify.Checker.Network
open LipVerify.Checker.Slopes
open LipVerify.Checker.Subject

/// One walk over a ball of this radius around an input of this size.
type private Walker(certificate: MultiplierCertificate, inputs: int) =
    let bends = Bends(certificate, inputs)
    let mutable windows = certificate.Windows

    /// Whether every member that is not kept surely stays below a kept one, or, where a ReLU follows, at or below 0.
    let loses rectified signal (window: int[]) (kept: int[]) =
        let ends = window |> Array.map (fun i -> extremes signal.Ranges[i])

        let isCovered =
            Array.map2
                (fun i ends ->
                    Array.contains i kept
                    || rectified && ends.Hi <= 0.0
                    || ends.Hi <= (extremes signal.Ranges[kept[0]]).Lo
                    || (extremes (fst (bends.DifferenceOf signal kept[0] i))).Hi <= 0.0)
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

            tournament positions (bends.LargerOf (Array.concat pairs) signal)

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
        let nominal =
            Nominal.apply operator scales bias (signal.Ranges |> Array.map _.Nominal)

        let forms = apply operator scales bends.Coordinates signal.Forms

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

                        bends.Limited unlimited form)
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
            series false (bends.Narrow signal |> maxPool true windows |> bends.Relu) rest
        | Leaf(_, Relu) :: rest -> series false (bends.Narrow signal |> bends.Relu) rest
        | Leaf(_, MaxPool(inputs, windows)) :: rest ->
            fits inputs signal
            series false (maxPool false windows signal) rest
        | Leaf(_, Skip) :: rest -> series afterAffine signal rest
        | Series nodes :: rest -> series afterAffine signal (nodes @ rest)
        | Sum branches :: rest ->
            let ends = branches |> List.map (flatten >> series false signal)
            series false (List.reduce added ends) rest

    and fits inputs signal =
        if signal.Forms.Length <> inputs then
            refuse "a layer of the network does not fit the one before"

    and added a b =
        if a.Forms.Length <> b.Forms.Length then
            refuse "the branches of a sum differ in size"

        let forms = Array.map2 (addSigned 1.0) a.Forms b.Forms

        {
            Ranges = Array.map3 (fun a b form -> bends.Limited (sum a b) form) a.Ranges b.Ranges forms
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

        let output = series false start (flatten root)

        if not (bends.AreAllTaken && windows.IsEmpty) then
            stop "the certificate speaks of more slopes or windows than the network has"

        say true $"slopes and windows are derived over the ball of radius {Decimals.asRead certificate.Radius}"

        let text = $"the value {Decimals.upward certificate.Value}"

        match bends.Show output.Forms certificate.Value with
        | Ok how -> say true $"{text}: {how}"
        | Error why -> say false $"{text}: {why}"

/// Checks everything that a certificate states about a network and an input; `say` receives each verdict.
let check (certificate: MultiplierCertificate) (lines, tensors, networkHash) input say =
    say (certificate.Network = networkHash) "the certificate is about this network"
    let size, root = parse lines tensors

    let nominal = nominalInput (Some certificate.Input) input size say
    whereSmall root say (fun () -> Walker(certificate, size).Run nominal root say)
