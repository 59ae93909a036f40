/// Writes certificates in the format `lipverify/certificate/1` (docs/certificates.md).
module LipVerify.Formats.CertificateFile

open System
open System.IO
open System.Text.Json
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Multipliers
open LipVerify.Core.Certificates

let private options = JsonWriterOptions(Indented = true, NewLine = "\n")

/// The most bytes of a certificate, as the checker takes them (docs/certificates.md).
let mostBytes = 32L <<< 20

/// The bytes that were written, if the checker takes so many.
let ofCheckableSize (buffer: MemoryStream) =
    if buffer.Length > mostBytes then
        Error $"the certificate would have {buffer.Length} bytes, and the checker reads {mostBytes} at most"
    else
        Ok(buffer.ToArray())

let private optionalNumber (writer: Utf8JsonWriter) (name: string) (value: float option) =
    match value with
    | Some value -> writer.WriteNumber(name, value)
    | None -> writer.WriteNull name

let private writeClaim (writer: Utf8JsonWriter) (layer: LayerBound) =
    writer.WriteStartObject()
    writer.WriteNumber("layer", layer.Index)
    writer.WriteNumber("lipschitz", layer.Lipschitz.Value)
    optionalNumber writer "radiusIn" layer.RadiusIn
    optionalNumber writer "radiusOut" layer.RadiusOut
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

    writer.WriteString(
        "definition",
        match certificate.Definition with
        | Nominal -> "nominal"
        | Uniform -> "uniform"
    )

    writer.WriteString("method", Certificate.methodName certificate)
    optionalNumber writer "radius" (certificate.Radius |> Option.map _.Value)
    writer.WriteNumber("value", bound.Value)
    writer.WriteString("rigor", Rigor.label bound.Rigor)
    writer.WriteNumber("failureProbability", Rigor.failureProbability bound.Rigor)
    writer.WriteStartArray "claims"
    certificate.Result.Layers |> List.iter (writeClaim writer)
    writer.WriteEndArray()
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
        use buffer = new MemoryStream()
        use writer = new Utf8JsonWriter(buffer, options)
        writeDocument writer network input certificate
        writer.Flush()
        buffer.WriteByte(byte '\n')
        ofCheckableSize buffer
    else
        Error "the bound is not finite, so there is nothing to certify"

let private writeArray (writer: Utf8JsonWriter) (items: 'a seq) (write: 'a -> unit) =
    writer.WriteStartArray()
    Seq.iter write items
    writer.WriteEndArray()

let private writeIntegers (writer: Utf8JsonWriter) (items: int[]) =
    writeArray writer items (fun i -> writer.WriteNumberValue i)

let private writeMultiplierDocument (writer: Utf8JsonWriter) network input definition (radius: Radius) value witness =
    writer.WriteStartObject()
    writer.WriteString("schema", "lipverify/multipliers/1")
    writer.WriteString("network", CanonicalNetwork.hash network)
    writer.WriteString("input", CanonicalNetwork.inputHash input)
    writer.WriteString("norm", "2")

    writer.WriteString(
        "definition",
        match definition with
        | Nominal -> "nominal"
        | Uniform -> "uniform"
    )

    writer.WriteString("method", "local-lipsdp")
    writer.WriteNumber("radius", radius.Value)
    writer.WriteNumber("value", (value: float))
    writer.WriteString("rigor", "certified")
    writer.WritePropertyName "bends"

    let numbers (name: string) (values: float[]) =
        writer.WritePropertyName name
        writeArray writer values (fun t -> writer.WriteNumberValue(t: float))

    writeArray writer witness.Bends (fun (entries, multipliers) ->
        writer.WriteStartObject()
        writer.WritePropertyName "entries"
        writeIntegers writer entries
        numbers "multipliers" multipliers
        writer.WriteEndObject())

    writer.WritePropertyName "reaches"

    writeArray writer witness.Reaches (fun reach ->
        writer.WriteStartObject()
        writer.WritePropertyName "entries"
        writeIntegers writer reach.Entries
        numbers "bounds" reach.Bounds
        numbers "factors" reach.Factors
        numbers "multipliers" reach.Multipliers
        writer.WriteEndObject())

    writer.WritePropertyName "windows"
    writeArray writer witness.Windows (fun windows -> writeArray writer windows (writeIntegers writer))
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
        use buffer = new MemoryStream()
        // Windows by the thousand would take a line a member.
        use writer = new Utf8JsonWriter(buffer, JsonWriterOptions())
        writeMultiplierDocument writer network input definition radius bound.Value witness
        writer.Flush()
        buffer.WriteByte(byte '\n')
        ofCheckableSize buffer
    else
        Error "a multiplier is not finite, so there is nothing to certify"
