/// Bounds of other methods that cost little beside a search for multipliers, which is not to end above them. None is taken that rests on
/// random draws: a minimum with a certified bound adds nothing to what may fail.
module internal LipVerify.Core.Bounds.Multipliers.CheaperBounds

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.SeqLip
open LipVerify.Core.Bounds.Jacobian

/// A method and what it certifies.
type Named = { Method: string; Bound: Bound }

/// FastLip keeps an input times the widest layer; up to so many entries it takes about a second.
let private mostEntries = 1L <<< 24

/// SeqLip takes the singular vectors of layers; in networks of up to so many values inside it takes seconds.
let private mostValues = 200_000L

/// The part of the time that is left which each of them may take.
let private part = 0.15

/// All values inside a network.
let values (network: Network) =
    Network.layers network
    |> List.sumBy (fun layer -> int64 (Shape.size layer.Output))

/// What a method certifies, if it does: where it cannot without random draws, the search does without it.
let private certified context name (run: Context -> Result<Bound, string>) =
    try
        match Context.attempt (Context.withPart part context) run with
        | Some(Ok bound) when bound.Rigor = Certified -> Some { Method = name; Bound = bound }
        | _ -> None
    with :? Spectral.NotCertifiableException ->
        None

/// Bounds over all inputs.
let overAllInputs (context: Context) (network: Network) =
    if values network > mostValues then
        []
    else
        certified context "seqlip" (fun context -> SeqLip.bound context Relaxed network None |> Result.map _.Bound)
        |> Option.toList

/// Bounds over a ball, those over all inputs among them.
let overBall (context: Context) definition (network: Network) (input: Tensor) (radius: Radius) =
    let fastLip =
        if FastLip.entries network > mostEntries then
            None
        else
            certified context "fastlip" (fun context -> FastLip.bound context Euclidean definition network input radius)

    Option.toList fastLip @ overAllInputs context network

/// The least of a bound and of others, with the name of the other that it is.
let least (bound: Bound) (others: Named list) =
    ((bound, None), others)
    ||> List.fold (fun (least, name) other ->
        if other.Bound.Value < least.Value then
            other.Bound, Some other.Method
        else
            least, name)
