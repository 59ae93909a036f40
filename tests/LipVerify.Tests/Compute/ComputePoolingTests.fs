module LipVerify.Tests.ComputePoolingTests

open System
open FsCheck.FSharp
open LipVerify.Compute
open LipVerify.Tests.ComputeReference
open Expecto
open LipVerify.Propositions.Expectations

let private suiteOfComputePooling (engine: IEngine) =

    let pooling =
        gen {
            let! rows = axis 10
            let! columns = axis 10
            let! ceil = Gen.elements [ true; false ]

            let mode (a: WindowAxis) =
                WindowAxis(a.Input, a.Kernel, a.Stride, a.PadBefore, a.PadAfter, a.Dilation, ceil)

            let! channels = Gen.choose (1, 3)
            let! batch = Gen.choose (1, 3)
            let! seed = Gen.choose (0, 1000000)
            return PoolingGeometry(channels, mode rows, mode columns), batch, seed
        }
        |> Gen.filter (fun (g, _, _) ->
            try
                g.Validate()
                true
            with :? ArgumentException ->
                false)

    let maxPool (g: PoolingGeometry) (x: float[]) batch =
        let y, winners =
            Array.zeroCreate (batch * g.OutputSize), Array.zeroCreate (batch * g.OutputSize)

        let mutable geometry = g
        engine.MaxPool(&geometry, host x, batch, host y, winners)
        y, winners

    let average (g: PoolingGeometry) countPadding (x: float[]) batch =
        let y = Array.create (batch * g.OutputSize) nan
        let mutable geometry = g
        engine.AveragePool(&geometry, countPadding, host x, batch, host y)
        y

    let averageAdjoint (g: PoolingGeometry) countPadding (y: float[]) batch =
        let x = Array.create (batch * g.InputSize) nan
        let mutable geometry = g
        engine.AveragePoolAdjoint(&geometry, countPadding, host y, batch, host x)
        x

    [
        testCase "max pooling takes the first largest value of each window, and padding never wins" (fun () ->
            check 150 pooling (fun (g, batch, seed) ->
                // Few different values, all negative: ties abound, and a zero from the padding would show.
                let x =
                    randomValues seed (batch * g.InputSize)
                    |> Array.map (fun v -> floor (2.0 * v) - 5.0)

                let y, winners = maxPool g x batch

                for image in 0 .. batch - 1 do
                    poolingWindows g
                    |> Array.iteri (fun output (taps, _) ->
                        let value tap = x[image * g.InputSize + tap]
                        let largest = taps |> Array.map value |> Array.max
                        Expect.equal y[image * g.OutputSize + output] largest "y[image * g.OutputSize + output]"

                        Expect.equal
                            winners[image * g.OutputSize + output]
                            (taps |> Array.find (fun t -> value t = largest))
                            "winners[image * g.OutputSize + output]")))

        testCase "max pooling hands on the first value that is not a number" (fun () ->
            let g = PoolingGeometry(1, WindowAxis(2, 2, 2), WindowAxis(4, 2, 2))
            let y, winners = maxPool g [| 1.0; nan; 3.0; 4.0; nan; 9.0; 2.0; 1.0 |] 1
            Expect.isTrue (Double.IsNaN y[0] && y[1] = 4.0) "Double.IsNaN y[0] && y[1] = 4.0"
            Expect.isTrue (winners = [| 1; 3 |]) "winners = [| 1; 3 |]")

        testCase "average pooling divides by the taps inside the input or inside the padded input" (fun () ->
            check 100 pooling (fun (g, batch, seed) ->
                let x = randomValues seed (batch * g.InputSize)

                for countPadding in [ true; false ] do
                    let expected =
                        [|
                            for image in 0 .. batch - 1 do
                                for taps, padded in poolingWindows g do
                                    let divisor = float (if countPadding then padded else taps.Length)
                                    let values = taps |> Array.map (fun tap -> x[image * g.InputSize + tap])

                                    {
                                        Value = Array.sum values / divisor
                                        Absolute = Array.sumBy abs values / divisor
                                    }
                        |]

                    assertWithinRounding
                        $"{g}"
                        (g.Rows.Kernel * g.Columns.Kernel + 1)
                        expected
                        (average g countPadding x batch)))

        testCase "⟨Px, y⟩ = ⟨x, Pᵀy⟩ within rounding for average pooling" (fun () ->
            check 100 pooling (fun (g, batch, seed) ->
                let x, y =
                    randomValues seed (batch * g.InputSize), randomValues (seed + 1) (batch * g.OutputSize)

                for countPadding in [ true; false ] do
                    let inner = Array.fold2 (fun sum a b -> sum + a * b) 0.0

                    let left, right =
                        inner (average g countPadding x batch) y, inner x (averageAdjoint g countPadding y batch)

                    let absolute =
                        Array.fold2
                            (fun sum a b -> sum + a * abs b)
                            0.0
                            (average g countPadding (Array.map abs x) batch)
                            y
                    // A sum over a window (or over the windows of an input), a division, and the inner product; the sum of absolute
                    // values is itself rounded, which the last few terms allow for.
                    let terms = 2 * g.Rows.Kernel * g.Columns.Kernel + max x.Length y.Length + 4
                    Expect.isLessThanOrEqual (abs (left - right)) (2.0 * gamma terms * absolute) "abs (left - right)"))

        testCase "a ceil-mode overhang is not counted as padding" (fun () ->
            // Windows over 0 1 2 | 3 4 -: PyTorch divides the second by 2.
            let g = PoolingGeometry(1, WindowAxis(1, 1), WindowAxis(5, 3, 3, 0, 0, 1, true))
            assertSameBits [| 2.0; 5.0 |] (average g true [| 1.0; 2.0; 3.0; 4.0; 6.0 |] 1))

        testCase "blocks that are too short are refused with both numbers" (fun () ->
            let mutable g = PoolingGeometry(1, WindowAxis(4, 2, 2), WindowAxis(4, 2, 2))
            let x, y = host (Array.zeroCreate 16), host (Array.zeroCreate 4)

            Expect.stringContainsAll
                (refusal (fun () -> engine.MaxPool(&g, x, 2, y, null)))
                [ "32"; "16" ]
                "refusal (fun () -> engine.MaxPool(&g, x, 2, y, null))"

            Expect.stringContainsAll
                (refusal (fun () -> engine.MaxPool(&g, x, 1, y, Array.zeroCreate 3)))
                [ "4"; "3" ]
                "refusal (fun () -> engine.MaxPool(&g, x, 1, y, Array.zeroCreate 3))"

            Expect.stringContainsAll
                (refusal (fun () -> engine.AveragePool(&g, true, x, 1, host (Array.zeroCreate 3))))
                [ "4"; "3" ]
                ""

            Expect.stringContainsAll
                (refusal (fun () -> engine.AveragePoolAdjoint(&g, true, y, 1, y)))
                [ "16"; "4" ]
                "refusal (fun () -> engine.AveragePoolAdjoint(&g, true, y, 1, y))")

    ]

[<Tests>]
let tests =
    testList
        "ComputePooling"
        [
            onEngine "managed" 1 suiteOfComputePooling
            onEngine "managed" 2 suiteOfComputePooling
            onEngine "torch:cpu" 2 suiteOfComputePooling
            onEngine "ilgpu:cpu" 2 suiteOfComputePooling
            onEngine "cuda" 2 suiteOfComputePooling
        ]
