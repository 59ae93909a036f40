/// The CSV file of a curve, which grows row by row, and beside it a file `F.state` that says what it was made from: an
/// interrupted run goes on where it ended, and never with points of another network, input or setting.
module LipVerify.Cli.CurveFile

open System
open System.IO
open System.Text
open System.Text.Json
open LipVerify.Core
open LipVerify.Formats

/// What the values of a curve depend on, by name.
type Identity = (string * string) list

let private schema = "lipverify/curve-state/1"

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

/// The file beside a CSV file that holds its identity.
let statePath (csv: string) = csv + ".state"

let private writeState csv (identity: Identity) =
    JsonText.document (fun writer ->
        JsonText.object writer (fun () ->
            writer.WriteString("schema", schema)

            for name, value in identity do
                writer.WriteString(name, value)))
    |> OutputFiles.write (statePath csv)

let private guard path (action: unit -> Result<'a, CommandError>) =
    try
        action ()
    with
    | :? IOException
    | :? UnauthorizedAccessException as failure -> Error(CommandError.File(LoadError.file path failure.Message))

let private restartHint = "name another file, or begin anew with --restart"

let private foreign csv =
    Error(
        CommandError.File(
            LoadError.file csv $"the file exists, and no interrupted curve is known to have written it; {restartHint}"
        )
    )

let private readState csv : Result<Map<string, string>, CommandError> =
    try
        use document = JsonDocument.Parse(File.ReadAllText(statePath csv))

        [
            for property in document.RootElement.EnumerateObject() -> property.Name, property.Value.ToString()
        ]
        |> Map.ofList
        |> Ok
    with
    | :? JsonException
    | :? InvalidOperationException -> foreign csv

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

        Error(
            CommandError.File(
                LoadError.file
                    csv
                    $"the file was made with another {name}{shown old}, not that of this command{shown value}; {restartHint}"
            )
        )

/// The rows in a text, and the length in bytes of what they take up: a line that was cut off is left out.
let private parse csv (plan: CurvePlan) (text: string) =
    let whole = text.Substring(0, text.LastIndexOf '\n' + 1)
    let lines = whole.Split('\n', StringSplitOptions.RemoveEmptyEntries) |> List.ofArray

    let rec take (points: CurvePoint list) (lines: string list) rows =
        match points, lines with
        | _, [] -> Some(List.rev rows)
        | point :: points, line :: lines ->
            match CurveRow.tryParse line with
            | Some row when row.Point = point -> take points lines (row :: rows)
            | _ -> None
        | [], _ -> None

    match lines with
    | [] -> Ok([], 0L)
    | header :: lines when header + "\n" = CurveRow.header ->
        match take plan.Points lines [] with
        | Some rows -> Ok(rows, int64 (Encoding.UTF8.GetByteCount whole))
        | None ->
            Error(
                CommandError.File(LoadError.file csv $"the rows are not those that this command writes; {restartHint}")
            )
    | _ -> foreign csv

/// A CSV file that is open for more rows.
type Growing private (stream: FileStream, rows: CurveRow list) =

    /// The rows that were there.
    member _.Rows = rows

    /// Adds a row: one write, so that the file ends with a whole line at any time.
    member _.Add(row: CurveRow) =
        stream.Write(Encoding.UTF8.GetBytes(CurveRow.line row))
        stream.Flush()

    /// Opens the file at the end of `rows`, which take up `length` bytes, and writes the header where nothing is there.
    static member internal Open(csv: string, rows, length: int64) =
        let stream =
            new FileStream(csv, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read)

        stream.SetLength length
        stream.Seek(0L, SeekOrigin.End) |> ignore

        if length = 0L then
            stream.Write(Encoding.UTF8.GetBytes CurveRow.header)
            stream.Flush()

        new Growing(stream, rows)

    interface IDisposable with
        member _.Dispose() = stream.Dispose()

/// Old rows go before the new state comes, so that no crash can leave them under it.
let private fresh csv identity =
    guard csv (fun () ->
        use _ = new FileStream(csv, FileMode.Create, FileAccess.Write, FileShare.Read)
        Ok())
    |> Result.bind (fun () -> writeState csv identity)
    |> Result.bind (fun () -> guard csv (fun () -> Ok(Growing.Open(csv, [], 0L))))

let private resume csv plan identity =
    readState csv
    |> Result.bind (compare csv identity)
    |> Result.bind (fun () -> guard csv (fun () -> parse csv plan (File.ReadAllText csv)))
    |> Result.bind (fun (rows, length) -> guard csv (fun () -> Ok(Growing.Open(csv, rows, length))))

/// Opens the file of a curve: a new one, or with `restart` in place of an old one, or the one that the same command left behind.
let openFor csv restart (plan: CurvePlan) (identity: Identity) : Result<Growing, CommandError> =
    let hasRows = File.Exists csv && FileInfo(csv).Length > 0L

    if restart || not hasRows then
        fresh csv identity
    elif File.Exists(statePath csv) then
        resume csv plan identity
    else
        foreign csv
