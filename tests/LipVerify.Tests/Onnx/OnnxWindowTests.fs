/// Conv, the pooling operators and Pad against naive sums over windows.
module LipVerify.Tests.OnnxWindowTests

open System
open Expecto
open LipVerify.Tests.OnnxWriter
open LipVerify.Tests.OnnxReference

let private checkConv seed window groups inputs outputs (height, width) =
    let perGroup = inputs / groups
    let kernel = [ fst window.Kernel; snd window.Kernel ]
    let w = draw (seed + 1) (outputs * perGroup * kernel[0] * kernel[1])
    let b = draw (seed + 2) outputs

    let x, y =
        model
            [ 1; inputs; height; width ]
            [
                node "Conv" [ "x"; "w"; "b" ] "y" (int "group" groups :: attributesOf window)
            ]
            [ doubles "w" ([ outputs; perGroup ] @ kernel) w; doubles "b" [ outputs ] b ]
        |> outcome seed

    same (convolved window groups inputs outputs (height, width) w b x) y

let private isPooling window (height, width) =
    Seq.allPairs [ 0 .. fst (extentsOf window (height, width)) - 1 ] [ 0 .. snd (extentsOf window (height, width)) - 1 ]
    |> Seq.forall (fun (i, j) ->
        taps window (height, width) (fun _ _ -> 0.0) i j
        |> Array.exists (snd >> Option.isSome))

let private drawPooling seed =
    let random = Random(seed: int)

    {
        Kernel = random.Next(1, 4), random.Next(1, 4)
        Stride = random.Next(1, 4), random.Next(1, 4)
        Dilation = 1, 1
        Pads = random.Next 2, random.Next 2, random.Next 2, random.Next 2
    }

let private withPad pads next tensors =
    model [ 1; 2; 4; 5 ] [ node "Pad" [ "x"; "p" ] "h" []; next ] (longs "p" pads :: tensors)

[<Tests>]
let tests =
    testList
        "OnnxWindow"
        [
            testPropertyWithConfig
                { FsCheckConfig.defaultConfig with
                    maxTest = 60
                }
                "Conv with any kernel, stride, dilation, padding and groups is the naive sum"
                (fun (seed: int) ->
                    let random = Random seed
                    let groups = random.Next(1, 3)

                    let window =
                        {
                            Kernel = random.Next(1, 4), random.Next(1, 4)
                            Stride = random.Next(1, 3), random.Next(1, 3)
                            Dilation = random.Next(1, 3), random.Next(1, 3)
                            Pads = random.Next 3, random.Next 3, random.Next 3, random.Next 3
                        }

                    checkConv
                        seed
                        window
                        groups
                        (groups * random.Next(1, 3))
                        (groups * random.Next(1, 3))
                        (random.Next(5, 8), random.Next(5, 8)))

            testTheory
                "auto_pad gives the padding it stands for"
                [ "SAME_UPPER", 0, 1; "SAME_LOWER", 1, 0; "VALID", 0, 0 ]
                (fun (mode, before, after) ->
                    let w = draw 1 4

                    let window =
                        { plain (2, 2) with
                            Pads = before, before, after, after
                        }

                    let x, y =
                        model
                            [ 1; 1; 4; 5 ]
                            [ node "Conv" [ "x"; "w" ] "y" [ words "auto_pad" mode ] ]
                            [ doubles "w" [ 1; 1; 2; 2 ] w ]
                        |> outcome 3

                    same (convolved window 1 1 1 (4, 5) w [| 0.0 |] x) y)

            testCase "auto_pad SAME_UPPER divides by the stride and rounds up" (fun () ->
                let file =
                    model
                        [ 1; 1; 7; 6 ]
                        [
                            node "Conv" [ "x"; "w" ] "y" [ words "auto_pad" "SAME_UPPER"; ints "strides" [ 2; 2 ] ]
                        ]
                        [ doubles "w" [ 1; 1; 3; 3 ] (draw 1 9) ]

                Expect.equal (read file).Network.OutputShape [ 1; 4; 3 ] "output shape")

            testCase "Conv over a sequence is Conv over an image of height 1" (fun () ->
                let w = draw 1 12

                let window =
                    { plain (1, 3) with
                        Stride = 1, 2
                        Pads = 0, 1, 0, 2
                    }

                let x, y =
                    model
                        [ 1; 2; 8 ]
                        [
                            node "Conv" [ "x"; "w" ] "h" [ ints "strides" [ 2 ]; ints "pads" [ 1; 2 ] ]
                            node "Relu" [ "h" ] "y" []
                        ]
                        [ doubles "w" [ 2; 2; 3 ] w ]
                    |> outcome 5

                same (convolved window 1 2 2 (1, 8) w [| 0.0; 0.0 |] x |> Array.map (max 0.0)) y)

            testPropertyWithConfig
                { FsCheckConfig.defaultConfig with
                    maxTest = 60
                }
                "MaxPool takes the largest value of each window and never the padding"
                (fun (seed: int) ->
                    let window = drawPooling seed

                    if isPooling window (6, 7) then
                        let x, y =
                            model [ 1; 2; 6; 7 ] [ node "MaxPool" [ "x" ] "y" (attributesOf window) ] []
                            |> outcome seed

                        same
                            (slide window 2 (6, 7) x (fun channel tapsOf ->
                                tapsOf channel |> Array.choose snd |> Array.max))
                            y)

            testPropertyWithConfig
                { FsCheckConfig.defaultConfig with
                    maxTest = 60
                }
                "AveragePool divides by the taps inside, or by all of them"
                (fun (seed: int) (counting: bool) ->
                    let window = drawPooling seed

                    if isPooling window (6, 7) then
                        let attributes =
                            int "count_include_pad" (if counting then 1 else 0) :: attributesOf window

                        let x, y =
                            model [ 1; 2; 6; 7 ] [ node "AveragePool" [ "x" ] "y" attributes ] []
                            |> outcome seed

                        let mean (values: float option[]) =
                            Array.sum (Array.choose id values)
                            / float (
                                if counting then
                                    values.Length
                                else
                                    (Array.choose id values).Length
                            )

                        close
                            (slide window 2 (6, 7) x (fun channel tapsOf -> tapsOf channel |> Array.map snd |> mean))
                            y)

            testCase "ceil_mode adds the window that starts inside" (fun () ->
                let file =
                    model
                        [ 1; 1; 5; 5 ]
                        [
                            node
                                "MaxPool"
                                [ "x" ]
                                "y"
                                [ ints "kernel_shape" [ 2; 2 ]; ints "strides" [ 2; 2 ]; int "ceil_mode" 1 ]
                        ]
                        []

                Expect.equal (read file).Network.OutputShape [ 1; 3; 3 ] "output shape")

            testCase "GlobalAveragePool is the mean of each channel" (fun () ->
                let x, y =
                    model [ 1; 3; 4; 2 ] [ node "GlobalAveragePool" [ "x" ] "y" [] ] [] |> outcome 4

                same (x |> Array.chunkBySize 8 |> Array.map Array.average) y)

            testCase "Pad before Conv becomes the padding of the convolution" (fun () ->
                let w = draw 1 (3 * 2 * 4)
                let window = { plain (2, 2) with Pads = 1, 0, 2, 3 }

                let file =
                    withPad
                        [ 0; 0; 1; 0; 0; 0; 2; 3 ]
                        (node "Conv" [ "h"; "w" ] "y" [])
                        [ doubles "w" [ 3; 2; 2; 2 ] w ]

                let x, y = outcome 8 file
                same (convolved window 1 2 3 (4, 5) w [| 0.0; 0.0; 0.0 |] x) y
                Expect.equal (kinds (read file).Network) [ "conv2d" ] "kinds (read file).Network")

            testTheory "zeros of a Pad take part in MaxPool and AveragePool" [ false; true ] (fun average ->
                let operator = if average then "AveragePool" else "MaxPool"

                let file =
                    withPad [ 0; 0; 1; 1; 0; 0; 1; 1 ] (node operator [ "h" ] "y" [ ints "kernel_shape" [ 2; 2 ] ]) []

                let window = { plain (2, 2) with Pads = 1, 1, 1, 1 }
                let x, y = outcome 8 file

                let zeros taps =
                    taps |> Array.map (snd >> Option.defaultValue 0.0)

                let reduce = if average then Array.average else Array.max
                same (slide window 2 (4, 5) x (fun channel tapsOf -> reduce (zeros (tapsOf channel)))) y

                Expect.equal
                    (kinds (read file).Network)
                    (if average then
                         [ "avgpool2d" ]
                     else
                         [ "conv2d"; "maxpool2d" ])
                    "kinds (read file).Network")
        ]
