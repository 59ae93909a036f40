/// `bench` from the command line: its document is consistent, and mistakes are told.
module LipVerify.Tests.CliBenchTests

open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Tests.CliRun

let private number (name: string) (element: JsonElement) = element.GetProperty(name).GetDouble()

let private text (name: string) (element: JsonElement) =
    element.GetProperty(name).GetString() |> string

let private items (name: string) (element: JsonElement) =
    element.GetProperty(name).EnumerateArray() |> List.ofSeq

let private bench arguments =
    let outcome = run ([ "bench"; "--json" ] @ arguments)
    Expect.equal outcome.ExitCode 0 outcome.Error
    let report = JsonDocument.Parse(outcome.Output).RootElement
    Expect.equal (text "schema" report) "lipverify/bench/1" "schema"
    report

/// Quotients and products of doubles.
let private close (actual: float) (value: float) =
    Expect.isWithin (1e-12 * abs value) actual value "products and quotients"

/// The figures of a measurement follow from its time and its operations.
let private isConsistent report measurement =
    let flops = number "flops" measurement
    Expect.isGreaterThan (number "seconds" measurement) 0.0 "seconds"
    Expect.isGreaterThanOrEqual (number "repetitions" measurement) 1.0 "repetitions"
    close (1e9 * number "gflops" measurement * number "seconds" measurement) flops
    close (number "ratio" measurement * number "peakGflops" report) (number "gflops" measurement)

    let kernels =
        [
            for kernel in measurement.GetProperty("work").EnumerateObject() -> kernel.Value
        ]

    close (kernels |> List.sumBy (number "flops")) flops

    Expect.equal
        (kernels |> List.sumBy (number "vectors"))
        (number "applications" measurement)
        "kernels |> List.sumBy (number \"vectors\")"

let private hasProducts report =
    let rates = items "matrixProduct" report
    let times = rates |> List.map (text "when")
    Expect.equal times [ "before"; "before"; "after"; "after" ] "times"

    for rate in rates do
        isConsistent report rate
        Expect.equal (number "flops" rate) (2.0 * number "size" rate ** 3.0) "flops"

    Expect.equal
        (rates |> List.map (number "gflops") |> List.max)
        (number "peakGflops" report)
        "rates |> List.map (number \"gflops\") |> List.max"

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliBench"
        [
            testCase "bench of a kernel gives its operations, times and rates" (fun () ->
                let report = bench [ "conv3-256-256-13"; "--engine"; "managed"; "--threads"; "2" ]
                Expect.equal (text "engine" report) "managed" "engine"
                Expect.equal (number "threads" report) 2 "threads"
                Expect.isEmpty (items "leftOut" report) "leftOut"
                hasProducts report

                let kernels = items "kernels" report

                let operations =
                    kernels
                    |> List.map (fun kernel -> text "operation" kernel + string (number "vectors" kernel))

                Expect.equal operations [ "apply1"; "adjoint1"; "apply2"; "adjoint2" ] "operations"

                for kernel in kernels do
                    isConsistent report kernel
                    // 256 × 13 × 13 outputs of 256 × 3 × 3 terms.
                    Expect.equal (number "flops" kernel) (number "vectors" kernel * 2.0 * 43264.0 * 2304.0) "flops")

            testCase "bench of a network holds our bound against the published procedure" (fun () ->
                let report = bench [ "mnist-net" ]
                hasProducts report
                let bound = items "bounds" report |> List.exactlyOne
                isConsistent report bound
                Expect.equal (text "name" bound) "mnist-net" "name"
                Expect.equal (text "rigor" bound) "certified" "rigor"

                let baseline = items "baseline" report |> List.exactlyOne
                let ours, published = baseline.GetProperty "ours", baseline.GetProperty "published"
                isConsistent report ours
                isConsistent report published
                Expect.equal (text "rigor" published) "estimate" "rigor"
                Expect.equal (number "value" ours) (number "value" bound) "value"
                close (number "timeRatio" baseline) (number "seconds" published / number "seconds" ours)

                Expect.isGreaterThan
                    (number "rowNormSeconds" published + number "powerIterationSeconds" published)
                    0.0
                    "")

            testCase "bench of a spectral norm gives both of its ends" (fun () ->
                let report = bench [ "cifar10-net-fc2" ]
                let norm = items "spectral" report |> List.exactlyOne
                isConsistent report norm
                Expect.equal (text "method" norm) "cholesky" "method"
                close (number "certifiedOverAttained" norm) (number "value" norm / number "attained" norm)
                Expect.isGreaterThanOrEqual (number "certifiedOverAttained" norm) 1.0 "certifiedOverAttained")

            testCase "bench prints tables" (fun () ->
                let outcome = run [ "bench"; "cifar10-net-fc2" ]
                Expect.equal outcome.ExitCode 0 outcome.Error

                for part in [ "1000×1000×1000"; "GF/s"; "of peak"; "cifar10-net-fc2"; "cholesky" ] do
                    Expect.stringContains outcome.Output part "output")
        ]
