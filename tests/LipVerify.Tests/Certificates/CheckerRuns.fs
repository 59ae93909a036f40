/// The independent checker, run on what the engine writes and on what is changed in it.
module LipVerify.Tests.CheckerRuns

open System
open System.Text.Json.Nodes
open Expecto
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Certificates
open LipVerify.Checker
open LipVerify.Formats
open LipVerify.Propositions

/// Statements that a check rejects; `Error` where it cannot read the files.
let private rejectionsOf check (network: Network) (input: Tensor) : Result<string list, string> =
    let rejected = ResizeArray<string>()

    try
        check
            (CanonicalNetwork.write network |> Readers.readNetwork)
            (Npy.write input |> Readers.readInput |> Some)
            (fun holds text ->
                if not holds then
                    rejected.Add text)

        Ok(List.ofSeq rejected)
    with Json.Unreadable problem ->
        Error problem

/// What the checker rejects of a certificate by layers.
let rejections network input (certificate: byte[]) =
    rejectionsOf (fun network input -> Walk.check (Readers.readCertificate certificate) network input) network input

/// What the checker rejects of a certificate by multipliers.
let multiplierRejections network input (certificate: byte[]) =
    rejectionsOf
        (fun network input -> MultiplierWalk.check (MultiplierFile.read certificate) network input)
        network
        input

/// What the checker rejects of a structured certificate, with rows measured in a given way.
let structuredRejections probing network input (certificate: byte[]) =
    rejectionsOf
        (fun network input -> StructuredCheck.checkWith probing (StructuredFile.read certificate) network input)
        network
        input

let assertAccepted outcome =
    match outcome with
    | Ok [] -> ()
    | Ok(first :: _) -> failtest first
    | Error problem -> failtest problem

let assertRejected (what: string) (certificate: byte[]) outcome =
    match outcome with
    | Ok [] -> failtest $"accepted although changed: {what}\n{Text.Encoding.UTF8.GetString certificate}"
    | Ok _
    | Error _ -> ()

let shouldBeAccepted network input certificate =
    rejections network input certificate |> assertAccepted

let shouldBeRejected what network input certificate =
    rejections network input certificate |> assertRejected what certificate

/// A certificate with one change, from its text.
let changed (certificate: byte[]) (change: JsonObject -> unit) =
    let root = JsonNode.Parse(ReadOnlySpan certificate) |> nonNull |> _.AsObject()
    change root
    Text.Encoding.UTF8.GetBytes(root.ToJsonString())

/// What Algorithm 1 claims.
let analytic definition network input radius =
    Analytic.bound Generators.context definition network input radius
    |> Certificate.local definition radius

/// The certificates of a network by layers, of every method and definition; none where the bound overflows.
let certificates network input radius =
    [
        analytic Nominal network input radius
        analytic Uniform network input radius
        Global.bound Generators.context network |> Certificate.``global``
    ]
    |> List.choose (CertificateFile.write network input >> Result.toOption)

/// The claims of a certificate by layers.
let claims (root: JsonObject) : JsonArray =
    match root["claims"] with
    | null -> failwith "no claims"
    | node -> node.AsArray()

/// One of them.
let claim (root: JsonObject) (i: int) : JsonObject =
    match (claims root)[i] with
    | null -> failwith "no claim"
    | node -> node.AsObject()

let number (node: JsonNode | null) = (nonNull node).GetValue<float>()

/// Relative changes well above the rounding of products and the looseness of Cholesky certificates (1e-9).
let private factors = [ 1.0 - 1e-6; 1.0 + 1e-6 ]

/// Every number of a certificate that is a radius, a claim or the value, changed by a factor; 0 stays 0.
let numbersChanged isChain (certificate: byte[]) =
    let multiply factor (owner: JsonObject) (name: string) =
        match owner[name] with
        | null -> ()
        | node -> owner[name] <- JsonValue.Create(factor * number node)

    let root = JsonNode.Parse(ReadOnlySpan certificate) |> nonNull |> _.AsObject()

    let isChanged (owner: JsonObject) (name: string) =
        match owner[name] with
        | null -> false
        | node -> number node > 1e-250

    // A changed claim shows in the radius behind it, if that is not 0, and in the value, if that is a product in which no
    // factor is 0; in a sum its branch may be negligible. Where it does not show, it may well be true.
    let shows claim name =
        name <> "lipschitz"
        || isChanged claim "radiusOut"
        || isChain && isChanged root "value"

    [
        for factor in factors do
            for name in [ "value"; "radius" ] do
                if isChanged root name then
                    $"{name} × {factor:R}", changed certificate (fun root -> multiply factor root name)

            for i in 0 .. (claims root).Count - 1 do
                for name in [ "lipschitz"; "radiusIn"; "radiusOut" ] do
                    if isChanged (claim root i) name && shows (claim root i) name then
                        $"{name} of claim {i} × {factor:R}",
                        changed certificate (fun root -> multiply factor (claim root i) name)
    ]
