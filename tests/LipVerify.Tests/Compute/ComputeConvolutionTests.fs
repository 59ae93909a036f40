module LipVerify.Tests.ComputeConvolutionTests

open System
open LipVerify.Compute
open LipVerify.Tests.ComputeReference
open Expecto
open LipVerify.Propositions.Expectations

let private suiteOfComputeConvolution (engine: IEngine) =

    // Results are written over whatever the block held: it starts as NaN.
    let forward (engine: IEngine) (g: ConvolutionGeometry) (w: float[]) (x: float[]) batch =
        let y = Array.create (batch * g.OutputSize) nan
        let mutable geometry = g
        engine.Convolve(&geometry, host w, host x, batch, host y)
        y

    let adjoint (engine: IEngine) (g: ConvolutionGeometry) (w: float[]) (y: float[]) batch =
        let x = Array.create (batch * g.InputSize) nan
        let mutable geometry = g
        engine.ConvolveAdjoint(&geometry, host w, host y, batch, host x)
        x

    let square channels outputs size kernel stride padding groups =
        let axis = WindowAxis(size, kernel, stride, padding, padding)
        ConvolutionGeometry(channels, outputs, axis, axis, groups)

    let depth (g: ConvolutionGeometry) = g.WeightSize / g.OutChannels

    /// Every input meets at most this many products in the adjoint.
    let reach (g: ConvolutionGeometry) =
        g.OutChannels / g.Groups * g.Rows.Kernel * g.Columns.Kernel

    /// Large enough for several tiles, bands, blocks of channels and images in one tile.
    let large =
        [
            square 3 16 40 5 1 2 1, 1
            square 40 70 18 3 1 1 1, 1
            square 64 130 5 3 1 1 1, 9
            square 48 32 17 1 1 0 1, 2
            square 24 24 20 3 1 1 24, 2
            square 8 12 33 3 4 0 2, 1
            square 300 9 1 1 1 0 1, 40
        ]

    [
        testCase "a convolution is within rounding of its definition" (fun () ->
            check 150 convolution (fun (g, batch, seed) ->
                let w, x =
                    randomValues seed g.WeightSize, sparseValues (seed + 1) (batch * g.InputSize)

                assertWithinRounding $"{g}" (depth g) (convolve g w x batch) (forward engine g w x batch)))

        testCase "the adjoint is within rounding of its definition, and zero where no window reaches" (fun () ->
            check 150 convolution (fun (g, batch, seed) ->
                let w, y =
                    randomValues seed g.WeightSize, sparseValues (seed + 1) (batch * g.OutputSize)

                assertWithinRounding $"{g}" (reach g) (convolveAdjoint g w y batch) (adjoint engine g w y batch)))

        testCase
            "large convolutions and adjoints, cut into many tiles, are within rounding of their definitions"
            (fun () ->
                for g, batch in large do
                    let w, x, y =
                        randomValues 1 g.WeightSize,
                        randomValues 2 (batch * g.InputSize),
                        randomValues 3 (batch * g.OutputSize)

                    assertWithinRounding $"{g}" (depth g) (convolve g w x batch) (forward engine g w x batch)

                    assertWithinRounding
                        $"{g} adjoint"
                        (reach g)
                        (convolveAdjoint g w y batch)
                        (adjoint engine g w y batch))

        testCase "⟨W∗x, y⟩ = ⟨x, Wᵀy⟩ within rounding" (fun () ->
            check 100 convolution (fun (g, batch, seed) ->
                let w, x, y =
                    randomValues seed g.WeightSize,
                    randomValues (seed + 1) (batch * g.InputSize),
                    randomValues (seed + 2) (batch * g.OutputSize)

                let left =
                    Array.fold2 (fun sum a b -> sum + a * b) 0.0 (forward engine g w x batch) y

                let right =
                    Array.fold2 (fun sum a b -> sum + a * b) 0.0 x (adjoint engine g w y batch)
                // Each side errs by at most γ of both sums after one another, relative to ⟨|W| ∗ |x|, |y|⟩.
                let absolute =
                    convolve g w x batch
                    |> Array.mapi (fun i v -> v.Absolute * abs y[i])
                    |> Array.sum

                let terms = max (depth g + y.Length) (reach g + x.Length)

                Expect.isLessThanOrEqual
                    (abs (left - right))
                    (2.0 * gamma (terms + 1) * absolute)
                    "abs (left - right)"))

        testCase "convolution and adjoint have the same bits with one thread and with two" (fun () ->
            let alone = singleThreaded engine

            let same (g: ConvolutionGeometry, batch, seed) =
                let w, x, y =
                    randomValues seed g.WeightSize,
                    randomValues (seed + 1) (batch * g.InputSize),
                    randomValues (seed + 2) (batch * g.OutputSize)

                assertSameBits (forward alone g w x batch) (forward engine g w x batch)
                assertSameBits (adjoint alone g w y batch) (adjoint engine g w y batch)

            check 30 convolution same

            for g, batch in large do
                same (g, batch, 5))

        testCase "an input of zeros gives exact zeros" (fun () ->
            for g, batch in large do
                let w = randomValues 1 g.WeightSize

                Expect.allEqual
                    (forward engine g w (Array.zeroCreate (batch * g.InputSize)) batch)
                    0.0
                    "forward engine g w (Array.zeroCreate (batch * g.InputSize)) batch"

                Expect.allEqual
                    (adjoint engine g w (Array.zeroCreate (batch * g.OutputSize)) batch)
                    0.0
                    "adjoint engine g w (Array.zeroCreate (batch * g.OutputSize)) batch")

        testCase "one value that is not a number reaches exactly the windows that hold it" (fun () ->
            let g = square 2 3 6 3 1 1 1
            let w, x = randomValues 1 g.WeightSize, randomValues 2 g.InputSize
            x[6 * 3 + 3] <- nan
            let y = forward engine g w x 1

            for i in 0 .. y.Length - 1 do
                let row, column = i % 36 / 6, i % 6
                Expect.equal (Double.IsNaN y[i]) (abs (row - 3) <= 1 && abs (column - 3) <= 1) "Double.IsNaN y[i]")

        testCase "blocks that are too short are refused with both numbers, and so are shared ones" (fun () ->
            let g = square 2 3 4 3 1 1 1

            let w, x, y =
                host (Array.zeroCreate 54), host (Array.zeroCreate 64), host (Array.zeroCreate 96)

            let refused (weights: Storage) (x: Storage) batch (y: Storage) =
                let mutable geometry = g
                let mutable message = ""

                for call in
                    [
                        (fun () -> engine.Convolve(&geometry, weights, x, batch, y))
                        (fun () -> engine.ConvolveAdjoint(&geometry, weights, y, batch, x))
                    ] do
                    message <- refusal call

                message

            Expect.stringContainsAll
                (refused (host (Array.zeroCreate 53)) x 2 y)
                [ "54"; "53" ]
                "refused (host (Array.zeroCreate 53)) x 2 y"

            Expect.isMatch (refused w x 3 y) "96.*64|64.*96|144" "both numbers"

            Expect.stringContainsAll
                (refused w x 2 (host (Array.zeroCreate 95)))
                [ "96"; "95" ]
                "refused w x 2 (host (Array.zeroCreate 95))"

            Expect.stringContains (refused w y 2 y) "same block" "refused w y 2 y"
            Expect.stringContains (refused w x -1 y) "-1" "refused w x -1 y")

    ]

[<Tests>]
let tests =
    testList
        "ComputeConvolution"
        [
            onEngine "managed" 2 suiteOfComputeConvolution
            onEngine "openblas" 2 suiteOfComputeConvolution
            onEngine "torch:cpu" 2 suiteOfComputeConvolution
            onEngine "ilgpu:cpu" 2 suiteOfComputeConvolution
            onEngine "cuda" 2 suiteOfComputeConvolution
        ]
