/// What certificates of every kind have in common as text: JSON that its readers take.
module LipVerify.Formats.CertificateText

open System.IO
open System.Text.Json
open LipVerify.Core.Numbers

/// The most bytes of a certificate, as the checker takes them (docs/certificates.md).
let mostBytes = 32L <<< 20

/// The bytes of the document that `write` produces and a line break, if the checker takes so many.
let bytes options (write: Utf8JsonWriter -> unit) : Result<byte[], string> =
    use buffer = new MemoryStream()
    use writer = new Utf8JsonWriter(buffer, options)
    write writer
    writer.Flush()
    buffer.WriteByte(byte '\n')

    if buffer.Length > mostBytes then
        Error $"the certificate would have {buffer.Length} bytes, and the checker reads {mostBytes} at most"
    else
        Ok(buffer.ToArray())

/// The word for a definition.
let definition definition =
    match definition with
    | Nominal -> "nominal"
    | Uniform -> "uniform"

/// A named number or null.
let optionalNumber (writer: Utf8JsonWriter) (name: string) (value: float option) =
    match value with
    | Some value -> writer.WriteNumber(name, value)
    | None -> writer.WriteNull name

/// An array.
let array (writer: Utf8JsonWriter) (items: 'a seq) (write: 'a -> unit) =
    writer.WriteStartArray()
    Seq.iter write items
    writer.WriteEndArray()

/// A named array.
let namedArray (writer: Utf8JsonWriter) (name: string) items write =
    writer.WritePropertyName name
    array writer items write

/// A named array of integers.
let integers writer name (items: int[]) =
    namedArray writer name items (fun i -> writer.WriteNumberValue i)
