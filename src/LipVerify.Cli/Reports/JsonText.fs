/// JSON documents as text.
module LipVerify.Cli.JsonText

open System
open System.IO
open System.Text
open System.Text.Encodings.Web
open System.Text.Json

let private options =
    JsonWriterOptions(Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping)

/// The document that `write` produces, with a final line break.
let document (write: Utf8JsonWriter -> unit) =
    use buffer = new MemoryStream()
    use writer = new Utf8JsonWriter(buffer, options)
    write writer
    writer.Flush()
    Encoding.UTF8.GetString(buffer.ToArray()) + "\n"

/// An object.
let object (writer: Utf8JsonWriter) (write: unit -> unit) =
    writer.WriteStartObject()
    write ()
    writer.WriteEndObject()

/// A named array.
let array (writer: Utf8JsonWriter) (name: string) (items: 'a seq) (write: 'a -> unit) =
    writer.WriteStartArray name
    Seq.iter write items
    writer.WriteEndArray()

/// A named number; JSON has no infinity, so a value that is not finite becomes null.
let number (writer: Utf8JsonWriter) (name: string) (value: float) =
    if Double.IsFinite value then
        writer.WriteNumber(name, value)
    else
        writer.WriteNull name

/// A named number or null.
let optionalNumber writer name value =
    number writer name (Option.defaultValue Double.NaN value)

/// A named array of numbers.
let numbers (writer: Utf8JsonWriter) name (values: float seq) =
    array writer name values (fun value ->
        if Double.IsFinite value then
            writer.WriteNumberValue value
        else
            writer.WriteNullValue())

/// The same object with a further field at its end: an array of texts.
let withTexts (name: string) (texts: string list) (text: string) =
    use parsed = JsonDocument.Parse text

    document (fun writer ->
        object writer (fun () ->
            for property in parsed.RootElement.EnumerateObject() do
                property.WriteTo writer

            array writer name texts writer.WriteStringValue))
