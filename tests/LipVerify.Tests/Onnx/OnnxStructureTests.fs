/// Shapes, branches, names and stored weights.
module LipVerify.Tests.OnnxStructureTests

open System
open Expecto
open LipVerify.Core.Networks
open LipVerify.Tests.OnnxWriter
open LipVerify.Tests.OnnxReference

// The same weights 1.5 and −0.25 in every storage: 0x3E00 and 0xB400 in float16, 0x3FC0 and 0xBE80 in bfloat16.
let private storages =
    let packedFloats = [| 1.5f; -0.25f |] |> Array.collect BitConverter.GetBytes
    let packedDoubles = [| 1.5; -0.25 |] |> Array.collect BitConverter.GetBytes

    [
        "raw float", 1L, [ bytes 9 packedFloats ]
        "float_data, packed", 1L, [ bytes 4 packedFloats ]
        "float_data", 1L, [ single 4 1.5f; single 4 -0.25f ]
        "raw double", 11L, [ bytes 9 packedDoubles ]
        "double_data", 11L, [ bytes 10 packedDoubles ]
        "raw float16", 10L, [ bytes 9 [| 0x00uy; 0x3Euy; 0x00uy; 0xB4uy |] ]
        "float16 in int32_data", 10L, [ integer 5 0x3E00L; integer 5 0xB400L ]
        "raw bfloat16", 16L, [ bytes 9 [| 0xC0uy; 0x3Fuy; 0x80uy; 0xBEuy |] ]
        "bfloat16 in int32_data", 16L, [ integer 5 0x3FC0L; integer 5 0xBE80L ]
    ]

[<Tests>]
let tests =
    testList
        "OnnxStructure"
        [
            testCase "shape operators leave the values as they are" (fun () ->
                let nodes =
                    [
                        node "Flatten" [ "x" ] "a" [ int "axis" 1 ]
                        node "Unsqueeze" [ "a" ] "b" [ ints "axes" [ 0; -1 ] ]
                        node "Squeeze" [ "b" ] "c" [ ints "axes" [ 3 ] ]
                        node "Reshape" [ "c"; "s" ] "d" []
                        node "Transpose" [ "d" ] "e" [ ints "perm" [ 1; 0; 2; 3 ] ]
                        node "Dropout" [ "e" ] "f" []
                        node "Cast" [ "f" ] "g" [ int "to" 11 ]
                        node "Identity" [ "g" ] "y" []
                    ]

                let file = model [ 1; 2; 3; 4 ] nodes [ longs "s" [ 0; 1; -1; 4 ] ]
                let x, y = outcome 6 file
                same x y
                Expect.equal (read file).Network.OutputShape [ 1; 6; 4 ] "output shape")

            testCase "the shape computation of PyTorch's view is folded" (fun () ->
                let nodes =
                    [
                        node "Shape" [ "x" ] "shape" []
                        node
                            "Constant"
                            []
                            "zero"
                            [
                                attribute
                                    "value"
                                    4L
                                    [ bytes 5 (tensorOf "" [] 7L [ bytes 9 (BitConverter.GetBytes 0L) ]) ]
                            ]
                        node "Gather" [ "shape"; "zero" ] "batch" [ int "axis" 0 ]
                        node "Unsqueeze" [ "batch" ] "first" [ ints "axes" [ 0 ] ]
                        node "Constant" [] "rest" [ attribute "value_ints" 7L [ integer 8 -1L ] ]
                        node "Concat" [ "first"; "rest" ] "target" [ int "axis" 0 ]
                        node "Reshape" [ "x"; "target" ] "y" []
                    ]

                let file = modelWith [ Name "batch"; Size 2L; Size 3L; Size 4L ] nodes []
                let x, y = outcome 6 file
                same x y
                Expect.equal (read file).Network.OutputShape [ 24 ] "output shape")

            testCase "a residual sum is the sum of its branches" (fun () ->
                let w = draw 1 16

                let nodes =
                    [
                        node "Relu" [ "x" ] "a" []
                        node "Gemm" [ "a"; "w" ] "b" [ int "transB" 1 ]
                        node "Relu" [ "b" ] "c" []
                        node "Add" [ "c"; "a" ] "d" []
                        node "Add" [ "d"; "d" ] "e" []
                        node "Relu" [ "e" ] "y" []
                    ]

                let x, y = model [ 1; 4 ] nodes [ doubles "w" [ 4; 4 ] w ] |> outcome 2
                let a = Array.map (max 0.0) x
                same (Array.map2 (fun b a -> max 0.0 (2.0 * (max 0.0 b + a))) (times w a) a) y)

            testCase "a final Softmax is dropped with a notice" (fun () ->
                let file =
                    model [ 1; 4 ] [ node "Relu" [ "x" ] "h" []; node "Softmax" [ "h" ] "y" [ int "axis" 1 ] ] []

                let x, y = outcome 2 file
                same (Array.map (max 0.0) x) y

                Expect.hasLength
                    ((read file).Notices |> List.filter (fun notice -> notice.Contains "Softmax"))
                    1
                    "notices of a Softmax")

            testCase "layers are named after weights, else after nodes, else after operator and position" (fun () ->
                let gemm name weight input output =
                    nodeNamed name "Gemm" [ input; weight ] [ output ] []

                let file =
                    model
                        [ 1; 2 ]
                        [
                            gemm "/first" "a.b.weight" "x" "h"
                            gemm "/second" "c" "h" "i"
                            gemm "" "d" "i" "y"
                        ]
                        ([ "a.b.weight"; "c"; "d" ]
                         |> List.map (fun name -> doubles name [ 2; 2 ] [| 1.0; 2.0; 3.0; 4.0 |]))

                let names = Network.layers (read file).Network |> List.map _.Name
                Expect.equal names [ "a.b"; "/second"; "Gemm_2" ] "names")

            for name, elementType, fields in storages do
                testCase $"weights are exact: {name}" (fun () ->
                    let weights = tensorOf "w" [ 2L; 1L ] elementType fields
                    let file = model [ 1; 2 ] [ node "MatMul" [ "x"; "w" ] "y" [] ] [ weights ]
                    same [| 1.5 * 3.0 - 0.25 * 2.0 |] (evaluate (read file).Network [| 3.0; 2.0 |]))
        ]
