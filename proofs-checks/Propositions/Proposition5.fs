module LipVerify.Propositions.Proposition5

open LipVerify.Compute
open LipVerify.Core.Bounds
open LipVerify.Propositions.Generators
open LipVerify.Propositions.Oracles
open NUnit.Framework

let internal geometry seed =
    let draw = Draw seed
    poolingGeometry draw (draw.Int(1, 2), draw.Int(1, 9), draw.Int(1, 9))

let private formula (g: PoolingGeometry) =
    Propositions.overlapOfWindows (g.Rows.Kernel, g.Columns.Kernel) (g.Rows.Stride, g.Columns.Stride)

/// The most windows that hold one input, counted.
let internal counted g =
    windows g |> Seq.concat |> Seq.countBy id |> Seq.map snd |> Seq.max

[<Test>]
let ``Proposition 5: the geometry counts what its windows show`` () =
    check 300 geometry (fun g -> Assert.That(g.MaxOverlap, Is.EqualTo(counted g)))

[<Test>]
let ``Proposition 5: without dilation the formula is never below the count`` () =
    check 300 geometry (fun g ->
        if g.Rows.Dilation = 1 && g.Columns.Dilation = 1 then
            Assert.That(formula g, Is.GreaterThanOrEqualTo(counted g)))

[<Test>]
let ``Proposition 5: the formula is the count once the input is large`` () =
    check 200 geometry (fun g ->
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
        Assert.That(counted large, Is.EqualTo(formula large))
        Assert.That(large.MaxOverlap, Is.EqualTo(formula large)))

[<Test>]
let ``Proposition 5: common windows`` () =
    let overlap kernel stride =
        Propositions.overlapOfWindows (kernel, kernel) (stride, stride)

    Assert.That(overlap 2 2, Is.EqualTo 1)
    Assert.That(overlap 3 2, Is.EqualTo 4) // AlexNet
    Assert.That(overlap 3 1, Is.EqualTo 9)
    Assert.That(overlap 2 3, Is.EqualTo 1)
    Assert.That(Propositions.overlapOfWindows (3, 2) (2, 1), Is.EqualTo 4)
