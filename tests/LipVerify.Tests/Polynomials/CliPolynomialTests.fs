/// Bounds of one output from the command line.
module LipVerify.Tests.CliPolynomialTests

open System.IO
open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Tests.CliRun
open LipVerify.Tests.FormatsWriters
open LipVerify.Tests.PolynomialCases

/// `x ↦ (relu(x₁ + x₂) + relu(x₁ − x₂), relu(x₁ + x₂))`: the gradient of the first output is `(1, 1) + (1, −1) = (2, 0)`,
/// `(1, 1)` or `(1, −1)`, and its sum of absolute values is 2.
let private withModel (run: string -> string -> unit) =
    let folder = Directory.CreateTempSubdirectory "lipverify-tests-"

    try
        let model = Path.Combine(folder.FullName, "model.safetensors")
        let architecture = Path.Combine(folder.FullName, "model.json")

        let header =
            """{"a.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"c.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[16,32]}}"""

        File.WriteAllBytes(model, safetensors header (float32Bytes [ 1.0; 1.0; 1.0; -1.0; 1.0; 1.0; 1.0; 0.0 ]))

        File.WriteAllText(
            architecture,
            """{"input":[2],"layers":[{"type":"linear","name":"a","in":2,"out":2,"bias":false},{"type":"relu"},{"type":"linear","name":"c","in":2,"out":2,"bias":false}]}"""
        )

        run model architecture
    finally
        folder.Delete true

let private bound model architecture more =
    [ "bound"; model; "--architecture"; architecture ] @ more |> run

/// Norm, output and constant. In the maximum norm Shor's relaxation of the first is that of the CHSH inequality, 1 + √2.
let private known method =
    [
        "inf", "0", (if method = "shor" then 1.0 + sqrt 2.0 else 2.0)
        "inf", "1", 2.0
        "2", "0", 2.0
        "2", "1", sqrt 2.0
    ]

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliPolynomial"
        [
            testCase "every method finds its value of a network where it is known" (fun () ->
                requireSolvers ()

                withModel (fun model architecture ->
                    for method in [ "shor"; "hr2"; "lasserre2"; "lipopt3"; "lipopt4" ] do
                        for norm, output, expected in known method do
                            let outcome =
                                bound
                                    model
                                    architecture
                                    [ "--method"; method; "--norm"; norm; "--class"; output; "--json" ]

                            Expect.equal outcome.ExitCode 0 outcome.Error
                            let report = JsonDocument.Parse(outcome.Output).RootElement

                            Expect.equal (string (report.GetProperty "norm")) norm "norm"

                            Expect.equal (report.GetProperty("class").GetInt32()) (int output) "class"

                            Expect.equal (string (report.GetProperty "rigor")) "numerical" "rigor"

                            Expect.equal (string (report.GetProperty "definition")) "uniform" "definition"
                            // 1e-6: what the solver stops at.
                            Expect.isInRange
                                (report.GetProperty("value").GetDouble())
                                (expected * (1.0 - 1e-12), expected * (1.0 + 1e-6))
                                "value"))

            testCase "a radius makes the bound local, and the report says so" (fun () ->
                requireSolvers ()

                withModel (fun model architecture ->
                    let input = model + ".csv"
                    File.WriteAllText(input, "-3,1\n")

                    // Both units are off around (−3, 1).
                    let outcome =
                        bound
                            model
                            architecture
                            [
                                "--method"
                                "hr2"
                                "--norm"
                                "inf"
                                "--class"
                                "0"
                                "--input"
                                input
                                "--radius"
                                "0.5"
                            ]

                    Expect.equal outcome.ExitCode 0 outcome.Error
                    Expect.stringContains outcome.Output "Local Lipschitz constant of output 0" "output"
                    Expect.stringContains outcome.Output "uniform, within radius 0.5 (inf-norm, method hr2)" "output"
                    Expect.equal (lines outcome.Output |> List.item 1) "    ≤ 0" "lines outcome.Output |> List.item 1"))
        ]
