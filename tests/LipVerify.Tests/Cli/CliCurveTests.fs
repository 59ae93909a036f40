/// `curve` from the command line: its files, interruption and resumption, and what it refuses.
module LipVerify.Tests.CliCurveTests

open System
open System.IO
open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Tests.CliRun
open LipVerify.Tests.CurveRuns

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliCurve"
        [
            testCase "The CSV file has the header of the contract and one row a point, in order" (fun () ->
                inFolder (fun folder ->
                    let csv = Path.Combine(folder, "curve.csv")
                    curve [ "--radii"; "0.1:1:2"; "--csv"; csv ] |> succeeds |> ignore
                    let lines = File.ReadAllLines csv
                    Expect.equal lines[0] "radius,method,value,rigor,seconds" "lines[0]"

                    let names = [ for line in lines[1..] -> String.Join(",", line.Split(',')[..1]) ]

                    let expected =
                        [
                            for radius in [ "0.1"; "1" ] do
                                for method in [ "global"; "analytic"; "gradient"; "sampling" ] -> $"{radius},{method}"
                        ]

                    Expect.isTrue (names = expected) (String.Join(" ", names))

                    let value index =
                        Double.Parse(lines[index].Split(',')[2], Globalization.CultureInfo.InvariantCulture)

                    Expect.isWithin 1e-4 (value 1) (57.10365451) "value 1"
                    Expect.isWithin 1e-4 (value 2) (20.69699071) "value 2"
                    Expect.isWithin 1e-4 (value 6) (36.43959569) "value 6"
                    Expect.isLessThan (value 3) (value 2) "value 3"
                    Expect.isGreaterThan (value 3) 0.0 "value 3"
                    Expect.isLessThan (value 4) (value 2) "value 4"
                    Expect.isGreaterThan (value 4) 0.0 "value 4"
                    Expect.equal (lines[2].Split(',')[3]) "certified" "lines[2].Split(',')[3]"
                    Expect.equal (lines[3].Split(',')[3]) "certified" "lines[3].Split(',')[3]"))

            testCase "Radii stand in the table as they were asked for" (fun () ->
                let output =
                    curve [ "--radii"; "0.1234567,0.12345678"; "--methods"; "global" ] |> succeeds

                let radii =
                    lines output |> List.ofSeq |> List.map (fun line -> line.Trim().Split(' ')[0])

                Expect.contains radii "0.1234567" "radii"
                Expect.contains radii "0.12345678" "radii")

            testTheory
                "Radii may be steps or a list"
                [
                    "0.5,0.1,0.1", "0.1 0.5"
                    "0:1:3", "0 0.5 1"
                    "0.01:1:3:log", "0.01 0.1 1"
                    "2", "2"
                ]
                (fun (radii: string, expected: string) ->
                    let output = curve [ "--radii"; radii; "--methods"; "global"; "--json" ] |> succeeds

                    let points =
                        JsonDocument.Parse(output).RootElement.GetProperty("points").EnumerateArray()

                    let radii =
                        [
                            for point in points -> Math.Round(point.GetProperty("radius").GetDouble(), 12) |> string
                        ]

                    Expect.equal (String.Join(" ", radii)) expected "String.Join(\" \", radii)")

            testCase "An interrupted curve goes on where it ended, with the same values" (fun () ->
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
                            Expect.isTrue (rows parts = rows whole) $"{kept} rows"
                            // What was there is not computed anew: its times stay.
                            Expect.stringStarts (File.ReadAllText parts) text "File.ReadAllText parts"))

            testCase "A killed process leaves whole rows, and the same command goes on" (fun () ->
                if OperatingSystem.IsWindows() then
                    skiptest "needs a POSIX shell"

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

                    Expect.equal outcome.ExitCode 137 outcome.Error
                    let left = File.ReadAllText parts
                    Expect.isGreaterThanOrEqual (lines left).Length 4 "length"
                    Expect.stringEnds left "\n" "left"
                    run (command parts) |> succeeds |> ignore
                    run (command whole) |> succeeds |> ignore
                    // The last row may have been killed before its digest was written; it is computed again.
                    let finished =
                        String.concat "" [ for line in (lines left)[.. (lines left).Length - 2] -> line + "\n" ]

                    Expect.stringStarts (File.ReadAllText parts) finished "File.ReadAllText parts"
                    Expect.isTrue (rows parts = rows whole) "rows parts = rows whole"))

            testCase "Ctrl-C says what is done, with exit code 130" (fun () ->
                if OperatingSystem.IsWindows() then
                    skiptest "needs a POSIX shell"

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

                    Expect.equal outcome.ExitCode 130 outcome.Error
                    Expect.isEmpty outcome.Output "output"
                    let text = File.ReadAllText csv
                    Expect.stringEnds text "\n" "text"
                    let count = (lines text).Length - 1
                    Expect.stringContains outcome.Error $"{count} of 1600 points are in {csv}" "error"))

            testCase "A curve of other things is not gone on with" (fun () ->
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
                            run ([ "curve"; "zoo:mnist-net"; "--input"; eight; "--preprocess"; "mnist" ] @ radii),
                            "network"
                            run ([ "curve"; onnx; "--input"; eight; "--samples"; "40" ] @ radii), "input"
                            run ([ "curve"; onnx; "--input"; eight; "--preprocess"; "mnist" ] @ radii), "samples"
                        ]

                    for outcome, difference in others do
                        outcome |> fails [ csv; $"another {difference}"; "--restart" ]
                        Expect.equal (File.ReadAllText csv) before "File.ReadAllText csv"

                    curve (radii @ [ "--seed"; "1"; "--restart" ]) |> succeeds |> ignore
                    Expect.equal (rows csv).Length 5 "length"
                    Expect.notEqual (File.ReadAllText csv) before "File.ReadAllText csv"))

            testCase "A file that is no curve is not touched" (fun () ->
                inFolder (fun folder ->
                    let csv = Path.Combine(folder, "notes.csv")
                    let command = [ "--radii"; "0.1"; "--methods"; "global"; "--csv"; csv ]
                    File.WriteAllText(csv, "my notes\n")
                    curve command |> fails [ csv; "--restart" ]
                    File.WriteAllText(csv + ".state", "{}")
                    curve command |> fails [ csv; "--restart" ]
                    File.WriteAllText(csv + ".state", "no json")
                    curve command |> fails [ csv; "--restart" ]
                    Expect.equal (File.ReadAllText csv) "my notes\n" "File.ReadAllText csv"
                    curve (command @ [ "--restart" ]) |> succeeds |> ignore
                    // Rows that were changed by hand.
                    File.WriteAllText(csv, (File.ReadAllText csv).Replace("0.1,global", "0.2,global"))
                    curve command |> fails [ csv; "--restart" ]))

            testCase "Bad usage of curve is one line, before any work" (fun () ->
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

                    Expect.isEmpty (Directory.GetFileSystemEntries folder) "Directory.GetFileSystemEntries folder"))

            testCase "A refused curve leaves no file behind" (fun () ->
                inFolder (fun folder ->
                    let csv = Path.Combine(folder, "curve.csv")

                    run [ "curve"; "missing.onnx"; "--input"; "zeros"; "--radii"; "1"; "--csv"; csv ]
                    |> fails [ "missing.onnx" ]

                    Expect.isEmpty (Directory.GetFileSystemEntries folder) "Directory.GetFileSystemEntries folder"))

            testCase "The state of the file is closed to another run" (fun () ->
                inFolder (fun folder ->
                    let csv = Path.Combine(folder, "curve.csv")
                    let command = [ "--radii"; "0.1"; "--methods"; "global"; "--csv"; csv ]
                    curve command |> succeeds |> ignore
                    use _ = new FileStream(csv, FileMode.Open, FileAccess.Write, FileShare.None)
                    curve command |> fails [ csv ]))
        ]
