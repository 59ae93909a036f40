/// `lipverify attack`: its document, the inputs that it saves, and what it refuses.
module LipVerify.Tests.CliAttackTests

open System
open System.IO
open System.Text.Json
open LipVerify.Core.Computation
open LipVerify.Core.Attacks
open LipVerify.Formats
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Tests.CliRun

let private attack arguments =
    [ "attack"; onnx; "--input"; eight; "--preprocess"; "mnist"; "--attack"; "pgd" ]
    @ arguments

let private json outcome =
    Expect.equal outcome.ExitCode 0 outcome.Error
    JsonDocument.Parse(outcome.Output).RootElement

let private keys (element: JsonElement) =
    String.Join(" ", [ for property in element.EnumerateObject() -> property.Name ])

let private number (name: string) (element: JsonElement) = element.GetProperty(name).GetDouble()

let private withPath (extension: string) (action: string -> unit) =
    let path =
        Path.Combine(Path.GetTempPath(), $"lipverify-{Guid.NewGuid():N}{extension}")

    try
        action path
    finally
        File.Delete path

let private nominal () =
    match InputSource.load [ 1; 28; 28 ] Preprocessing.mnist eight with
    | Ok input -> input
    | Error error -> failwith (LoadError.text error)

let private distance (a: Tensor) (b: Tensor) =
    Array.map2 (fun x y -> (x - y) * (x - y)) (Tensor.values a) (Tensor.values b)
    |> Array.sum
    |> sqrt

let private mistakes: (string list * string list) list =
    let zoo arguments =
        [ "attack"; "zoo:mnist-net"; "--input"; "random" ] @ arguments

    [
        zoo [ "--attack"; "magic" ], [ "--attack"; "fgsm, ifgsm, gradient, pgd, cw or all"; "\"magic\"" ]
        zoo [ "--clip"; "1,0" ], [ "--clip"; "LOW,HIGH"; "\"1,0\"" ]
        zoo [ "--clip"; "0" ], [ "--clip"; "\"0\"" ]
        zoo [ "--clip"; "0,x" ], [ "--clip" ]
        zoo [ "--clip"; "0,inf" ], [ "--clip" ]
        zoo [ "--clip"; "0,1" ], [ "--clip 0,1 does not contain the input" ]
        [ "attack"; "zoo:mnist-net" ], [ "--input is missing" ]
        [ "attack"; "--input"; "zeros" ], [ "MODEL"; "lipverify attack --help" ]
    ]

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliAttack"
        [
            testCase "attack --json has its keys in their order" (fun () ->
                let report = attack [ "--json"; "--clip"; "0,1" ] |> run |> json

                Expect.equal
                    (keys report)
                    "schema model norm originalLabel clip attack label distance rigor attacks saved engine elapsedSeconds"
                    "keys report"

                Expect.equal
                    (string (report.GetProperty("schema").GetString()))
                    "lipverify/attack/1"
                    "string (report.GetProperty(\"schema\").GetString())"

                Expect.equal (number "originalLabel" report) 8 "originalLabel"
                Expect.notEqual (number "label" report) 8 "label"

                Expect.equal (report.GetProperty("attacks").GetArrayLength()) 1 "attacks"

                Expect.equal
                    (keys (report.GetProperty("attacks")[0]))
                    "attack label distance rigor elapsedSeconds"
                    "keys (report.GetProperty(\"attacks\")[0])"

                Expect.equal (report.GetProperty("clip").GetArrayLength()) 2 "clip")

            testCase "every attack is tried unless one is named, and the nearest is reported" (fun () ->
                let report =
                    [ "attack"; onnx; "--input"; eight; "--preprocess"; "mnist"; "--json" ]
                    |> run
                    |> json

                let distances =
                    [
                        for outcome in report.GetProperty("attacks").EnumerateArray() -> number "distance" outcome
                    ]

                Expect.equal distances.Length Attack.all.Length "length"
                Expect.equal (number "distance" report) (List.min distances) "distance")

            testCase "--output F.npy saves the exact adversarial input" (fun () ->
                withPath ".npy" (fun path ->
                    let report = attack [ "--json"; "--output"; path ] |> run |> json

                    match Npy.load path with
                    | Error error -> failwith (LoadError.text error)
                    | Ok saved ->
                        Expect.isTrue (saved.Shape = [ 1; 28; 28 ]) "saved.Shape = [ 1; 28; 28 ]"
                        let expected = number "distance" report

                        Expect.isWithin
                            (1e-12 * expected)
                            (distance saved (nominal ()))
                            expected
                            "distance saved (nominal ())"

                    // The saved input has the class that was reported.
                    let bound =
                        [ "bound"; onnx; "--input"; path; "--radius"; "0"; "--json" ] |> run |> json

                    let outputs =
                        [
                            for value in bound.GetProperty("output").EnumerateArray() -> value.GetDouble()
                        ]

                    let largest = outputs |> List.indexed |> List.maxBy snd |> fst
                    Expect.equal (float largest) (number "label" report) "float largest"))

            testCase "--output F.png saves a picture and says whether it is still adversarial" (fun () ->
                withPath ".png" (fun path ->
                    let outcome = attack [ "--clip"; "0,1"; "--output"; path ] |> run
                    Expect.equal outcome.ExitCode 0 outcome.Error
                    Expect.stringContains outcome.Error "rounded to 8 bits" "error"
                    Expect.stringContains outcome.Output path "output"

                    match Png.load path with
                    | Error error -> failwith (LoadError.text error)
                    | Ok picture ->
                        Expect.isTrue
                            ((picture.Width, picture.Height, picture.Channels) = (28, 28, 1))
                            "(picture.Width, picture.Height, picture.Channels) = (28, 28, 1)"))

            testCase "finding nothing is an ordinary outcome" (fun () ->
                // All outputs of this network are 0 at the input of zeros, and so is its formal Jacobian.
                withPath ".npy" (fun path ->
                    let outcome =
                        [
                            "attack"
                            "zoo:mnist-net"
                            "--input"
                            "zeros"
                            "--attack"
                            "pgd"
                            "--json"
                            "--output"
                            path
                        ]
                        |> run

                    let report = json outcome
                    Expect.equal (report.GetProperty("distance").ValueKind) JsonValueKind.Null "value kind"
                    Expect.equal (report.GetProperty("saved").ValueKind) JsonValueKind.Null "value kind"
                    Expect.stringContains outcome.Error "is not written" "error"
                    Expect.isFalse (File.Exists path) "File.Exists path"))

            testCase "other names of --output take the report" (fun () ->
                withPath ".txt" (fun path ->
                    let outcome = attack [ "--output"; path ] |> run
                    Expect.equal outcome.ExitCode 0 outcome.Error
                    Expect.isEmpty outcome.Output "output"
                    Expect.stringContains (File.ReadAllText path) "least perturbation" "File.ReadAllText path"))

            testCase "mistakes are one line" (fun () ->
                for arguments, parts in mistakes do
                    let outcome = run arguments
                    Expect.equal outcome.ExitCode 2 "exit code"
                    Expect.isEmpty outcome.Output "output"
                    Expect.hasLength (lines outcome.Error) 1 "lines outcome.Error"

                    for part in parts do
                        Expect.stringContains outcome.Error part "error")

            testCase "help shows examples" (fun () ->
                let outcome = run [ "attack"; "--help" ]
                Expect.equal outcome.ExitCode 0 "exit code"
                Expect.stringContains outcome.Output "lipverify attack " "output"
                Expect.stringContains outcome.Output "--clip" "output")
        ]
