/// `bench` from the command line: its document is consistent, and mistakes are told.
module LipVerify.Tests.CliBenchTests

open System.Text.Json
open NUnit.Framework
open LipVerify.Tests.CliRun

let private number (name: string) (element: JsonElement) = element.GetProperty(name).GetDouble()

let private text (name: string) (element: JsonElement) =
    element.GetProperty(name).GetString() |> string

let private items (name: string) (element: JsonElement) =
    element.GetProperty(name).EnumerateArray() |> List.ofSeq

let private bench arguments =
    let outcome = run ([ "bench"; "--json" ] @ arguments)
    Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
    let report = JsonDocument.Parse(outcome.Output).RootElement
    Assert.That(text "schema" report, Is.EqualTo "lipverify/bench/1")
    report

/// Quotients and products of doubles.
let private close (value: float) =
    Is.EqualTo(value).Within(1e-12 * abs value)

/// The figures of a measurement follow from its time and its operations.
let private isConsistent report measurement =
    let flops = number "flops" measurement
    Assert.That(number "seconds" measurement, Is.GreaterThan 0.0)
    Assert.That(number "repetitions" measurement, Is.GreaterThanOrEqualTo 1.0)
    Assert.That(1e9 * number "gflops" measurement * number "seconds" measurement, close flops)
    Assert.That(number "ratio" measurement * number "peakGflops" report, close (number "gflops" measurement))

    let kernels =
        [
            for kernel in measurement.GetProperty("work").EnumerateObject() -> kernel.Value
        ]

    Assert.That(kernels |> List.sumBy (number "flops"), close flops)
    Assert.That(kernels |> List.sumBy (number "vectors"), Is.EqualTo(number "applications" measurement))

let private hasProducts report =
    let rates = items "matrixProduct" report
    let times = rates |> List.map (text "when")
    Assert.That(times, Is.EqualTo<string list> [ "before"; "before"; "after"; "after" ])

    for rate in rates do
        isConsistent report rate
        Assert.That(number "flops" rate, Is.EqualTo(2.0 * number "size" rate ** 3.0))

    Assert.That(rates |> List.map (number "gflops") |> List.max, Is.EqualTo(number "peakGflops" report))

[<Test>]
let ``bench of a kernel gives its operations, times and rates`` () =
    let report = bench [ "conv3-256-256-13"; "--engine"; "managed"; "--threads"; "2" ]
    Assert.That(text "engine" report, Is.EqualTo "managed")
    Assert.That(number "threads" report, Is.EqualTo 2)
    Assert.That(items "leftOut" report, Is.Empty)
    hasProducts report

    let kernels = items "kernels" report

    let operations =
        kernels
        |> List.map (fun kernel -> text "operation" kernel + string (number "vectors" kernel))

    Assert.That(operations, Is.EqualTo<string list> [ "apply1"; "adjoint1"; "apply2"; "adjoint2" ])

    for kernel in kernels do
        isConsistent report kernel
        // 256 × 13 × 13 outputs of 256 × 3 × 3 terms.
        Assert.That(number "flops" kernel, Is.EqualTo(number "vectors" kernel * 2.0 * 43264.0 * 2304.0))

[<Test>]
let ``bench of a network holds our bound against the published procedure`` () =
    let report = bench [ "mnist-net" ]
    hasProducts report
    let bound = items "bounds" report |> List.exactlyOne
    isConsistent report bound
    Assert.That(text "name" bound, Is.EqualTo "mnist-net")
    Assert.That(text "rigor" bound, Is.EqualTo "certified")

    let baseline = items "baseline" report |> List.exactlyOne
    let ours, published = baseline.GetProperty "ours", baseline.GetProperty "published"
    isConsistent report ours
    isConsistent report published
    Assert.That(text "rigor" published, Is.EqualTo "estimate")
    Assert.That(number "value" ours, Is.EqualTo(number "value" bound))
    Assert.That(number "timeRatio" baseline, close (number "seconds" published / number "seconds" ours))

    Assert.That(number "rowNormSeconds" published + number "powerIterationSeconds" published, Is.GreaterThan 0.0)

[<Test>]
let ``bench of a spectral norm gives both of its ends`` () =
    let report = bench [ "cifar10-net-fc2" ]
    let norm = items "spectral" report |> List.exactlyOne
    isConsistent report norm
    Assert.That(text "method" norm, Is.EqualTo "cholesky")
    Assert.That(number "certifiedOverAttained" norm, close (number "value" norm / number "attained" norm))
    Assert.That(number "certifiedOverAttained" norm, Is.GreaterThanOrEqualTo 1.0)

[<Test>]
let ``bench prints tables`` () =
    let outcome = run [ "bench"; "cifar10-net-fc2" ]
    Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)

    for part in [ "1000×1000×1000"; "GF/s"; "of peak"; "cifar10-net-fc2"; "cholesky" ] do
        Assert.That(outcome.Output, Does.Contain part)
