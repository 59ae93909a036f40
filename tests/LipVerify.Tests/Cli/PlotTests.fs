/// Axes and pictures without the command line.
module LipVerify.Tests.PlotTests

open System
open NUnit.Framework
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

[<Test>]
let ``Axes show their values, and their ticks lie on them in order`` () =
    check 300 axis (fun (axis, low, high) ->
        let inside value = axis.Low <= value && value <= axis.High

        let ticks = axis.Ticks |> List.map _.Value
        Assert.That(List.forall inside (low :: high :: ticks))
        Assert.That((List.sort ticks = ticks))
        Assert.That((List.distinct ticks = ticks)))

[<Test>]
let ``Axes have some labels and not too many`` () =
    check 300 axis (fun (axis, _, _) -> Assert.That((labels axis).Length, Is.InRange(1, 12)))

[<Test>]
let ``Ticks are round numbers`` () =
    let shown axis =
        labels axis |> List.map (fun tick -> Option.get tick.Label) |> String.concat " "

    Assert.That(shown (Axis.covering Linear [ 0.001; 7.0 ]), Is.EqualTo "0 1 2 3 4 5 6 7")
    Assert.That(shown (Axis.covering Linear [ 0.1; 0.9 ]), Is.EqualTo "0.2 0.4 0.6 0.8")
    Assert.That(shown (Axis.covering Logarithmic [ 0.001; 10.0 ]), Is.EqualTo "0.001 0.01 0.1 1 10")
    Assert.That(shown (Axis.covering Logarithmic [ 30.0; 60.0 ]), Is.EqualTo "30 40 50 60 70")

[<Test>]
let ``Zeros and infinities have no place, and an empty picture can be drawn`` () =
    let picture points : CurvePlot.Picture =
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
        Assert.That(svg, Does.Not.Contain "NaN")
        Assert.That(svg, Does.Not.Contain "Infinity")
        Assert.That(svg, Does.Not.Contain "∞")

    Assert.That(CurvePlot.file (picture [ 0.0, 0.0 ]), Does.Contain "nothing above 0")

[<TestCase("a,b", "\"a,b\",1\n")>]
[<TestCase("a\"b", "\"a\"\"b\",1\n")>]
[<TestCase("a\nb", "\"a\nb\",1\n")>]
[<TestCase("plain", "plain,1\n")>]
let ``Fields of CSV files are quoted where they must be`` (field: string) (expected: string) =
    Assert.That(CsvText.line [ field; "1" ], Is.EqualTo expected)
