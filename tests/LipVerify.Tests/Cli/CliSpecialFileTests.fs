/// Paths that are no regular files with content, in every place of every command that reads: exit code 2 and one line, at once.
module LipVerify.Tests.CliSpecialFileTests

open System
open System.IO
open NUnit.Framework
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

[<Test>]
let ``as model`` () =
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

                    run ([ command; path ] @ input @ arguments @ architecture) |> fails [ path ])

[<Test>]
let ``as architecture`` () =
    SpecialFiles.each ".json" (fun path ->
        if path.EndsWith(".json", StringComparison.Ordinal) then
            run [ "info"; safetensors; "--architecture"; path ] |> fails [ path ])

[<Test>]
let ``as input`` () =
    for extension in [ ".csv"; ".npy"; ".npz"; ".png" ] do
        SpecialFiles.each extension (fun path ->
            for command, arguments in commands do
                run ([ command; onnx; "--input"; path ] @ arguments) |> fails [ path ])

[<Test>]
let ``as certificate`` () =
    SpecialFiles.each ".json" (fun path ->
        // The model is not even looked for.
        run [ "check"; path; "--model"; "missing.onnx" ] |> fails [ path ])

[<Test>]
let ``as a pipe on standard input`` () =
    if OperatingSystem.IsWindows() then
        Assert.Ignore "needs a POSIX shell"

    let outcome =
        shell $"cat '{onnx}' 2>/dev/null | lipverify info /dev/stdin --architecture mnist-net"

    outcome |> fails [ "/dev/stdin"; "pipe"; "regular file" ]

    let redirected =
        shell $"lipverify info /dev/stdin --architecture mnist-net <'{safetensors}'"

    Assert.That(redirected.ExitCode, Is.Zero, redirected.Error)

[<Test>]
let ``pipes and sockets as output are refused by every command and stay what they are`` () =
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
                Assert.That(LipVerify.Formats.Files.isPipeOrSocket path, path))

[<Test>]
let ``a pipe as output is refused before the work, and devices are written to`` () =
    SpecialFiles.each ".csv" (fun path ->
        if Path.GetFileName path = "pipe.csv" then
            for option in [ "--csv"; "--output" ] do
                run [ "certify"; onnx; "--input"; eight; "--method"; "global"; option; path ]
                |> fails [ path; "pipe" ])

    for device in [ "/dev/null"; "/dev/stdout" ] do
        let outcome = shell $"lipverify info '{onnx}' --output {device}"
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        Assert.That(outcome.Output.Contains "conv1", Is.EqualTo((device = "/dev/stdout")))

    inFolder (fun folder ->
        let link = Path.Combine(folder, "link")
        File.CreateSymbolicLink(link, "/dev/stdout") |> ignore
        let outcome = shell $"lipverify info '{onnx}' --output '{link}'"
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        Assert.That(outcome.Output, Does.Contain "conv1")

        let target = Path.Combine(folder, "target")
        File.CreateSymbolicLink(Path.Combine(folder, "to-come"), target) |> ignore
        let outcome = run [ "info"; onnx; "--output"; Path.Combine(folder, "to-come") ]
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        Assert.That(File.ReadAllText target, Does.Contain "conv1"))

[<Test>]
let ``check without its program says so`` () =
    if OperatingSystem.IsWindows() then
        Assert.Ignore "needs a POSIX shell"

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

        outcome |> fails [ "lipverify-checker.dll"; "not there" ])

[<TestCase "0">]
[<TestCase "[1, 0]">]
[<TestCase "[-7, 7]">]
let ``adaptive pooling to nothing is a line that names file and layer`` (output: string) =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "net.json")

        File.WriteAllText(
            path,
            $"{{ \"input\": [1, 28, 28], \"layers\": [ {{ \"type\": \"adaptiveavgpool2d\", \"output\": {output} }} ] }}"
        )

        run [ "info"; safetensors; "--architecture"; path ]
        |> fails [ path; "layers[0]"; "\"output\" must be from 1" ])
