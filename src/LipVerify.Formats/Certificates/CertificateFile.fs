/// Writes certificates in the format `lipverify/certificate/1` (docs/certificates.md).
module LipVerify.Formats.CertificateFile

open System
open System.Text.Json
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Multipliers
open LipVerify.Core.Certificates

let private options = JsonWriterOptions(Indented = true, NewLine = "\n")

let private writeClaim (writer: Utf8JsonWriter) (layer: LayerBound) =
    writer.WriteStartObject()
    writer.WriteNumber("layer", layer.Index)
    writer.WriteNumber("lipschitz", layer.Lipschitz.Value)
    CertificateText.optionalNumber writer "radiusIn" layer.RadiusIn
    CertificateText.optionalNumber writer "radiusOut" layer.RadiusOut
    writer.WriteString("method", Certificate.witnessLabel layer.Witness.Method)
    writer.WriteNumber("failureProbability", layer.Witness.Failure)

    match layer.Witness.Seed with
    | Some seed -> writer.WriteNumber("seed", seed)
    | None -> writer.WriteNull "seed"

    writer.WriteEndObject()

let private writeDocument (writer: Utf8JsonWriter) network input (certificate: Certificate) =
    let bound = certificate.Result.Bound
    writer.WriteStartObject()
    writer.WriteString("schema", "lipverify/certificate/1")
    writer.WriteString("network", CanonicalNetwork.hash network)

    match certificate.Radius with
    | Some _ -> writer.WriteString("input", CanonicalNetwork.inputHash input)
    | None -> writer.WriteNull "input"

    writer.WriteString("norm", "2")

    writer.WriteString("definition", CertificateText.definition certificate.Definition)
    writer.WriteString("method", Certificate.methodName certificate)
    CertificateText.optionalNumber writer "radius" (certificate.Radius |> Option.map _.Value)
    writer.WriteNumber("value", bound.Value)
    writer.WriteString("rigor", Rigor.label bound.Rigor)
    writer.WriteNumber("failureProbability", Rigor.failureProbability bound.Rigor)
    CertificateText.namedArray writer "claims" certificate.Result.Layers (writeClaim writer)
    writer.WriteEndObject()

let private isFinite (certificate: Certificate) =
    let values (layer: LayerBound) =
        layer.Lipschitz.Value :: Option.toList layer.RadiusIn
        @ Option.toList layer.RadiusOut

    certificate.Result.Bound.Value :: List.collect values certificate.Result.Layers
    |> List.forall Double.IsFinite

/// The bytes of a certificate for `network` at `input` (which only a local bound speaks of): the same for the same bound.
/// A bound that overflowed certifies nothing.
let write (network: Network) (input: Tensor) (certificate: Certificate) : Result<byte[], string> =
    if isFinite certificate then
        CertificateText.bytes options (fun writer -> writeDocument writer network input certificate)
    else
        Error "the bound is not finite, so there is nothing to certify"

let private writeMultiplierDocument (writer: Utf8JsonWriter) network input definition (radius: Radius) value witness =
    writer.WriteStartObject()
    writer.WriteString("schema", "lipverify/multipliers/1")
    writer.WriteString("network", CanonicalNetwork.hash network)
    writer.WriteString("input", CanonicalNetwork.inputHash input)
    writer.WriteString("norm", "2")

    writer.WriteString("definition", CertificateText.definition definition)
    writer.WriteString("method", "local-lipsdp")
    writer.WriteNumber("radius", radius.Value)
    writer.WriteNumber("value", (value: float))
    writer.WriteString("rigor", "certified")

    let numbers name (values: float[]) =
        CertificateText.namedArray writer name values (fun t -> writer.WriteNumberValue t)

    CertificateText.namedArray writer "bends" witness.Bends (fun (entries, multipliers) ->
        writer.WriteStartObject()
        CertificateText.integers writer "entries" entries
        numbers "multipliers" multipliers
        writer.WriteEndObject())

    CertificateText.namedArray writer "reaches" witness.Reaches (fun reach ->
        writer.WriteStartObject()
        CertificateText.integers writer "entries" reach.Entries
        numbers "bounds" reach.Bounds
        numbers "factors" reach.Factors
        numbers "multipliers" reach.Multipliers
        writer.WriteEndObject())

    CertificateText.namedArray writer "windows" witness.Windows (fun windows ->
        CertificateText.array writer windows (fun members ->
            CertificateText.array writer members (fun (i: int) -> writer.WriteNumberValue i)))

    writer.WriteEndObject()

/// The bytes of a certificate `lipverify/multipliers/1` for a bound by local LipSDP.
let writeMultipliers
    network
    input
    definition
    radius
    (bound: Bound)
    (witness: MultiplierWitness)
    : Result<byte[], string> =
    let multipliers =
        (witness.Bends |> List.collect (snd >> List.ofArray))
        @ (witness.Reaches
           |> List.collect (fun reach ->
               [ reach.Bounds; reach.Factors; reach.Multipliers ] |> List.collect List.ofArray))

    if List.forall Double.IsFinite (bound.Value :: multipliers) then
        // Windows by the thousand would take a line a member.
        CertificateText.bytes (JsonWriterOptions()) (fun writer ->
            writeMultiplierDocument writer network input definition radius bound.Value witness)
    else
        Error "a multiplier is not finite, so there is nothing to certify"
