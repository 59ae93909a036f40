/// Operators between constants: what a runtime computes in the element type is what the layer holds.
module LipVerify.Tests.OnnxConstantTests

open System
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Propositions.Generators
open LipVerify.Tests.OnnxWriter

/// The one weight of a model whose last node multiplies by the constant `w` that `nodes` make.
let private weightOf nodes tensors =
    let network =
        (read (model [ 1; 1 ] (nodes @ [ node "Mul" [ "x"; "w" ] "y" [] ]) tensors)).Network

    match Network.layers network with
    | [ { Layer = Affine(Diagonal scale, _) } ] -> (Tensor.values scale)[0]
    | _ -> failwith "the model is no product"

let private isSame (expected: float) (actual: float) =
    Expect.equal
        (BitConverter.DoubleToInt64Bits actual)
        (BitConverter.DoubleToInt64Bits expected)
        $"{expected:R}, {actual:R}"

let private cast target value =
    weightOf [ node "Cast" [ "c" ] "w" [ int "to" target ] ] [ doubles "c" [ 1 ] [| value |] ]

/// Doubles of every size that singles have, subnormal ones and halves of units among them.
let private ofSingleSize (draw: Draw) =
    draw.Pick
        [
            draw.Gaussian()
            draw.Gaussian() * draw.Power(-45.0, 38.0)
            float (draw.Int(-100, 100)) * Math.ScaleB(1.0, -150)
            1.0 + float (draw.Int(0, 8)) * Math.ScaleB(1.0, -25)
        ]

[<Tests>]
let tests =
    testList
        "OnnxConstant"
        [
            statement "Cast to FLOAT rounds to nearest, ties to even" 500 (Draw >> ofSingleSize) (fun value ->
                if Single.IsFinite(float32 value) then
                    isSame (float (float32 value)) (cast 1 value))

            statement "Cast of FLOAT to FLOAT16 rounds to nearest, ties to even" 500 Draw (fun draw ->
                let value =
                    float32 (
                        draw.Pick
                            [
                                draw.Gaussian()
                                draw.Gaussian() * draw.Power(-8.0, 4.0)
                                1.0 + float (draw.Int(0, 8)) / 4096.0
                            ]
                    )

                weightOf [ node "Cast" [ "c" ] "w" [ int "to" 10 ] ] [ singles "c" [ 1 ] [| float value |] ]
                |> isSame (float (Half.op_Explicit value: Half)))

            testTheory
                "Cast to BFLOAT16 keeps eight digits"
                [
                    1.00390625, 1.0
                    1.01171875, 1.015625
                    1.004, 1.0078125
                    -3.0e38, -3.00405527e38
                ]
                (fun (value: float, expected: float) ->
                    let rounded =
                        weightOf [ node "Cast" [ "c" ] "w" [ int "to" 16 ] ] [ singles "c" [ 1 ] [| value |] ]

                    Expect.isWithin (1e-8 * abs expected) rounded expected "rounded"
                    // The lower half of the pattern of a single is empty.
                    Expect.equal
                        (BitConverter.SingleToUInt32Bits(float32 rounded) &&& 0xFFFFu)
                        0u
                        "BitConverter.SingleToUInt32Bits(float32 rounded) &&& 0xFFFFu")

            testTheory
                "a constant that Cast makes infinite is refused"
                [ 1, 1e39; 10, 65520.0; 16, 3.4e38 ]
                (fun (target, value: float) ->
                    let line =
                        refusal (
                            model
                                [ 1; 1 ]
                                [ node "Cast" [ "c" ] "w" [ int "to" target ]; node "Mul" [ "x"; "w" ] "y" [] ]
                                [ (if target = 1 then doubles else singles) "c" [ 1 ] [| value |] ]
                        )

                    Expect.stringContains line "node 0 (Cast)" "line"
                    Expect.stringContains line "infinite" "line")

            testCase "a double that runtimes round to a half in two ways is refused" (fun () ->
                // In one step to 1 + 2^-10; by way of float, where the last bit is lost, to the tie and from there to 1.
                let value = 1.0 + Math.ScaleB(1.0, -11) + Math.ScaleB(1.0, -40)

                let line =
                    refusal (
                        model
                            [ 1; 1 ]
                            [ node "Cast" [ "c" ] "w" [ int "to" 10 ]; node "Mul" [ "x"; "w" ] "y" [] ]
                            [ doubles "c" [ 1 ] [| value |] ]
                    )

                Expect.stringContains line "FLOAT16" "line")

            testCase "integers are cut off towards zero and come back rounded" (fun () ->
                let nodes =
                    [
                        node "Cast" [ "c" ] "i" [ int "to" 7 ]
                        node "Cast" [ "i" ] "w" [ int "to" 1 ]
                    ]

                isSame -2.0 (weightOf nodes [ doubles "c" [ 1 ] [| -2.9 |] ])
                isSame 16777216.0 (weightOf nodes [ doubles "c" [ 1 ] [| 16777217.0 |] ]))

            testTheory
                "arithmetic of FLOAT constants is rounded to FLOAT"
                [ "Add"; "Sub"; "Mul"; "Div" ]
                (fun operator ->
                    check 200 Draw (fun draw ->
                        let a, b = float32 (draw.Gaussian()), float32 (draw.Gaussian())

                        let expected =
                            match operator with
                            | "Add" -> a + b
                            | "Sub" -> a - b
                            | "Mul" -> a * b
                            | _ -> a / b

                        weightOf
                            [ node operator [ "a"; "b" ] "w" [] ]
                            [ singles "a" [ 1 ] [| float a |]; singles "b" [ 1 ] [| float b |] ]
                        |> isSame (float expected)))

            testCase "Gemm's alpha and beta lose nothing" (fun () ->
                let w, c = 1.0 / 3.0, 0.1
                let alpha, beta = 0.1f, 0.3f

                let network =
                    (read (
                        model
                            [ 1; 1 ]
                            [ node "Gemm" [ "x"; "w"; "c" ] "y" [ real "alpha" alpha; real "beta" beta ] ]
                            [ doubles "w" [ 1; 1 ] [| w |]; doubles "c" [ 1 ] [| c |] ]
                    ))
                        .Network

                let product a b =
                    Dyadic.multiply (Dyadic.ofFloat a) (Dyadic.ofFloat b)

                let first (tensor: Tensor) = (Tensor.values tensor)[0]

                let factors, biases =
                    Network.layers network
                    |> List.map (fun placed ->
                        match placed.Layer with
                        | Affine(Scaled(scale, Dense dense), bias) ->
                            product (first scale) (first dense.Weights), first bias
                        | Affine(Diagonal scale, bias) -> product (first scale) 1.0, first bias
                        | _ -> failwith "an affine layer was expected")
                    |> List.unzip

                let difference a b = Dyadic.sign (Dyadic.subtract a b)

                let factor = factors |> List.reduce Dyadic.multiply

                let bias = biases |> List.map Dyadic.ofFloat |> List.reduce Dyadic.add

                Expect.equal
                    (difference factor (product (float alpha) w))
                    0
                    "difference factor (product (float alpha) w)"

                Expect.equal (difference bias (product (float beta) c)) 0 "difference bias (product (float beta) c)")

            testCase "LogSoftmax is refused with what would do" (fun () ->
                let line =
                    refusal (model [ 1; 4 ] [ node "Relu" [ "x" ] "h" []; node "LogSoftmax" [ "h" ] "y" [] ] [])

                Expect.stringContains line "node 1 (LogSoftmax)" "line"
                Expect.stringContains line "√n" "line"
                Expect.stringContains line "'h'" "line")
        ]
