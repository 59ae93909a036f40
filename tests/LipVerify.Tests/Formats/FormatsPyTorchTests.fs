module LipVerify.Tests.FormatsPyTorchTests

open System
open System.IO.Compression
open Expecto
open LipVerify.Formats
open LipVerify.Tests.FormatsWriters
open LipVerify.Tests.FormatsWriters.PickleCode

let private six = [ 1.0; 2.0; 3.0; 4.0; 5.0; 6.0 ]

let private inStream value =
    torchStream value [ "7", 6L, float32Bytes six ]

let private inZip value =
    torchZip value [ "7", float32Bytes six ]

let private matrix = view (storage "7" 6L) 0L [ 2L; 3L ] [ 3L; 1L ]
let private parse bytes = parseWith StateDict.parse bytes

let private parseView offset sizes strides =
    parse (inStream (orderedDict [ "w", view (storage "7" 6L) offset sizes strides ]))

let private pickled body = parse (inZip body)

[<Tests>]
let tests =
    testList
        "FormatsPyTorch"
        [
            testCase "both forms of torch give the same tensors" (fun () ->
                for file in [ inStream (orderedDict [ "w", matrix ]); inZip (orderedDict [ "w", matrix ]) ] do
                    parse file |> valueOf |> shouldHold "w" [ 2; 3 ] six)

            testCase "a state dict is found under the keys that training scripts use" (fun () ->
                for key in [ "net"; "state_dict"; "model"; "model_state_dict" ] do
                    let checkpoint =
                        dict
                            [
                                "epoch", int 3L
                                key, orderedDict [ "w", matrix ]
                                "optimizer", dict [ "state", dict []; "param_groups", list [ dict [ "lr", int 1L ] ] ]
                                "best", matrix
                            ]

                    let state = pickled checkpoint |> valueOf
                    Expect.equal state.Tensors.Count 1 "count"
                    shouldHold "w" [ 2; 3 ] six state)

            testCase "two state dicts in one file are refused by name" (fun () ->
                pickled (dict [ "net", dict [ "w", matrix ]; "model", dict [ "w", matrix ] ])
                |> shouldFail [ "several state dicts"; "net, model" ])

            testCase "a file without a state dict names its keys" (fun () ->
                pickled (dict [ "epoch", int 3L ]) |> shouldFail [ "no state dict"; "epoch" ])

            testCase "the prefix of a parallel wrapper is taken off where all names share it" (fun () ->
                pickled (dict [ "module.a", matrix; "module.b", matrix ])
                |> valueOf
                |> shouldHold "a" [ 2; 3 ] six

                pickled (dict [ "module.a", matrix; "b", matrix ])
                |> valueOf
                |> shouldHold "module.a" [ 2; 3 ] six)

            testCase "strides transpose, repeat and skip" (fun () ->
                parseView 0L [ 3L; 2L ] [ 1L; 3L ]
                |> valueOf
                |> shouldHold "w" [ 3; 2 ] [ 1.0; 4.0; 2.0; 5.0; 3.0; 6.0 ]

                parseView 1L [ 2L; 2L ] [ 0L; 2L ]
                |> valueOf
                |> shouldHold "w" [ 2; 2 ] [ 2.0; 4.0; 2.0; 4.0 ]

                parseView 5L [] [] |> valueOf |> shouldHold "w" [] [ 6.0 ]
                parseView 0L [ 0L; 3L ] [ 3L; 1L ] |> valueOf |> shouldHold "w" [ 0; 3 ] [])

            testCase "a tensor outside its storage is refused" (fun () ->
                let past = "reaches past the 6 values"
                parseView 1L [ 2L; 3L ] [ 3L; 1L ] |> shouldFail [ "file: w: "; past ]
                parseView 0L [ 2L; 3L ] [ Int64.MaxValue; 1L ] |> shouldFail [ past ]
                parseView 0L [ 2L; 3L ] [ -3L; 1L ] |> shouldFail [ "stride is negative" ]
                parseView -1L [ 2L; 3L ] [ 3L; 1L ] |> shouldFail [ "offset -1 is negative" ]
                parseView Int64.MaxValue [ 2L; 3L ] [ 3L; 1L ] |> shouldFail [ past ]
                parseView 0L [ -2L; 3L ] [ 3L; 1L ] |> shouldFail [ "negative size" ]
                parseView 0L [ 6L ] [ 1L; 1L ] |> shouldFail [ "2 strides for 1 dimensions" ])

            testCase "a tensor that repeats values without bound is refused before it is made" (fun () ->
                parseView 0L [ 1L <<< 40 ] [ 0L ] |> shouldFail [ "far more values" ]

                parseView 0L [ 1L <<< 20; 1L <<< 20 ] [ 0L; 0L ]
                |> shouldFail [ "far more values" ]

                let shared =
                    Array.concat [ view (storage "7" 6L) 0L [ 20000L ] [ 0L ]; op 'q'; [| 1uy |] ]

                let laughs =
                    [ yield "first", shared; for i in 1..2000 -> $"{i}", [| byte 'h'; 1uy |] ]

                pickled (dict laughs) |> shouldFail [ "far more values" ])

            testCase "other element types are read" (fun () ->
                let file kind (bytes: byte[]) count =
                    torchZip (dict [ "w", view (storageOf kind "0" count) 0L [ count ] [ 1L ] ]) [ "0", bytes ]

                let doubles = [ 0.1; -2.5 ] |> List.map BitConverter.GetBytes |> Array.concat

                file "DoubleStorage" doubles 2L
                |> parse
                |> valueOf
                |> shouldHold "w" [ 2 ] [ 0.1; -2.5 ]

                file "HalfStorage" [| 0uy; 0x3Cuy; 1uy; 0uy |] 2L
                |> parse
                |> valueOf
                |> shouldHold "w" [ 2 ] [ 1.0; 5.9604644775390625e-08 ]

                file "BFloat16Storage" [| 0x80uy; 0x3Fuy |] 1L
                |> parse
                |> valueOf
                |> shouldHold "w" [ 1 ] [ 1.0 ]

                file "LongStorage" (BitConverter.GetBytes -7L) 1L
                |> parse
                |> valueOf
                |> shouldHold "w" [ 1 ] [ -7.0 ]

                file "BoolStorage" [| 0uy; 9uy |] 2L
                |> parse
                |> valueOf
                |> shouldHold "w" [ 2 ] [ 0.0; 1.0 ]

                file "LongStorage" (BitConverter.GetBytes((1L <<< 53) + 1L)) 1L
                |> parse
                |> shouldFail [ "w"; "9007199254740993"; "no exact double" ]

                file "ComplexFloatStorage" (BitConverter.GetBytes 1L) 1L
                |> parse
                |> shouldFail [ "ComplexFloatStorage"; "not supported" ])

            testCase "numbers of big-endian machines are read" (fun () ->
                let bytes = float32Bytes six |> Array.chunkBySize 4 |> Array.collect Array.rev

                zip
                    CompressionLevel.Fastest
                    [
                        "any name/data.pkl", program (dict [ "w", matrix ])
                        "any name/byteorder", "big"B
                        "any name/data/7", bytes
                    ]
                |> parse
                |> valueOf
                |> shouldHold "w" [ 2; 3 ] six)

            testCase "NaN and infinite weights are refused with their position" (fun () ->
                let file value =
                    torchZip (dict [ "w", matrix ]) [ "7", float32Bytes [ 1.0; 2.0; 3.0; 4.0; value; 6.0 ] ]

                parse (file nan) |> shouldFail [ "file: w: "; "[1, 1]"; "NaN" ]
                parse (file -infinity) |> shouldFail [ "file: w: "; "[1, 1]"; "infinite" ])

            testCase "foreign callables are named and never called" (fun () ->
                pickled (call (globalOf "os" "system") [ str "true" ])
                |> shouldFail [ "the pickle asks for os.system; only tensors can be built"; "at byte" ]

                parse (inZip (call (globalOf "builtins" "eval") [ str "1" ]))
                |> shouldFail [ "data.pkl at byte 2: the pickle asks for builtins.eval" ]

                let stackGlobal = Array.concat [ str "posix"; str "system"; [| 0x93uy |] ]
                pickled stackGlobal |> shouldFail [ "posix.system" ]

                pickled (globalOf "numpy.core.multiarray" "_reconstruct")
                |> shouldFail [ "numpy.core.multiarray._reconstruct" ])

            testCase "hostile pickles end in an error" (fun () ->
                let fails parts body = pickled body |> shouldFail parts

                let long (length: uint32) =
                    Array.append [| 0x8buy |] (BitConverter.GetBytes length)

                fails [ "integer of 4294967295 bytes" ] (long UInt32.MaxValue)
                fails [ "cut off" ] [| byte 'X'; 0xFFuy; 0xFFuy; 0xFFuy; 0x7Fuy |]
                fails [ "cut off" ] (Array.append [| 0x8euy |] (BitConverter.GetBytes UInt64.MaxValue))
                fails [ "recalls value 4294967295" ] (Array.append (op 'j') (BitConverter.GetBytes UInt32.MaxValue))
                fails [ "takes more values" ] (op 'a')
                fails [ "closes what it did not open" ] (op 't')
                fails [ "instruction 0x81" ] [| 0x81uy |]
                fails [ "protocol 9" ] [| 0x80uy; 9uy |]
                fails [ "no value" ] (Array.concat [ op '}'; op '('; op 'N'; op 'u' ])
                fails [ "no pair" ] (call (globalOf "collections" "OrderedDict") [ list [ none ] ])

                fails
                    [ "64 dimensions" ]
                    (dict [ "w", view (storage "7" 6L) 0L (List.replicate 65 1L) (List.replicate 65 1L) ])

                fails [ "negative size" ] (storage "7" -6L)
                fails [ "two ways" ] (list [ storage "7" 6L; storage "7" 5L ]))

            testCase "deep, wide and self-containing pickles are no burden" (fun () ->
                let depth = 1_000_000

                pickled (Array.append (op ')') (Array.replicate depth 0x85uy))
                |> shouldFail [ "no state dict" ]

                pickled (Array.create depth (byte ']')) |> shouldFail [ "no state dict" ]

                // d = {}; d["net"] = d
                let knot =
                    Array.concat [ op '}'; op 'q'; [| 1uy |]; str "net"; [| byte 'h'; 1uy |]; op 's' ]

                pickled knot |> shouldFail [ "no state dict" ]

                // Each list holds the one before ten times.
                let laugh = Array.concat [ op '('; op ']'; op 'q'; [| 1uy |] ]

                let level =
                    Array.concat
                        [
                            op ']'
                            op '('
                            Array.concat (List.replicate 10 [| byte 'h'; 1uy |])
                            op 'e'
                            op 'q'
                            [| 1uy |]
                        ]

                pickled (Array.concat [ laugh; Array.concat (List.replicate 1000 level); op 't' ])
                |> shouldFail [ "no state dict" ])

            testCase "long arguments cannot be copied again and again" (fun () ->
                let items = list (List.replicate 1000 (tuple [ none; none ]))
                let kept = Array.concat [ items; op 'q'; [| 1uy |] ]

                let again =
                    Array.concat
                        [
                            globalOf "collections" "OrderedDict"
                            [| byte 'h'; 1uy |]
                            [| 0x85uy |]
                            op 'R'
                        ]

                pickled (Array.concat [ op '('; kept; Array.concat (List.replicate 1000 again); op 't' ])
                |> shouldFail [ "copies more than it holds" ])

            testCase "older identifiers with a view of a storage are accepted" (fun () ->
                let identifier start length =
                    tuple
                        [
                            str "storage"
                            globalOf "torch.cuda" "FloatStorage"
                            str "7"
                            str "cuda:0"
                            int 6L
                            tuple [ str "8"; int start; int length ]
                        ]

                let tensor start length =
                    dict [ "w", view (Array.append (identifier start length) (op 'Q')) 0L [ 2L ] [ 1L ] ]

                pickled (tensor 3L 2L) |> valueOf |> shouldHold "w" [ 2 ] [ 4.0; 5.0 ]
                pickled (tensor 3L 4L) |> shouldFail [ "reaches past the 6 values" ]
                pickled (tensor 3L 1L) |> shouldFail [ "reaches past the 1 values" ])

            testCase "a tensor name that occurs twice is refused" (fun () ->
                pickled (dict [ "w", matrix; "w", matrix ])
                |> shouldFail [ "w"; "two tensors of this name" ])

            testCase "storages must have the size that the pickle says" (fun () ->
                torchStream (dict [ "w", matrix ]) [ "7", 5L, float32Bytes six ]
                |> parse
                |> shouldFail [ "storage 7"; "says 5" ]

                torchZip (dict [ "w", matrix ]) [ "7", float32Bytes [ 1.0 ] ]
                |> parse
                |> shouldFail [ "storage 7 should hold 6 numbers" ]

                torchZip (dict [ "w", matrix ]) []
                |> parse
                |> shouldFail [ "storage 7 is missing" ]

                torchStream (dict [ "w", matrix ]) [ "9", 5L, float32Bytes six ]
                |> parse
                |> shouldFail [ "storage 9 belongs to no tensor" ])

            testCase "a file cut anywhere is an error" (fun () ->
                for file in [ inStream (orderedDict [ "w", matrix ]); inZip (orderedDict [ "w", matrix ]) ] do
                    for length in 0 .. file.Length - 1 do
                        parse (Array.truncate length file) |> shouldFail [ "file: " ])
        ]
