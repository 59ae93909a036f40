/// Paths that are no regular files with content, in every place of every command that reads: exit code 2 and one line, at once.
module LipVerify.Tests.CliSpecialFileTests

open System
open System.IO
open Expecto
open LipVerify.Tests.CliRun
open LipVerify.Tests.CurveRuns

/// What each command needs beside MODEL and X.
let private commands =
    [
        "bound", [ "--radius"; "0.1" ]
        "enclose", [ "--radius"; "0.1" ]
        "compare", [ "--radius"; "0.1" ]
        "certify", []
        "curve", [ "--radii"; "0.1" ]
        "attack", []
    ]

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliSpecialFile"
        [
            testCase "as model" (fun () ->
                for extension in [ ".onnx"; ".pt" ] do
                    SpecialFiles.each extension (fun path ->
                        if path.EndsWith(extension, StringComparison.Ordinal) then
                            for command, arguments in ("info", []) :: commands do
                                let input = if command = "info" then [] else [ "--input"; "zeros" ]

                                let architecture =
                                    if extension = ".pt" then
                                        [ "--architecture"; "mnist-net" ]
                                    else
                                        []

                                run ([ command; path ] @ input @ arguments @ architecture) |> fails [ path ]))

            testCase "as architecture" (fun () ->
                SpecialFiles.each ".json" (fun path ->
                    if path.EndsWith(".json", StringComparison.Ordinal) then
                        run [ "info"; safetensors; "--architecture"; path ] |> fails [ path ]))

            testCase "as input" (fun () ->
                for extension in [ ".csv"; ".npy"; ".npz"; ".png" ] do
                    SpecialFiles.each extension (fun path ->
                        for command, arguments in commands do
                            run ([ command; onnx; "--input"; path ] @ arguments) |> fails [ path ]))

            testCase "as certificate" (fun () ->
                SpecialFiles.each ".json" (fun path ->
                    // The model is not even looked for.
                    run [ "check"; path; "--model"; "missing.onnx" ] |> fails [ path ]))

            testCase "as a pipe on standard input" (fun () ->
                if OperatingSystem.IsWindows() then
                    skiptest "needs a POSIX shell"

                let outcome =
                    shell $"cat '{onnx}' 2>/dev/null | lipverify info /dev/stdin --architecture mnist-net"

                outcome |> fails [ "/dev/stdin"; "pipe"; "regular file" ]

                let redirected =
                    shell $"lipverify info /dev/stdin --architecture mnist-net <'{safetensors}'"

                Expect.equal redirected.ExitCode 0 redirected.Error)

            testCase "pipes and sockets as output are refused by every command and stay what they are" (fun () ->
                let nominal = [ "--input"; eight ]

                SpecialFiles.each ".json" (fun path ->
                    if List.contains (Path.GetFileName path) [ "pipe.json"; "socket.json"; "link-to-pipe.json" ] then
                        for arguments in
                            [
                                [ "info"; onnx; "--output" ]
                                [ "bound"; onnx; "--radius"; "0.1"; "--output" ] @ nominal
                                [ "bound"; onnx; "--radius"; "0.1"; "--certificate" ] @ nominal
                                [ "enclose"; onnx; "--radius"; "0.1"; "--output" ] @ nominal
                                [ "compare"; onnx; "--radius"; "0.1"; "--output" ] @ nominal
                                [ "certify"; onnx; "--output" ] @ nominal
                                [ "attack"; onnx; "--output" ] @ nominal
                                [ "curve"; onnx; "--radii"; "0.1"; "--output" ] @ nominal
                                [ "check"; eight; "--model"; onnx; "--output" ]
                                [ "demo"; "--output" ]
                            ] do
                            let option =
                                arguments
                                |> List.findIndex (fun word -> word = "--output" || word = "--certificate")

                            let arguments = List.insertAt (option + 1) path arguments
                            run arguments |> fails [ path; "pipe or socket" ]
                            Expect.isTrue (LipVerify.Formats.Files.isPipeOrSocket path) path))

            testCase "a pipe as output is refused before the work, and devices are written to" (fun () ->
                SpecialFiles.each ".csv" (fun path ->
                    if Path.GetFileName path = "pipe.csv" then
                        for option in [ "--csv"; "--output" ] do
                            run [ "certify"; onnx; "--input"; eight; "--method"; "global"; option; path ]
                            |> fails [ path; "pipe" ])

                for device in [ "/dev/null"; "/dev/stdout" ] do
                    let outcome = shell $"lipverify info '{onnx}' --output {device}"
                    Expect.equal outcome.ExitCode 0 outcome.Error

                    Expect.equal
                        (outcome.Output.Contains "conv1")
                        ((device = "/dev/stdout"))
                        "outcome.Output.Contains \"conv1\""

                inFolder (fun folder ->
                    let link = Path.Combine(folder, "link")
                    File.CreateSymbolicLink(link, "/dev/stdout") |> ignore
                    let outcome = shell $"lipverify info '{onnx}' --output '{link}'"
                    Expect.equal outcome.ExitCode 0 outcome.Error
                    Expect.stringContains outcome.Output "conv1" "output"

                    let target = Path.Combine(folder, "target")
                    File.CreateSymbolicLink(Path.Combine(folder, "to-come"), target) |> ignore
                    let outcome = run [ "info"; onnx; "--output"; Path.Combine(folder, "to-come") ]
                    Expect.equal outcome.ExitCode 0 outcome.Error
                    Expect.stringContains (File.ReadAllText target) "conv1" "File.ReadAllText target"))

            testCase "check without its program says so" (fun () ->
                if OperatingSystem.IsWindows() then
                    skiptest "needs a POSIX shell"

                inFolder (fun folder ->
                    // The program with its own libraries alone.
                    for file in Directory.GetFiles AppContext.BaseDirectory do
                        let name = string (Path.GetFileName file)

                        if name <> "lipverify-checker.dll" && Path.GetExtension name <> ".pdb" then
                            File.Copy(file, Path.Combine(folder, name))

                    let certificate = Path.Combine(folder, "c.json")
                    File.WriteAllText(certificate, "{}")

                    let outcome =
                        shell $"LIPVERIFY='{folder}/lipverify.dll'; lipverify check '{certificate}' --model '{onnx}'"

                    outcome |> fails [ "lipverify-checker.dll"; "not there" ]))

            testTheory
                "adaptive pooling to nothing is a line that names file and layer"
                [ "0"; "[1, 0]"; "[-7, 7]" ]
                (fun (output: string) ->
                    inFolder (fun folder ->
                        let path = Path.Combine(folder, "net.json")

                        File.WriteAllText(
                            path,
                            $"{{ \"input\": [1, 28, 28], \"layers\": [ {{ \"type\": \"adaptiveavgpool2d\", \"output\": {output} }} ] }}"
                        )

                        run [ "info"; safetensors; "--architecture"; path ]
                        |> fails [ path; "layers[0]"; "\"output\" must be from 1" ]))
        ]
