/// `bound --certificate` and `check` from the command line.
module LipVerify.Tests.CliCertificateTests

open System
open System.IO
open NUnit.Framework
open LipVerify.Tests.CliRun

let private inTemporaryFile (work: string -> unit) =
    let path = Path.GetTempFileName()

    try
        work path
    finally
        File.Delete path

let private check path =
    run [ "check"; path; "--model"; onnx; "--input"; eight; "--preprocess"; "mnist" ]

[<Test>]
let ``A certificate is written, the same bytes each time, and accepted`` () =
    inTemporaryFile (fun path ->
        let write () =
            let outcome = run (bound [ "--radius"; "0.1"; "--certificate"; path ])
            Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
            File.ReadAllBytes path

        Assert.That((write () = write ()))
        let outcome = check path
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Output + outcome.Error)
        Assert.That(outcome.Output, Does.Contain "accepted: the nominal Lipschitz constant is at most "))

[<Test>]
let ``A certificate with a smaller value is rejected with exit code 1`` () =
    inTemporaryFile (fun path ->
        run (bound [ "--method"; "global"; "--certificate"; path ]) |> ignore
        File.WriteAllText(path, (File.ReadAllText path).Replace("\"value\": 57", "\"value\": 56"))
        let outcome = check path
        Assert.That(outcome.ExitCode, Is.EqualTo 1)
        Assert.That(outcome.Output, Does.EndWith("rejected\n").And.Contain "REJECTED  the value 56"))

[<TestCase "analytic">]
[<TestCase "local-lipsdp">]
[<TestCase "structured">]
let ``A local certificate without its input asks for --input`` (method: string) =
    inTemporaryFile (fun path ->
        let written =
            run (bound [ "--radius"; "0.01"; "--method"; method; "--certificate"; path ])

        Assert.That(written.ExitCode, Is.Zero, written.Error)
        let outcome = run [ "check"; path; "--model"; onnx ]
        Assert.That(outcome.ExitCode, Is.EqualTo 2)
        Assert.That(outcome.Output, Is.Empty)
        Assert.That(lines outcome.Error, Has.Exactly(1).Items)
        Assert.That(outcome.Error, Does.StartWith("lipverify: a local certificate").And.Contain "--input"))

[<TestCase "">]
[<TestCase "{\"schema\": ">]
[<TestCase "{}">]
let ``A file that is no certificate gives exit code 2 and one line`` (text: string) =
    inTemporaryFile (fun path ->
        File.WriteAllText(path, text)
        let outcome = check path
        Assert.That(outcome.ExitCode, Is.EqualTo 2)
        Assert.That(outcome.Output, Is.Empty)
        Assert.That(lines outcome.Error, Has.Exactly(1).Items))

[<Test>]
let ``A certificate by multipliers is accepted, and rejected with a smaller value`` () =
    inTemporaryFile (fun path ->
        let outcome =
            bound [ "--radius"; "0.01"; "--method"; "local-lipsdp"; "--certificate"; path ]
            |> run

        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        let accepted = check path
        Assert.That(accepted.ExitCode, Is.Zero, accepted.Output + accepted.Error)
        Assert.That(accepted.Output, Does.Contain "F(γ², t) is positive semidefinite")
        let text = File.ReadAllText path

        let value =
            Text.RegularExpressions.Regex.Match(text, "\"value\":([0-9.]+)").Groups[1].Value

        let smaller =
            (0.97 * float value).ToString("R", Globalization.CultureInfo.InvariantCulture)

        File.WriteAllText(path, text.Replace($"\"value\":{value}", $"\"value\":{smaller}"))
        let rejected = check path
        Assert.That(rejected.ExitCode, Is.EqualTo 1)
        // All but the last digits, which are rounded upward.
        let shown = smaller[..9]
        Assert.That(rejected.Output, Does.EndWith("rejected\n").And.Contain $"REJECTED  the value {shown}"))

[<TestCase(true)>]
[<TestCase(false)>]
let ``A structured certificate is accepted, and rejected with a smaller value`` (isLocal: bool) =
    inTemporaryFile (fun path ->
        let place = if isLocal then [ "--radius"; "0.003" ] else []

        let outcome =
            bound (place @ [ "--method"; "structured"; "--certificate"; path ]) |> run

        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        let accepted = check path
        Assert.That(accepted.ExitCode, Is.Zero, accepted.Output + accepted.Error)
        Assert.That(accepted.Output, Does.Contain "holds     the norm of the loop is at most")
        let text = File.ReadAllText path

        let value =
            Text.RegularExpressions.Regex.Match(text, "\"value\":([0-9.]+)").Groups[1].Value

        let smaller =
            (0.97 * float value).ToString("R", Globalization.CultureInfo.InvariantCulture)

        File.WriteAllText(path, text.Replace($"\"value\":{value}", $"\"value\":{smaller}"))
        let rejected = check path
        Assert.That(rejected.ExitCode, Is.EqualTo 1)
        // All but the last digits, which are rounded upward.
        let shown = smaller[..9]
        Assert.That(rejected.Output, Does.EndWith("rejected\n").And.Contain $"REJECTED  the value {shown}"))
