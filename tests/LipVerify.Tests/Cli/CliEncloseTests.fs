/// `enclose` and `--enclosure` from the command line.
module LipVerify.Tests.CliEncloseTests

open System
open System.IO
open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Tests.CliRun

let private digit command arguments =
    run ([ command; onnx; "--input"; eight; "--preprocess"; "mnist" ] @ arguments)

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

let private layer index report =
    items "layers" report
    |> List.find (fun layer -> layer.GetProperty("index").GetInt32() = index)

let private enclose kind radius =
    digit "enclose" [ "--radius"; radius; "--enclosure"; kind; "--json" ] |> json

/// The sum over the layers in which ReLUs may have either sign.
let private unstable report =
    items "layers" report
    |> List.filter (fun layer -> layer.GetProperty("unstable").ValueKind <> JsonValueKind.Null)
    |> List.sumBy (fun layer -> layer.GetProperty("unstable").GetInt32())

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliEnclose"
        [
            testCase "enclose --json has its keys in their order" (fun () ->
                let report = enclose "crown" "0.1"

                Expect.equal
                    (keys report)
                    "schema model norm radius enclosure rigor failureProbability layers outputLower outputUpper engine elapsedSeconds"
                    "keys report"

                Expect.equal (text "schema" report) "lipverify/enclose/1" "schema"
                Expect.equal (text "rigor" report) "certified" "rigor"

                for layer in items "layers" report do
                    Expect.equal
                        (keys layer)
                        "index name kind size active inactive unstable meanWidth maxWidth"
                        "keys layer")

            // Counts change only with the network: no pre-activation of the digit is within rounding of a bound.
            testTheory
                "enclose counts stable and unstable neurons"
                [ "ball", 428, 527, 69, 0.763716; "crown", 444, 555, 25, 0.732101 ]
                (fun (kind: string, active: int, inactive: int, unstable: int, width: float) ->
                    let report = enclose kind "0.1"
                    let second = layer 3 report
                    Expect.equal (text "kind" second) "conv2d+relu" "kind"
                    Expect.equal (number "size" second) 1024 "size"
                    Expect.equal (number "active" second) active "active"
                    Expect.equal (number "inactive" second) inactive "inactive"
                    Expect.equal (number "unstable" second) unstable "unstable"
                    // The golden figure has six digits.
                    Expect.isWithin 1e-6 (number "meanWidth" second) width "meanWidth"

                    // Max pooling asks for no signs.
                    let pooling = layer 2 report
                    Expect.equal (text "kind" pooling) "maxpool2d" "kind"
                    Expect.equal (pooling.GetProperty("active").ValueKind) JsonValueKind.Null "value kind")

            testCase "crown is what enclose takes by default, and its bounds hold the output" (fun () ->
                let report = digit "enclose" [ "--radius"; "0.1"; "--json" ] |> json
                Expect.equal (text "enclosure" report) "crown" "enclosure"

                let nominal = run (bound [ "--radius"; "0.1"; "--json" ]) |> json |> items "output"

                List.iter2
                    (fun (output: JsonElement) (lower: JsonElement, upper: JsonElement) ->
                        Expect.isInRange
                            (output.GetDouble())
                            (lower.GetDouble(), upper.GetDouble())
                            "output.GetDouble()"

                        Expect.isLessThan
                            (upper.GetDouble() - lower.GetDouble())
                            1.0
                            "upper.GetDouble() - lower.GetDouble()")
                    nominal
                    (List.zip (items "outputLower" report) (items "outputUpper" report)))

            testCase "enclose shows a table" (fun () ->
                let outcome = digit "enclose" [ "--radius"; "0.1" ]
                Expect.equal outcome.ExitCode 0 outcome.Error

                for word in [ "crown"; "unstable"; "mean width"; "conv2d+relu"; "maxpool2d"; "certified" ] do
                    Expect.stringContains outcome.Output word "output")

            // Golden figures change only with the network.
            testTheory
                "bound --enclosure tightens Algorithm 1"
                [ "ball", 20.6969907; "interval", 20.6969907; "crown", 19.3790722 ]
                (fun (kind: string, golden: float) ->
                    let report =
                        run (bound [ "--radius"; "0.1"; "--enclosure"; kind; "--json" ]) |> json

                    Expect.isWithin (golden * 1e-6) (number "value" report) golden "value"

                    if kind <> "ball" then
                        Expect.equal (text "enclosure" report) kind "enclosure")

            testCase "bound says which enclosures it used" (fun () ->
                let outcome = run (bound [ "--radius"; "0.1"; "--enclosure"; "crown" ])
                Expect.stringContains outcome.Output "analytic with crown enclosures" "output")

            testCase
                "enclose --enclosure probes: deeper layers and outputs move far less than intervals say, except with a probability"
                (fun () ->
                    let intervals, probes = enclose "interval" "0.003", enclose "probes" "0.003"
                    Expect.equal (text "enclosure" probes) "probes" "enclosure"
                    Expect.equal (text "rigor" probes) "probabilistic" "rigor"
                    Expect.isGreaterThan (number "failureProbability" probes) (0.0) "failureProbability"
                    Expect.isLessThanOrEqual (number "failureProbability" probes) 1e-9 "failureProbability"
                    Expect.isLessThan (unstable probes) (unstable intervals) "unstable probes"

                    for index, part in [ 3, 0.6; 7, 0.3; 9, 0.2 ] do
                        let width report = number "meanWidth" (layer index report)

                        Expect.isGreaterThan (width probes) (0.0) $"layer {index}"
                        Expect.isLessThan (width probes) (part * width intervals) $"layer {index}"

                    let span report =
                        List.map2
                            (fun (upper: JsonElement) (lower: JsonElement) -> upper.GetDouble() - lower.GetDouble())
                            (items "outputUpper" report)
                            (items "outputLower" report)
                        |> List.average

                    Expect.isLessThan (span probes) (0.2 * span intervals) "span probes"

                    let words =
                        (digit "enclose" [ "--radius"; "0.003"; "--enclosure"; "probes" ]).Output

                    for word in [ "(2-norm, probes)"; "except with probability" ] do
                        Expect.stringContains words word "words")

            testCase
                "bound --enclosure probes: smaller than with intervals, and the reaches count in its probability"
                (fun () ->
                    let bound kind =
                        run (bound [ "--radius"; "0.003"; "--enclosure"; kind; "--json" ]) |> json

                    let intervals, probes = bound "interval", bound "probes"
                    Expect.equal (text "enclosure" probes) "probes" "enclosure"
                    Expect.isLessThan (number "value" probes) (0.995 * number "value" intervals) "value"
                    Expect.equal (text "rigor" intervals) "certified" "rigor"
                    Expect.equal (text "rigor" probes) "probabilistic" "rigor"
                    Expect.isGreaterThan (number "failureProbability" probes) (0.0) "failureProbability"
                    Expect.isLessThanOrEqual (number "failureProbability" probes) 1e-9 "failureProbability"

                    for layer in items "layers" probes do
                        Expect.equal (text "rigor" layer) "probabilistic" "rigor")

            testCase "--enclosure probes gives way to intervals where no reaches are proved, and says why" (fun () ->
                let cases =
                    [
                        [ "--radius"; "0" ], "the ball is a point"
                        [ "--radius"; "0.003"; "--time-limit"; "0" ], "the time was over before reaches were proved"
                    ]

                for arguments, reason in cases do
                    let asked command =
                        digit command (arguments @ [ "--enclosure"; "probes"; "--json" ]) |> json

                    let bound, enclosed = asked "bound", asked "enclose"

                    Expect.stringContains
                        (text "explanation" bound)
                        $"the enclosures are intervals: {reason}"
                        "explanation"

                    Expect.stringContains
                        (text "explanation" enclosed)
                        $"the enclosures are intervals: {reason}"
                        "explanation"

                    Expect.equal (text "enclosure" enclosed) "interval" "enclosure"

                    Expect.stringContains
                        (digit "enclose" (arguments @ [ "--enclosure"; "probes" ])).Output
                        $"the enclosures are intervals: {reason}"
                        "output")

            testCase "where reaches leave the range of doubles, --enclosure probes is interval" (fun () ->
                let probes = run (bound [ "--radius"; "1e305"; "--enclosure"; "probes" ])

                Expect.stringContains
                    probes.Output
                    "the enclosures are intervals: no reaches were found that could be proved"
                    "output"

                Expect.stringContains probes.Output "The layers by Algorithm 1:" "output"

                let figure (outcome: Outcome) =
                    lines outcome.Output |> List.find _.Contains("≤ ")

                Expect.equal
                    (figure probes)
                    (figure (run (bound [ "--radius"; "1e305"; "--enclosure"; "interval" ])))
                    "figure probes")

            testCase "enclose --time-limit ends linear functions, and says so" (fun () ->
                let report =
                    digit "enclose" [ "--radius"; "0.1"; "--time-limit"; "0"; "--json" ] |> json

                Expect.stringContains (text "explanation" report) "the time limit ended it" "explanation"
                let unlimited = enclose "crown" "0.1"
                Expect.isGreaterThan (unstable report) (unstable unlimited) "unstable report"
                Expect.stringLacks (keys unlimited) "explanation" "keys unlimited")

            testTheory
                "--enclosure probes and --rigor certified exclude each other"
                [ "bound"; "enclose"; "certify" ]
                (fun (command: string) ->
                    let radius = if command = "certify" then [] else [ "--radius"; "0.003" ]

                    let outcome =
                        digit command (radius @ [ "--enclosure"; "probes"; "--rigor"; "certified" ])

                    Expect.equal outcome.ExitCode 2 "exit code"

                    Expect.equal
                        (outcome.Error.TrimEnd())
                        "lipverify: --rigor certified is out of reach: --enclosure probes rests on random draws"
                        "outcome.Error.TrimEnd()")

            testCase "certify --method crown goes further than Proposition 6, without a constant" (fun () ->
                let report = digit "certify" [ "--method"; "crown"; "--json" ] |> json
                // The largest is 0.471784; the search ends a thousandth from it.
                Expect.isInRange
                    (number "certifiedRadius" report)
                    (0.471784 * (1.0 - 1e-3), 0.471785)
                    "certifiedRadius"

                Expect.isGreaterThan
                    (number "notCertifiedAt" report)
                    (number "certifiedRadius" report)
                    "notCertifiedAt"

                Expect.equal (text "rigor" report) "certified" "rigor"
                Expect.equal (report.GetProperty("lipschitz").ValueKind) JsonValueKind.Null "value kind"

                let words = (digit "certify" [ "--method"; "crown" ]).Output
                Expect.stringContains words "margins over the ball" "words"
                Expect.stringLacks words "Proposition 6" "words")

            testCase "certify --enclosure crown certifies more than the paper's enclosures" (fun () ->
                let report = digit "certify" [ "--enclosure"; "crown"; "--json" ] |> json
                Expect.isWithin 1e-6 (number "certifiedRadius" report) (0.27494204) "certifiedRadius"
                Expect.equal (text "enclosure" report) "crown" "enclosure")

            testCase "curve --enclosure keeps its rows apart from those of other enclosures" (fun () ->
                let csv = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName() + ".csv")

                let curve arguments =
                    digit "curve" ([ "--radii"; "0.05,0.1"; "--methods"; "analytic"; "--csv"; csv ] @ arguments)

                try
                    let first = curve [ "--enclosure"; "crown" ]
                    Expect.equal first.ExitCode 0 first.Error
                    Expect.stringContains first.Output "analytic with crown enclosures" "output"
                    let last = File.ReadAllLines(csv) |> Array.last
                    Expect.isWithin 1e-5 (float (last.Split(',')[2])) (19.3790722) "float (last.Split(',')[2])"
                    let other = curve []
                    Expect.equal other.ExitCode 2 "exit code"
                    Expect.stringContains other.Error "enclosure" "error"
                finally
                    for path in [ csv; csv + ".state" ] do
                        File.Delete path)
        ]
