/// Networks with activations other than ReLU from the command line.
module LipVerify.Tests.CliActivationTests

open System.IO
open System.Text.Json
open Expecto
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Propositions.Expectations
open LipVerify.Propositions.Generators
open LipVerify.Tests.CliRun

/// Two dense layers with this layer between them, as arguments of a command.
let private network folder (layer: string) =
    let path name = Path.Combine(folder, name)
    let draw = Draw 3

    let tensors =
        [
            for name, outputs, inputs in [ "a", 6, 4; "b", 3, 6 ] do
                $"{name}.weight", Tensor.ofArray [ outputs; inputs ] (draw.Gaussians(inputs * outputs))
                $"{name}.bias", Tensor.vector (draw.Gaussians outputs)
        ]

    File.WriteAllBytes(path "m.safetensors", Safetensors.write [] tensors)

    File.WriteAllText(
        path "m.json",
        $$"""{ "input": [4], "layers": [ { "type": "linear", "name": "a", "in": 4, "out": 6 }, {{layer}}, { "type": "linear", "name": "b", "in": 6, "out": 3 } ] }"""
    )

    [ path "m.safetensors"; "--architecture"; path "m.json" ]

let private around = [ "--input"; "random?seed=2" ]

let private value arguments =
    let outcome = run arguments
    Expect.equal outcome.ExitCode 0 outcome.Error
    JsonDocument.Parse(outcome.Output).RootElement.GetProperty("value").GetDouble()

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliActivation"
        [
            testTheory
                "architecture files name activations, and methods bound them"
                [
                    """{ "type": "sigmoid" }"""
                    """{ "type": "leaky_relu", "slope": 0.2 }"""
                    """{ "type": "elu", "alpha": 1.5 }"""
                    """{ "type": "gelu" }"""
                    """{ "type": "hard_swish" }"""
                    """{ "type": "selu" }"""
                ]
                (fun layer ->
                    inFolder (fun folder ->
                        let model = network folder layer

                        let bound method =
                            [ "bound" ]
                            @ model
                            @ around
                            @ [ "--radius"; "0.1"; "--method"; method; "--json" ]
                            |> value

                        let analytic, structured = bound "analytic", bound "structured"
                        Expect.isGreaterThan structured 0.0 layer
                        Expect.isLessThanOrEqual structured analytic layer
                        Expect.isLessThanOrEqual (bound "local-lipsdp") analytic layer

                        // The search of one attempt is no proof of the other, so some room is left.
                        Expect.isLessThanOrEqual
                            (value ([ "bound" ] @ model @ [ "--method"; "lipsdp-neuron"; "--json" ]))
                            (value ([ "bound" ] @ model @ [ "--json"; "--method"; "global" ]))
                            layer

                        let enclosed =
                            run ([ "enclose" ] @ model @ around @ [ "--radius"; "0.1"; "--enclosure"; "crown" ])

                        Expect.equal enclosed.ExitCode 0 enclosed.Error
                        let certified = run ([ "certify" ] @ model @ around @ [ "--method"; "crown" ])
                        Expect.equal certified.ExitCode 0 certified.Error))

            testCase "what is there for ReLU alone says so" (fun () ->
                inFolder (fun folder ->
                    let model = network folder """{ "type": "tanh" }"""

                    let bound further =
                        run ([ "bound" ] @ model @ around @ [ "--radius"; "0.1" ] @ further)

                    // What it hands over to holds for any activation.
                    let exact = bound [ "--method"; "exact" ]
                    Expect.equal exact.ExitCode 0 exact.Error
                    Expect.stringContains exact.Output "an activation other than ReLU (tanh)" "the report"

                    let certified = bound [ "--certificate"; Path.Combine(folder, "c.json") ]
                    Expect.notEqual certified.ExitCode 0 "the exit code"
                    Expect.stringContains certified.Error "the checker knows no activation but ReLU" "the message"))

            testCase "an activation with a wrong number is refused" (fun () ->
                inFolder (fun folder ->
                    let outcome =
                        run ([ "info" ] @ network folder """{ "type": "celu", "alpha": -1 }""")

                    Expect.notEqual outcome.ExitCode 0 "the exit code"
                    Expect.stringContains outcome.Error "CELU needs a scale that is positive" "the message"))
        ]
