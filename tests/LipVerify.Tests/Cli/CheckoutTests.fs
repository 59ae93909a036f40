/// The scripts at the root of a checkout.
module LipVerify.Tests.CheckoutTests

open System
open System.Diagnostics
open System.IO
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Tests.CliRun

let private root = Path.GetFullPath(Path.Combine(samples, "..", ".."))

let private runScript folder name =
    let start = ProcessStartInfo("/bin/bash", [ Path.Combine(folder, name) ])
    start.RedirectStandardOutput <- true
    start.RedirectStandardError <- true
    use running = Process.Start start |> nonNull
    let error = running.StandardError.ReadToEndAsync()
    let output = running.StandardOutput.ReadToEnd()
    running.WaitForExit()

    {
        ExitCode = running.ExitCode
        Output = output
        Error = error.Result
    }

[<Tests>]
let tests =
    testSequenced
    <| testList
        "Checkout"
        [
            testTheory
                "a checkout that cannot be written to, and is not built, says so"
                [ "lipverify"; "test" ]
                (fun (script: string) ->
                    if OperatingSystem.IsWindows() then
                        skiptest "needs a POSIX shell"

                    inFolder (fun folder ->
                        for name in [ "lipverify"; "test"; "setup.sh" ] do
                            File.Copy(Path.Combine(root, name), Path.Combine(folder, name))

                        Directory.CreateDirectory(Path.Combine(folder, "src")) |> ignore
                        // Where the build would go nothing can be made, even by a user who may do anything.
                        File.WriteAllText(Path.Combine(folder, ".lipverify"), "")
                        let outcome = runScript folder script
                        Expect.equal outcome.ExitCode 2 outcome.Error
                        Expect.isEmpty outcome.Output "output"
                        Expect.hasLength (lines outcome.Error) 1 "lines outcome.Error"
                        Expect.stringContainsAll outcome.Error [ folder; "cannot be written to" ] "error"))
        ]
