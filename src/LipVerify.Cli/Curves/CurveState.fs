/// The file `F.state` beside the CSV file of a curve: a line that says what the curve was made from, and after it one line a
/// row, the SHA-256 of the CSV file up to and with that row. The first few rows have a digest of their own: so rows that were
/// changed are told from rows that a crash cut off, in either file.
module LipVerify.Cli.CurveState

open System
open System.Security.Cryptography
open System.Text
open System.Text.Json
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures
open LipVerify.Formats

/// What the values of a curve depend on, by name.
type Identity = (string * string) list

let private schema = "lipverify/curve-state/2"

/// States without digests of the rows.
let private earlierSchema = "lipverify/curve-state/1"

/// What to do about a CSV file that cannot be gone on with.
let restartHint = "name another file, or begin anew with --restart"

/// The identity of a curve. The engine is not part of it: its rounding is within what the values promise.
let identity (settings: Settings) (plan: CurvePlan) (network: Network) (input: Tensor) : Identity =
    let certification = settings.Certification

    [
        "network", CanonicalNetwork.hash network
        "input", CanonicalNetwork.inputHash input
        "definition", BoundReport.definitionName settings.Definition
        match settings.Enclosure with
        | None
        | Some Ball -> ()
        | Some kind -> "enclosure", EnclosureKind.name kind

        match settings.TimeLimit with
        | None -> ()
        | Some limit -> "time limit", Figure.exact limit.TotalSeconds

        "radii", plan.Radii |> List.map Figure.exact |> String.concat " "
        "methods", plan.Methods |> List.map CurveMethod.name |> String.concat " "
        "samples", string plan.Samples
        "starts", plan.Starts |> Option.map string |> Option.defaultValue "fitting"
        "seed", string settings.Seed
        "failure probability", Figure.exact certification.FailureProbability
        "tolerance",
        certification.Tolerance
        |> Option.map Figure.exact
        |> Option.defaultValue "by size"
        "rigor",
        (if certification.Deterministic then
             "certified"
         else
             "probabilistic")
    ]

/// The state of a CSV file.
let path (csv: string) = csv + ".state"

let private heading (identity: Identity) =
    JsonSerializer.Serialize(Map.ofList (("schema", schema) :: identity)) + "\n"

/// The lines of a file without their line breaks. What a crash may leave at its end is left out: half a line, or zeros where
/// the machine had no time to write.
let wholeLines (bytes: byte[]) =
    let written =
        match Array.IndexOf(bytes, 0uy) with
        | -1 -> bytes.Length
        | zeros -> zeros

    let text = Encoding.UTF8.GetString(bytes, 0, written)
    let lines = text.Split '\n'
    Array.truncate (lines.Length - 1) lines

/// The digest of all that was hashed so far, as it stands in a line of the state.
let digest (hash: IncrementalHash) =
    Convert.ToHexStringLower(hash.GetCurrentHash())

/// The bytes of a state with the digests of so many rows.
let length identity rows =
    let digestLine = 2L * int64 SHA256.HashSizeInBytes + 1L
    int64 (Encoding.UTF8.GetByteCount(heading identity)) + digestLine * int64 rows

/// Writes a state without rows.
let write csv (identity: Identity) =
    OutputFiles.write (path csv) (heading identity)

let private refuse csv problem =
    Error(CommandError.File(LoadError.file csv $"{problem}; {restartHint}"))

/// The error about a file that no curve is known to have written.
let foreign csv =
    refuse csv "the file exists, and no interrupted curve is known to have written it"

let private identityOf (line: string) =
    try
        use document = JsonDocument.Parse line

        [
            for property in document.RootElement.EnumerateObject() -> property.Name, property.Value.ToString()
        ]
        |> Map.ofList
        |> Some
    with
    | :? JsonException
    | :? InvalidOperationException -> None

let private compare csv (identity: Identity) (state: Map<string, string>) =
    let shown (value: string) =
        if value.Length > 24 || value = "" then
            ""
        else
            $" ({value})"

    let difference =
        identity
        |> List.tryFind (fun (name, value) -> Map.tryFind name state <> Some value)
        |> Option.orElse (
            Map.toList state
            |> List.tryFind (fun (name, _) -> name <> "schema" && not (List.exists (fst >> (=) name) identity))
            |> Option.map (fun (name, _) -> name, "")
        )

    match difference with
    | None when Map.tryFind "schema" state = Some schema -> Ok()
    | None -> foreign csv
    | Some(name, value) ->
        let old = Map.tryFind name state |> Option.defaultValue ""
        refuse csv $"the file was made with another {name}{shown old}, not that of this command{shown value}"

/// The heading takes some 26 bytes a radius, a digest 65.
let private mostBytes points = (1L <<< 20) + 128L * int64 points

/// The digests of the rows of a curve of so many points, if the state is that of this identity.
let read csv points (identity: Identity) : Result<string[], CommandError> =
    Files.readAtMost (mostBytes points) "more than the state of this curve takes" (path csv)
    |> Result.mapError CommandError.File
    |> Result.bind (fun bytes ->
        let text = Encoding.UTF8.GetString bytes
        // A digest that was cut off has no line break behind it.
        let lines = text.Substring(0, text.LastIndexOf '\n' + 1).Split '\n'

        match identityOf lines[0] with
        | Some state ->
            compare csv identity state
            |> Result.map (fun () -> lines[1 .. lines.Length - 2])
        | None when text.Contains earlierSchema ->
            refuse csv "an earlier version wrote the file and kept no digest of its rows"
        | None -> foreign csv)

/// Refuses rows that were changed since they were written.
let changed csv =
    refuse csv "rows of the file were changed since they were written"
