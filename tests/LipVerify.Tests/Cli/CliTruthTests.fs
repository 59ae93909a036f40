/// What is left out of a file is told, what leaves the range of doubles is an error, and a tie claims no constant.
module LipVerify.Tests.CliTruthTests

open System.IO
open System.Text.Json
open NUnit.Framework
open LipVerify.Tests.CliRun
open LipVerify.Tests.OnnxWriter

let private inFiles (model: byte[]) (input: string) (work: string -> string -> unit) =
    inFolder (fun folder ->
        let modelFile = Path.Combine(folder, "model.onnx")
        let inputFile = Path.Combine(folder, "input.csv")
        File.WriteAllBytes(modelFile, model)
        File.WriteAllText(inputFile, input)
        work modelFile inputFile)

let private softmaxed =
    model
        [ 1; 3 ]
        [
            node "Gemm" [ "x"; "w" ] "h" [ int "transB" 1 ]
            node "Softmax" [ "h" ] "y" [ int "axis" -1 ]
        ]
        [ doubles "w" [ 2; 3 ] [| 1.0; 0.0; 0.5; -1.0; 2.0; 0.25 |] ]

/// Commands at an input, each with what it needs.
let private commands model input =
    [
        [ "bound"; model; "--input"; input; "--radius"; "0.1" ]
        [ "enclose"; model; "--input"; input; "--radius"; "0.1" ]
        [ "certify"; model; "--input"; input ]
        [ "attack"; model; "--input"; input; "--attack"; "fgsm" ]
        [ "curve"; model; "--input"; input; "--radii"; "0.1"; "--methods"; "analytic" ]
        [ "compare"; model; "--input"; input; "--radius"; "0.1"; "--time-limit"; "1" ]
    ]

[<Test>]
let ``a Softmax that is left out is told in JSON and on standard output, by every command`` () =
    inFiles softmaxed "1,2,3" (fun model input ->
        for command in [ "info"; model ] :: commands model input do
            let report = run (command @ [ "--json" ])
            Assert.That(report.ExitCode, Is.Zero, report.Error)
            let root = JsonDocument.Parse(report.Output).RootElement
            let notices = root.GetProperty("notices").EnumerateArray() |> List.ofSeq
            Assert.That(notices.Length, Is.EqualTo 1)
            Assert.That(notices[0].GetString(), Does.Contain "Softmax")

        for command in [ [ "info"; model ]; (commands model input).Head ] do
            let report = run command
            Assert.That(report.Output, Does.StartWith "note: the final Softmax is left out"))

/// Logits x at the input, with a softmax over each pair of them.
let private inPairs shape axis =
    model
        [ 1; 4 ]
        [
            node "Gemm" [ "x"; "w" ] "h" []
            node "Reshape" [ "h"; "shape" ] "g" []
            node "Softmax" [ "g" ] "y" [ int "axis" axis ]
        ]
        [
            doubles "w" [ 4; 4 ] (Array.init 16 (fun i -> if i % 5 = 0 then 1.0 else 0.0))
            longs "shape" shape
        ]

[<TestCase(2, 2, -1)>]
[<TestCase(2, 2, 1)>]
let ``no class is certified or attacked behind a Softmax over part of the outputs``
    (rows: int)
    (columns: int)
    (axis: int)
    =
    // The largest logit is 9; the largest probability is that of the logit beside -9: 1 or 8.5.
    inFiles (inPairs [ 1; rows; columns ] axis) "9,8.5,1,-9" (fun model input ->
        for command in
            [
                [ "certify"; model; "--input"; input ]
                [ "attack"; model; "--input"; input ]
            ] do
            let outcome = run command
            Assert.That(outcome.ExitCode, Is.EqualTo 2)
            Assert.That(outcome.Output, Is.Empty)
            Assert.That(lines outcome.Error, Has.Exactly(1).Items)
            Assert.That(outcome.Error, Does.Contain(model).And.Contain "over part of the outputs")

        let bound = run (commands model input).Head
        Assert.That(bound.ExitCode, Is.Zero, bound.Error))

[<Test>]
let ``a Softmax over all outputs of another shape keeps the class`` () =
    inFiles (inPairs [ 1; 1; 4 ] -1) "9,8.5,1,-9" (fun model input ->
        let outcome = run [ "certify"; model; "--input"; input ]
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error))

[<Test>]
let ``the output that is shown is the file's`` () =
    inFiles softmaxed "1,2,3" (fun model input ->
        let report = run ((commands model input).Head @ [ "--json" ])

        let output =
            [
                for value in JsonDocument.Parse(report.Output).RootElement.GetProperty("output").EnumerateArray() do
                    value.GetDouble()
            ]

        // Logits 2.5 and 3.75.
        let share = 1.0 / (1.0 + exp 1.25)
        Assert.That(output[0], Is.EqualTo(share).Within 1e-15)
        Assert.That(output[1], Is.EqualTo(1.0 - share).Within 1e-15))

[<Test>]
let ``a model of which nothing is left out has no notices`` () =
    let report = run (bound [ "--radius"; "0.1"; "--json" ])

    let found, _ =
        JsonDocument.Parse(report.Output).RootElement.TryGetProperty "notices"

    Assert.That(found, Is.False)

/// Four layers of which each multiplies by 1e100.
let private growing =
    model
        [ 1; 2 ]
        [
            node "Mul" [ "x"; "c" ] "a" []
            node "Relu" [ "a" ] "b" []
            node "Mul" [ "b"; "c" ] "d" []
            node "Relu" [ "d" ] "e" []
            node "Mul" [ "e"; "c" ] "f" []
            node "Relu" [ "f" ] "g" []
            node "Mul" [ "g"; "c" ] "y" []
        ]
        [ doubles "c" [] [| 1e100 |] ]

let private shouldFail (parts: string list) (outcome: Outcome) =
    Assert.That(outcome.ExitCode, Is.EqualTo 2, outcome.Output)
    Assert.That(outcome.Output, Is.Empty)
    Assert.That((lines outcome.Error).Length, Is.EqualTo 1, outcome.Error)

    for part in parts do
        Assert.That(outcome.Error, Does.Contain part)

[<Test>]
let ``values that leave the range of doubles are an error that names the layer, in every command`` () =
    inFiles growing "1,2" (fun model input ->
        for command in commands model input do
            for options in [ []; [ "--json" ] ] do
                run (command @ options)
                |> shouldFail [ "layer 6 (Mul_6)"; "range of double precision" ])

[<Test>]
let ``a bound that leaves the range of doubles is an error`` () =
    inFiles growing "0,0" (fun model input ->
        run [ "bound"; model; "--method"; "global"; "--json" ]
        |> shouldFail [ "range of double precision" ]

        run [ "bound"; model; "--input"; input; "--radius"; "1"; "--json" ]
        |> shouldFail [ "range of double precision" ]

        run [ "curve"; model; "--input"; input; "--radii"; "1"; "--methods"; "global" ]
        |> shouldFail [ "global"; "range of double precision" ]

        run [ "enclose"; model; "--input"; input; "--radius"; "1e10" ]
        |> shouldFail [ "range of double precision" ])

[<Test>]
let ``a tie claims no constant`` () =
    let tied = model [ 1; 2 ] [ node "Relu" [ "x" ] "y" [] ] []

    inFiles tied "1,1" (fun model input ->
        for method in [ "analytic"; "global"; "crown" ] do
            let report =
                run [ "certify"; model; "--input"; input; "--method"; method; "--json" ]

            Assert.That(report.ExitCode, Is.Zero, report.Error)
            let root = JsonDocument.Parse(report.Output).RootElement
            Assert.That(root.GetProperty("label").ValueKind, Is.EqualTo JsonValueKind.Null)
            Assert.That(root.GetProperty("certifiedRadius").GetDouble(), Is.Zero)
            Assert.That(root.GetProperty("lipschitz").ValueKind, Is.EqualTo JsonValueKind.Null))
