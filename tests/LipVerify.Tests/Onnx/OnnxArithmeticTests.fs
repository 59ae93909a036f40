/// MatMul, Gemm and the elementwise operators against naive sums.
module LipVerify.Tests.OnnxArithmeticTests

open System
open Expecto
open LipVerify.Core.Computation
open LipVerify.Tests.OnnxWriter
open LipVerify.Tests.OnnxReference

[<Tests>]
let tests =
    testList
        "OnnxArithmetic"
        [
            testTheory "Gemm is alpha A B + beta C" [ 0, 0; 0, 1; 1, 0; 1, 1 ] (fun (transA, transB) ->
                let w = draw 1 12
                let c = draw 2 3

                let columns =
                    [|
                        for i in 0..3 do
                            for j in 0..2 -> w[j * 4 + i]
                    |]

                let dims, stored = if transB = 1 then [ 3; 4 ], w else [ 4; 3 ], columns

                let x, y =
                    model
                        (if transA = 1 then [ 4; 1 ] else [ 1; 4 ])
                        [
                            node
                                "Gemm"
                                [ "x"; "w"; "c" ]
                                "y"
                                [
                                    int "transA" transA
                                    int "transB" transB
                                    real "alpha" 0.5f
                                    real "beta" 2.0f
                                ]
                        ]
                        [ doubles "w" dims stored; doubles "c" [ 3 ] c ]
                    |> outcome 7

                same (Array.map2 (fun p c -> 0.5 * p + 2.0 * c) (times w x) c) y)

            testTheory "Gemm broadcasts C of any shape" [ "3"; "1"; ""; "1 3"; "1 1" ] (fun (dims: string) ->
                let dims =
                    dims.Split(' ', StringSplitOptions.RemoveEmptyEntries)
                    |> Array.map Int32.Parse
                    |> List.ofArray

                let w = draw 1 12
                let c = draw 2 (Shape.size dims)

                let x, y =
                    model
                        [ 1; 4 ]
                        [ node "Gemm" [ "x"; "w"; "c" ] "y" [ int "transB" 1 ] ]
                        [ doubles "w" [ 3; 4 ] w; doubles "c" dims c ]
                    |> outcome 7

                same (times w x |> Array.mapi (fun i p -> p + c[if c.Length = 1 then 0 else i])) y)

            testCase "Gemm with the constant on the left multiplies a column" (fun () ->
                let w = draw 1 12

                let x, y =
                    model [ 4; 1 ] [ node "Gemm" [ "w"; "x" ] "y" [] ] [ doubles "w" [ 3; 4 ] w ]
                    |> outcome 7

                same (times w x) y)

            testTheory
                "MatMul with the constant on the right is a dense layer of its transpose"
                [ "1 4", "4 3"; "4", "4 3"; "1 1 4", "4 3"; "1 4", "1 4 3" ]
                (fun (input: string, factor: string) ->
                    let dims (text: string) =
                        text.Split ' ' |> Array.map Int32.Parse |> List.ofArray

                    let w = draw 1 12

                    let stored =
                        [|
                            for i in 0..3 do
                                for j in 0..2 -> w[j * 4 + i]
                        |]

                    let x, y =
                        model (dims input) [ node "MatMul" [ "x"; "w" ] "y" [] ] [ doubles "w" (dims factor) stored ]
                        |> outcome 7

                    same (times w x) y)

            testTheory
                "MatMul with the constant on the left multiplies a vector or a column"
                [ "4"; "4 1"; "1 4 1" ]
                (fun (input: string) ->
                    let w = draw 1 12
                    let dims = input.Split ' ' |> Array.map Int32.Parse |> List.ofArray

                    let x, y =
                        model dims [ node "MatMul" [ "w"; "x" ] "y" [] ] [ doubles "w" [ 3; 4 ] w ]
                        |> outcome 7

                    same (times w x) y)

            testCase "a bias after MatMul becomes part of the dense layer" (fun () ->
                let w = draw 1 12
                let c = draw 2 3

                let file =
                    model
                        [ 4 ]
                        [ node "MatMul" [ "w"; "x" ] "h" []; node "Add" [ "c"; "h" ] "y" [] ]
                        [ doubles "w" [ 3; 4 ] w; doubles "c" [ 3 ] c ]

                let x, y = outcome 7 file
                same (Array.map2 (+) (times w x) c) y
                Expect.equal (kinds (read file).Network) [ "dense" ] "kinds (read file).Network")

            testCase "a bias that would have to be rounded stays a layer of its own" (fun () ->
                let file =
                    model
                        [ 1; 1 ]
                        [ node "Gemm" [ "x"; "w"; "b" ] "h" []; node "Add" [ "h"; "c" ] "y" [] ]
                        [
                            doubles "w" [ 1; 1 ] [| 1.0 |]
                            doubles "b" [ 1 ] [| 1.0 |]
                            doubles "c" [ 1 ] [| 1e-20 |]
                        ]

                Expect.equal (kinds (read file).Network) [ "dense"; "diagonal" ] "kinds (read file).Network")

            testTheory
                "arithmetic with a constant broadcasts over the other axes"
                [
                    "Add", false
                    "Add", true
                    "Sub", false
                    "Sub", true
                    "Mul", false
                    "Mul", true
                    "Div", false
                ]
                (fun (operator, constantFirst) ->
                    let c = [| 0.5; -2.0; 4.0 |]
                    let inputs = if constantFirst then [ "c"; "x" ] else [ "x"; "c" ]

                    let x, y =
                        model [ 1; 3; 2; 2 ] [ node operator inputs "y" [] ] [ doubles "c" [ 3; 1; 1 ] c ]
                        |> outcome 9

                    let expected i value =
                        let c = c[i / 4]
                        let a, b = if constantFirst then c, value else value, c

                        match operator with
                        | "Add" -> a + b
                        | "Sub" -> a - b
                        | "Mul" -> a * b
                        | _ -> a / b

                    same (Array.mapi expected x) y)

            testCase "Relu keeps what is positive" (fun () ->
                let x, y = model [ 1; 9 ] [ node "Relu" [ "x" ] "y" [] ] [] |> outcome 11
                same (Array.map (max 0.0) x) y)

            testCase "BatchNormalization is gamma (x - mean) / sqrt(var + eps) + beta" (fun () ->
                let gamma, beta, mean = draw 1 3, draw 2 3, draw 3 3
                let variance = [| 0.5; 1.0; 3.0 |]

                let tensors =
                    [ "g", gamma; "b", beta; "m", mean; "v", variance ]
                    |> List.map (fun (name, values) -> doubles name [ 3 ] values)

                let x, y =
                    model
                        [ 1; 3; 2; 2 ]
                        [
                            node "BatchNormalization" [ "x"; "g"; "b"; "m"; "v" ] "y" [ real "epsilon" 0.25f ]
                        ]
                        tensors
                    |> outcome 5

                let expected i value =
                    let c = i / 4
                    gamma[c] * (value - mean[c]) / sqrt (variance[c] + 0.25) + beta[c]

                close (Array.mapi expected x) y)
        ]
