/// Certificates of structured bounds: how they are written, read by the checker, and changed.
module LipVerify.Tests.StructuredCertificates

open System.Text.Json.Nodes
open LipVerify.Core.Numbers
open LipVerify.Core.Bounds.Structured
open LipVerify.Formats
open LipVerify.Propositions
open LipVerify.Tests.CheckerRuns

let rejections = structuredRejections None

let valueOf result = Result.defaultWith failwith result

/// The bound and its certificate over a ball, where it is less than that of Algorithm 1.
let certificate definition network input radius =
    let struct (found, witness) =
        Structured.boundWithWitness Generators.context definition network input radius

    witness
    |> Option.map (fun witness ->
        let bound = found.Result.Bound

        bound,
        StructuredCertificate.write network input definition (Some radius) bound witness
        |> valueOf)

/// The same over all inputs.
let globalCertificate network input =
    let struct (found, witness) =
        Structured.globalWithWitness Generators.context network

    witness
    |> Option.map (fun witness ->
        let bound = found.Result.Bound
        bound, StructuredCertificate.write network input Uniform None bound witness |> valueOf)

let shouldBeRejected what network input bytes =
    rejections network input bytes |> assertRejected what bytes

let number (root: JsonObject) (name: string) = (nonNull root[name]).GetValue<float>()

let set (name: string) (value: 'a) (root: JsonObject) =
    root[name] <- JsonValue.Create<'a>(value)

let times factor name root =
    set name (factor * number root name) root

let items (root: JsonObject) (name: string) = (nonNull root[name]).AsArray()

let places (root: JsonObject) =
    items root "places"
    |> Seq.map (fun place -> (nonNull place).AsObject())
    |> List.ofSeq

/// Changes every number of an array at all places; those that are null stay.
let mapNumbers name (change: float -> float) (root: JsonObject) =
    for place in places root do
        let numbers = items place name

        for k in 0 .. numbers.Count - 1 do
            match numbers[k] with
            | null -> ()
            | node -> numbers[k] <- JsonValue.Create(change (node.GetValue<float>()))
