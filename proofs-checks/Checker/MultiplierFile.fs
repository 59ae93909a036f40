/// Certificates `lipverify/multipliers/1`: a bound of a whole network by multipliers (docs/certificates.md).
module LipVerify.Checker.MultiplierFile

open System.Text.Json
open LipVerify.Checker.Json

let private schema = "lipverify/multipliers/1"

/// The entries that have a multiplier at one place where slopes are applied.
type Bend =
    {
        Entries: int[]
        /// `t`, one an entry.
        Multipliers: float[]
    }

/// Entries whose reach multipliers narrow at one place where slopes are applied.
type Reach =
    {
        Entries: int[]
        /// `|δy_i|` is said to be at most this.
        Bounds: float[]
        /// The multipliers of an entry are these times those of all.
        Factors: float[]
        /// `t`, one for each entry of the bends so far.
        Multipliers: float[]
    }

type MultiplierCertificate =
    {
        Network: string
        Input: string
        Definition: string
        Radius: float
        Value: float
        Bends: Bend list
        /// Members of each window that can win, the leader first, for each max pooling.
        Windows: int[][] list
        /// What is narrowed before each ReLU and each round of a tournament.
        Reaches: Reach list
    }

let private bend json =
    let field = json |> fields [ "entries"; "multipliers" ]
    let entries = positions (field "entries")
    let multipliers = field "multipliers" |> array "multipliers" number

    if entries.Length <> multipliers.Length then
        refuse "the certificate has not one multiplier an entry"

    {
        Bend.Entries = entries
        Multipliers = multipliers
    }

let private reach json =
    let field = json |> fields [ "entries"; "bounds"; "factors"; "multipliers" ]

    let numbers name = field name |> array name number
    let entries = field "entries" |> array "positions" integer

    let reach =
        {
            Entries = entries
            Bounds = numbers "bounds"
            Factors = numbers "factors"
            Multipliers = numbers "multipliers"
        }

    if
        reach.Bounds.Length <> entries.Length
        || reach.Factors.Length <> entries.Length
        || Array.exists (fun i -> i < 0) entries
    then
        refuse "the certificate has not one bound and one factor for each entry that it narrows"

    reach

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
                "bends"
                "windows"
                "reaches"
            ]

    let oneOf = oneOf field

    states
        field
        [
            "schema", schema
            "norm", "2"
            "method", "local-lipsdp"
            "rigor", "certified"
        ]

    {
        Network = text (field "network")
        Input = text (field "input")
        Definition = oneOf [ "nominal"; "uniform" ] "definition"
        Radius = number (field "radius")
        Value = number (field "value")
        Bends = field "bends" |> array "bends" bend |> List.ofArray
        Windows =
            field "windows"
            |> array "windows" (array "windows" (array "positions" integer))
            |> List.ofArray
        Reaches = field "reaches" |> array "reaches" reach |> List.ofArray
    }

/// Whether the bytes call themselves a certificate of this kind.
let isOne = isOf schema

/// The certificate in the bytes of its file.
let read bytes =
    withJson "the certificate" bytes certificate
