/// Numbers as text for readers: bounds are shown on their own side, in exact arithmetic, and nothing formats a number but `Figure`.
module LipVerify.Tests.FigureTests

open System
open System.IO
open System.Numerics
open System.Text.RegularExpressions
open NUnit.Framework
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Propositions.Generators

/// `digits·10^exponent`: what a decimal text says, without rounding.
[<Struct>]
type private Decimal = { Digits: BigInteger; Exponent: int }

let private parse (text: string) =
    let number = Regex.Match(text, @"^(-?)(\d+)(?:\.(\d+))?(?:E([+-]\d+))?$")
    Assert.That(number.Success, text)
    let part (i: int) = number.Groups[i].Value
    let digits = BigInteger.Parse(part 2 + part 3)
    let exponent = if part 4 = "" then 0 else int (part 4)

    {
        Digits = if part 1 = "-" then -digits else digits
        Exponent = exponent - (part 3).Length
    }

/// The sign of `decimal − value`, exactly.
let private compareExactly decimal (value: Dyadic) =
    let tens (exponent: int) =
        BigInteger.Pow(BigInteger 10, max 0 exponent)

    // Both are multiplied with the denominators of both.
    let left =
        decimal.Digits
        * tens decimal.Exponent
        * (BigInteger.One <<< max 0 -value.Exponent)

    let right =
        value.Mantissa
        * tens -decimal.Exponent
        * (BigInteger.One <<< max 0 value.Exponent)

    (left - right).Sign

let private sideOf (text: string) (value: float) =
    compareExactly (parse text) (Dyadic.ofFloat value)

/// The last of `count` digits of the text, moved by one, towards zero or away from it.
let private moved count step text =
    let decimal = parse text

    if decimal.Digits.IsZero then
        decimal
    else
        let missing =
            count - (BigInteger.Abs decimal.Digits).ToString().TrimStart('0').Length

        {
            Digits =
                decimal.Digits * BigInteger.Pow(BigInteger 10, max 0 missing)
                + BigInteger(step: int)
            Exponent = decimal.Exponent - max 0 missing
        }

/// Any finite double: all magnitudes, signs and subnormal numbers, some of few decimals, some of few bits, and those beside a power of ten.
let private anyFinite seed =
    let random = Random(seed: int)
    let sign = if random.Next 2 = 0 then 1.0 else -1.0

    let value =
        match random.Next 6 with
        | 0 -> BitConverter.Int64BitsToDouble(random.NextInt64() &&& ((1L <<< 52) - 1L))
        | 1 -> float (random.Next 100000) * Math.Pow(10.0, float (random.Next 12 - 6))
        | 2 -> Math.ScaleB(float (random.Next 64), random.Next 2000 - 1000)
        | 3 ->
            let power = Double.Parse $"1e{random.Next 600 - 300}"
            [| Math.BitDecrement power; power; Math.BitIncrement power |][random.Next 3]
        | 4 -> random.NextDouble() * 100.0
        | _ -> BitConverter.Int64BitsToDouble(random.NextInt64())

    sign * (if Double.IsFinite value then value else Double.MaxValue)

let private extremes =
    [
        0.0
        -0.0
        Double.Epsilon
        -Double.Epsilon
        Double.MaxValue
        -Double.MaxValue
        0.1
        1.0
        9.9999999
        999999.5
        1e-5
        1e22
        2.0420821284858923
    ]

let private checkSides count value =
    let upward, downward = Figure.upwardTo count value, Figure.downwardTo count value
    Assert.That(sideOf upward value, Is.GreaterThanOrEqualTo 0, $"{value:R} as {upward}")
    Assert.That(sideOf downward value, Is.LessThanOrEqualTo 0, $"{value:R} as {downward}")

    // One unit of the last digit less, or more, is on the other side.
    let exact = Dyadic.ofFloat value

    if value <> 0.0 then
        Assert.That(compareExactly (moved count -1 upward) exact, Is.LessThan 0, $"{value:R} as {upward} is too large")

        Assert.That(
            compareExactly (moved count 1 downward) exact,
            Is.GreaterThan 0,
            $"{value:R} as {downward} is too small"
        )

[<Test>]
let ``Upper bounds are shown upward and lower bounds downward, within a unit of the last digit`` () =
    for value in extremes do
        for count in 1..17 do
            checkSides count value

    check 3000 id (fun seed -> checkSides (1 + seed % 17 |> abs |> max 1) (anyFinite seed))

[<Test>]
let ``A text that reads back as the same double may still lie below it`` () =
    // Why sides are compared exactly: the text 0.1 reads back as a double above 0.1.
    Assert.That(float "0.1", Is.EqualTo 0.1)
    Assert.That(sideOf "0.1" 0.1, Is.Negative)
    Assert.That(Figure.upward 0.1, Is.EqualTo "0.100001")
    Assert.That(Figure.downward 0.1, Is.EqualTo "0.1")

[<TestCase(0.0, "0", "0")>]
[<TestCase(1.0, "1", "1")>]
[<TestCase(2.5, "2.5", "2.5")>]
[<TestCase(-2.5, "-2.5", "-2.5")>]
[<TestCase(2.0420821284858923, "2.04209", "2.04208")>]
[<TestCase(-2.0420821284858923, "-2.04208", "-2.04209")>]
[<TestCase(999999.5, "1E+06", "999999")>]
[<TestCase(9.9999999, "10", "9.99999")>]
[<TestCase(123456.0, "123456", "123456")>]
[<TestCase(1234567.0, "1.23457E+06", "1.23456E+06")>]
[<TestCase(0.0001, "0.000100001", "0.0001")>]
[<TestCase(1.6e-9, "1.60001E-09", "1.6E-09")>]
[<TestCase(5e-324, "4.94066E-324", "4.94065E-324")>]
[<TestCase(Double.PositiveInfinity, "inf", "inf")>]
[<TestCase(Double.NegativeInfinity, "-inf", "-inf")>]
[<TestCase(Double.NaN, "nan", "nan")>]
let ``Six digits, short where the number is`` (value: float) (up: string) (down: string) =
    Assert.That(Figure.upward value, Is.EqualTo up)
    Assert.That(Figure.downward value, Is.EqualTo down)

[<Test>]
let ``What is measured is shown to the nearest digit`` () =
    check 500 anyFinite (fun value ->
        for count in [ 1; 4; 15 ] do
            let shown = float (Figure.nearestTo count value)

            if Double.IsFinite shown && abs value > 1e-290 then
                // Half a unit of the last of `count` digits, and the rounding of reading it back.
                let unit = 0.5 * Math.Pow(10.0, 1.0 - float count) * abs value * (1.0 + 1e-9)
                Assert.That(shown, Is.EqualTo(value).Within(unit + 1e-15 * abs value)))

[<Test>]
let ``A ratio is shown upward`` () =
    check 2000 id (fun seed ->
        let a, b = abs (anyFinite seed), abs (anyFinite (seed + 1))

        if a > 0.0 && b > 0.0 then
            let shown = parse (Figure.ratioTo 4 a b)

            let tens exponent =
                BigInteger.Pow(BigInteger 10, max 0 exponent)

            let times (d: Dyadic) =
                { d with
                    Mantissa = d.Mantissa * shown.Digits * tens shown.Exponent
                }

            // shown·b ≥ a
            let scaled =
                { Dyadic.ofFloat a with
                    Mantissa = (Dyadic.ofFloat a).Mantissa * tens -shown.Exponent
                }

            Assert.That(Dyadic.isAtMost (times (Dyadic.ofFloat b)) scaled, $"{a:R} over {b:R}"))

    Assert.That(Figure.ratioTo 4 3.0 2.0, Is.EqualTo "1.5")
    Assert.That(Figure.ratioTo 4 1.0 1.0, Is.EqualTo "1")
    Assert.That(Figure.ratioTo 4 (Math.BitIncrement 1.0) 1.0, Is.EqualTo "1.001")

[<Test>]
let ``A gap is shown upward, and 0 only where there is none`` () =
    Assert.That(Figure.percentAboveTo 3 1.0 1.0, Is.EqualTo "0")
    Assert.That(Figure.percentAboveTo 3 1.5 1.0, Is.EqualTo "50")
    Assert.That(Figure.percentAboveTo 3 (Math.BitIncrement 1.0) 1.0, Is.EqualTo "2.23E-14")
    Assert.That(Figure.percentAboveTo 3 1e300 1e-300, Does.EndWith "E+602")

[<Test>]
let ``A probability that was asked for is shown as it was asked for, others upward`` () =
    Assert.That(Figure.probability 1e-9, Is.EqualTo "1E-09")
    Assert.That(Figure.probability 0.0, Is.EqualTo "0")
    Assert.That(Figure.probability (Math.BitIncrement 1e-9), Is.EqualTo "1.1E-09")
    Assert.That(Figure.probability 3.21e-10, Is.EqualTo "3.3E-10")

[<Test>]
let ``All shares of a failure probability together stay below its text`` () =
    for whole in [ 1e-9; 1e-6; 0.01; 0.3; 1e-300 ] do
        for count in [ 1; 2; 3; 7; 16; 100; 3000 ] do
            let share =
                (Certification.share
                    count
                    { Certification.standard with
                        FailureProbability = whole
                    })
                    .FailureProbability

            let sum =
                Seq.replicate count (Probabilistic share)
                |> Seq.reduce Rigor.combine
                |> Rigor.failureProbability

            Assert.That(sum, Is.GreaterThan(0.999 * whole))
            Assert.That(sideOf (Figure.exact whole) sum, Is.Positive, $"{count} shares of {whole}")

[<Test>]
let ``Exact figures read back`` () =
    check 500 anyFinite (fun value ->
        for value in [ value; infinity; -infinity; nan; 0.0 ] do
            match Figure.tryParse (Figure.exact value) with
            | Some read -> Assert.That(read.Equals value)
            | None -> Assert.Fail $"{value}")

[<Test>]
let ``The checker shows bounds by the shortest text that is not below them and reads back`` () =
    check 2000 anyFinite (fun value ->
        let value = abs value
        let text = LipVerify.Checker.Decimals.upward value
        Assert.That(float text, Is.EqualTo value, text)
        Assert.That(sideOf text value, Is.GreaterThanOrEqualTo 0, $"{value:R} as {text}"))

[<TestCase(0.0, "0")>]
[<TestCase(1.0, "1")>]
[<TestCase(0.1, "0.10000000000000001")>]
[<TestCase(0.3, "0.3")>]
[<TestCase(1234.5, "1234.5")>]
[<TestCase(1.0000000000000002e-5, "0.000010000000000000003")>]
[<TestCase(1.5e300, "1.5000000000000001E+300")>]
[<TestCase(1.5e-9, "1.5E-9")>]
let ``What the checker shows is short where the number is`` (value: float) (text: string) =
    Assert.That(LipVerify.Checker.Decimals.upward value, Is.EqualTo text)

/// The sources of what is shown, found above the tests.
let private sources =
    let rec above (folder: DirectoryInfo | null) =
        match folder with
        | null -> failwith "the sources lie in no folder above the tests"
        | folder when File.Exists(Path.Combine(folder.FullName, "LipVerify.sln")) -> folder.FullName
        | folder -> above folder.Parent

    let root = above (DirectoryInfo AppContext.BaseDirectory)

    [
        "src/LipVerify.Core"
        "src/LipVerify.Cli"
        "src/LipVerify"
        "proofs-checks/Checker"
        "samples"
    ]
    |> List.collect (fun folder ->
        [ "*.fs"; "*.cs" ]
        |> List.collect (fun pattern ->
            Directory.GetFiles(Path.Combine(root, folder), pattern, SearchOption.AllDirectories)
            |> List.ofArray))
    |> List.filter (fun path -> not (path.Contains "/obj/" || path.Contains "/bin/"))

/// A hole of an interpolated text with a format of numbers, a call of `ToString` with one, or `printf` with one: none of them says
/// which side a number is on.
let private formatted =
    Regex @"\{[^{}""]*:[EFGR][0-9]*\}|ToString\(?\s*\(?""[EFGR][0-9]*""|%[0-9.]*[efgEFG][^a-z]"

/// A hole that shows a number that is a bound, without a word on its side.
let private bare =
    Regex @"\{([\w.\[\]]*\.)?(Value|Radius|Distance|Lipschitz|Lower|TopTwoGap)\}|\{[\w.\[\]]*\.Upper\}"

/// What writes numbers: `Figure` itself, the checker's counterpart, the marks of axes, and the tables of an experiment.
let private writers = [ "Figure.fs"; "Decimals.fs"; "Axis.fs"; "Tables.fs" ]

[<Test>]
let ``Nothing but Figure formats a number that is shown`` () =
    let offences =
        [
            for path in sources do
                if not (List.contains (string (Path.GetFileName path)) writers) then
                    for i, line in File.ReadAllLines path |> Array.indexed do
                        let isComment = line.TrimStart().StartsWith "//"

                        if not isComment && (formatted.IsMatch line || bare.IsMatch line) then
                            $"{path}:{i + 1}: {line.Trim()}"
        ]

    Assert.That(sources.Length, Is.GreaterThan 150)
    Assert.That(offences, Is.Empty, String.Join('\n', offences))

[<TestCase "$\"at most {bound.Value:G6}\"">]
[<TestCase "value.ToString(\"R\", CultureInfo.InvariantCulture)">]
[<TestCase "bound.Value.ToString \"G6\"">]
[<TestCase "printfn \"%.3f \" bound">]
[<TestCase "$\"at most {bound.Value}\"">]
let ``The look at the sources sees what it looks for`` (line: string) =
    Assert.That(formatted.IsMatch line || bare.IsMatch line)
