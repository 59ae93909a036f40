/// Axes and pictures without the command line.
module LipVerify.Tests.PlotTests

open System
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Cli
open LipVerify.Propositions.Generators

let private labels (axis: Axis) =
    axis.Ticks |> List.filter (fun tick -> tick.Label.IsSome)

/// Two different numbers of a magnitude between 10^-200 and 10^200.
let private ends seed =
    let random = Random seed
    let power = random.NextDouble() * 400.0 - 200.0

    let spread =
        if random.Next 2 = 0 then
            random.NextDouble() * 3.0
        else
            random.NextDouble() * 80.0

    Math.Pow(10.0, power - spread / 2.0), Math.Pow(10.0, power + spread / 2.0)

/// An axis from a random seed.
let private axis seed =
    let low, high = ends seed
    let scale = if seed % 2 = 0 then Linear else Logarithmic
    Axis.covering scale [ low; high ], low, high

[<Tests>]
let tests =
    testList
        "Plot"
        [
            statement "Axes show their values, and their ticks lie on them in order" 300 axis (fun (axis, low, high) ->
                let inside value = axis.Low <= value && value <= axis.High

                let ticks = axis.Ticks |> List.map _.Value
                Expect.isTrue (List.forall inside (low :: high :: ticks)) "List.forall inside (low :: high :: ticks)"
                Expect.isTrue (List.sort ticks = ticks) "List.sort ticks = ticks"
                Expect.isTrue (List.distinct ticks = ticks) "List.distinct ticks = ticks")

            statement "Axes have some labels and not too many" 300 axis (fun (axis, _, _) ->
                Expect.isInRange (labels axis).Length (1, 12) "length")

            testCase "Ticks are round numbers" (fun () ->
                let shown axis =
                    labels axis |> List.map (fun tick -> Option.get tick.Label) |> String.concat " "

                Expect.equal
                    (shown (Axis.covering Linear [ 0.001; 7.0 ]))
                    "0 1 2 3 4 5 6 7"
                    "shown (Axis.covering Linear [ 0.001; 7.0 ])"

                Expect.equal
                    (shown (Axis.covering Linear [ 0.1; 0.9 ]))
                    "0.2 0.4 0.6 0.8"
                    "shown (Axis.covering Linear [ 0.1; 0.9 ])"

                Expect.equal
                    (shown (Axis.covering Logarithmic [ 0.001; 10.0 ]))
                    "0.001 0.01 0.1 1 10"
                    "shown (Axis.covering Logarithmic [ 0.001; 10.0 ])"

                Expect.equal
                    (shown (Axis.covering Logarithmic [ 30.0; 60.0 ]))
                    "30 40 50 60 70"
                    "shown (Axis.covering Logarithmic [ 30.0; 60.0 ])")

            testCase "Zeros and infinities have no place, and an empty picture can be drawn" (fun () ->
                let picture points : CurveLayout.Picture =
                    {
                        Title = None
                        LogRadii = false
                        Series =
                            [
                                {
                                    Name = "x"
                                    Side = Lower
                                    Points = points
                                }
                            ]
                    }

                for points in
                    [
                        []
                        [ 0.0, 0.0 ]
                        [ 0.0, infinity; 1.0, nan ]
                        [ 0.5, 2.0 ]
                        [ 0.0, 0.0; 1.0, 3.0 ]
                    ] do
                    let svg = CurvePlot.file (picture points)
                    Expect.stringLacks svg "NaN" "svg"
                    Expect.stringLacks svg "Infinity" "svg"
                    Expect.stringLacks svg "∞" "svg"

                Expect.stringContains
                    (CurvePlot.file (picture [ 0.0, 0.0 ]))
                    "nothing above 0"
                    "CurvePlot.file (picture [ 0.0, 0.0 ])")

            testTheory
                "Fields of CSV files are quoted where they must be"
                [
                    "a,b", "\"a,b\",1\n"
                    "a\"b", "\"a\"\"b\",1\n"
                    "a\nb", "\"a\nb\",1\n"
                    "plain", "plain,1\n"
                ]
                (fun (field: string, expected: string) ->
                    Expect.equal (CsvText.line [ field; "1" ]) expected "CsvText.line [ field; \"1\" ]")
        ]
