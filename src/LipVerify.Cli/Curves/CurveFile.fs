/// The CSV file of a curve, which grows row by row. With its state (`CurveState`) an interrupted run goes on where it ended,
/// and never with points of another network, input or setting, or with rows that were changed.
module LipVerify.Cli.CurveFile

open System
open System.IO
open System.Security.Cryptography
open System.Text
open LipVerify.Formats

let private guard path (action: unit -> Result<'a, CommandError>) =
    try
        action ()
    with
    | :? IOException
    | :? UnauthorizedAccessException as failure -> Error(CommandError.File(LoadError.file path failure.Message))

/// What is kept of a file: its first rows, the bytes that they take up with the header, and the hash of these.
[<NoComparison; NoEquality>]
type private Kept =
    {
        Rows: CurveRow list
        Length: int64
        Hash: IncrementalHash
    }

let private nothing () =
    {
        Rows = []
        Length = 0L
        Hash = IncrementalHash.CreateHash HashAlgorithmName.SHA256
    }

/// The rows that have a digest, if it is theirs.
let private keep csv (plan: CurvePlan) (digests: string[]) (bytes: byte[]) =
    match CurveState.wholeLines bytes |> Array.truncate (1 + digests.Length) with
    | [||] -> Ok(nothing ())
    | lines when lines[0] + "\n" <> CurveRow.header -> CurveState.foreign csv
    | lines ->
        let rows = lines[1..]
        let written = lines |> Array.map (fun line -> line + "\n") |> String.concat ""
        let kept = nothing ()
        kept.Hash.AppendData(Encoding.UTF8.GetBytes written)
        let points = rows |> List.ofArray |> List.choose CurveRow.tryParse

        if rows.Length > 0 && digests[rows.Length - 1] <> CurveState.digest kept.Hash then
            CurveState.changed csv
        elif (points |> List.map _.Point) <> List.truncate rows.Length plan.Points then
            CurveState.foreign csv
        else
            Ok
                { kept with
                    Rows = points
                    Length = int64 (Encoding.UTF8.GetByteCount written)
                }

/// A CSV file and its state that are open for more rows.
type Growing private (csv: FileStream, state: FileStream, kept: CurveRow list, hash: IncrementalHash) =

    let append (text: string) =
        let bytes = Encoding.UTF8.GetBytes text
        csv.Write bytes
        csv.Flush()
        hash.AppendData bytes

    /// The rows that were there.
    member _.Rows = kept

    /// Adds a row: one write, so that the file ends with a whole line at any time, and then its digest.
    member _.Add(row: CurveRow) =
        append (CurveRow.line row)
        state.Write(Encoding.ASCII.GetBytes(CurveState.digest hash + "\n"))
        state.Flush()

    /// Opens the files behind what is kept of them, and writes the header where nothing is there.
    static member internal Open(path: string, stateLength: int64, rows, length: int64, hash) =
        let openAt path (length: int64) =
            let stream =
                new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read)

            stream.SetLength length
            stream.Seek(0L, SeekOrigin.End) |> ignore
            stream.Flush(flushToDisk = true)
            stream

        let csv = openAt path length

        // Digests of rows that are computed again must be gone for good before those rows come.
        let state =
            try
                openAt (CurveState.path path) stateLength
            with _ ->
                csv.Dispose()
                reraise ()

        let file = new Growing(csv, state, rows, hash)

        if length = 0L then
            file.Begin()

        file

    member private _.Begin() = append CurveRow.header

    interface IDisposable with
        member _.Dispose() =
            csv.Dispose()
            state.Dispose()
            hash.Dispose()

let private openBehind csv identity (kept: Kept) =
    guard csv (fun () ->
        Ok(Growing.Open(csv, CurveState.length identity kept.Rows.Length, kept.Rows, kept.Length, kept.Hash)))

/// Old rows go before the new state comes, so that no crash can leave them under it.
let private fresh csv identity =
    guard csv (fun () ->
        use _ = new FileStream(csv, FileMode.Create, FileAccess.Write, FileShare.Read)
        Ok())
    |> Result.bind (fun () -> CurveState.write csv identity)
    |> Result.bind (fun () -> openBehind csv identity (nothing ()))

/// Several times what a row takes.
let private mostBytes (plan: CurvePlan) = 512L * (2L + int64 plan.Points.Length)

let private resume csv (plan: CurvePlan) identity =
    CurveState.read csv plan.Points.Length identity
    |> Result.bind (fun digests ->
        Files.readAtMost (mostBytes plan) "more than the rows of this curve take" csv
        |> Result.mapError CommandError.File
        |> Result.bind (keep csv plan digests))
    |> Result.bind (openBehind csv identity)

/// Opens the file of a curve: a new one, or with `restart` in place of an old one, or the one that the same command left behind.
let openFor csv restart (plan: CurvePlan) (identity: CurveState.Identity) : Result<Growing, CommandError> =
    let hasRows = File.Exists csv && FileInfo(csv).Length > 0L

    if Files.isDevice csv then
        Error(CommandError.File(LoadError.file csv "a curve goes on from its rows; --csv needs a regular file"))
    elif restart || not hasRows then
        fresh csv identity
    elif File.Exists(CurveState.path csv) then
        resume csv plan identity
    else
        CurveState.foreign csv
