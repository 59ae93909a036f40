/// `curve` from the command line: its files, interruption and resumption, and what it refuses.
module LipVerify.Tests.CliCurveTests

open System
open System.IO
open System.Text.Json
open NUnit.Framework
open LipVerify.Tests.CliRun
open LipVerify.Tests.CurveRuns

[<Test>]
let ``The CSV file has the header of the contract and one row a point, in order`` () =
    inFolder (fun folder ->
        let csv = Path.Combine(folder, "curve.csv")
        curve [ "--radii"; "0.1:1:2"; "--csv"; csv ] |> succeeds |> ignore
        let lines = File.ReadAllLines csv
        Assert.That(lines[0], Is.EqualTo "radius,method,value,rigor,seconds")

        let names = [ for line in lines[1..] -> String.Join(",", line.Split(',')[..1]) ]

        let expected =
            [
                for radius in [ "0.1"; "1" ] do
                    for method in [ "global"; "analytic"; "gradient"; "sampling" ] -> $"{radius},{method}"
            ]

        Assert.That((names = expected), String.Join(" ", names))

        let value index =
            Double.Parse(lines[index].Split(',')[2], Globalization.CultureInfo.InvariantCulture)

        Assert.That(value 1, Is.EqualTo(57.10365451).Within 1e-4)
        Assert.That(value 2, Is.EqualTo(20.69699071).Within 1e-4)
        Assert.That(value 6, Is.EqualTo(36.43959569).Within 1e-4)
        Assert.That(value 3, Is.LessThan(value 2).And.Positive)
        Assert.That(value 4, Is.LessThan(value 2).And.Positive)
        Assert.That(lines[2].Split(',')[3], Is.EqualTo "certified")
        Assert.That(lines[3].Split(',')[3], Is.EqualTo "certified"))

[<Test>]
let ``Radii stand in the table as they were asked for`` () =
    let output =
        curve [ "--radii"; "0.1234567,0.12345678"; "--methods"; "global" ] |> succeeds

    let radii =
        lines output |> List.ofSeq |> List.map (fun line -> line.Trim().Split(' ')[0])

    Assert.That(radii, Does.Contain "0.1234567")
    Assert.That(radii, Does.Contain "0.12345678")

[<TestCase("0.5,0.1,0.1", "0.1 0.5")>]
[<TestCase("0:1:3", "0 0.5 1")>]
[<TestCase("0.01:1:3:log", "0.01 0.1 1")>]
[<TestCase("2", "2")>]
let ``Radii may be steps or a list`` (radii: string) (expected: string) =
    let output = curve [ "--radii"; radii; "--methods"; "global"; "--json" ] |> succeeds

    let points =
        JsonDocument.Parse(output).RootElement.GetProperty("points").EnumerateArray()

    let radii =
        [
            for point in points -> Math.Round(point.GetProperty("radius").GetDouble(), 12) |> string
        ]

    Assert.That(String.Join(" ", radii), Is.EqualTo expected)

[<Test>]
let ``An interrupted curve goes on where it ended, with the same values`` () =
    inFolder (fun folder ->
        let whole, parts =
            Path.Combine(folder, "whole.csv"), Path.Combine(folder, "parts.csv")

        let command csv =
            curve [ "--radii"; "0.1:1:3"; "--csv"; csv ]

        command whole |> succeeds |> ignore
        command parts |> succeeds |> ignore
        let lines = File.ReadAllLines parts
        let state = File.ReadAllBytes(parts + ".state")

        // Any number of whole rows, and a row that a crash of the machine cut off.
        for kept in [ 0; 1; 2; 5; 12 ] do
            for tail in [ ""; lines[1].Substring(0, 7) ] do
                let text = String.concat "" [ for line in lines[..kept] -> line + "\n" ]
                File.WriteAllText(parts, text + (if kept < 12 then tail else ""))
                File.WriteAllBytes(parts + ".state", state)
                command parts |> succeeds |> ignore
                Assert.That((rows parts = rows whole), $"{kept} rows")
                // What was there is not computed anew: its times stay.
                Assert.That(File.ReadAllText parts, Does.StartWith text))

[<Test>]
let ``A killed process leaves whole rows, and the same command goes on`` () =
    if OperatingSystem.IsWindows() then
        Assert.Ignore "needs a POSIX shell"

    inFolder (fun folder ->
        let whole, parts =
            Path.Combine(folder, "whole.csv"), Path.Combine(folder, "parts.csv")

        let command csv =
            commandLine [ "--radii"; "0.05:2:12"; "--csv"; csv ]

        let words = command parts |> List.map (fun word -> $"'{word}'") |> String.concat " "

        // SIGKILL, so that nothing tidies up, once three rows are there.
        let outcome =
            shell
                $"dotnet \"$LIPVERIFY\" {words} >/dev/null 2>&1 & run=$!\nfor i in $(seq 600); do if [ \"$(wc -l <'{parts}' 2>/dev/null || echo 0)\" -ge 4 ]; then break; fi; sleep 0.05; done\nkill -KILL $run; wait $run"

        Assert.That(outcome.ExitCode, Is.EqualTo 137, outcome.Error)
        let left = File.ReadAllText parts
        Assert.That((lines left).Length, Is.GreaterThanOrEqualTo 4)
        Assert.That(left, Does.EndWith "\n")
        run (command parts) |> succeeds |> ignore
        run (command whole) |> succeeds |> ignore
        // The last row may have been killed before its digest was written; it is computed again.
        let finished =
            String.concat "" [ for line in (lines left)[.. (lines left).Length - 2] -> line + "\n" ]

        Assert.That(File.ReadAllText parts, Does.StartWith finished)
        Assert.That((rows parts = rows whole)))

[<Test>]
let ``Ctrl-C says what is done, with exit code 130`` () =
    if OperatingSystem.IsWindows() then
        Assert.Ignore "needs a POSIX shell"

    inFolder (fun folder ->
        let csv = Path.Combine(folder, "curve.csv")

        let words =
            commandLine [ "--radii"; "0.05:2:400"; "--csv"; csv ]
            |> List.map (fun word -> $"'{word}'")
            |> String.concat " "

        // The shell that waits for rows runs beside; the program takes the place of this one.
        let outcome =
            shell
                $"(for i in $(seq 600); do if [ \"$(wc -l <'{csv}' 2>/dev/null || echo 0)\" -ge 4 ]; then break; fi; sleep 0.05; done; kill -INT $$) >/dev/null 2>&1 & exec dotnet \"$LIPVERIFY\" {words}"

        Assert.That(outcome.ExitCode, Is.EqualTo 130, outcome.Error)
        Assert.That(outcome.Output, Is.Empty)
        let text = File.ReadAllText csv
        Assert.That(text, Does.EndWith "\n")
        let count = (lines text).Length - 1
        Assert.That(outcome.Error, Does.Contain $"{count} of 1600 points are in {csv}"))

[<Test>]
let ``A curve of other things is not gone on with`` () =
    inFolder (fun folder ->
        let csv = Path.Combine(folder, "curve.csv")
        let radii = [ "--radii"; "0.1,1"; "--methods"; "global,sampling"; "--csv"; csv ]
        curve radii |> succeeds |> ignore
        let before = File.ReadAllText csv

        let others =
            [
                curve (radii @ [ "--seed"; "1" ]), "seed"
                curve (radii @ [ "--definition"; "uniform" ]), "definition"
                curve [ "--radii"; "0.1,2"; "--methods"; "global,sampling"; "--csv"; csv ], "radii"
                curve [ "--radii"; "0.1,1"; "--methods"; "sampling,global"; "--csv"; csv ], "methods"
                run ([ "curve"; "zoo:mnist-net"; "--input"; eight; "--preprocess"; "mnist" ] @ radii), "network"
                run ([ "curve"; onnx; "--input"; eight; "--samples"; "40" ] @ radii), "input"
                run ([ "curve"; onnx; "--input"; eight; "--preprocess"; "mnist" ] @ radii), "samples"
            ]

        for outcome, difference in others do
            outcome |> fails [ csv; $"another {difference}"; "--restart" ]
            Assert.That(File.ReadAllText csv, Is.EqualTo before)

        curve (radii @ [ "--seed"; "1"; "--restart" ]) |> succeeds |> ignore
        Assert.That((rows csv).Length, Is.EqualTo 5)
        Assert.That(File.ReadAllText csv, Is.Not.EqualTo before))

[<Test>]
let ``A file that is no curve is not touched`` () =
    inFolder (fun folder ->
        let csv = Path.Combine(folder, "notes.csv")
        let command = [ "--radii"; "0.1"; "--methods"; "global"; "--csv"; csv ]
        File.WriteAllText(csv, "my notes\n")
        curve command |> fails [ csv; "--restart" ]
        File.WriteAllText(csv + ".state", "{}")
        curve command |> fails [ csv; "--restart" ]
        File.WriteAllText(csv + ".state", "no json")
        curve command |> fails [ csv; "--restart" ]
        Assert.That(File.ReadAllText csv, Is.EqualTo "my notes\n")
        curve (command @ [ "--restart" ]) |> succeeds |> ignore
        // Rows that were changed by hand.
        File.WriteAllText(csv, (File.ReadAllText csv).Replace("0.1,global", "0.2,global"))
        curve command |> fails [ csv; "--restart" ])

[<Test>]
let ``Bad usage of curve is one line, before any work`` () =
    inFolder (fun folder ->
        let radii = [ "--radii"; "0.1:1:3" ]

        let bad value parts =
            curve [ "--radii=" + value ] |> fails ("--radii" :: parts)

        curve [] |> fails [ "--radii"; "curve --help" ]
        bad "1:0.1:3" [ "less than" ]
        bad "1:1:3" [ "less than" ]
        bad "0:1:3:log" [ "cannot start at 0" ]
        bad "0:1:1" [ "from 2" ]
        bad "0:1:x" [ "from 2" ]
        bad "0:1" [ "A:B:N" ]
        bad "0:1:3:lin" [ "A:B:N" ]
        bad "-1:1:3" [ "not negative" ]
        bad "0.1,nan" [ "finite" ]
        bad "0:1e400:3" [ "finite" ]

        curve (radii @ [ "--methods"; "global,magic" ])
        |> fails [ "--methods"; "\"magic\"" ]

        curve (radii @ [ "--methods"; "" ]) |> fails [ "--methods" ]
        curve (radii @ [ "--methods"; "global,global" ]) |> fails [ "more than once" ]

        run [ "curve"; onnx; "--radii"; "1"; "--input"; eight; "--samples"; "0" ]
        |> fails [ "--samples" ]

        for option in [ "--csv"; "--plot"; "--html" ] do
            curve (radii @ [ option; folder ]) |> fails [ option; "folder" ]

            curve (radii @ [ option; "/nonexistent/x" ])
            |> fails [ option; "no such folder" ]

            curve (radii @ [ option; eight ]) |> fails [ option; "overwrite" ]

        let same = Path.Combine(folder, "x")

        curve (radii @ [ "--csv"; same; "--plot"; same ])
        |> fails [ "--plot"; "the same file" ]

        Assert.That(Directory.GetFileSystemEntries folder, Is.Empty))

[<Test>]
let ``A refused curve leaves no file behind`` () =
    inFolder (fun folder ->
        let csv = Path.Combine(folder, "curve.csv")

        run [ "curve"; "missing.onnx"; "--input"; "zeros"; "--radii"; "1"; "--csv"; csv ]
        |> fails [ "missing.onnx" ]

        Assert.That(Directory.GetFileSystemEntries folder, Is.Empty))

[<Test>]
let ``The state of the file is closed to another run`` () =
    inFolder (fun folder ->
        let csv = Path.Combine(folder, "curve.csv")
        let command = [ "--radii"; "0.1"; "--methods"; "global"; "--csv"; csv ]
        curve command |> succeeds |> ignore
        use _ = new FileStream(csv, FileMode.Open, FileAccess.Write, FileShare.None)
        curve command |> fails [ csv ])
