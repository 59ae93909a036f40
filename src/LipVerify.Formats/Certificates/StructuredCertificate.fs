/// Writes certificates of structured bounds in the format `lipverify/structured/1` (docs/certificates.md).
module LipVerify.Formats.StructuredCertificate

open System
open System.Text.Json
open LipVerify.Core.Numbers
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Structured

let private writePlace (writer: Utf8JsonWriter) (place: StructuredPlace) =
    let integers = CertificateText.integers writer

    let numbers name (items: float[]) =
        CertificateText.namedArray writer name items (fun value ->
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

    // Over all inputs there is no nominal one.
    writer.WriteString("definition", CertificateText.definition (if radius.IsSome then definition else Uniform))
    writer.WriteString("method", "structured")

    CertificateText.optionalNumber writer "radius" (radius |> Option.map _.Value)
    writer.WriteNumber("value", bound.Value)
    writer.WriteString("rigor", Rigor.label bound.Rigor)
    writer.WriteNumber("failureProbability", Rigor.failureProbability bound.Rigor)
    CertificateText.optionalNumber writer "kappa" witness.Kappa
    writer.WriteNumber("scale", witness.Scale)
    writer.WriteNumber("loopNorm", witness.Norm)
    CertificateText.namedArray writer "places" witness.Places (writePlace writer)
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
        // Positions by the thousand would take a line each.
        CertificateText.bytes (JsonWriterOptions()) (fun writer ->
            writeDocument writer network input definition radius bound witness)
    else
        Error "a factor is not finite, so there is nothing to certify"
