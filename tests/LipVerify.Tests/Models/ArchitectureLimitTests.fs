/// Architectures whose numbers, length or nesting are absurd: a network, or one line that says what is wrong.
module LipVerify.Tests.ArchitectureLimitTests

open System
open System.IO
open System.Text.RegularExpressions
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Analytic
open LipVerify.Formats
open LipVerify.Propositions
open LipVerify.Tests.FormatsWriters

let private inFile (text: string) (action: string -> unit) =
    let path = Path.Combine(Path.GetTempPath(), $"lipverify-{Guid.NewGuid()}.json")

    try
        File.WriteAllText(path, text)
        action path
    finally
        File.Delete path

/// Every kind of layer, with every key that takes integers.
let private description =
    """{ "input": [2, 6, 6], "layers": [
        { "type": "conv2d", "name": "c", "in": 2, "out": 4, "kernel": [3, 2], "stride": [1, 2], "padding": [1, 0], "dilation": [1, 1], "groups": 2 },
        { "type": "batchnorm2d", "name": "b", "channels": 4 }, { "type": "relu" },
        { "type": "maxpool2d", "kernel": [2, 1], "stride": 2, "padding": [1, 0], "dilation": 1, "ceil_mode": true },
        { "type": "avgpool2d", "kernel": [1, 1], "stride": [1, 1], "padding": 0, "ceil_mode": true },
        { "type": "adaptiveavgpool2d", "output": [1, 2] }, { "type": "flatten" },
        { "type": "linear", "name": "l", "in": 8, "out": 3 } ] }"""

let private integers = Regex.Matches(description, @"(?<![\w.])\d+") |> Array.ofSeq

let private telling =
    [|
        "-2147483648"
        "-1"
        "0"
        "1"
        "3"
        "65537"
        "134217728"
        "2147483647"
        "1e300"
        "99999999999999999999"
    |]

/// The description with other numbers at some places.
let private withNumbers (changes: (int * string) list) =
    (description, changes |> List.distinctBy fst |> List.sortByDescending fst)
    ||> List.fold (fun text (at, number) ->
        let place = integers[at]
        text.Remove(place.Index, place.Length).Insert(place.Index, number))

/// Parameters as a file of a megabyte may hold them: ones.
let private smallOnes: ParameterSource =
    fun name shape ->
        if shape |> List.fold (fun size extent -> size * float extent) 1.0 > 131072.0 then
            Error $"the file has no tensor \"{name}\""
        else
            Ok(Tensor.create shape 1.0)

let private isOneLine (text: string) =
    text <> "" && text |> Seq.forall (Char.IsControl >> not)

/// A network that is built can be bounded; all else is one line. Either is built or refused in little memory.
let private check (text: string) =
    let built path =
        let before = GC.GetAllocatedBytesForCurrentThread()

        let outcome =
            ArchitectureFile.load path
            |> Result.mapError LoadError.text
            |> Result.bind (Architecture.build smallOnes)

        Expect.isLessThan (GC.GetAllocatedBytesForCurrentThread() - before) (128L <<< 20) text
        outcome

    inFile text (fun path ->
        match built path with
        | Error problem -> Expect.isTrue (isOneLine problem) $"{text}\n{problem}"
        | Ok network when Shape.size network.InputShape > 1000 -> ()
        | Ok network ->
            let output =
                Network.evaluate Generators.context network (Tensor.create network.InputShape 1.0)

            Expect.isTrue (output.Shape = network.OutputShape) text
            Global.bound Generators.context network |> ignore)

let private manyLayers count layer =
    $"""{{ "input": [1, 2, 2], "layers": [ {String.Join(",", Seq.replicate count layer)} ] }}"""

let private nested depth =
    (Step("relu", Layer.relu), seq { 1..depth })
    ||> Seq.fold (fun block level ->
        if level % 2 = 0 then
            Sum [ block; Series [] ]
        else
            Series [ block ])

[<Tests>]
let tests =
    testList
        "ArchitectureLimit"
        [
            testCase "the undamaged description is built" (fun () ->
                inFile description (fun path ->
                    let built = ArchitectureFile.load path |> valueOf |> Architecture.build smallOnes
                    Expect.isOk built "the description"))

            testCase "one absurd integer is a network or one line" (fun () ->
                for at in 0 .. integers.Length - 1 do
                    for number in telling do
                        check (withNumbers [ at, number ]))

            testCase "several absurd integers are a network or one line" (fun () ->
                let random = Random 5

                for _ in 1..1500 do
                    check (
                        withNumbers
                            [
                                for _ in 1 .. random.Next(2, 5) ->
                                    random.Next integers.Length, telling[random.Next telling.Length]
                            ]
                    ))

            testCase "a description of a million layers is refused" (fun () ->
                inFile (manyLayers 1_000_000 """{"type":"x"}""") (fun path ->
                    ArchitectureFile.load path
                    |> shouldFail [ path; "there are 1000000 layers; at most 10000 are taken" ]))

            testCase "a description of more bytes than its layers take is not read" (fun () ->
                inFile (String(' ', 17 <<< 20)) (fun path ->
                    ArchitectureFile.load path |> shouldFail [ path; "larger than 16 MiB" ]))

            testCase "a description that is nested a million deep is refused" (fun () ->
                inFile ("{ \"input\": " + String('[', 1_000_000)) (fun path ->
                    ArchitectureFile.load path |> shouldFail [ path; "line 1"; "nested" ]))

            // Scalings that follow each other lie in each other. Batch normalisation is two layers.
            testTheory
                "as many layers as are taken fit on the stack"
                [
                    """{"type":"relu"}""", 1
                    """{"type":"batchnorm2d","name":"b","channels":1}""", 2
                    """{"type":"avgpool2d","kernel":1}""", 1
                ]
                (fun (layer: string, layersEach: int) ->
                    inFile (manyLayers (Network.mostLayers / layersEach) layer) (fun path ->
                        match ArchitectureFile.load path |> valueOf |> Architecture.build smallOnes with
                        | Error problem -> failtest problem
                        | Ok network ->
                            let input = Tensor.create network.InputShape 0.5
                            let radius = Radius.create 0.1 |> Result.toOption |> Option.get
                            Network.evaluate Generators.context network input |> ignore
                            Analytic.bound Generators.context Nominal network input radius |> ignore
                            CanonicalNetwork.hash network |> ignore))

            testCase "a network that is nested as deep as may be is bounded, and a deeper one is refused" (fun () ->
                match Network.create [ 2 ] (nested Network.mostNesting) with
                | Error problem -> failtest problem
                | Ok network ->
                    Global.bound Generators.context network |> ignore
                    Network.layers network |> ignore

                for depth in [ Network.mostNesting + 1; 1_000_000 ] do
                    match Network.create [ 2 ] (nested depth) with
                    | Ok _ -> failtest "expected an error"
                    | Error problem -> Expect.stringContains problem "nested more than 256 deep" "problem")

            testCase "a network of more layers than are taken is refused" (fun () ->
                let layers = List.replicate (Network.mostLayers + 1) (Step("relu", Layer.relu))

                match Network.create [ 2 ] (Series layers) with
                | Ok _ -> failtest "expected an error"
                | Error problem -> Expect.stringContains problem "more than 10000 layers" "problem")

            testCase "an input of more values than a tensor takes is refused" (fun () ->
                for shape in [ [ 1 <<< 20; 1 <<< 20 ]; [ (1 <<< 28) + 1 ] ] do
                    match Network.create shape (Step("relu", Layer.relu)) with
                    | Ok _ -> failtest "expected an error"
                    | Error problem -> Expect.stringContains problem "at most 268435456 values" "problem")
        ]
