namespace LipVerify.Formats

open System
open System.Globalization
open System.Text
open LipVerify.Core.Computation

/// How many values there is use for, and why no more.
type Capacity =
    {
        /// The most values.
        Most: int
        /// What follows "more than N values, " in a message.
        Reason: string
    }

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

    /// Appends the numbers of a line to `values`, which `capacity` bounds, and gives their count, or the column that is wrong.
    let private readLine capacity (values: ResizeArray<float>) (line: ReadOnlyMemory<byte>) =
        let readField (i, field) =
            if values.Count = capacity.Most then
                Error(i + 1, $"the table has more than {capacity.Most} values, {capacity.Reason}")
            else
                number field
                |> Result.map values.Add
                |> Result.mapError (fun problem -> i + 1, problem)

        separatorOf line
        |> Result.mapError (fun problem -> 1, problem)
        |> Result.bind (fun separator -> fields separator line |> Seq.indexed |> traverse readField)
        |> Result.map Array.length

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

    /// The values of a table whose lines all have the same number of fields, row by row, and that number.
    let private readRows capacity source (lines: (int * ReadOnlyMemory<byte>) seq) =
        let values = ResizeArray()
        let mutable columns = 0

        lines
        |> traverse (fun (lineNumber, line) ->
            let fail (column: int) problem =
                Error(LoadError.at source $"line {lineNumber}, column {column}" problem)

            match readLine capacity values line with
            | Error(column, problem) -> fail column problem
            | Ok length when columns > 0 && length <> columns ->
                fail (min length columns + 1) $"a row of length {length} after rows of length {columns}"
            | Ok length ->
                columns <- length
                Ok())
        |> Result.map (fun _ -> values.ToArray(), columns)

    let private withoutMark (bytes: ReadOnlyMemory<byte>) =
        if bytes.Span.StartsWith(ReadOnlySpan [| 0xEFuy; 0xBBuy; 0xBFuy |]) then
            bytes.Slice 3
        else
            bytes

    let private readTable capacity (source: string) (bytes: ReadOnlyMemory<byte>) : Result<Tensor, LoadError> =
        let lines = linesOf (withoutMark bytes)

        let numbers =
            match Seq.tryHead lines with
            | Some(_, first) when isHeader first -> Seq.tail lines
            | _ -> lines

        readRows capacity source numbers
        |> Result.bind (fun (values, columns) ->
            match values.Length with
            | 0 -> Error(LoadError.file source "the file has no numbers")
            | count when columns = 1 || columns = count -> Ok(Tensor.vector values)
            | count -> Ok(Tensor.ofArray [ count / columns; columns ] values))

    /// The table in the bytes of a text: a vector where it has one row or one column, otherwise rows × columns. Empty lines,
    /// lines that start with `#`, and a first line without any number are skipped. `source` names the file in messages.
    let parse source bytes : Result<Tensor, LoadError> =
        readTable
            {
                Most = Array.MaxLength
                Reason = "the most that is read"
            }
            source
            bytes

    /// More than a number, its separator and a fair share of comments take as text.
    let private bytesPerValue = 64L

    /// The table in a text file of at most as many values as there is capacity for. What is larger is not read to its end.
    let load (capacity: Capacity) (path: string) : Result<Tensor, LoadError> =
        Files.parseAtMost
            (min Files.limit ((1L <<< 20) + bytesPerValue * int64 capacity.Most))
            $"more than a table of {capacity.Most} values takes, {capacity.Reason}"
            (readTable capacity)
            path
