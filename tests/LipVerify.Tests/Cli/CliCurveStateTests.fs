/// What a curve goes on from: rows as they were written, after crashes at any moment, and never rows that were changed; and
/// lower bounds that do not fall.
module LipVerify.Tests.CliCurveStateTests

open System
open System.IO
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Cli
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures
open LipVerify.Propositions
open LipVerify.Tests.CliRun
open LipVerify.Tests.CurveRuns

let private command csv =
    curve [ "--radii"; "0.1:1:3"; "--methods"; "global,sampling"; "--csv"; csv ]

/// A finished curve in a folder: the file, and what is in it and in its state.
let private finished folder =
    let csv = Path.Combine(folder, "curve.csv")
    command csv |> succeeds |> ignore
    csv, File.ReadAllBytes csv, File.ReadAllBytes(csv + ".state")

// -- lower bounds -------------------------------------------------------------------------------------------------

let private plan radii =
    {
        Radii = radii
        LogRadii = false
        Methods = [ UpperBound "global"; CurveMethod.GradientAscent; RandomSampling ]
        Samples = 3
        Starts = Some 1
    }

let private subject definition network input : CurvePoints.Subject =
    {
        Context = Generators.context
        Definition = definition
        Enclosure = Ball
        TimeLimit = None
        Network = network
        Input = input
    }

let private random seed =
    let random = Random(seed: int)
    let weights = Array.init 40 (fun _ -> random.NextDouble() - 0.5)

    Series
        [
            Step(
                "first",
                Layer.dense
                    (Tensor.ofArray [ 10; 4 ] weights)
                    (Tensor.vector (Array.init 10 (fun _ -> 0.2 * (random.NextDouble() - 0.5))))
            )
            Step("relu", Layer.relu)
            Step("second", Layer.dense (Tensor.ofArray [ 2; 10 ] weights[..19]) (Tensor.vector [| 0.0; 0.0 |]))
        ]
    |> Network.create [ 4 ]
    |> Result.toOption
    |> Option.get

let private radii = [ for i in 1..8 -> Math.Pow(3.0, float (i - 4)) ]

/// The rows of a curve whose bounds are all finite.
let private rowsOf plan subject finished =
    match CurvePoints.run plan subject finished ignore with
    | Ok rows -> rows
    | Error problem -> failwith (CommandError.text problem)

let private falls (values: float list) =
    List.pairwise values |> List.exists (fun (a, b) -> b < a)

let private valuesOf method (rows: CurveRow list) =
    rows |> List.filter (fun row -> row.Point.Method = method) |> List.map _.Value

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliCurveState"
        [
            testCase "any change of a row that was written is refused, and the file is left alone" (fun () ->
                inFolder (fun folder ->
                    let csv, bytes, _ = finished folder
                    let lines = File.ReadAllLines csv

                    let edit (from: string) (into: string) row =
                        [|
                            for i, line in Seq.indexed lines -> if i = row then line.Replace(from, into) else line
                        |]

                    let changes =
                        [
                            // A larger lower bound, a smaller upper bound, more rigor, another time, a row less, two rows exchanged.
                            edit ",sampling,0." ",sampling,1." 2
                            edit ",global,5" ",global,4" 1
                            edit ",certified," ",probabilistic," 1
                            edit "0." "00." 6
                            Array.removeAt 3 lines
                            Array.concat [ lines[..2]; [| lines[4]; lines[3] |]; lines[5..] ]
                        ]

                    for changed in changes do
                        Expect.isTrue (changed <> lines) "changed <> lines"
                        File.WriteAllLines(csv, changed)
                        let before = File.ReadAllText csv
                        command csv |> fails [ csv; "rows of the file were changed"; "--restart" ]
                        Expect.equal (File.ReadAllText csv) before "File.ReadAllText csv"

                    // Undone, or begun anew, it goes on.
                    File.WriteAllBytes(csv, bytes)
                    command csv |> succeeds |> ignore
                    File.WriteAllLines(csv, changes.Head)

                    curve
                        [
                            "--radii"
                            "0.1:1:3"
                            "--methods"
                            "global,sampling"
                            "--csv"
                            csv
                            "--restart"
                        ]
                    |> succeeds
                    |> ignore))

            // The two files are written one after the other, and a crash of the machine may take the end of either, or leave zeros there.
            testCase "after a crash at any moment the curve goes on from the last row with a digest" (fun () ->
                inFolder (fun folder ->
                    let csv, bytes, state = finished folder
                    let whole = rows csv
                    let headingLength = Array.IndexOf(state, byte '\n') + 1
                    let random = Random 3

                    for round in 1..60 do
                        let cut = random.Next(bytes.Length + 1)
                        let stateCut = random.Next(headingLength, state.Length + 1)
                        let zeros = Array.zeroCreate<byte>(if round % 3 = 0 then random.Next 200 else 0)
                        File.WriteAllBytes(csv, Array.append (Array.truncate cut bytes) zeros)
                        File.WriteAllBytes(csv + ".state", Array.append (Array.truncate stateCut state) zeros)
                        command csv |> succeeds |> ignore
                        Expect.isTrue (rows csv = whole) $"{cut} bytes of rows, {stateCut} of the state"
                        // It is whole again: the next run computes nothing.
                        let written = File.ReadAllText csv
                        command csv |> succeeds |> ignore
                        Expect.equal (File.ReadAllText csv) written "File.ReadAllText csv"))

            testCase "a file that an earlier version wrote is told" (fun () ->
                inFolder (fun folder ->
                    let csv, _, _ = finished folder

                    File.WriteAllText(
                        csv + ".state",
                        "{\n  \"schema\": \"lipverify/curve-state/1\",\n  \"network\": \"0123\"\n}\n"
                    )

                    command csv |> fails [ csv; "earlier version"; "--restart" ]))

            testCase "a curve is not written to a device or a pipe" (fun () ->
                for device in [ "/dev/null"; "/dev/stdout" ] do
                    command device |> fails [ device; "regular file" ])

            testTheory
                "lower bounds do not fall with the radius, wherever a run goes on"
                [ true; false ]
                (fun (uniform: bool) ->
                    let plan = plan radii
                    let mutable carried = 0

                    for seed in 1..8 do
                        let subject =
                            subject (if uniform then Uniform else Nominal) (random seed) (Tensor.create [ 4 ] 0.0)

                        let whole = rowsOf plan subject []

                        for method in [ CurveMethod.GradientAscent; RandomSampling ] do
                            let values = valuesOf method whole
                            Expect.isFalse (falls values) $"seed {seed}, {CurveMethod.name method}: {values}"

                            // Without the rows before, the search finds less at some radius.
                            for radius, value in List.zip radii values do
                                let alone =
                                    { plan with
                                        Radii = [ radius ]
                                        Methods = [ method ]
                                    }

                                let found = (rowsOf alone subject []).Head.Value
                                Expect.isGreaterThanOrEqual value found "value"

                                if found < value then
                                    carried <- carried + 1

                        let resumed = rowsOf plan subject (List.truncate 10 whole)

                        for method in plan.Methods do
                            Expect.isTrue (valuesOf method resumed = valuesOf method whole) $"seed {seed}"

                    Expect.isGreaterThan carried 8 "carried")

            testCase "a value that is carried keeps its rigor" (fun () ->
                let network, input = random 1, Tensor.create [ 4 ] 0.0

                let plan =
                    { plan [ 0.1; 1.0 ] with
                        Methods = [ RandomSampling ]
                    }

                // More than the network attains anywhere, so that the second row is the first's.
                let first =
                    {
                        Point = plan.Points.Head
                        Value = 1e6
                        Rigor = "numerical"
                        Seconds = 1.0
                    }

                let rows = rowsOf plan (subject Nominal network input) [ first ]
                Expect.equal rows[1].Value 1e6 "value"
                Expect.equal rows[1].Rigor "numerical" "rigor"
                Expect.equal rows[1].Point plan.Points[1] "point")
        ]
