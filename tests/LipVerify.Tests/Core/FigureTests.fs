/// Numbers as text for readers: bounds are shown on their own side, in exact arithmetic, and nothing formats a number but `Figure`.
module LipVerify.Tests.FigureTests

open System
open System.IO
open System.Numerics
open System.Text.RegularExpressions
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Propositions.Generators

/// `digits·10^exponent`: what a decimal text says, without rounding.
[<Struct>]
type private Decimal = { Digits: BigInteger; Exponent: int }

let private parse (text: string) =
    let number = Regex.Match(text, @"^(-?)(\d+)(?:\.(\d+))?(?:E([+-]\d+))?$")
    Expect.isTrue number.Success text
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
    Expect.isGreaterThanOrEqual (sideOf upward value) 0 $"{value:R} as {upward}"
    Expect.isLessThanOrEqual (sideOf downward value) 0 $"{value:R} as {downward}"

    // One unit of the last digit less, or more, is on the other side.
    let exact = Dyadic.ofFloat value

    if value <> 0.0 then
        Expect.isLessThan (compareExactly (moved count -1 upward) exact) 0 $"{value:R} as {upward} is too large"

        Expect.isGreaterThan (compareExactly (moved count 1 downward) exact) 0 $"{value:R} as {downward} is too small"

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

[<Tests>]
let tests =
    testList
        "Figure"
        [
            testCase
                "Upper bounds are shown upward and lower bounds downward, within a unit of the last digit"
                (fun () ->
                    for value in extremes do
                        for count in 1..17 do
                            checkSides count value

                    check 3000 id (fun seed -> checkSides (1 + seed % 17 |> abs |> max 1) (anyFinite seed)))

            testCase "A text that reads back as the same double may still lie below it" (fun () ->
                // Why sides are compared exactly: the text 0.1 reads back as a double above 0.1.
                Expect.equal (float "0.1") 0.1 "float \"0.1\""
                Expect.isLessThan (sideOf "0.1" 0.1) 0 "sideOf \"0.1\" 0.1"
                Expect.equal (Figure.upward 0.1) "0.100001" "Figure.upward 0.1"
                Expect.equal (Figure.downward 0.1) "0.1" "Figure.downward 0.1")

            testTheory
                "Six digits, short where the number is"
                [
                    0.0, "0", "0"
                    1.0, "1", "1"
                    2.5, "2.5", "2.5"
                    -2.5, "-2.5", "-2.5"
                    2.0420821284858923, "2.04209", "2.04208"
                    -2.0420821284858923, "-2.04208", "-2.04209"
                    999999.5, "1E+06", "999999"
                    9.9999999, "10", "9.99999"
                    123456.0, "123456", "123456"
                    1234567.0, "1.23457E+06", "1.23456E+06"
                    0.0001, "0.000100001", "0.0001"
                    1.6e-9, "1.60001E-09", "1.6E-09"
                    5e-324, "4.94066E-324", "4.94065E-324"
                    Double.PositiveInfinity, "inf", "inf"
                    Double.NegativeInfinity, "-inf", "-inf"
                    Double.NaN, "nan", "nan"
                ]
                (fun (value: float, up: string, down: string) ->
                    Expect.equal (Figure.upward value) up "Figure.upward value"
                    Expect.equal (Figure.downward value) down "Figure.downward value")

            statement "What is measured is shown to the nearest digit" 500 anyFinite (fun value ->
                for count in [ 1; 4; 15 ] do
                    let shown = float (Figure.nearestTo count value)

                    if Double.IsFinite shown && abs value > 1e-290 then
                        // Half a unit of the last of `count` digits, and the rounding of reading it back.
                        let unit = 0.5 * Math.Pow(10.0, 1.0 - float count) * abs value * (1.0 + 1e-9)
                        Expect.isWithin (unit + 1e-15 * abs value) shown value "shown")

            testCase "A ratio is shown upward" (fun () ->
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

                        Expect.isTrue (Dyadic.isAtMost (times (Dyadic.ofFloat b)) scaled) $"{a:R} over {b:R}")

                Expect.equal (Figure.ratioTo 4 3.0 2.0) "1.5" "Figure.ratioTo 4 3.0 2.0"
                Expect.equal (Figure.ratioTo 4 1.0 1.0) "1" "Figure.ratioTo 4 1.0 1.0"

                Expect.equal
                    (Figure.ratioTo 4 (Math.BitIncrement 1.0) 1.0)
                    "1.001"
                    "Figure.ratioTo 4 (Math.BitIncrement 1.0) 1.0")

            testCase "A gap is shown upward, and 0 only where there is none" (fun () ->
                Expect.equal (Figure.percentAboveTo 3 1.0 1.0) "0" "Figure.percentAboveTo 3 1.0 1.0"
                Expect.equal (Figure.percentAboveTo 3 1.5 1.0) "50" "Figure.percentAboveTo 3 1.5 1.0"

                Expect.equal
                    (Figure.percentAboveTo 3 (Math.BitIncrement 1.0) 1.0)
                    "2.23E-14"
                    "Figure.percentAboveTo 3 (Math.BitIncrement 1.0) 1.0"

                Expect.stringEnds (Figure.percentAboveTo 3 1e300 1e-300) "E+602" "Figure.percentAboveTo 3 1e300 1e-300")

            testCase "A probability that was asked for is shown as it was asked for, others upward" (fun () ->
                Expect.equal (Figure.probability 1e-9) "1E-09" "Figure.probability 1e-9"
                Expect.equal (Figure.probability 0.0) "0" "Figure.probability 0.0"

                Expect.equal
                    (Figure.probability (Math.BitIncrement 1e-9))
                    "1.1E-09"
                    "Figure.probability (Math.BitIncrement 1e-9)"

                Expect.equal (Figure.probability 3.21e-10) "3.3E-10" "Figure.probability 3.21e-10")

            testCase "All shares of a failure probability together stay below its text" (fun () ->
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

                        Expect.isGreaterThan sum (0.999 * whole) "sum"
                        Expect.isGreaterThan (sideOf (Figure.exact whole) sum) 0 $"{count} shares of {whole}")

            statement "Exact figures read back" 500 anyFinite (fun value ->
                for value in [ value; infinity; -infinity; nan; 0.0 ] do
                    match Figure.tryParse (Figure.exact value) with
                    | Some read -> Expect.isTrue (read.Equals value) "read.Equals value"
                    | None -> failtest $"{value}")

            statement
                "The checker shows bounds by the shortest text that is not below them and reads back"
                2000
                anyFinite
                (fun value ->
                    let value = abs value
                    let text = LipVerify.Checker.Decimals.upward value
                    Expect.equal (float text) value text
                    Expect.isGreaterThanOrEqual (sideOf text value) 0 $"{value:R} as {text}")

            testTheory
                "What the checker shows is short where the number is"
                [
                    0.0, "0"
                    1.0, "1"
                    0.1, "0.10000000000000001"
                    0.3, "0.3"
                    1234.5, "1234.5"
                    1.0000000000000002e-5, "0.000010000000000000003"
                    1.5e300, "1.5000000000000001E+300"
                    1.5e-9, "1.5E-9"
                ]
                (fun (value: float, text: string) ->
                    Expect.equal
                        (LipVerify.Checker.Decimals.upward value)
                        text
                        "LipVerify.Checker.Decimals.upward value")

            testCase "Nothing but Figure formats a number that is shown" (fun () ->
                let offences =
                    [
                        for path in sources do
                            if not (List.contains (string (Path.GetFileName path)) writers) then
                                for i, line in File.ReadAllLines path |> Array.indexed do
                                    let isComment = line.TrimStart().StartsWith "//"

                                    if not isComment && (formatted.IsMatch line || bare.IsMatch line) then
                                        $"{path}:{i + 1}: {line.Trim()}"
                    ]

                Expect.isGreaterThan sources.Length 150 "length"
                Expect.isEmpty offences (String.Join('\n', offences)))

            testTheory
                "The look at the sources sees what it looks for"
                [
                    "$\"at most {bound.Value:G6}\""
                    "value.ToString(\"R\", CultureInfo.InvariantCulture)"
                    "bound.Value.ToString \"G6\""
                    "printfn \"%.3f \" bound"
                    "$\"at most {bound.Value}\""
                ]
                (fun (line: string) ->
                    Expect.isTrue
                        (formatted.IsMatch line || bare.IsMatch line)
                        "formatted.IsMatch line || bare.IsMatch line")
        ]
