/// JSON of certificates and of the headers of networks. Anything unexpected is refused.
module LipVerify.Checker.Json

open System
open System.Text.Json

/// A file that cannot be used, and why.
exception Unreadable of string

let refuse text = raise (Unreadable text)

/// The fields of an object, which must be exactly those named.
let fields (names: string list) (json: JsonElement) =
    if json.ValueKind <> JsonValueKind.Object then
        refuse "the certificate has something else where an object should be"

    let found = json.EnumerateObject() |> Seq.map _.Name |> List.ofSeq

    if List.sort found <> List.sort names then
        let listed = String.concat ", " names
        refuse $"an object of the certificate should have the fields {listed}, each once"

    fun (name: string) -> json.GetProperty name

let text (json: JsonElement) =
    match json.ValueKind, lazy (json.GetString()) with
    | JsonValueKind.String, Lazy text -> string text
    | _ -> refuse "the certificate has something else where a text should be"

/// The text of a field of the certificate, which must be one of the choices.
let oneOf (field: string -> JsonElement) choices name =
    let value = text (field name)

    if not (List.contains value choices) then
        let listed = String.concat " or " choices
        refuse $"the {name} of the certificate should be {listed}"

    value

/// Fields of the certificate that can have one text alone.
let states field (expected: (string * string) list) =
    for name, only in expected do
        oneOf field [ only ] name |> ignore

/// An array of what `read` takes.
let array what read (json: JsonElement) =
    if json.ValueKind <> JsonValueKind.Array then
        refuse $"the certificate has something else where an array of {what} should be"

    json.EnumerateArray() |> Seq.map read |> Array.ofSeq

/// A finite number that is not negative.
let number (json: JsonElement) =
    let mutable value = 0.0

    if
        json.ValueKind = JsonValueKind.Number
        && json.TryGetDouble &value
        && Double.IsFinite value
        && value >= 0.0
    then
        value
    else
        refuse "the certificate has something else where a finite number of at least 0 should be"

/// A finite number above 0.
let positive json =
    match number json with
    | 0.0 -> refuse "the certificate has 0 where a positive number should be"
    | value -> value

let integer (json: JsonElement) =
    let mutable value = 0

    if json.ValueKind = JsonValueKind.Number && json.TryGetInt32 &value then
        value
    else
        refuse "the certificate has something else where an integer should be"

/// What `read` takes, or null.
let optional read (json: JsonElement) =
    if json.ValueKind = JsonValueKind.Null then
        None
    else
        Some(read json)

/// Integers of at least 0, each once.
let positions json =
    let items = json |> array "positions" integer

    if Array.distinct items <> items || Array.exists (fun i -> i < 0) items then
        refuse "the certificate has a position twice, or one below 0"

    items

/// JSON parsed and read; text that is no UTF-8 shows only when it is read.
let withJson what (bytes: byte[]) read =
    try
        use document = JsonDocument.Parse(ReadOnlyMemory bytes)
        read document.RootElement
    with
    | :? JsonException -> refuse $"{what} is not valid JSON"
    | :? InvalidOperationException
    | :? IndexOutOfRangeException
    | :? Collections.Generic.KeyNotFoundException -> refuse $"{what} is not as it should be"

/// Whether the bytes call themselves a certificate of a schema.
let isOf schema (bytes: byte[]) =
    withJson "the certificate" bytes (fun root ->
        let mutable name = JsonElement()

        root.ValueKind = JsonValueKind.Object
        && root.TryGetProperty("schema", &name)
        && name.ValueKind = JsonValueKind.String
        && name.GetString() = schema)
