module LipVerify.Tests.ComputeAgreementTests

open LipVerify.Compute
open LipVerify.Tests.ComputeReference
open Expecto

/// The two engines share the cutting of the work but not the products: at sizes out of reach of plain loops each checks the other.
let private suiteOfComputeAgreement () =
    let managed = engineOrSkip "managed" 2

    /// Both engines run `operation`, and once more on absolute values, which gives the scale of the rounding.
    let agree terms (inputs: float[] list) length (operation: IEngine -> Storage list -> Storage -> unit) =
        let run (engine: IEngine) (inputs: float[] list) =
            let result = Array.create length nan
            operation engine (inputs |> List.map host) (host result)
            result

        let absolute = run managed (inputs |> List.map (Array.map abs))

        let expected =
            Array.map2 (fun value absolute -> { Value = value; Absolute = absolute }) (run managed inputs) absolute
        // The sum of absolute values is rounded too: one more part in γ_terms, far below the doubled bound's slack.
        assertWithinRounding "openblas against managed" (terms + 1) expected (run (engineOrSkip "openblas" 2) inputs)

    [
        testTheory
            "the engines agree on matrix products"
            [ 40, 3001, 1100; 700, 650, 600; 3, 5000, 4000 ]
            (fun (m: int, n: int, k: int) ->
                for ta in [ true; false ] do
                    for tb in [ true; false ] do
                        agree k [ randomValues 1 (m * k); randomValues 2 (k * n) ] (m * n) (fun engine inputs result ->
                            let a = MatrixView.Of(inputs[0], (if ta then m else k))
                            let b = MatrixView.Of(inputs[1], (if tb then k else n))
                            engine.MatrixMultiply(ta, tb, m, n, k, 1.0, a, b, 0.0, MatrixView.Of(result, n))))

        testTheory
            "the engines agree on convolutions and adjoints"
            [
                3, 64, 96, 3, 1, 1, 1, 1
                128, 96, 28, 3, 1, 1, 1, 2
                96, 192, 27, 5, 1, 2, 2, 1
                3, 64, 160, 11, 4, 2, 1, 1
                256, 256, 7, 3, 2, 1, 1, 20
                128, 128, 30, 3, 1, 1, 128, 2
            ]
            (fun
                (channels: int, outputs: int, size: int, kernel: int, stride: int, padding: int, groups: int, batch: int) ->
                let axis = WindowAxis(size, kernel, stride, padding, padding)
                let g = ConvolutionGeometry(channels, outputs, axis, axis, groups)

                agree
                    (g.WeightSize / outputs)
                    [ randomValues 1 g.WeightSize; sparseValues 2 (batch * g.InputSize) ]
                    (batch * g.OutputSize)
                    (fun engine inputs result ->
                        let mutable geometry = g
                        engine.Convolve(&geometry, inputs[0], inputs[1], batch, result))

                agree
                    (outputs / groups * kernel * kernel)
                    [ randomValues 1 g.WeightSize; sparseValues 3 (batch * g.OutputSize) ]
                    (batch * g.InputSize)
                    (fun engine inputs result ->
                        let mutable geometry = g
                        engine.ConvolveAdjoint(&geometry, inputs[0], inputs[1], batch, result)))

    ]

[<Tests>]
let tests = testList "ComputeAgreement" [ yield! suiteOfComputeAgreement () ]
