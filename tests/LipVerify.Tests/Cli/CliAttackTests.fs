/// `lipverify attack`: its document, the inputs that it saves, and what it refuses.
module LipVerify.Tests.CliAttackTests

open System
open System.IO
open System.Text.Json
open LipVerify.Core.Computation
open LipVerify.Core.Attacks
open LipVerify.Formats
open NUnit.Framework
open LipVerify.Tests.CliRun

let private attack arguments =
    [ "attack"; onnx; "--input"; eight; "--preprocess"; "mnist"; "--attack"; "pgd" ]
    @ arguments

let private json outcome =
    Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
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

[<Test>]
let ``attack --json has its keys in their order`` () =
    let report = attack [ "--json"; "--clip"; "0,1" ] |> run |> json

    Assert.That(
        keys report,
        Is.EqualTo
            "schema model norm originalLabel clip attack label distance rigor attacks saved engine elapsedSeconds"
    )

    Assert.That(string (report.GetProperty("schema").GetString()), Is.EqualTo "lipverify/attack/1")
    Assert.That(number "originalLabel" report, Is.EqualTo 8)
    Assert.That(number "label" report, Is.Not.EqualTo 8)
    Assert.That(report.GetProperty("attacks").GetArrayLength(), Is.EqualTo 1)
    Assert.That(keys (report.GetProperty("attacks")[0]), Is.EqualTo "attack label distance rigor elapsedSeconds")
    Assert.That(report.GetProperty("clip").GetArrayLength(), Is.EqualTo 2)

[<Test>]
let ``every attack is tried unless one is named, and the nearest is reported`` () =
    let report =
        [ "attack"; onnx; "--input"; eight; "--preprocess"; "mnist"; "--json" ]
        |> run
        |> json

    let distances =
        [
            for outcome in report.GetProperty("attacks").EnumerateArray() -> number "distance" outcome
        ]

    Assert.That(distances.Length, Is.EqualTo Attack.all.Length)
    Assert.That(number "distance" report, Is.EqualTo(List.min distances))

[<Test>]
let ``--output F.npy saves the exact adversarial input`` () =
    withPath ".npy" (fun path ->
        let report = attack [ "--json"; "--output"; path ] |> run |> json

        match Npy.load path with
        | Error error -> failwith (LoadError.text error)
        | Ok saved ->
            Assert.That(saved.Shape = [ 1; 28; 28 ])
            let expected = number "distance" report
            Assert.That(distance saved (nominal ()), Is.EqualTo(expected).Within(1e-12 * expected))

        // The saved input has the class that was reported.
        let bound =
            [ "bound"; onnx; "--input"; path; "--radius"; "0"; "--json" ] |> run |> json

        let outputs =
            [
                for value in bound.GetProperty("output").EnumerateArray() -> value.GetDouble()
            ]

        let largest = outputs |> List.indexed |> List.maxBy snd |> fst
        Assert.That(float largest, Is.EqualTo(number "label" report)))

[<Test>]
let ``--output F.png saves a picture and says whether it is still adversarial`` () =
    withPath ".png" (fun path ->
        let outcome = attack [ "--clip"; "0,1"; "--output"; path ] |> run
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        Assert.That(outcome.Error, Does.Contain "rounded to 8 bits")
        Assert.That(outcome.Output, Does.Contain path)

        match Png.load path with
        | Error error -> failwith (LoadError.text error)
        | Ok picture -> Assert.That((picture.Width, picture.Height, picture.Channels) = (28, 28, 1)))

[<Test>]
let ``finding nothing is an ordinary outcome`` () =
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
        Assert.That(report.GetProperty("distance").ValueKind, Is.EqualTo JsonValueKind.Null)
        Assert.That(report.GetProperty("saved").ValueKind, Is.EqualTo JsonValueKind.Null)
        Assert.That(outcome.Error, Does.Contain "is not written")
        Assert.That(File.Exists path, Is.False))

[<Test>]
let ``other names of --output take the report`` () =
    withPath ".txt" (fun path ->
        let outcome = attack [ "--output"; path ] |> run
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        Assert.That(outcome.Output, Is.Empty)
        Assert.That(File.ReadAllText path, Does.Contain "least perturbation"))

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

[<Test>]
let ``mistakes are one line`` () =
    for arguments, parts in mistakes do
        let outcome = run arguments
        Assert.That(outcome.ExitCode, Is.EqualTo 2)
        Assert.That(outcome.Output, Is.Empty)
        Assert.That(lines outcome.Error, Has.Exactly(1).Items)

        for part in parts do
            Assert.That(outcome.Error, Does.Contain part)

[<Test>]
let ``help shows examples`` () =
    let outcome = run [ "attack"; "--help" ]
    Assert.That(outcome.ExitCode, Is.Zero)
    Assert.That(outcome.Output, Does.Contain "lipverify attack ")
    Assert.That(outcome.Output, Does.Contain "--clip")
