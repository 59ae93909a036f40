namespace LipVerify.Formats

open System
open System.Collections.Generic
open System.Text

/// A pickle that has been read.
[<NoComparison>]
type internal Unpickled =
    {
        Value: PickleValue
        /// The storages that the pickle refers to, whole, by key.
        Storages: IReadOnlyDictionary<string, StorageReference>
        /// The first byte behind the pickle.
        End: int
    }

/// The stack machine that pickles are programs for. It creates no more objects than the pickle has bytes.
type private PickleMachine(cursor: PickleCursor) =

    let stack = ResizeArray<PickleValue>()
    let marks = Stack<int>()
    let memo = Dictionary<uint32, PickleValue>()
    let storages = Dictionary<string, StorageReference>()
    let mutable copied = 0L

    let charge count =
        copied <- copied + int64 count

        if copied > int64 cursor.Length then
            Error "the pickle copies more than it holds"
        else
            Ok()

    let push value =
        stack.Add value
        Ok()

    // Values below the last mark cannot be reached.
    let height () =
        stack.Count - (if marks.Count = 0 then 0 else marks.Peek())

    let takeFrom index =
        let items = Array.zeroCreate (stack.Count - index)
        stack.CopyTo(index, items, 0, items.Length)
        stack.RemoveRange(index, items.Length)
        items

    let popMany count =
        if height () < count then
            cursor.Fail "the pickle takes more values than it made: the file is damaged"
        else
            Ok(takeFrom (stack.Count - count))

    let popToMark () =
        match marks.TryPop() with
        | true, mark -> Ok(takeFrom mark)
        | _ -> cursor.Fail "the pickle closes what it did not open: the file is damaged"

    let pop () =
        popMany 1 |> Result.map (fun items -> items[0])

    let peek () =
        if height () < 1 then
            cursor.Fail "the pickle uses a value that it did not make: the file is damaged"
        else
            Ok stack[stack.Count - 1]

    let popOrUnmark () =
        if height () = 0 && marks.Count > 0 then
            Ok(marks.Pop() |> ignore)
        else
            pop () |> Result.map ignore

    let pushTuple items = push (PickleValue.Tuple items)

    let pushList (items: PickleValue[]) =
        push (PickleValue.List(ResizeArray items))

    let toPairs (items: PickleValue[]) =
        if items.Length % 2 <> 0 then
            cursor.Fail "a dictionary key has no value: the file is damaged"
        else
            Ok(Array.init (items.Length / 2) (fun i -> struct (items[2 * i], items[2 * i + 1])))

    let pushDict items =
        toPairs items
        |> Result.bind (fun pairs -> push (PickleValue.Dict(ResizeArray pairs)))

    let append (items: PickleValue[]) =
        result {
            match! peek () with
            | PickleValue.List list -> list.AddRange items
            | _ -> return! cursor.Fail "the pickle appends to something that is no list"
        }

    let setItems (items: PickleValue[]) =
        result {
            let! pairs = toPairs items

            match! peek () with
            | PickleValue.Dict entries -> entries.AddRange pairs
            | _ -> return! cursor.Fail "the pickle sets a key of something that is no dictionary"
        }

    // State dicts carry the versions of their modules as an attribute, which says nothing about the weights.
    let dropAttributes () =
        result {
            let! _ = pop ()

            match! peek () with
            | PickleValue.Dict _ -> return ()
            | _ -> return! cursor.Fail "the pickle sets attributes of something that is no dictionary"
        }

    let pushText count =
        cursor.Take count
        |> Result.bind (fun bytes -> push (PickleValue.Str(Encoding.UTF8.GetString bytes.Span)))

    let pushBytes count =
        cursor.Take count |> Result.bind (fun bytes -> push (PickleValue.Bytes bytes))

    let pushInt number =
        push (PickleValue.Int(bigint (number: int)))

    // State dicts hold no integers beyond 64 bits; one of the file's length would only cost time.
    let pushLong (count: uint64) =
        if count > 1024UL then
            cursor.Fail $"an integer of {count} bytes; at most 1024 are read"
        else
            cursor.Take count
            |> Result.bind (fun bytes -> push (PickleValue.Int(bigint (bytes.Span, false, false))))

    let remember index =
        peek () |> Result.map (fun value -> memo[index] <- value)

    let recall index =
        match memo.TryGetValue index with
        | true, value -> push value
        | _ -> cursor.Fail $"the pickle recalls value {index}, which it never kept: the file is damaged"

    let fail outcome =
        match outcome with
        | Ok value -> Ok value
        | Error problem -> cursor.Fail problem

    let pushGlobal modul name =
        PickleCallable.find modul name
        |> fail
        |> Result.bind (fun callable -> push (PickleValue.Callable callable))

    let lineGlobal () =
        result {
            let! modul = cursor.Line()
            let! name = cursor.Line()
            return! pushGlobal modul name
        }

    let stackGlobal () =
        result {
            match! popMany 2 with
            | [| PickleValue.Str modul; PickleValue.Str name |] -> return! pushGlobal modul name
            | _ -> return! cursor.Fail "a global has no name: the file is damaged"
        }

    let call () =
        result {
            match! popMany 2 with
            | [| PickleValue.Callable callable; PickleValue.Tuple arguments |] ->
                let! value = PickleCall.apply charge callable arguments |> fail
                return! push value
            | _ -> return! cursor.Fail "the pickle calls something that cannot be called: the file is damaged"
        }

    let refer () =
        result {
            let! identifier = pop ()
            let! part = PickleCall.storageOf identifier |> fail

            let whole =
                { part with
                    Start = 0L
                    Length = part.Count
                }

            if storages.TryAdd(whole.Key, whole) || storages[whole.Key] = whole then
                return! push (PickleValue.Storage part)
            else
                return! cursor.Fail $"storage {whole.Key} is described in two ways"
        }

    let protocol (number: byte) =
        if number <= 5uy then
            Ok()
        else
            cursor.Fail $"pickle protocol {number}; protocols 2 to 5 are supported"

    let execute (opcode: byte) =
        match char opcode with
        | '\u0080' -> cursor.Byte() |> Result.bind protocol
        | '\u0095' -> cursor.UInt64() |> Result.map ignore
        | '(' -> Ok(marks.Push stack.Count)
        | '0' -> popOrUnmark ()
        | '1' -> popToMark () |> Result.map ignore
        | '2' -> peek () |> Result.bind push
        | 'N' -> push PickleValue.None
        | '\u0088' -> push (PickleValue.Bool true)
        | '\u0089' -> push (PickleValue.Bool false)
        | 'K' -> cursor.Byte() |> Result.bind (int >> pushInt)
        | 'M' -> cursor.UInt16() |> Result.bind (int >> pushInt)
        | 'J' -> cursor.Int32() |> Result.bind pushInt
        | '\u008a' -> cursor.Byte() |> Result.bind (uint64 >> pushLong)
        | '\u008b' -> cursor.UInt32() |> Result.bind (uint64 >> pushLong)
        | 'G' -> cursor.Double() |> Result.bind (PickleValue.Float >> push)
        | 'U'
        | '\u008c' -> cursor.Byte() |> Result.bind (uint64 >> pushText)
        | 'T'
        | 'X' -> cursor.UInt32() |> Result.bind (uint64 >> pushText)
        | '\u008d' -> cursor.UInt64() |> Result.bind pushText
        | 'C' -> cursor.Byte() |> Result.bind (uint64 >> pushBytes)
        | 'B' -> cursor.UInt32() |> Result.bind (uint64 >> pushBytes)
        | '\u008e'
        | '\u0096' -> cursor.UInt64() |> Result.bind pushBytes
        | ']'
        | '\u008f' -> pushList [||]
        | 'l'
        | '\u0091' -> popToMark () |> Result.bind pushList
        | 'a' -> popMany 1 |> Result.bind append
        | 'e'
        | '\u0090' -> popToMark () |> Result.bind append
        | ')' -> pushTuple [||]
        | 't' -> popToMark () |> Result.bind pushTuple
        | '\u0085' -> popMany 1 |> Result.bind pushTuple
        | '\u0086' -> popMany 2 |> Result.bind pushTuple
        | '\u0087' -> popMany 3 |> Result.bind pushTuple
        | '}' -> pushDict [||]
        | 'd' -> popToMark () |> Result.bind pushDict
        | 's' -> popMany 2 |> Result.bind setItems
        | 'u' -> popToMark () |> Result.bind setItems
        | 'q' -> cursor.Byte() |> Result.bind (uint32 >> remember)
        | 'r' -> cursor.UInt32() |> Result.bind remember
        | '\u0094' -> remember (uint32 memo.Count)
        | 'h' -> cursor.Byte() |> Result.bind (uint32 >> recall)
        | 'j' -> cursor.UInt32() |> Result.bind recall
        | 'c' -> lineGlobal ()
        | '\u0093' -> stackGlobal ()
        | 'R' -> call ()
        | 'b' -> dropAttributes ()
        | 'Q' -> refer ()
        | _ -> cursor.Fail $"pickle instruction 0x{opcode:X2}, which no state dict of protocol 2 to 5 needs"

    let finish () =
        pop ()
        |> Result.map (fun value ->
            {
                Value = value
                Storages = storages
                End = cursor.Position
            })

    /// Runs the program to its end.
    member _.Run() =
        let mutable outcome = ValueNone

        while outcome.IsNone do
            match cursor.Opcode() with
            | Error error -> outcome <- ValueSome(Error error)
            | Ok 46uy -> outcome <- ValueSome(finish ())
            | Ok opcode ->
                match execute opcode with
                | Ok() -> ()
                | Error error -> outcome <- ValueSome(Error error)

        outcome.Value

/// Reads pickles without running anything: what a pickle may call is a short list of constructors of tensors.
module internal Pickle =

    /// The pickle that starts at byte `start` of `bytes`; `part` names these bytes within the file `source` in messages.
    let read (source: string) (part: string) (bytes: ReadOnlyMemory<byte>) (start: int) : Result<Unpickled, LoadError> =
        PickleMachine(PickleCursor(source, part, bytes, start)).Run()
