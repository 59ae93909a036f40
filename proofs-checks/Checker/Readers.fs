/// The three files: the certificate (JSON), the network (safetensors of doubles with the layers in its metadata) and the
/// input (npy of doubles). Anything unexpected is refused.
module LipVerify.Checker.Readers

open System
open System.Buffers.Binary
open System.IO
open System.Security.Cryptography
open System.Text
open System.Text.Json
open LipVerify.Checker.Json

/// One claim: over the ball of radius `RadiusIn` around its nominal input the layer has at most this constant.
type Claim =
    {
        Layer: int
        Lipschitz: float
        Radii: (float * float) option
        Method: string
        Failure: float
        Seed: int option
    }

type Certificate =
    {
        Network: string
        Input: string option
        Definition: string
        Method: string
        Radius: float option
        Value: float
        Rigor: string
        Failure: float
        Claims: Claim list
    }

let private claim json : Claim =
    let field =
        json
        |> fields
            [
                "layer"
                "lipschitz"
                "radiusIn"
                "radiusOut"
                "method"
                "failureProbability"
                "seed"
            ]

    {
        Layer = integer (field "layer")
        Lipschitz = number (field "lipschitz")
        Radii =
            match optional number (field "radiusIn"), optional number (field "radiusOut") with
            | Some radiusIn, Some radiusOut -> Some(radiusIn, radiusOut)
            | None, None -> None
            | _ -> refuse "a claim has one radius of two"
        Method = text (field "method")
        Failure = number (field "failureProbability")
        Seed = optional integer (field "seed")
    }

let private certificate (root: JsonElement) : Certificate =
    let field =
        root
        |> fields
            [
                "schema"
                "network"
                "input"
                "norm"
                "definition"
                "method"
                "radius"
                "value"
                "rigor"
                "failureProbability"
                "claims"
            ]

    let oneOf = oneOf field
    states field [ "schema", "lipverify/certificate/1"; "norm", "2" ]

    {
        Network = text (field "network")
        Input = optional text (field "input")
        Definition = oneOf [ "nominal"; "uniform" ] "definition"
        Method = oneOf [ "analytic"; "global" ] "method"
        Radius = optional number (field "radius")
        Value = number (field "value")
        Rigor = oneOf [ "certified"; "probabilistic" ] "rigor"
        Failure = number (field "failureProbability")
        Claims = field "claims" |> array "claims" claim |> List.ofArray
    }

/// The certificate in the bytes of its file.
let readCertificate bytes =
    withJson "the certificate" bytes certificate

let private doubles (bytes: ReadOnlySpan<byte>) =
    let values = Array.zeroCreate (bytes.Length / 8)

    for i in 0 .. values.Length - 1 do
        values[i] <- BinaryPrimitives.ReadDoubleLittleEndian(bytes.Slice(8 * i))

    if not (Array.forall Double.IsFinite values) then
        refuse "a value of the network or input is not finite"

    values

/// A network file: the lines that describe the layers, the tensors `0`, `1`, …, and the SHA-256 of text and values.
let readNetwork (bytes: byte[]) : string list * float[][] * string =
    let length =
        if bytes.Length < 8 then
            0L
        else
            BinaryPrimitives.ReadInt64LittleEndian bytes

    if length < 2L || length > int64 bytes.Length - 8L then
        refuse "the network file is no safetensors"

    let data = 8 + int length

    let text, places =
        withJson "the header of the network file" bytes[8 .. data - 1] (fun header ->
            let text =
                header.GetProperty("__metadata__").GetProperty("lipverify/network/1") |> text

            let place i =
                let entry = header.GetProperty(string i)

                let offset (i: int) =
                    integer (entry.GetProperty("data_offsets")[i])

                if entry.GetProperty("dtype").GetString() <> "F64" then
                    refuse "the network file should hold doubles"

                let first, last = offset 0, offset 1

                if
                    first < 0
                    || last < first
                    || last > bytes.Length - data
                    || (last - first) % 8 <> 0
                then
                    refuse "a tensor lies outside the network file"

                first, last

            text, Array.init (Seq.length (header.EnumerateObject()) - 1) place)

    use hash = IncrementalHash.CreateHash HashAlgorithmName.SHA256
    hash.AppendData(Encoding.UTF8.GetBytes text)

    let tensors =
        places
        |> Array.map (fun (first, last) ->
            let values = ReadOnlySpan(bytes, data + first, last - first)
            hash.AppendData values
            doubles values)

    let lines = text.Split '\n' |> List.ofArray |> List.filter (fun line -> line <> "")
    lines, tensors, Convert.ToHexStringLower(hash.GetHashAndReset())

/// An npy file of doubles in row-major order, flat, and the SHA-256 of its values.
let readInput (bytes: byte[]) : float[] * string =
    if bytes.Length < 10 || bytes[0] <> 0x93uy || bytes[6] <> 1uy then
        refuse "the input is no npy file of version 1"

    let start =
        10 + int (BinaryPrimitives.ReadUInt16LittleEndian(ReadOnlySpan(bytes, 8, 2)))

    if start > bytes.Length then
        refuse "the input file is cut off"

    let header = Encoding.ASCII.GetString(bytes, 10, start - 10)

    if not (header.Contains "'<f8'" && header.Contains "'fortran_order': False") then
        refuse "the input should hold doubles in row-major order"

    let values = ReadOnlySpan(bytes, start, bytes.Length - start)
    doubles values, Convert.ToHexStringLower(SHA256.HashData values)
