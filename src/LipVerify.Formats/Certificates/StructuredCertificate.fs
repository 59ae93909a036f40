/// Writes certificates of structured bounds in the format `lipverify/structured/1` (docs/certificates.md).
module LipVerify.Formats.StructuredCertificate

open System
open System.IO
open System.Text.Json
open LipVerify.Core.Numbers
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Structured

let private writeArray (writer: Utf8JsonWriter) (name: string) (items: 'a seq) (write: 'a -> unit) =
    writer.WriteStartArray name
    Seq.iter write items
    writer.WriteEndArray()

let private writePlace (writer: Utf8JsonWriter) (place: StructuredPlace) =
    let integers name (items: int[]) =
        writeArray writer name items (fun i -> writer.WriteNumberValue i)

    let numbers name (items: float[]) =
        writeArray writer name items (fun value ->
            if Double.IsInfinity value then
                writer.WriteNullValue()
            else
                writer.WriteNumberValue value)

    writer.WriteStartObject()
    integers "pairs" place.Pairs
    integers "constant" place.Constant
    integers "alone" place.Alone
    integers "channels" place.Channels
    numbers "reaches" place.Reaches
    numbers "reachFactors" place.ReachFactors
    numbers "factors" place.Factors
    writer.WriteEndObject()

let private writeDocument
    (writer: Utf8JsonWriter)
    network
    input
    definition
    (radius: Radius option)
    (bound: Bound)
    witness
    =
    writer.WriteStartObject()
    writer.WriteString("schema", "lipverify/structured/1")
    writer.WriteString("network", CanonicalNetwork.hash network)

    match radius with
    | Some _ -> writer.WriteString("input", CanonicalNetwork.inputHash input)
    | None -> writer.WriteNull "input"

    writer.WriteString("norm", "2")

    writer.WriteString(
        "definition",
        match definition, radius with
        | Nominal, Some _ -> "nominal"
        | _ -> "uniform"
    )

    writer.WriteString("method", "structured")

    match radius with
    | Some radius -> writer.WriteNumber("radius", radius.Value)
    | None -> writer.WriteNull "radius"

    writer.WriteNumber("value", bound.Value)
    writer.WriteString("rigor", Rigor.label bound.Rigor)
    writer.WriteNumber("failureProbability", Rigor.failureProbability bound.Rigor)

    match witness.Kappa with
    | Some kappa -> writer.WriteNumber("kappa", kappa)
    | None -> writer.WriteNull "kappa"

    writer.WriteNumber("scale", witness.Scale)
    writer.WriteNumber("loopNorm", witness.Norm)
    writeArray writer "places" witness.Places (writePlace writer)
    writer.WriteEndObject()

let private isFinite (bound: Bound) witness =
    let factors =
        witness.Places
        |> List.collect (fun place -> [ place.ReachFactors; place.Factors ])
        |> Array.concat

    List.forall Double.IsFinite [ bound.Value; witness.Scale; witness.Norm ]
    && Array.forall Double.IsFinite factors

/// The bytes of the certificate of a structured bound for `network`, over the ball around `input` where there is a radius: the same for
/// the same bound.
let write network input definition radius (bound: Bound) (witness: StructuredWitness) : Result<byte[], string> =
    if isFinite bound witness then
        use buffer = new MemoryStream()
        // Positions by the thousand would take a line each.
        use writer = new Utf8JsonWriter(buffer, JsonWriterOptions())
        writeDocument writer network input definition radius bound witness
        writer.Flush()
        buffer.WriteByte(byte '\n')
        CertificateFile.ofCheckableSize buffer
    else
        Error "a factor is not finite, so there is nothing to certify"
