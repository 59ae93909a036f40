/// `bound --certificate` and `check` from the command line.
module LipVerify.Tests.CliCertificateTests

open System
open System.IO
open Expecto
open LipVerify.Tests.CliRun

let private inTemporaryFile (work: string -> unit) =
    let path = Path.GetTempFileName()

    try
        work path
    finally
        File.Delete path

let private check path =
    run [ "check"; path; "--model"; onnx; "--input"; eight; "--preprocess"; "mnist" ]

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliCertificate"
        [
            testCase "A certificate is written, the same bytes each time, and accepted" (fun () ->
                inTemporaryFile (fun path ->
                    let write () =
                        let outcome = run (bound [ "--radius"; "0.1"; "--certificate"; path ])
                        Expect.equal outcome.ExitCode 0 outcome.Error
                        File.ReadAllBytes path

                    Expect.isTrue (write () = write ()) "write () = write ()"
                    let outcome = check path
                    Expect.equal outcome.ExitCode 0 (outcome.Output + outcome.Error)

                    Expect.stringContains
                        outcome.Output
                        "accepted: the nominal Lipschitz constant is at most "
                        "output"))

            testCase "A certificate with a smaller value is rejected with exit code 1" (fun () ->
                inTemporaryFile (fun path ->
                    run (bound [ "--method"; "global"; "--certificate"; path ]) |> ignore
                    File.WriteAllText(path, (File.ReadAllText path).Replace("\"value\": 57", "\"value\": 56"))
                    let outcome = check path
                    Expect.equal outcome.ExitCode 1 "exit code"
                    Expect.stringEnds outcome.Output ("rejected\n") "output"
                    Expect.stringContains outcome.Output "REJECTED  the value 56" "output"))

            testTheory
                "--coq refuses networks that are no chains of dense layers, and the certificate itself"
                [ false; true ]
                (fun (overwrites: bool) ->
                    inTemporaryFile (fun path ->
                        let outcome = run (bound [ "--radius"; "0.1"; "--certificate"; path ])
                        Expect.equal outcome.ExitCode 0 outcome.Error
                        let destination = if overwrites then path else path + ".v"
                        let before = File.ReadAllBytes path

                        let outcome =
                            run
                                [
                                    "check"
                                    path
                                    "--model"
                                    onnx
                                    "--input"
                                    eight
                                    "--preprocess"
                                    "mnist"
                                    "--coq"
                                    destination
                                ]

                        Expect.equal outcome.ExitCode 2 outcome.Output
                        Expect.hasLength (lines outcome.Error) 1 "lines outcome.Error"

                        Expect.stringContains
                            outcome.Error
                            (if overwrites then
                                 "would overwrite the certificate"
                             else
                                 "max pooling")
                            "error"

                        Expect.isFalse (File.Exists(path + ".v")) "a file was left"
                        Expect.isTrue (File.ReadAllBytes path = before) "the certificate was changed"))

            testTheory
                "A local certificate without its input asks for --input"
                [ "analytic"; "local-lipsdp"; "structured" ]
                (fun (method: string) ->
                    inTemporaryFile (fun path ->
                        let written =
                            run (bound [ "--radius"; "0.01"; "--method"; method; "--certificate"; path ])

                        Expect.equal written.ExitCode 0 written.Error
                        let outcome = run [ "check"; path; "--model"; onnx ]
                        Expect.equal outcome.ExitCode 2 "exit code"
                        Expect.isEmpty outcome.Output "output"
                        Expect.hasLength (lines outcome.Error) 1 "lines outcome.Error"
                        Expect.stringStarts outcome.Error ("lipverify: a local certificate") "error"
                        Expect.stringContains outcome.Error "--input" "error"))

            testTheory
                "A file that is no certificate gives exit code 2 and one line"
                [ ""; "{\"schema\": "; "{}" ]
                (fun (text: string) ->
                    inTemporaryFile (fun path ->
                        File.WriteAllText(path, text)
                        let outcome = check path
                        Expect.equal outcome.ExitCode 2 "exit code"
                        Expect.isEmpty outcome.Output "output"
                        Expect.hasLength (lines outcome.Error) 1 "lines outcome.Error"))

            testCase "A certificate by multipliers is accepted, and rejected with a smaller value" (fun () ->
                inTemporaryFile (fun path ->
                    let outcome =
                        bound [ "--radius"; "0.01"; "--method"; "local-lipsdp"; "--certificate"; path ]
                        |> run

                    Expect.equal outcome.ExitCode 0 outcome.Error
                    let accepted = check path
                    Expect.equal accepted.ExitCode 0 (accepted.Output + accepted.Error)
                    Expect.stringContains accepted.Output "F(γ², t) is positive semidefinite" "output"
                    let text = File.ReadAllText path

                    let value =
                        Text.RegularExpressions.Regex.Match(text, "\"value\":([0-9.]+)").Groups[1].Value

                    let smaller =
                        (0.97 * float value).ToString("R", Globalization.CultureInfo.InvariantCulture)

                    File.WriteAllText(path, text.Replace($"\"value\":{value}", $"\"value\":{smaller}"))
                    let rejected = check path
                    Expect.equal rejected.ExitCode 1 "exit code"
                    // All but the last digits, which are rounded upward.
                    let shown = smaller[..9]
                    Expect.stringEnds rejected.Output ("rejected\n") "output"
                    Expect.stringContains rejected.Output $"REJECTED  the value {shown}" "output"))

            testTheory
                "A structured certificate is accepted, and rejected with a smaller value"
                [ true; false ]
                (fun (isLocal: bool) ->
                    inTemporaryFile (fun path ->
                        let place = if isLocal then [ "--radius"; "0.003" ] else []

                        let outcome =
                            bound (place @ [ "--method"; "structured"; "--certificate"; path ]) |> run

                        Expect.equal outcome.ExitCode 0 outcome.Error
                        let accepted = check path
                        Expect.equal accepted.ExitCode 0 (accepted.Output + accepted.Error)
                        Expect.stringContains accepted.Output "holds     the norm of the loop is at most" "output"
                        let text = File.ReadAllText path

                        let value =
                            Text.RegularExpressions.Regex.Match(text, "\"value\":([0-9.]+)").Groups[1].Value

                        let smaller =
                            (0.97 * float value).ToString("R", Globalization.CultureInfo.InvariantCulture)

                        File.WriteAllText(path, text.Replace($"\"value\":{value}", $"\"value\":{smaller}"))
                        let rejected = check path
                        Expect.equal rejected.ExitCode 1 "exit code"
                        // All but the last digits, which are rounded upward.
                        let shown = smaller[..9]
                        Expect.stringEnds rejected.Output ("rejected\n") "output"
                        Expect.stringContains rejected.Output $"REJECTED  the value {shown}" "output"))
        ]
