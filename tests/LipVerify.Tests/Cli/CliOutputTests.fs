/// What the command line prints: the JSON of the contract, tables, help.
module LipVerify.Tests.CliOutputTests

open System
open System.IO
open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Tests.CliRun

/// Golden figures change only with the network; the C# façade's tests hold the same ones.
let private stable = 1e-6

let private succeeded outcome =
    Expect.equal outcome.ExitCode 0 outcome.Error
    outcome.Output

/// The one document on standard output.
let private json outcome =
    // Parse fails on anything after the document.
    JsonDocument.Parse(succeeded outcome).RootElement

/// The names in an object, in order, with blanks between them.
let private keys (element: JsonElement) =
    String.Join(" ", [ for property in element.EnumerateObject() -> property.Name ])

let private text (name: string) (element: JsonElement) =
    element.GetProperty(name).GetString() |> string

let private number (name: string) (element: JsonElement) = element.GetProperty(name).GetDouble()

/// The demo with its curve in a folder that is deleted afterwards.
let private demo arguments (check: string -> Outcome -> unit) =
    let folder = Directory.CreateTempSubdirectory "lipverify-demo-test-"

    try
        check folder.FullName (run ([ "demo"; "--folder"; folder.FullName ] @ arguments))
    finally
        folder.Delete true

/// One weight whose ten nearest digits, 2.042082128, lie below it.
let private oneWeight folder =
    let path name = Path.Combine(folder, name)
    let weight = Tensor.ofArray [ 1; 1 ] [| 2.0420821284858923 |]

    File.WriteAllBytes(
        path "w.safetensors",
        Safetensors.write [] [ "fc.weight", weight; "fc.bias", Tensor.vector [| 0.0 |] ]
    )

    File.WriteAllText(
        path "w.json",
        """{ "input": [1], "layers": [ { "type": "linear", "name": "fc", "in": 1, "out": 1 } ] }"""
    )

    [ path "w.safetensors"; "--architecture"; path "w.json" ]

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliOutput"
        [
            testCase "bound --json has the keys of the contract in their order" (fun () ->
                let report = bound [ "--radius"; "0.1"; "--json" ] |> run |> json

                let expected =
                    "schema model norm definition radius method value rigor failureProbability layers output engine elapsedSeconds"

                Expect.equal (keys report) expected "keys report"
                Expect.equal (text "schema" report) "lipverify/bound/1" "schema"
                Expect.equal (text "model" report) onnx "model"
                Expect.equal (text "norm" report) "2" "norm"
                Expect.equal (text "definition" report) "nominal" "definition"
                Expect.equal (text "method" report) "analytic" "method"
                Expect.equal (number "radius" report) 0.1 "radius"
                Expect.equal (number "failureProbability" report) 0 "failureProbability"

                Expect.equal (report.GetProperty("output").GetArrayLength()) 10 "output"

                Expect.isGreaterThan (number "elapsedSeconds" report) 0.0 "elapsedSeconds")

            testCase "The layers of bound --json have the keys of the contract in their order" (fun () ->
                let report = bound [ "--radius"; "0.1"; "--json" ] |> run |> json
                let layers = report.GetProperty("layers").EnumerateArray() |> List.ofSeq
                let expected = "index name kind lipschitz rigor radiusIn radiusOut active size"

                for layer in layers do
                    Expect.equal (keys layer) expected "keys layer"

                let indices = [ for layer in layers -> string (number "index" layer) ]
                Expect.equal (String.Join(" ", indices)) "0 2 3 5 7 9 11" "indices"
                Expect.equal (text "kind" layers.Head) "conv2d+relu" "kind"
                Expect.equal (number "radiusIn" layers.Head) 0.1 "radiusIn")

            testTheory
                "Bounds keep their golden figures"
                [
                    "--radius 0.1", 20.69699071, "certified"
                    "--radius=0.1 --definition=uniform", 22.28217654, "certified"
                    "-r 1 -m analytic", 36.43959569, "certified"
                    "--method global", 57.10365451, "certified"
                ]
                (fun (options: string, golden: float, rigor: string) ->
                    let report = bound (List.ofArray (options.Split ' ') @ [ "--json" ]) |> run |> json
                    Expect.isWithin (golden * stable) (number "value" report) golden "value"
                    Expect.equal (text "rigor" report) rigor "rigor")

            testCase "A global bound needs no input and has no radii" (fun () ->
                let report = [ "bound"; onnx; "--method"; "global"; "--json" ] |> run |> json
                Expect.equal (report.GetProperty("radius").ValueKind) JsonValueKind.Null "value kind"
                Expect.equal (report.GetProperty("output").ValueKind) JsonValueKind.Null "value kind"

                for layer in report.GetProperty("layers").EnumerateArray() do
                    Expect.equal (layer.GetProperty("radiusIn").ValueKind) JsonValueKind.Null "value kind")

            testCase "Options may stand before and after the command and the model" (fun () ->
                let value arguments = run arguments |> json |> number "value"
                let expected = bound [ "--radius"; "0.1"; "--json" ] |> value
                let input = [ "--input"; eight; "--preprocess"; "mnist" ]

                for arguments in
                    [
                        [ "--json" ] @ input @ [ "bound"; onnx; "--radius"; "0.1" ]
                        [ "bound"; "--radius"; "0.1"; "--json" ] @ input @ [ onnx ]
                        [ "bound"; "--radius"; "0.1"; onnx ] @ input @ [ "--json" ]
                    ] do
                    Expect.isWithin (expected * 1e-9) (value arguments) expected "value arguments")

            testCase "The state dict gives the bound of the ONNX file" (fun () ->
                let report =
                    [
                        "bound"
                        safetensors
                        "--architecture"
                        "mnist-net"
                        "--input"
                        eight
                        "--mean"
                        "0.1307"
                        "--std"
                        "0.3081"
                        "--radius"
                        "0.1"
                        "--json"
                    ]
                    |> run
                    |> json

                Expect.isWithin (20.69699071 * stable) (number "value" report) (20.69699071) "value")

            testCase "info --json lists the layers" (fun () ->
                let report = [ "info"; onnx; "--json" ] |> run |> json
                Expect.equal (keys report) "schema model inputShape outputShape parameters layers" "keys report"
                Expect.equal (number "parameters" report) 44426 "parameters"

                Expect.equal (report.GetProperty("layers").GetArrayLength()) 12 "layers")

            testCase "demo --json holds the bounds of its table, certified radii and the curve" (fun () ->
                demo [ "--json" ] (fun folder outcome ->
                    let report = json outcome
                    let bounds = report.GetProperty("bounds").EnumerateArray() |> List.ofSeq
                    Expect.equal (text "schema" report) "lipverify/demo/1" "schema"
                    Expect.equal (text "method" bounds.Head) "global" "method"
                    Expect.isAscending (bounds.Tail |> List.map (number "value")) "values"

                    let radii =
                        [
                            for item in report.GetProperty("certifiedRadii").EnumerateArray() ->
                                number "certifiedRadius" item
                        ]

                    Expect.isWithin 1e-6 radii[0] (0.10354971) "radii[0]"
                    Expect.isWithin 1e-6 radii[1] (0.23383641) "radii[1]"

                    for kind, name in [ "csv", "curve.csv"; "plot", "curve.svg"; "html", "curve.html" ] do
                        let path = report.GetProperty("curve").GetProperty("files") |> text kind
                        Expect.equal path (Path.Combine(folder, name)) "path"
                        Expect.isTrue (File.Exists path) "File.Exists path"

                    // A second demo overwrites nothing.
                    let again = run [ "demo"; "--folder"; folder ]
                    Expect.equal again.ExitCode 2 "exit code"
                    Expect.stringContains again.Error "overwrites nothing" "error"))

            testCase "Tables are aligned, without blanks at the ends of lines" (fun () ->
                let haveNoBlanks outcome =
                    for line in (succeeded outcome).Split '\n' do
                        Expect.equal line (line.TrimEnd()) "line"

                for arguments in
                    [
                        [ "info"; onnx ]
                        bound [ "--radius"; "0.1" ]
                        [
                            "certify"
                            onnx
                            "--method"
                            "global"
                            "--input"
                            Path.Combine(samples, "digits")
                        ]
                    ] do
                    run arguments |> haveNoBlanks

                demo [] (fun _ outcome -> haveNoBlanks outcome)

                let table = [ "info"; onnx ] |> run |> succeeded |> lines
                let isRule (line: string) = line.StartsWith '─'
                let ends = table.Tail |> List.filter (isRule >> not) |> List.map _.Length
                Expect.allEqual ends ends.Head "the last column is flush right")

            testCase "--output writes the document to a fresh file and over an old one" (fun () ->
                let path = Path.Combine(Path.GetTempPath(), $"lipverify-{Guid.NewGuid():N}.json")

                try
                    for radius in [ "0.1"; "1" ] do
                        let outcome = bound [ "--radius"; radius; "--json"; "--output"; path ] |> run
                        Expect.isEmpty (succeeded outcome) "succeeded outcome"
                        let report = JsonDocument.Parse(File.ReadAllText path).RootElement
                        Expect.equal (number "radius" report) (float radius) "radius"
                finally
                    File.Delete path)

            testTheory
                "A bound is printed upward, in the layers too, and the radius as it was given"
                [ "analytic"; "fastlip"; "recurjac"; "local-lipsdp"; "structured" ]
                (fun (method: string) ->
                    CliRun.inFolder (fun folder ->
                        let outcome =
                            [ "bound" ]
                            @ oneWeight folder
                            @ [ "--input"; "zeros"; "--radius"; "0.1"; "--method"; method ]
                            |> run

                        let text = succeeded outcome
                        Expect.stringContains text "within radius 0.1 " "text"
                        Expect.stringContains text "≤ 2.042082129\n" "text"
                        Expect.stringLacks text "2.04208 " "text"

                        if method = "analytic" then
                            let layer = lines text |> List.find (fun line -> line.Contains "dense")
                            // The radius of its outputs is a bound.
                            Expect.isMatch layer "2\\.04209 +certified +0\\.1 +0\\.204209 " "layer"))

            testTheory
                "Help and version exit with 0"
                [
                    "--help", "EXAMPLES"
                    "--help", "3 an internal error, 130 ended by Ctrl-C"
                    "curve --help", "3 an internal error, 130 ended by Ctrl-C"
                    "info --help", "lipverify info "
                    "bound --help", "--radius"
                    "bound --help", "lipverify bound "
                    "demo --help", "lipverify demo"
                    "--version", "lipverify "
                ]
                (fun (arguments: string, part: string) ->
                    let outcome = run (List.ofArray (arguments.Split ' '))
                    Expect.stringContains (succeeded outcome) part "succeeded outcome"
                    Expect.isEmpty outcome.Error "error")
        ]
