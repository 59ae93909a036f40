/// Tables of more values than a network takes: refused before they take memory.
module LipVerify.Tests.InputLimitTests

open System
open System.IO
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Tests.FormatsWriters

let private inFile extension (write: string -> unit) (action: string -> unit) =
    let path =
        Path.Combine(Path.GetTempPath(), $"lipverify-{Guid.NewGuid()}{extension}")

    try
        write path
        action path
    finally
        File.Delete path

let private csv (rows: string seq) =
    inFile ".csv" (fun path -> File.WriteAllLines(path, rows))

/// The error, which must come for less memory than the rows would take as numbers.
let private refusal allowed (load: string -> Result<'a, LoadError>) (path: string) =
    let before = GC.GetAllocatedBytesForCurrentThread()

    match load path with
    | Ok _ -> failwith "expected an error"
    | Error error ->
        Expect.isLessThan
            (GC.GetAllocatedBytesForCurrentThread() - before)
            (allowed: int64)
            "GC.GetAllocatedBytesForCurrentThread() - before"

        LoadError.text error

let private single shape =
    InputSource.load shape Preprocessing.none

let private several shape =
    InputSource.loadAll shape Preprocessing.none

[<Tests>]
let tests =
    testList
        "InputLimit"
        [
            testCase "a table of ten million rows is not read for one input" (fun () ->
                csv (Seq.replicate 10_000_000 "0.5") (fun path ->
                    let problem = refusal (8L <<< 20) (single [ 1; 28; 28 ]) path
                    Expect.stringStarts problem path "problem"
                    Expect.stringContainsAll problem [ "larger than"; "784 values" ] "problem"))

            testCase "a table of ten million rows is no batch of a network with one input" (fun () ->
                csv (Seq.replicate 10_000_000 "0.5") (fun path ->
                    let problem = refusal (32L <<< 20) (several [ 1 ]) path
                    Expect.stringContains problem "100000 inputs" "problem"))

            testCase "reading ends at the first value for which there is no use" (fun () ->
                csv (Seq.append (Seq.replicate 100 "1,2,3,4") [ "no number" ]) (fun path ->
                    single [ 8 ] path
                    |> shouldFail [ path; "line 3, column 1"; "more than 8 values"; "an input of 8" ]))

            testCase "a batch has at most a hundred thousand inputs" (fun () ->
                csv (Seq.replicate 100_001 "1,2") (fun path ->
                    several [ 2 ] path
                    |> shouldFail [ path; "line 100001, column 1"; "100000 inputs" ])

                inFile
                    ".npy"
                    (fun path -> File.WriteAllBytes(path, Npy.write (Tensor.create [ 100_001; 2 ] 0.5)))
                    (fun path ->
                        several [ 2 ] path
                        |> shouldFail [ path; "a batch of 100001 inputs; at most 100000" ]))

            testCase "a batch within the limit is taken whole" (fun () ->
                csv (Seq.replicate 100_000 "1,2") (fun path ->
                    match several [ 2 ] path |> valueOf with
                    | InputSource.One _ -> failtest "expected several inputs"
                    | InputSource.Several(inputs, _) ->
                        Expect.hasLength inputs 100_000 "inputs"

                        Expect.isTrue
                            (inputs |> List.forall (fun input -> Result.isOk input.Values))
                            "inputs |> List.forall (fun input -> Result.isOk input.Values)"))
        ]
