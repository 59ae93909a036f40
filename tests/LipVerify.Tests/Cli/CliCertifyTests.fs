/// `certify` from the command line: one input, several inputs, and what it refuses.
module LipVerify.Tests.CliCertifyTests

open System
open System.IO
open System.IO.Compression
open System.Text.Json
open NUnit.Framework
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Tests.CliRun

let private certify arguments =
    run ([ "certify"; onnx; "--preprocess"; "mnist" ] @ arguments)

let private json outcome =
    Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
    JsonDocument.Parse(outcome.Output).RootElement

let private number (name: string) (element: JsonElement) = element.GetProperty(name).GetDouble()

let private text (name: string) (element: JsonElement) =
    element.GetProperty(name).GetString() |> string

let private keys (element: JsonElement) =
    String.Join(" ", [ for property in element.EnumerateObject() -> property.Name ])

let private items (name: string) (element: JsonElement) =
    element.GetProperty(name).EnumerateArray() |> List.ofSeq

/// Golden figures change only with the network.
let private stable = 1e-6

[<TestCase("analytic", 0.23383641)>]
[<TestCase("global", 0.10354971)>]
let ``certify --json keeps its golden figures`` (method: string) (golden: float) =
    let report = certify [ "--input"; eight; "--method"; method; "--json" ] |> json
    Assert.That(text "schema" report, Is.EqualTo "lipverify/certify/1")
    Assert.That(number "label" report, Is.EqualTo 8)
    Assert.That(text "rigor" report, Is.EqualTo "certified")
    Assert.That(number "failureProbability" report, Is.Zero)
    Assert.That(text "method" report, Is.EqualTo method)
    Assert.That(number "topTwoGap" report, Is.EqualTo(8.362339673).Within 1e-6)
    Assert.That(number "certifiedRadius" report, Is.EqualTo(golden).Within(golden * stable))
    Assert.That(number "notCertifiedAt" report, Is.GreaterThan(number "certifiedRadius" report))
    Assert.That(number "notCertifiedAt" report, Is.EqualTo(golden).Within(golden * stable))

[<TestCase "analytic">]
[<TestCase "crown">]
let ``certify says that the time limit ended the search`` (method: string) =
    let text limit =
        certify ([ "--input"; eight; "--method"; method ] @ limit) |> _.Output

    let ended = text [ "--time-limit"; "0" ]
    Assert.That(ended, Does.Contain("the time limit ended the search").Or.Contain("the time was over"))
    Assert.That(ended, Does.Not.Contain "every radius that was tried")
    Assert.That(text [], Does.Not.Contain "time")

[<TestCase "analytic">]
[<TestCase "global">]
[<TestCase "crown">]
[<TestCase "local-lipsdp">]
[<TestCase "structured">]
let ``certify takes --time-limit with every method, and claims what holds`` (method: string) =
    let report =
        certify [ "--input"; eight; "--method"; method; "--time-limit"; "0"; "--json" ]
        |> json

    Assert.That(report.GetProperty("endedByTimeLimit").GetBoolean())
    // An attack finds another class at 3.389.
    Assert.That(number "certifiedRadius" report, Is.GreaterThan(0.0).And.LessThan 3.39)
    Assert.That(text "rigor" report, Is.EqualTo "certified")

[<Test>]
let ``certify --method crown ends within a thousandth`` () =
    let report = certify [ "--input"; eight; "--method"; "crown"; "--json" ] |> json
    let shown, failed = number "certifiedRadius" report, number "notCertifiedAt" report
    Assert.That(failed, Is.GreaterThan(shown).And.LessThanOrEqualTo(shown * 1.0011))
    Assert.That(number "evaluations" report, Is.LessThanOrEqualTo 12.0)

[<Test>]
let ``certify --json has the keys of the contract`` () =
    let report = certify [ "--input"; eight; "--method"; "global"; "--json" ] |> json

    Assert.That(
        keys report,
        Is.EqualTo
            "schema label certifiedRadius rigor failureProbability method topTwoGap notCertifiedAt model input norm definition lipschitz evaluations endedByTimeLimit engine elapsedSeconds"
    )

[<Test>]
let ``certify --attacks shows what is broken beyond what is certified`` () =
    let report =
        certify [ "--input"; eight; "--attacks"; "--clip"; "0,1"; "--json" ] |> json

    let attacks = report.GetProperty "attacks"
    Assert.That(keys attacks, Is.EqualTo "fgsm ifgsm gradient pgd cw")
    let radius = number "certifiedRadius" report

    for name in [ "fgsm"; "ifgsm"; "gradient"; "pgd"; "cw" ] do
        Assert.That(number name attacks, Is.GreaterThan radius, name)

    // The golden distance of the attack that comes closest, which may only shrink.
    Assert.That(number "pgd" attacks, Is.LessThan 4.0)

[<Test>]
let ``A folder of inputs gives one row an input, a summary and a CSV file`` () =
    inFolder (fun folder ->
        let csv = Path.Combine(folder, "radii.csv")
        let digits = Path.Combine(samples, "digits")

        let report =
            certify [ "--input"; digits; "--method"; "global"; "--csv"; csv; "--json" ]
            |> json

        Assert.That(text "schema" report, Is.EqualTo "lipverify/certify-batch/1")
        let inputs = items "inputs" report
        Assert.That((inputs |> List.map (number "label") = [ 0.0 .. 9.0 ]))
        let radii = inputs |> List.map (number "certifiedRadius")
        let summary = report.GetProperty "summary"
        let sorted = List.sort radii
        Assert.That(number "medianRadius" summary, Is.EqualTo((sorted[4] + sorted[5]) / 2.0))

        for fraction in items "certifiedFractions" summary do
            let at = number "radius" fraction
            let count = radii |> List.filter (fun radius -> radius >= at) |> List.length
            Assert.That(number "fraction" fraction, Is.EqualTo(float count / 10.0))

        let rows = File.ReadAllLines csv

        Assert.That(
            rows[0],
            Is.EqualTo
                "input,label,certifiedRadius,notCertifiedAt,rigor,failureProbability,topTwoGap,attackedAt,seconds,problem"
        )

        Assert.That(rows, Has.Length.EqualTo 11)
        Assert.That(rows[9], Does.StartWith(Path.Combine(digits, "8.png") + ",8,0.1035"))
        Assert.That(Double.Parse(rows[9].Split(',')[2]), Is.EqualTo radii[8]))

let private digit name =
    match InputSource.load [ 1; 28; 28 ] Preprocessing.none (Path.Combine(samples, "digits", name)) with
    | Ok tensor -> Tensor.values tensor
    | Error error -> failwith (LoadError.text error)

let private radiiOf report =
    items "inputs" report |> List.map (number "certifiedRadius")

[<Test>]
let ``Batches in npy and npz files give the radii of the pictures`` () =
    inFolder (fun folder ->
        let single name =
            certify
                [
                    "--input"
                    Path.Combine(samples, "digits", name)
                    "--method"
                    "global"
                    "--json"
                ]
            |> json
            |> number "certifiedRadius"

        let expected = [ single "3.png"; single "8.png" ]
        let both = Array.append (digit "3.png") (digit "8.png")

        for shape in [ [ 2; 1; 28; 28 ]; [ 2; 28; 28 ]; [ 2; 784 ] ] do
            let path = Path.Combine(folder, "batch.npy")
            File.WriteAllBytes(path, Npy.write (Tensor.ofArray shape both))
            let report = certify [ "--input"; path; "--method"; "global"; "--json" ] |> json
            Assert.That((radiiOf report = expected), Shape.text shape)
            Assert.That((items "inputs" report |> List.map (text "input") = [ path + "[0]"; path + "[1]" ]))

        let archive = Path.Combine(folder, "arrays.npz")

        do
            use zip = ZipFile.Open(archive, ZipArchiveMode.Create)

            for name, values in [ "three", digit "3.png"; "eight", digit "8.png" ] do
                use entry = zip.CreateEntry($"{name}.npy").Open()
                entry.Write(ReadOnlySpan(Npy.write (Tensor.ofArray [ 28; 28 ] values)))

        let report = certify [ "--input"; archive; "--method"; "global"; "--json" ] |> json
        Assert.That((List.sort (radiiOf report) = List.sort expected)))

[<Test>]
let ``Inputs that fail are named, the others are certified, and the exit code is 2`` () =
    inFolder (fun folder ->
        File.Copy(eight, Path.Combine(folder, "b.png"))
        File.WriteAllText(Path.Combine(folder, "a.npy"), "no array")
        File.WriteAllText(Path.Combine(folder, "c.csv"), "1,2,3")
        File.WriteAllText(Path.Combine(folder, "notes.txt"), "")
        let outcome = certify [ "--input"; folder; "--method"; "global"; "--json" ]
        Assert.That(outcome.ExitCode, Is.EqualTo 2)
        Assert.That(outcome.Error, Does.Contain("notes.txt").And.Contain "2 of 3 inputs have no certified radius")
        let report = JsonDocument.Parse(outcome.Output).RootElement
        let inputs = items "inputs" report

        Assert.That(
            (inputs |> List.map (fun entry -> string (Path.GetFileName(text "input" entry))) =
                [ "a.npy"; "b.png"; "c.csv" ])
        )

        Assert.That(text "problem" inputs[0], Does.Contain "a.npy")
        Assert.That(number "label" inputs[1], Is.EqualTo 8)
        Assert.That(number "failed" (report.GetProperty "summary"), Is.EqualTo 2))

let private fails (parts: string list) outcome =
    Assert.That(outcome.ExitCode, Is.EqualTo 2)
    Assert.That(outcome.Output, Is.Empty)
    Assert.That(lines outcome.Error, Has.Exactly(1).Items, outcome.Error)

    for part in parts do
        Assert.That(outcome.Error, Does.Contain part)

[<Test>]
let ``Bad usage of certify is one line`` () =
    inFolder (fun folder ->
        certify [] |> fails [ "--input is missing"; "folder" ]

        certify [ "--input"; eight; "--method"; "magic" ]
        |> fails [ "--method"; "\"magic\"" ]

        certify [ "--input"; folder ] |> fails [ folder; "holds no .png" ]
        certify [ "--input"; eight; "--csv"; folder ] |> fails [ "--csv"; "folder" ]
        certify [ "--input"; eight; "--csv"; eight ] |> fails [ "--csv"; "overwrite" ]

        certify [ "--input"; eight; "--csv"; "/nonexistent/x.csv" ]
        |> fails [ "--csv /nonexistent/x.csv"; "no such folder" ]

        let same = Path.Combine(folder, "x")

        certify [ "--input"; eight; "--csv"; same; "--output"; same ]
        |> fails [ "--output"; "the same file" ])

[<Test>]
let ``A network with a single output has no classes`` () =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "one.json")
        let weights = Path.Combine(folder, "one.safetensors")

        File.WriteAllText(
            path,
            """{ "input": [2], "layers": [ { "type": "linear", "name": "fc", "in": 2, "out": 1 } ] }"""
        )

        File.WriteAllBytes(
            weights,
            Safetensors.write
                []
                [
                    "fc.weight", Tensor.ofArray [ 1; 2 ] [| 1.0; 2.0 |]
                    "fc.bias", Tensor.vector [| 0.0 |]
                ]
        )

        run [ "certify"; weights; "--architecture"; path; "--input"; "zeros" ]
        |> fails [ "single output" ])

[<Test>]
let ``An undecided class is certified nowhere, and says so`` () =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "tie.json")
        let weights = Path.Combine(folder, "tie.safetensors")

        File.WriteAllText(
            path,
            """{ "input": [2], "layers": [ { "type": "linear", "name": "fc", "in": 2, "out": 2 } ] }"""
        )

        File.WriteAllBytes(
            weights,
            Safetensors.write
                []
                [
                    "fc.weight", Tensor.ofArray [ 2; 2 ] [| 1.0; 0.0; 0.0; 1.0 |]
                    "fc.bias", Tensor.vector [| 0.0; 0.0 |]
                ]
        )

        let tie arguments =
            run ([ "certify"; weights; "--architecture"; path; "--input"; "zeros" ] @ arguments)

        Assert.That((tie []).Output, Does.Contain "the class is undecided")
        let report = tie [ "--json" ] |> json
        Assert.That(report.GetProperty("label").ValueKind, Is.EqualTo JsonValueKind.Null)
        Assert.That(number "certifiedRadius" report, Is.Zero)
        Assert.That(number "notCertifiedAt" report, Is.Zero))

[<Test>]
let ``certify --clip without --attacks is refused`` () =
    certify [ "--input"; eight; "--clip"; "0,1" ] |> fails [ "--clip"; "--attacks" ]
