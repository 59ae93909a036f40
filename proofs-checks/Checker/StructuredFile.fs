/// Certificates `lipverify/structured/1`: the norm of a whole network with fixed slopes and weighted residuals (docs/certificates.md).
module LipVerify.Checker.StructuredFile

open System
open System.Text.Json
open LipVerify.Checker.Json

let private schema = "lipverify/structured/1"

/// What is stated of a place where the network bends: a ReLU, or one round of a tournament.
type Place =
    {
        /// The pairs of a round; none at ReLUs.
        Pairs: struct (int * int)[]
        /// Pairs neither member of which becomes positive.
        Constant: int[]
        /// Pairs the second member of which does not become positive.
        Alone: int[]
        /// Entries or pairs with a channel.
        Channels: int[]
        /// How far each reaches; infinite where every slope is possible.
        Reaches: float[]
        /// Factors with which reaches are proved; none over all inputs.
        ReachFactors: float[]
        /// Factors with which the bound is proved.
        Factors: float[]
    }

type StructuredCertificate =
    {
        Network: string
        Input: string option
        Definition: string
        Radius: float option
        Value: float
        Failure: float
        /// The norm of the channels alone is said to be at most this.
        Kappa: float option
        /// The factor of the outputs, and what the norm of the loop is said to be at most.
        Scale: float
        Norm: float
        Places: Place list
    }

let private place isLocal json =
    let field =
        json
        |> fields
            [
                "pairs"
                "constant"
                "alone"
                "channels"
                "reaches"
                "reachFactors"
                "factors"
            ]

    let channels = positions (field "channels")

    let numbers count name read =
        let values = field name |> array "numbers" read

        if values.Length <> count then
            refuse $"the certificate has not the right number of {name} for its channels"

        values

    let members = field "pairs" |> array "positions" integer

    if members.Length % 2 <> 0 || Array.exists (fun i -> i < 0) members then
        refuse "the pairs of the certificate are none"

    {
        Pairs =
            members
            |> Array.chunkBySize 2
            |> Array.map (fun pair -> struct (pair[0], pair[1]))
        Constant = positions (field "constant")
        Alone = positions (field "alone")
        Channels = channels
        Reaches = numbers channels.Length "reaches" (optional number >> Option.defaultValue Double.PositiveInfinity)
        ReachFactors = numbers (if isLocal then channels.Length else 0) "reachFactors" positive
        Factors = numbers channels.Length "factors" positive
    }

let private certificate (root: JsonElement) =
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
                "kappa"
                "scale"
                "loopNorm"
                "places"
            ]

    let oneOf = oneOf field

    states
        field
        [
            "schema", schema
            "norm", "2"
            "method", "structured"
            "rigor", "probabilistic"
        ]

    let radius = optional positive (field "radius")
    let input = optional text (field "input")
    let kappa = optional number (field "kappa")
    let definition = oneOf [ "nominal"; "uniform" ] "definition"
    let isLocal = radius.IsSome

    if input.IsSome <> isLocal || kappa.IsSome <> isLocal then
        refuse "a certificate over a ball has an input, a radius and a kappa, and one over all inputs has none of them"

    if not isLocal && definition <> "uniform" then
        refuse "a certificate over all inputs is uniform"

    let failure = positive (field "failureProbability")

    if failure >= 1.0 then
        refuse "the failure probability of the certificate is 1 or more"

    {
        Network = text (field "network")
        Input = input
        Definition = definition
        Radius = radius
        Value = number (field "value")
        Failure = failure
        Kappa = kappa
        Scale = positive (field "scale")
        Norm = positive (field "loopNorm")
        Places = field "places" |> array "places" (place isLocal) |> List.ofArray
    }

/// Whether the bytes call themselves a certificate of this kind.
let isOne = isOf schema

/// The certificate in the bytes of its file.
let read bytes =
    withJson "the certificate" bytes certificate
