/// `certify` from the command line: one input, several inputs, and what it refuses.
module LipVerify.Tests.CliCertifyTests

open System
open System.IO
open System.IO.Compression
open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Tests.CliRun

let private certify arguments =
    run ([ "certify"; onnx; "--preprocess"; "mnist" ] @ arguments)

let private json outcome =
    Expect.equal outcome.ExitCode 0 outcome.Error
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

let private digit name =
    match InputSource.load [ 1; 28; 28 ] Preprocessing.none (Path.Combine(samples, "digits", name)) with
    | Ok tensor -> Tensor.values tensor
    | Error error -> failwith (LoadError.text error)

let private radiiOf report =
    items "inputs" report |> List.map (number "certifiedRadius")

let private fails (parts: string list) outcome =
    Expect.equal outcome.ExitCode 2 "exit code"
    Expect.isEmpty outcome.Output "output"
    Expect.hasLength (lines outcome.Error) 1 outcome.Error

    for part in parts do
        Expect.stringContains outcome.Error part "error"

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliCertify"
        [
            testTheory
                "certify --json keeps its golden figures"
                [ "analytic", 0.23383641; "global", 0.10354971 ]
                (fun (method: string, golden: float) ->
                    let report = certify [ "--input"; eight; "--method"; method; "--json" ] |> json
                    Expect.equal (text "schema" report) "lipverify/certify/1" "schema"
                    Expect.equal (number "label" report) 8 "label"
                    Expect.equal (text "rigor" report) "certified" "rigor"
                    Expect.equal (number "failureProbability" report) 0 "failureProbability"
                    Expect.equal (text "method" report) method "method"
                    Expect.isWithin 1e-6 (number "topTwoGap" report) (8.362339673) "topTwoGap"
                    Expect.isWithin (golden * stable) (number "certifiedRadius" report) golden "certifiedRadius"

                    Expect.isGreaterThan
                        (number "notCertifiedAt" report)
                        (number "certifiedRadius" report)
                        "notCertifiedAt"

                    Expect.isWithin (golden * stable) (number "notCertifiedAt" report) golden "notCertifiedAt")

            testTheory
                "certify says that the time limit ended the search"
                [ "analytic"; "crown" ]
                (fun (method: string) ->
                    let text limit =
                        certify ([ "--input"; eight; "--method"; method ] @ limit) |> _.Output

                    let ended = text [ "--time-limit"; "0" ]
                    Expect.isMatch ended "the time limit ended the search|the time was over" "how it ended"
                    Expect.stringLacks ended "every radius that was tried" "ended"
                    Expect.stringLacks (text []) "time" "text []")

            testTheory
                "certify takes --time-limit with every method, and claims what holds"
                [ "analytic"; "global"; "crown"; "local-lipsdp"; "structured" ]
                (fun (method: string) ->
                    let report =
                        certify [ "--input"; eight; "--method"; method; "--time-limit"; "0"; "--json" ]
                        |> json

                    Expect.isTrue (report.GetProperty("endedByTimeLimit").GetBoolean()) "endedByTimeLimit"
                    // An attack finds another class at 3.389.
                    Expect.isGreaterThan (number "certifiedRadius" report) (0.0) "certifiedRadius"
                    Expect.isLessThan (number "certifiedRadius" report) 3.39 "certifiedRadius"
                    Expect.equal (text "rigor" report) "certified" "rigor")

            testCase "certify --method crown ends within a thousandth" (fun () ->
                let report = certify [ "--input"; eight; "--method"; "crown"; "--json" ] |> json
                let shown, failed = number "certifiedRadius" report, number "notCertifiedAt" report
                Expect.isGreaterThan failed shown "failed"
                Expect.isLessThanOrEqual failed (shown * 1.0011) "failed"
                Expect.isLessThanOrEqual (number "evaluations" report) 12.0 "evaluations")

            testCase "certify --json has the keys of the contract" (fun () ->
                let report = certify [ "--input"; eight; "--method"; "global"; "--json" ] |> json

                Expect.equal
                    (keys report)
                    "schema label certifiedRadius rigor failureProbability method topTwoGap notCertifiedAt model input norm definition lipschitz evaluations endedByTimeLimit engine elapsedSeconds"
                    "keys report")

            testCase "certify --attacks shows what is broken beyond what is certified" (fun () ->
                let report =
                    certify [ "--input"; eight; "--attacks"; "--clip"; "0,1"; "--json" ] |> json

                let attacks = report.GetProperty "attacks"
                Expect.equal (keys attacks) "fgsm ifgsm gradient pgd cw" "keys attacks"
                let radius = number "certifiedRadius" report

                for name in [ "fgsm"; "ifgsm"; "gradient"; "pgd"; "cw" ] do
                    Expect.isGreaterThan (number name attacks) radius name

                // The golden distance of the attack that comes closest, which may only shrink.
                Expect.isLessThan (number "pgd" attacks) 4.0 "pgd")

            testCase "A folder of inputs gives one row an input, a summary and a CSV file" (fun () ->
                inFolder (fun folder ->
                    let csv = Path.Combine(folder, "radii.csv")
                    let digits = Path.Combine(samples, "digits")

                    let report =
                        certify [ "--input"; digits; "--method"; "global"; "--csv"; csv; "--json" ]
                        |> json

                    Expect.equal (text "schema" report) "lipverify/certify-batch/1" "schema"
                    let inputs = items "inputs" report

                    Expect.isTrue
                        (inputs |> List.map (number "label") = [ 0.0 .. 9.0 ])
                        "inputs |> List.map (number \"label\") = [ 0.0 .. 9.0 ]"

                    let radii = inputs |> List.map (number "certifiedRadius")
                    let summary = report.GetProperty "summary"
                    let sorted = List.sort radii
                    Expect.equal (number "medianRadius" summary) ((sorted[4] + sorted[5]) / 2.0) "medianRadius"

                    for fraction in items "certifiedFractions" summary do
                        let at = number "radius" fraction
                        let count = radii |> List.filter (fun radius -> radius >= at) |> List.length
                        Expect.equal (number "fraction" fraction) (float count / 10.0) "fraction"

                    let rows = File.ReadAllLines csv

                    Expect.equal
                        rows[0]
                        "input,label,certifiedRadius,notCertifiedAt,rigor,failureProbability,topTwoGap,attackedAt,seconds,problem"
                        "rows[0]"

                    Expect.hasLength rows 11 "rows"
                    Expect.stringStarts rows[9] (Path.Combine(digits, "8.png") + ",8,0.1035") "rows[9]"
                    Expect.equal (Double.Parse(rows[9].Split(',')[2])) radii[8] "Double.Parse(rows[9].Split(',')[2])"))

            testCase "Batches in npy and npz files give the radii of the pictures" (fun () ->
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
                        Expect.isTrue (radiiOf report = expected) (Shape.text shape)

                        Expect.isTrue
                            (items "inputs" report |> List.map (text "input") = [ path + "[0]"; path + "[1]" ])
                            ""

                    let archive = Path.Combine(folder, "arrays.npz")

                    do
                        use zip = ZipFile.Open(archive, ZipArchiveMode.Create)

                        for name, values in [ "three", digit "3.png"; "eight", digit "8.png" ] do
                            use entry = zip.CreateEntry($"{name}.npy").Open()
                            entry.Write(ReadOnlySpan(Npy.write (Tensor.ofArray [ 28; 28 ] values)))

                    let report = certify [ "--input"; archive; "--method"; "global"; "--json" ] |> json

                    Expect.isTrue
                        (List.sort (radiiOf report) = List.sort expected)
                        "List.sort (radiiOf report) = List.sort expected"))

            testCase "Inputs that fail are named, the others are certified, and the exit code is 2" (fun () ->
                inFolder (fun folder ->
                    File.Copy(eight, Path.Combine(folder, "b.png"))
                    File.WriteAllText(Path.Combine(folder, "a.npy"), "no array")
                    File.WriteAllText(Path.Combine(folder, "c.csv"), "1,2,3")
                    File.WriteAllText(Path.Combine(folder, "notes.txt"), "")
                    let outcome = certify [ "--input"; folder; "--method"; "global"; "--json" ]
                    Expect.equal outcome.ExitCode 2 "exit code"

                    Expect.stringContainsAll
                        outcome.Error
                        [ "notes.txt"; "2 of 3 inputs have no certified radius" ]
                        "error"

                    let report = JsonDocument.Parse(outcome.Output).RootElement
                    let inputs = items "inputs" report

                    Expect.isTrue
                        (inputs |> List.map (fun entry -> string (Path.GetFileName(text "input" entry))) =
                            [ "a.npy"; "b.png"; "c.csv" ])
                        ""

                    Expect.stringContains (text "problem" inputs[0]) "a.npy" "problem"
                    Expect.equal (number "label" inputs[1]) 8 "label"
                    Expect.equal (number "failed" (report.GetProperty "summary")) 2 "failed"))

            testCase "Bad usage of certify is one line" (fun () ->
                inFolder (fun folder ->
                    certify [] |> fails [ "--input is missing"; "folder" ]

                    certify [ "--input"; eight; "--method"; "magic" ]
                    |> fails [ "--method"; "\"magic\"" ]

                    certify [ "--input"; folder ] |> fails [ folder; "holds no picture (.png, " ]
                    certify [ "--input"; eight; "--csv"; folder ] |> fails [ "--csv"; "folder" ]
                    certify [ "--input"; eight; "--csv"; eight ] |> fails [ "--csv"; "overwrite" ]

                    certify [ "--input"; eight; "--csv"; "/nonexistent/x.csv" ]
                    |> fails [ "--csv /nonexistent/x.csv"; "no such folder" ]

                    let same = Path.Combine(folder, "x")

                    certify [ "--input"; eight; "--csv"; same; "--output"; same ]
                    |> fails [ "--output"; "the same file" ]))

            testCase "A network with a single output has no classes" (fun () ->
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
                    |> fails [ "single output" ]))

            testCase "An undecided class is certified nowhere, and says so" (fun () ->
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

                    Expect.stringContains (tie []).Output "the class is undecided" "output"
                    let report = tie [ "--json" ] |> json
                    Expect.equal (report.GetProperty("label").ValueKind) JsonValueKind.Null "value kind"
                    Expect.equal (number "certifiedRadius" report) 0 "certifiedRadius"
                    Expect.equal (number "notCertifiedAt" report) 0 "notCertifiedAt"))

            testCase "certify --clip without --attacks is refused" (fun () ->
                certify [ "--input"; eight; "--clip"; "0,1" ] |> fails [ "--clip"; "--attacks" ])
        ]
