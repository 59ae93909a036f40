/// Proved in proofs-checks/coq/statements/Proposition5.v; here it is held against the program.
module LipVerify.Propositions.Proposition5

open LipVerify.Compute
open LipVerify.Core.Bounds
open LipVerify.Propositions.Generators
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

let internal geometry seed =
    let draw = Draw seed
    poolingGeometry draw (draw.Int(1, 2), draw.Int(1, 9), draw.Int(1, 9))

let private formula (g: PoolingGeometry) =
    Propositions.overlapOfWindows (g.Rows.Kernel, g.Columns.Kernel) (g.Rows.Stride, g.Columns.Stride)

/// The most windows that hold one input, counted.
let internal counted g =
    windows g |> Seq.concat |> Seq.countBy id |> Seq.map snd |> Seq.max

[<Tests>]
let tests =
    testList
        "Proposition5"
        [
            statement "Proposition 5: the geometry counts what its windows show" 300 geometry (fun g ->
                Expect.equal g.MaxOverlap (counted g) "max overlap")

            statement "Proposition 5: without dilation the formula is never below the count" 300 geometry (fun g ->
                if g.Rows.Dilation = 1 && g.Columns.Dilation = 1 then
                    Expect.isGreaterThanOrEqual (formula g) (counted g) "formula g")

            statement "Proposition 5: the formula is the count once the input is large" 200 geometry (fun g ->
                // An input that every window offset reaches: past the leading padding, with all windows over it complete.
                let enlarge (axis: WindowAxis) =
                    WindowAxis(
                        2 * (axis.Kernel + axis.Stride) + axis.PadBefore,
                        axis.Kernel,
                        axis.Stride,
                        axis.PadBefore,
                        axis.PadAfter
                    )

                let large = PoolingGeometry(1, enlarge g.Rows, enlarge g.Columns)
                Expect.equal (counted large) (formula large) "counted large"
                Expect.equal large.MaxOverlap (formula large) "max overlap")

            testCase "Proposition 5: common windows" (fun () ->
                let overlap kernel stride =
                    Propositions.overlapOfWindows (kernel, kernel) (stride, stride)

                Expect.equal (overlap 2 2) 1 "overlap 2 2"
                Expect.equal (overlap 3 2) 4 "overlap 3 2" // AlexNet
                Expect.equal (overlap 3 1) 9 "overlap 3 1"
                Expect.equal (overlap 2 3) 1 "overlap 2 3"

                Expect.equal
                    (Propositions.overlapOfWindows (3, 2) (2, 1))
                    4
                    "Propositions.overlapOfWindows (3, 2) (2, 1)")
        ]
