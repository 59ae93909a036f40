/// Damaged models: each is read or refused with one line, without an exception and without large allocations.
module LipVerify.Tests.OnnxFuzzTests

open System
open System.Threading
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Networks
open LipVerify.Formats
open LipVerify.Tests.OnnxWriter

let private seeds =
    [
        model
            [ 1; 2; 6; 6 ]
            [
                node "Pad" [ "x"; "p" ] "a" []
                node "Conv" [ "a"; "k"; "b" ] "c" [ ints "strides" [ 1; 1 ]; ints "pads" [ 1; 0; 1; 0 ] ]
                node "BatchNormalization" [ "c"; "b"; "b"; "b"; "v" ] "d" [ real "epsilon" 0.1f ]
                node "Relu" [ "d" ] "e" []
                node "MaxPool" [ "e" ] "f" [ ints "kernel_shape" [ 2; 2 ]; ints "strides" [ 2; 2 ]; int "ceil_mode" 1 ]
                node "Flatten" [ "f" ] "g" [ int "axis" 1 ]
                node "Gemm" [ "g"; "w"; "b" ] "h" [ int "transB" 1 ]
                node "Relu" [ "h" ] "i" []
                node "Add" [ "i"; "h" ] "j" []
                node "Softmax" [ "j" ] "y" []
            ]
            [
                longs "p" [ 0; 0; 1; 1; 0; 0; 1; 1 ]
                singles "k" [ 3; 2; 3; 3 ] (draw 1 54)
                singles "b" [ 3 ] (draw 2 3)
                singles "v" [ 3 ] [| 1.0; 2.0; 3.0 |]
                singles "w" [ 3; 48 ] (draw 3 144)
            ]
        modelWith
            [ Name "n"; Size 4L ]
            [
                node "Sub" [ "x"; "m" ] "a" []
                node "Div" [ "a"; "s" ] "b" []
                node "MatMul" [ "b"; "w" ] "c" []
                node "Add" [ "c"; "m" ] "d" []
                node "Reshape" [ "d"; "r" ] "e" []
                node "AveragePool" [ "e" ] "y" [ ints "kernel_shape" [ 2; 2 ] ]
            ]
            [
                doubles "m" [ 4 ] (draw 1 4)
                doubles "s" [ 1 ] [| 0.5 |]
                doubles "w" [ 4; 4 ] (draw 2 16)
                longs "r" [ 0; 1; 2; -1 ]
            ]
    ]

let private mutate (random: Random) (file: byte[]) =
    let at = random.Next file.Length

    match random.Next 6 with
    | 0 ->
        let copy = Array.copy file
        copy[at] <- copy[at] ^^^ (1uy <<< random.Next 8)
        copy
    | 1 -> Array.truncate at file
    | 2 ->
        let copy = Array.copy file
        copy[at] <- byte (random.Next 256)
        copy
    | 3 ->
        Array.concat
            [
                file[.. at - 1]
                Array.init (random.Next(1, 9)) (fun _ -> byte (random.Next 256))
                file[at..]
            ]
    | 4 ->
        let count = min (random.Next(1, 64)) (file.Length - at)
        Array.concat [ file[.. at + count - 1]; file[at..] ]
    | _ ->
        let copy = Array.copy file

        for _ in 1 .. random.Next(2, 6) do
            copy[random.Next file.Length] <- [| 0uy; 0x7Fuy; 0x80uy; 0xFFuy |][random.Next 4]

        copy

// Half a gigabyte of activations is the reader's own limit, and each of them may be held three times while it is made.
let private allocationLimit = 3L * 8L * (1L <<< 26) + (1L <<< 24)

let private tryRead seed (file: byte[]) =
    let before = GC.GetAllocatedBytesForCurrentThread()

    let outcome =
        try
            parse file
        with failure ->
            failwith $"mutation {seed}: {failure}"

    let allocated = GC.GetAllocatedBytesForCurrentThread() - before
    Expect.isLessThan allocated allocationLimit $"mutation {seed}"

    match outcome with
    | Ok _ -> ()
    | Error error ->
        let line = LoadError.text error
        Expect.isInRange line.Length (1, 1001) "length"
        Expect.isFalse (line |> Seq.exists Char.IsControl) line

let private onSmallStack (action: unit -> unit) =
    let mutable failure: exn option = None

    let run () =
        try
            action ()
        with error ->
            failure <- Some error

    let thread = Thread(run, 1 <<< 20)
    thread.Start()
    thread.Join()
    Option.iter raise failure

[<Tests>]
let tests =
    testList
        "OnnxFuzz"
        [
            testCase "damaged models are read or refused with one line" (fun () ->
                for seed in 0..1999 do
                    let random = Random seed
                    let file = seeds[seed % seeds.Length]
                    let once = mutate random file

                    tryRead
                        seed
                        (if seed % 3 = 0 && once.Length > 0 then
                             mutate random once
                         else
                             once))

            testCase "every truncation of a model is refused or read" (fun () ->
                for file in seeds do
                    for length in 0 .. file.Length - 1 do
                        tryRead length (Array.truncate length file))

            testCase "a short file cannot ask for much memory" (fun () ->
                let nodes =
                    [
                        for i in 0..99 ->
                            node
                                "Mul"
                                [ (if i = 0 then "x" else $"h{i}"); "c" ]
                                (if i = 99 then "y" else $"h{i + 1}")
                                []
                    ]

                tryRead 0 (model [ 1; 1 <<< 22 ] nodes [ doubles "c" [] [| 2.0 |] ]))

            testCase "the longest chain of nodes fits a small stack, a longer one is refused" (fun () ->
                let chain count =
                    let name i =
                        if i = 0 then "x"
                        elif i = count then "y"
                        else $"h{i}"

                    model [ 1; 2 ] [ for i in 0 .. count - 1 -> node "Relu" [ name i ] (name (i + 1)) [] ] []

                onSmallStack (fun () ->
                    Expect.equal
                        (Network.layers (read (chain 4096)).Network |> List.length)
                        4096
                        "Network.layers (read (chain 4096)).Network |> List.length"

                    Expect.stringContains (refusal (chain 4097)) "more than 4096 nodes" "refusal (chain 4097)"))

            testCase "sums nest to a limit" (fun () ->
                let nested count =
                    let name i = if i = count then "y" else $"s{i}"

                    let step i =
                        let before = if i = 0 then "x" else name i

                        [
                            node "Relu" [ before ] $"r{i}" []
                            node "Add" [ $"r{i}"; "x" ] (name (i + 1)) []
                        ]

                    model [ 1; 2 ] (List.collect step [ 0 .. count - 1 ]) []

                onSmallStack (fun () ->
                    read (nested 32) |> ignore
                    Expect.stringContains (refusal (nested 33)) "nests" "refusal (nested 33)"))
        ]
