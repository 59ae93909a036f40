namespace LipVerify.Formats

open System
open System.Globalization
open System.Text
open LipVerify.Core

/// Reads tables of numbers as text: fields apart by commas, semicolons or white space, decimals with a point.
module Csv =

    /// What a line has between its fields.
    type private Separator =
        | Mark of byte
        | White

    let private isWhite (symbol: byte) =
        symbol = byte ' ' || symbol = byte '\t' || symbol = byte '\r'

    let private separatorOf (line: ReadOnlyMemory<byte>) =
        match line.Span.Contains(byte ','), line.Span.Contains(byte ';') with
        | true, true ->
            Error "the line has both commas and semicolons; separate fields by one and write decimals with a point"
        | true, false -> Ok(Mark(byte ','))
        | false, true -> Ok(Mark(byte ';'))
        | false, false -> Ok White

    let private trim (field: ReadOnlyMemory<byte>) =
        let mutable first = 0
        let mutable last = field.Length
        let span = field.Span

        while first < last && isWhite span[first] do
            first <- first + 1

        while last > first && isWhite span[last - 1] do
            last <- last - 1

        field.Slice(first, last - first)

    /// The first field of `rest` and what follows it, if anything does.
    let private split separator (rest: ReadOnlyMemory<byte>) =
        let at =
            match separator with
            | Mark mark -> rest.Span.IndexOf mark
            | White -> rest.Span.IndexOfAny(byte ' ', byte '\t')

        match separator with
        | _ when at < 0 -> trim rest, None
        | Mark _ -> trim (rest.Slice(0, at)), Some(rest.Slice(at + 1))
        | White -> rest.Slice(0, at), Some(trim (rest.Slice at))

    let private fields separator line =
        Some line |> Seq.unfold (Option.map (split separator))

    let private shown (field: ReadOnlyMemory<byte>) =
        Encoding.UTF8.GetString(field.Span.Slice(0, min 40 field.Length))

    let private tryParse (field: ReadOnlyMemory<byte>) =
        match Double.TryParse(field.Span, NumberStyles.Float, CultureInfo.InvariantCulture) with
        | true, value -> Some value
        | _ -> None

    let private number (field: ReadOnlyMemory<byte>) =
        match tryParse field with
        | Some value when Double.IsFinite value -> Ok value
        | Some _ -> Error $"{shown field} is not a finite number"
        | None when field.IsEmpty -> Error "the field is empty; a number is needed"
        | None -> Error $"'{shown field}' is not a number; decimals take a point, as in 0.5"

    /// The numbers of a line, or the column that is none.
    let private readLine (line: ReadOnlyMemory<byte>) =
        let readField i field =
            number field |> Result.mapError (fun problem -> i + 1, problem)

        separatorOf line
        |> Result.mapError (fun problem -> 1, problem)
        |> Result.bind (fun separator -> fields separator line |> Seq.mapi readField |> traverse id)

    // A first line in which no field is a number names the columns.
    let private isHeader (line: ReadOnlyMemory<byte>) =
        match separatorOf line with
        | Error _ -> false
        | Ok separator -> fields separator line |> Seq.exists (tryParse >> Option.isSome) |> not

    let private isSkipped (line: ReadOnlyMemory<byte>) =
        line.IsEmpty || line.Span.StartsWith "#"B

    /// Every line with its number, trimmed, without those that are skipped.
    let private linesOf (bytes: ReadOnlyMemory<byte>) =
        let next (rest: ReadOnlyMemory<byte>, lineNumber) =
            if rest.IsEmpty then
                None
            else
                let length =
                    match rest.Span.IndexOf(byte '\n') with
                    | -1 -> rest.Length
                    | at -> at

                let after = rest.Slice(min rest.Length (length + 1))
                Some((lineNumber, trim (rest.Slice(0, length))), (after, lineNumber + 1))

        (bytes, 1) |> Seq.unfold next |> Seq.filter (snd >> isSkipped >> not)

    /// The rows of a table whose lines all have the same number of fields.
    let private readRows source (lines: (int * ReadOnlyMemory<byte>) seq) =
        let columns = ref 0

        lines
        |> traverse (fun (lineNumber, line) ->
            let fail (column: int) problem =
                Error(LoadError.at source $"line {lineNumber}, column {column}" problem)

            match readLine line with
            | Error(column, problem) -> fail column problem
            | Ok row when columns.Value > 0 && row.Length <> columns.Value ->
                fail
                    (min row.Length columns.Value + 1)
                    $"a row of length {row.Length} after rows of length {columns.Value}"
            | Ok row ->
                columns.Value <- row.Length
                Ok row)

    let private withoutMark (bytes: ReadOnlyMemory<byte>) =
        if bytes.Span.StartsWith(ReadOnlySpan [| 0xEFuy; 0xBBuy; 0xBFuy |]) then
            bytes.Slice 3
        else
            bytes

    /// The table in the bytes of a text: a vector where it has one row or one column, otherwise rows × columns. Empty lines,
    /// lines that start with `#`, and a first line without any number are skipped. `source` names the file in messages.
    let parse (source: string) (bytes: ReadOnlyMemory<byte>) : Result<Tensor, LoadError> =
        let lines = linesOf (withoutMark bytes)

        let numbers =
            match Seq.tryHead lines with
            | Some(_, first) when isHeader first -> Seq.tail lines
            | _ -> lines

        readRows source numbers
        |> Result.bind (fun rows ->
            match rows with
            | [||] -> Error(LoadError.file source "the file has no numbers")
            | [| row |] -> Ok(Tensor.vector row)
            | rows when rows[0].Length = 1 -> Ok(Tensor.vector (Array.concat rows))
            | rows -> Ok(Tensor.ofArray [ rows.Length; rows[0].Length ] (Array.concat rows)))

    /// The table in a text file.
    let load (path: string) : Result<Tensor, LoadError> = Files.parse parse path
