/// What the reader does not support is refused with one line that says where and why.
module LipVerify.Tests.OnnxRefusalTests

open System
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Formats
open LipVerify.Tests.OnnxWriter

let private check (parts: string list) file =
    let line = refusal file
    Expect.stringLacks line "\n" "line"
    Expect.stringStarts line "model.onnx: " "line"

    for part in parts do
        Expect.stringContains line part "line"

let private vector nodes tensors = model [ 1; 4 ] nodes tensors
let private image nodes tensors = model [ 1; 2; 4; 4 ] nodes tensors
let private square = doubles "w" [ 4; 4 ] (draw 1 16)
let private gemm = node "Gemm" [ "x"; "w" ] "y" []
let private pooling = ints "kernel_shape" [ 2; 2 ]

let private cases: (string * string list * byte[]) list =
    [
        "an unknown operator",
        [ "node 1 (Einsum 'last')"; "not supported" ],
        vector [ node "Relu" [ "x" ] "h" []; nodeNamed "last" "Einsum" [ "h" ] [ "y" ] [] ] []
        "another operator set",
        [ "node 0"; "operator set 'com.microsoft'" ],
        vector [ message [ text 1 "x"; text 2 "y"; text 4 "Relu"; text 7 "com.microsoft" ] ] []
        "an unknown attribute",
        [ "node 0 (Relu)"; "'slope'" ],
        vector [ node "Relu" [ "x" ] "y" [ real "slope" 0.1f ] ] []
        "attributes without end",
        [ "more than 64 attributes" ],
        vector [ node "Relu" [ "x" ] "y" (List.replicate 65 [||]) ] []
        "a subgraph",
        [ "node 0 (If)"; "not supported" ],
        vector [ node "If" [ "x" ] "y" [ attribute "then_branch" 5L [ bytes 6 [||] ] ] ] []
        "a missing tensor", [ "node 0 (Gemm)"; "'w'" ], vector [ gemm ] []
        "a tensor made twice",
        [ "node 1"; "'h'" ],
        vector
            [
                node "Relu" [ "x" ] "h" []
                node "Relu" [ "h" ] "h" []
                node "Relu" [ "h" ] "y" []
            ]
            []
        "a product of computed tensors",
        [ "node 0 (Mul)"; "two computed tensors" ],
        vector [ node "Mul" [ "x"; "x" ] "y" [] ] []
        "a constant over a tensor",
        [ "node 0 (Div)" ],
        vector [ node "Div" [ "c"; "x" ] "y" [] ] [ doubles "c" [ 1 ] [| 1.0 |] ]
        "division by zero",
        [ "node 0 (Div)"; "by 0" ],
        vector [ node "Div" [ "x"; "c" ] "y" [] ] [ doubles "c" [ 1 ] [| 0.0 |] ]
        "a constant that enlarges",
        [ "node 0 (Add)"; "1×4" ],
        vector [ node "Add" [ "x"; "c" ] "y" [] ] [ doubles "c" [ 3; 1 ] (draw 1 3) ]
        "shapes that do not broadcast",
        [ "node 0 (Add)"; "broadcast" ],
        vector [ node "Add" [ "x"; "c" ] "y" [] ] [ doubles "c" [ 3 ] (draw 1 3) ]
        "inner sizes that differ",
        [ "node 0 (Gemm)"; "4 and 3 differ" ],
        vector [ gemm ] [ doubles "w" [ 3; 4 ] (draw 1 12) ]
        "a batch", [ "node 0 (Gemm)"; "batch of 1" ], model [ 5; 4 ] [ gemm ] [ square ]
        "channels that differ",
        [ "node 0 (Conv)"; "3 channels" ],
        image [ node "Conv" [ "x"; "k" ] "y" [] ] [ doubles "k" [ 1; 3; 2; 2 ] (draw 1 12) ]
        "a kernel larger than the image",
        [ "node 0 (Conv)"; "does not fit" ],
        image [ node "Conv" [ "x"; "k" ] "y" [] ] [ doubles "k" [ 1; 2; 5; 5 ] (draw 1 50) ]
        "groups that do not divide",
        [ "node 0 (Conv)"; "groups" ],
        image [ node "Conv" [ "x"; "k" ] "y" [ int "group" 0 ] ] [ doubles "k" [ 1; 2; 2; 2 ] (draw 1 8) ]
        "negative padding",
        [ "node 0 (MaxPool)"; "negative" ],
        image [ node "MaxPool" [ "x" ] "y" [ pooling; ints "pads" [ -1; 0; 0; 0 ] ] ] []
        "huge padding",
        [ "node 0 (MaxPool)" ],
        image
            [
                node "MaxPool" [ "x" ] "y" [ pooling; ints "pads" [ Int32.MaxValue - 1; 0; 0; 0 ] ]
            ]
            []
        "windows of padding alone",
        [ "node 0 (MaxPool)"; "padding only" ],
        image [ node "MaxPool" [ "x" ] "y" [ pooling; ints "pads" [ 2; 2; 2; 2 ] ] ] []
        "column order",
        [ "node 0 (MaxPool)"; "storage_order" ],
        image [ node "MaxPool" [ "x" ] "y" [ pooling; int "storage_order" 1 ] ] []
        "reflecting Pad",
        [ "node 0 (Pad)"; "reflect" ],
        image
            [
                node "Pad" [ "x" ] "y" [ words "mode" "reflect"; ints "pads" [ 0; 0; 1; 1; 0; 0; 1; 1 ] ]
            ]
            []
        "Pad with ones",
        [ "node 0 (Pad)"; "only zeros" ],
        image
            [
                node "Pad" [ "x" ] "y" [ real "value" 1.0f; ints "pads" [ 0; 0; 1; 1; 0; 0; 1; 1 ] ]
            ]
            []
        "Pad of channels",
        [ "node 0 (Pad)"; "channels" ],
        image [ node "Pad" [ "x" ] "y" [ ints "pads" [ 0; 1; 1; 1; 0; 0; 1; 1 ] ] ] []
        "Softmax inside",
        [ "node 0 (Softmax)"; "last" ],
        vector [ node "Softmax" [ "x" ] "h" []; node "Relu" [ "h" ] "y" [] ] []
        "a wrong Reshape",
        [ "node 0 (Reshape)"; "cannot" ],
        vector [ node "Reshape" [ "x"; "s" ] "y" [] ] [ longs "s" [ 3; -1 ] ]
        "a computed Reshape",
        [ "node 0 (Reshape)"; "constant integers" ],
        vector [ node "Reshape" [ "x"; "x" ] "y" [] ] []
        "a further output",
        [ "node 1 (Relu)"; "further output" ],
        image
            [
                nodeNamed "" "MaxPool" [ "x" ] [ "h"; "i" ] [ pooling ]
                node "Relu" [ "i" ] "y" []
            ]
            []
        "negative variance",
        [ "node 0 (BatchNormalization)"; "negative variance" ],
        model
            [ 1; 1 ]
            [ node "BatchNormalization" [ "x"; "a"; "a"; "a"; "v" ] "y" [] ]
            [ doubles "a" [ 1 ] [| 1.0 |]; doubles "v" [ 1 ] [| -1.0 |] ]
        "NaN",
        [ "node 0 (Gemm)"; "tensor 'w'"; "NaN" ],
        vector [ gemm ] [ doubles "w" [ 4; 1 ] [| 0.0; nan; 0.0; 0.0 |] ]
        "infinity", [ "tensor 'w'"; "infinite" ], vector [ gemm ] [ doubles "w" [ 4; 1 ] [| 0.0; infinity; 0.0; 0.0 |] ]
        "a huge dimension", [ "tensor 'w'"; "2³¹" ], vector [ gemm ] [ tensorOf "w" [ 4L; 1L <<< 40 ] 1L [] ]
        "dimensions that overflow",
        [ "tensor 'w'"; "2³¹" ],
        vector [ gemm ] [ tensorOf "w" [ 1L <<< 32; 1L <<< 32 ] 1L [] ]
        "a negative dimension", [ "tensor 'w'"; "negative" ], vector [ gemm ] [ tensorOf "w" [ -4L; 4L ] 1L [] ]
        "too little data",
        [ "tensor 'w'"; "needs" ],
        vector [ gemm ] [ tensorOf "w" [ 1024L; 1024L ] 1L [ bytes 9 (Array.zeroCreate 16) ] ]
        "too much data",
        [ "tensor 'w'"; "needs" ],
        vector [ gemm ] [ tensorOf "w" [ 4L; 1L ] 1L [ bytes 9 (Array.zeroCreate 20) ] ]
        "no half pattern", [ "tensor 'w'"; "16-bit" ], vector [ gemm ] [ tensorOf "w" [ 1L ] 10L [ integer 5 65536L ] ]
        "texts as weights", [ "tensor 'w'"; "STRING" ], vector [ gemm ] [ tensorOf "w" [ 4L; 4L ] 8L [] ]
        "external data",
        [ "tensor 'w'"; "external data" ],
        vector [ gemm ] [ tensorOf "w" [ 4L; 4L ] 1L [ integer 14 1L ] ]
        "a symbolic extent", [ "input 'x'"; "'width'" ], modelWith [ Name "batch"; Name "width" ] [ gemm ] [ square ]
        "a huge activation",
        [ "node 0 (Mul)" ],
        model [ 1; 1 <<< 28 ] [ node "Mul" [ "x"; "c" ] "y" [] ] [ doubles "c" [] [| 2.0 |] ]
        "no input", [ "no input" ], modelOf [ bytes 1 gemm; bytes 12 (valueInfo "y" []) ]
        "two inputs",
        [ "2 inputs"; "'z'" ],
        modelOf
            [
                bytes 1 gemm
                bytes 11 (valueInfo "x" [ Size 4L ])
                bytes 11 (valueInfo "z" [])
                bytes 12 (valueInfo "y" [])
            ]
        "two outputs",
        [ "2 outputs" ],
        modelOf
            [
                bytes 1 gemm
                bytes 11 (valueInfo "x" [ Size 4L ])
                bytes 12 (valueInfo "y" [])
                bytes 12 (valueInfo "x" [])
            ]
        "sparse initialisers",
        [ "sparse" ],
        modelOf
            [
                bytes 15 [||]
                bytes 11 (valueInfo "x" [ Size 4L ])
                bytes 12 (valueInfo "y" [])
            ]
        "functions", [ "functions" ], message [ bytes 25 [||]; bytes 7 [||] ]
        "no graph", [ "no graph" ], message [ integer 1 7L ]
        "no protocol buffer", [ "no readable ONNX model" ], Array.create 40 255uy
        "a constant output", [ "output 'y'"; "input" ], vector [] [ doubles "y" [ 1 ] [| 1.0 |] ]
    ]

[<Tests>]
let tests =
    testList
        "OnnxRefusal"
        [
            for name, parts, file in cases do
                testCase $"refused: {name}" (fun () -> check parts file)

            testCase "a missing file is an error, not an exception" (fun () ->
                match Onnx.load "/nowhere/model.onnx" with
                | Ok _ -> failtest "read"
                | Error error -> Expect.stringContains (LoadError.text error) "no such file" "LoadError.text error")
        ]
