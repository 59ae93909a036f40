/// The method `structured` from the command line.
module LipVerify.Tests.CliStructuredTests

open System
open System.IO
open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Propositions.Generators
open LipVerify.Tests.CliRun

/// Dense layers of these widths with ReLUs between them, drawn from a normal distribution, and an input, as arguments of a command.
let private dense folder (widths: int list) =
    let path name = Path.Combine(folder, name)
    let draw = Draw 1
    let pairs = List.pairwise widths |> List.indexed

    let tensors =
        [
            for k, (inputs, outputs) in pairs do
                $"fc{k}.weight", Tensor.ofArray [ outputs; inputs ] (draw.Gaussians(inputs * outputs))
                $"fc{k}.bias", Tensor.vector (draw.Gaussians outputs)
        ]

    let layers =
        pairs
        |> List.map (fun (k, (inputs, outputs)) ->
            $$"""{ "type": "linear", "name": "fc{{k}}", "in": {{inputs}}, "out": {{outputs}} }""")
        |> String.concat """, { "type": "relu" }, """

    File.WriteAllBytes(path "dense.safetensors", Safetensors.write [] tensors)
    File.WriteAllText(path "dense.json", $$"""{ "input": [{{widths.Head}}], "layers": [ {{layers}} ] }""")
    [ path "dense.safetensors"; "--architecture"; path "dense.json" ]

let private around = [ "--input"; "random?seed=1" ]

let private json outcome =
    Expect.equal outcome.ExitCode 0 outcome.Error
    JsonDocument.Parse(outcome.Output).RootElement

let private number (name: string) (element: JsonElement) = element.GetProperty(name).GetDouble()

let private text (name: string) (element: JsonElement) =
    element.GetProperty(name).GetString() |> string

let private boundBy method arguments =
    [ "bound" ] @ arguments @ [ "--method"; method; "--json" ] |> run |> json

/// Command lines that the method refuses, with parts of the line that says why.
let private refused: (string * string list) list =
    [
        "bound M --input X --radius 0.1 --method structured --rigor certified",
        [ "--rigor certified is out of reach"; "random draws" ]
        "bound M --method structured --rigor certified", [ "--rigor certified is out of reach" ]
        "certify M --input X --method structured --rigor certified", [ "--rigor certified is out of reach" ]
        "curve M --input X --radii 0.1 --methods analytic,structured --rigor certified",
        [ "--rigor certified is out of reach of --methods structured" ]
        "bound M --input X --radius 0.1 --method structured --norm inf", [ "--norm inf is there for the methods" ]
        "bound M --input X --radius 0.1 --method structured --enclosure crown", [ "no use for --enclosure" ]
        "bound M --input X --method structured", [ "no use for --input without --radius" ]
        "bound M --method structured --definition nominal", [ "structured without --radius"; "leave --definition out" ]
        "certify M --input X --method structured --enclosure crown", [ "--enclosure" ]
    ]

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliStructured"
        [
            testCase
                "the least failure probability is shared out among all claims, and the bound grows little"
                (fun () ->
                    inFolder (fun folder ->
                        let value probability =
                            dense folder [ 10; 30; 30; 3 ]
                            @ around
                            @ [ "--radius"; "0.1"; "--failure-probability"; probability ]
                            |> boundBy "structured"
                            |> number "value"

                        Expect.isInRange (value "1e-250") (0.9 * value "1e-9", 3.0 * value "1e-9") "value"))

            testTheory
                "bound --method structured lies far below analytic, says what it promises and explains itself"
                [ "nominal"; "uniform" ]
                (fun (definition: string) ->
                    inFolder (fun folder ->
                        let at =
                            dense folder [ 10; 30; 30; 3 ]
                            @ around
                            @ [ "--radius"; "0.1"; "--definition"; definition ]

                        let analytic, structured = boundBy "analytic" at, boundBy "structured" at
                        Expect.isGreaterThan (number "value" structured) (0.0) "value"
                        Expect.isLessThan (number "value" structured) (0.7 * number "value" analytic) "value"
                        Expect.equal (text "definition" structured) definition "definition"
                        Expect.equal (text "method" structured) "structured" "method"
                        Expect.equal (text "rigor" structured) "probabilistic" "rigor"
                        Expect.isGreaterThan (number "failureProbability" structured) (0.0) "failureProbability"
                        Expect.isLessThanOrEqual (number "failureProbability" structured) 1e-9 "failureProbability"

                        Expect.stringContains
                            (text "explanation" structured)
                            "slopes of which are not known"
                            "explanation"

                        // The layers are those of Algorithm 1; where norms were sought from other random starts, up to rounding.
                        let layers (report: JsonElement) =
                            [ for layer in report.GetProperty("layers").EnumerateArray() -> layer ]

                        for own, other in List.zip (layers structured) (layers analytic) do
                            Expect.equal (text "name" own) (text "name" other) "name"
                            let expected = number "lipschitz" other
                            Expect.isWithin (1e-9 * expected) (number "lipschitz" own) expected "lipschitz"))

            testCase "bound --method structured without a radius bounds the network over all inputs" (fun () ->
                inFolder (fun folder ->
                    let model = dense folder [ 10; 400; 2 ]
                    let product, structured = boundBy "global" model, boundBy "structured" model
                    Expect.isLessThan (number "value" structured) (0.8 * number "value" product) "value"
                    Expect.equal (text "definition" structured) "uniform" "definition"
                    Expect.equal (structured.GetProperty("radius").ValueKind) JsonValueKind.Null "value kind"
                    Expect.equal (structured.GetProperty("output").ValueKind) JsonValueKind.Null "value kind"

                    let local =
                        boundBy "structured" (model @ around @ [ "--radius"; "0.01"; "--definition"; "uniform" ])

                    // Over a small ball fewer slopes are open. Both are loose by 0.4 % at most where their searches end at the same weights.
                    Expect.isLessThanOrEqual (number "value" local) (1.01 * number "value" structured) "value"))

            testCase
                "a time limit of 0 leaves the method structured with what Algorithm 1, or the product of layers, has by then"
                (fun () ->
                    inFolder (fun folder ->
                        let model = dense folder [ 10; 30; 30; 3 ]
                        let limit = [ "--time-limit"; "0" ]

                        for at in [ around @ [ "--radius"; "0.1" ]; [] ] do
                            let ended = boundBy "structured" (model @ at @ limit)
                            Expect.stringContains (text "explanation" ended) "the time limit ended it" "explanation"
                            let enough = boundBy "structured" (model @ at)
                            Expect.isGreaterThanOrEqual (number "value" ended) (number "value" enough) "value"

                            Expect.isTrue
                                (Double.IsFinite(number "value" ended))
                                "Double.IsFinite(number \"value\" ended)"))

            testCase "what the method structured cannot do is refused with one line that says why" (fun () ->
                inFolder (fun folder ->
                    let model = dense folder [ 4; 4; 2 ]

                    for line, parts in refused do
                        let outcome =
                            line.Split ' '
                            |> List.ofArray
                            |> List.collect (fun word ->
                                match word with
                                | "M" -> model
                                | "X" -> [ "random?seed=1" ]
                                | "C" -> [ Path.Combine(folder, "c.json") ]
                                | _ -> [ word ])
                            |> run

                        Expect.equal outcome.ExitCode 2 line
                        Expect.hasLength (outcome.Error.TrimEnd().Split '\n') 1 outcome.Error

                        for part in parts do
                            Expect.stringContains outcome.Error part line))

            testCase "compare --rigor certified says of structured that it is out of reach" (fun () ->
                inFolder (fun folder ->
                    let report =
                        [ "compare" ]
                        @ dense folder [ 2; 2; 1 ]
                        @ around
                        @ [ "--radius"; "0.1"; "--rigor"; "certified"; "--json" ]
                        |> run
                        |> json

                    let rows =
                        [
                            for row in report.GetProperty("upper").EnumerateArray() do
                                if text "method" row = "structured" then
                                    row
                        ]

                    Expect.hasLength rows 3 "rows"

                    for row in rows do
                        Expect.stringContains (text "reason" row) "--rigor certified is out of reach" "reason"))

            testCase
                "curve computes structured where it is asked for, and its time limit is part of the state"
                (fun () ->
                    inFolder (fun folder ->
                        let csv = Path.Combine(folder, "curve.csv")

                        let curve limit =
                            [ "curve" ]
                            @ dense folder [ 10; 30; 30; 3 ]
                            @ around
                            @ [
                                "--radii"
                                "0.01,0.1"
                                "--methods"
                                "analytic,structured,gradient"
                                "--time-limit"
                                limit
                                "--csv"
                                csv
                                "--json"
                            ]
                            |> run

                        let points =
                            [
                                for point in (json (curve "30")).GetProperty("points").EnumerateArray() -> point
                            ]

                        let values method =
                            points
                            |> List.filter (fun point -> text "method" point = method)
                            |> List.map (number "value")

                        for structured, analytic in List.zip (values "structured") (values "analytic") do
                            Expect.isLessThan structured analytic "structured"

                        for structured, attained in List.zip (values "structured") (values "gradient") do
                            Expect.isGreaterThanOrEqual structured attained "structured"

                        let other = curve "31"
                        Expect.equal other.ExitCode 2 "exit code"
                        Expect.stringContains other.Error "time limit" "error"))

            testTheory
                "certify --method structured certifies more than analytic, and no attack succeeds within"
                [ "nominal"; "uniform" ]
                (fun (definition: string) ->
                    inFolder (fun folder ->
                        let certify method =
                            [ "certify" ]
                            @ dense folder [ 10; 30; 30; 3 ]
                            @ around
                            @ [ "--method"; method; "--definition"; definition; "--attacks"; "--json" ]
                            |> run
                            |> json

                        let analytic, structured = certify "analytic", certify "structured"
                        let radius = number "certifiedRadius" structured
                        Expect.equal (number "label" structured) (number "label" analytic) "label"
                        Expect.isGreaterThan radius (1.2 * number "certifiedRadius" analytic) "radius"
                        Expect.isLessThan radius (number "pgd" (structured.GetProperty "attacks")) "radius"
                        Expect.equal (text "rigor" structured) "probabilistic" "rigor"
                        Expect.isLessThanOrEqual (number "failureProbability" structured) 1e-9 "failureProbability"
                        // Margins are behind the radius, and no constant.
                        Expect.equal (structured.GetProperty "lipschitz").ValueKind JsonValueKind.Null "value kind"))

            testCase
                "certify --enclosure probes certifies no less than with intervals, and says where these had to serve"
                (fun () ->
                    inFolder (fun folder ->
                        let model = dense folder [ 10; 30; 30; 3 ] @ around

                        let certify kind more =
                            [ "certify" ] @ model @ [ "--enclosure"; kind ] @ more |> run

                        let asked kind more = certify kind ("--json" :: more) |> json
                        let intervals, probes = asked "interval" [], asked "probes" []
                        Expect.equal (text "enclosure" probes) "probes" "enclosure"
                        Expect.isGreaterThan (number "failureProbability" probes) (0.0) "failureProbability"
                        Expect.isLessThanOrEqual (number "failureProbability" probes) 1e-9 "failureProbability"

                        Expect.isFalse
                            (probes.TryGetProperty "explanation" |> fst)
                            "probes.TryGetProperty \"explanation\" |> fst"
                        // The search ends a thousandth from the largest radius.
                        Expect.isGreaterThanOrEqual
                            (number "certifiedRadius" probes)
                            (0.998 * number "certifiedRadius" intervals)
                            "certifiedRadius"

                        let ended = asked "probes" [ "--time-limit"; "0" ]

                        let reason =
                            "at 1 of 1 radii that were tried the enclosures are intervals: the time was over before reaches were proved"

                        Expect.equal (text "explanation" ended) reason "explanation"
                        Expect.stringContains (certify "probes" [ "--time-limit"; "0" ]).Output reason "output"))

            testCase
                "local-lipsdp hands over to structured where multipliers do not take the network, unless draws are forbidden"
                (fun () ->
                    inFolder (fun folder ->
                        // Some 2500 slopes are open.
                        let at = dense folder [ 8; 6000; 2 ] @ around @ [ "--radius"; "0.5" ]
                        let analytic, handed = boundBy "analytic" at, boundBy "local-lipsdp" at
                        Expect.isLessThan (number "value" handed) (0.5 * number "value" analytic) "value"

                        Expect.stringContains
                            (text "explanation" handed)
                            "handed over to the method structured"
                            "explanation"

                        Expect.equal (text "rigor" handed) "probabilistic" "rigor"
                        Expect.isLessThanOrEqual (number "failureProbability" handed) 1e-9 "failureProbability"

                        let kept = boundBy "local-lipsdp" (at @ [ "--rigor"; "certified" ])
                        Expect.stringLacks (text "explanation" kept) "structured" "explanation"
                        Expect.equal (text "rigor" kept) "certified" "rigor"
                        Expect.isGreaterThan (number "value" kept) (number "value" handed) "value"))
        ]
