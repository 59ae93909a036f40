/// Models whose integers are absurd, attributes, extents and shapes alike: each is read or refused with one line, in little memory.
module LipVerify.Tests.OnnxIntegerTests

open System
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Formats
open LipVerify.Tests.OnnxWriter

/// A model with its integers in a row, to be given others.
[<NoComparison; NoEquality>]
type private Template =
    {
        Integers: int list
        Model: int list -> byte[]
    }

let private slice first count (values: int list) =
    values |> List.skip first |> List.truncate count

let private weights =
    [ singles "k" [ 4; 1; 3; 3 ] (draw 1 36); singles "b" [ 4 ] (draw 2 4) ]

let private templates =
    let image = [ 1; 2; 6; 6 ]

    [
        {
            Integers = [ 1; 2; 6; 6; 3; 3; 1; 2; 1; 0; 1; 0; 1; 1; 2 ]
            Model =
                fun v ->
                    model
                        (slice 0 4 v)
                        [
                            node
                                "Conv"
                                [ "x"; "k"; "b" ]
                                "y"
                                [
                                    ints "kernel_shape" (slice 4 2 v)
                                    ints "strides" (slice 6 2 v)
                                    ints "pads" (slice 8 4 v)
                                    ints "dilations" (slice 12 2 v)
                                    int "group" v[14]
                                ]
                        ]
                        weights
        }
        for operator in [ "MaxPool"; "AveragePool" ] do
            {
                Integers = [ 2; 3; 2; 1; 1; 1; 0; 1; 1; 1; 1 ]
                Model =
                    fun v ->
                        model
                            image
                            [
                                node
                                    operator
                                    [ "x" ]
                                    "y"
                                    [
                                        ints "kernel_shape" (slice 0 2 v)
                                        ints "strides" (slice 2 2 v)
                                        ints "pads" (slice 4 4 v)
                                        ints "dilations" (slice 8 2 v)
                                        int "ceil_mode" v[10]
                                    ]
                            ]
                            []
            }
        {
            Integers = [ 1; -1; 2; 1; 0; 0; 1; 0; 0; 0; 1; 0; 1 ]
            Model =
                fun v ->
                    model
                        image
                        [
                            node "Pad" [ "x"; "p" ] "a" []
                            node "Reshape" [ "a"; "r" ] "b" []
                            node "Flatten" [ "b" ] "y" [ int "axis" v[3] ]
                        ]
                        [ longs "r" (slice 0 2 v); longs "p" (slice 4 8 v) ]
        }
        {
            Integers = [ 1; 0; 3; 2 ]
            Model =
                fun v ->
                    model
                        [ 1; 2; 1; 6 ]
                        [
                            node "Squeeze" [ "x"; "s" ] "a" []
                            node "Unsqueeze" [ "a"; "u" ] "b" []
                            node "Transpose" [ "b" ] "y" [ ints "perm" [ 0; v[0]; v[2]; v[3] ] ]
                        ]
                        [ longs "s" [ v[3] ]; longs "u" [ v[0] ] ]
        }
        {
            Integers = [ 0; 1; 1 ]
            Model =
                fun v ->
                    model
                        [ 1; 4 ]
                        [
                            node "Gemm" [ "x"; "w"; "c" ] "a" [ int "transA" v[0]; int "transB" v[1] ]
                            node "Softmax" [ "a" ] "y" [ int "axis" v[2] ]
                        ]
                        [ singles "w" [ 3; 4 ] (draw 3 12); singles "c" [ 3 ] (draw 4 3) ]
        }
    ]

let private telling =
    [|
        Int32.MinValue
        -65537
        -2
        -1
        0
        1
        2
        3
        30000
        1 <<< 30
        Int32.MaxValue
    |]

let private check (template: Template) (changes: (int * int) list) =
    let integers =
        (template.Integers, changes)
        ||> List.fold (fun integers (at, number) -> List.updateAt at number integers)

    let before = GC.GetAllocatedBytesForCurrentThread()

    match
        try
            template.Model integers |> parse
        with failure ->
            failwith $"{integers}: {failure}"
    with
    | Error error ->
        let text = LoadError.text error
        Expect.isTrue (text <> "" && text |> Seq.forall (Char.IsControl >> not)) $"{integers}: {text}"
    | Ok onnx -> Expect.isTrue (onnx.Network.OutputShape |> List.forall (fun extent -> extent > 0)) $"{integers}"

    Expect.isLessThan (GC.GetAllocatedBytesForCurrentThread() - before) (64L <<< 20) $"{integers}"

[<Tests>]
let tests =
    testList
        "OnnxInteger"
        [
            testCase "a model with its own integers is read" (fun () ->
                for index, template in List.indexed templates do
                    match template.Model template.Integers |> parse with
                    | Ok _ -> ()
                    | Error error when index < 4 -> failtest (LoadError.text error)
                    | Error _ -> ())

            testCase "one absurd integer is read or refused with one line" (fun () ->
                for template in templates do
                    for at in 0 .. template.Integers.Length - 1 do
                        for number in telling do
                            check template [ at, number ])

            testCase "several absurd integers are read or refused with one line" (fun () ->
                let random = Random 9

                for _ in 1..300 do
                    for template in templates do
                        check
                            template
                            [
                                for _ in 1 .. random.Next(2, 6) ->
                                    random.Next template.Integers.Length, telling[random.Next telling.Length]
                            ])
        ]
