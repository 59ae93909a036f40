module LipVerify.Tests.FormatsSafetensorsTests

open System
open Expecto
open LipVerify.Formats
open LipVerify.Tests.FormatsWriters

let private parse header data =
    safetensors header data |> parseWith StateDict.parse

let private entry dtype shape first last =
    $"{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{first},{last}]}}"

let private two = float32Bytes [ 1.5; -2.0 ]

[<Tests>]
let tests =
    testList
        "FormatsSafetensors"
        [
            testCase "tensors are read in every element type" (fun () ->
                let header =
                    [
                        "\"__metadata__\":{\"format\":\"pt\"}"
                        "\"f32\":" + entry "F32" "[1,2]" 0 8
                        "\"f64\":" + entry "F64" "[]" 8 16
                        "\"f16\":" + entry "F16" "[1]" 16 18
                        "\"bf16\":" + entry "BF16" "[1]" 18 20
                        "\"i64\":" + entry "I64" "[1]" 20 28
                        "\"i8\":" + entry "I8" "[1]" 28 29
                        "\"bool\":" + entry "BOOL" "[1]" 29 30
                        "\"none\":" + entry "U8" "[0,4]" 30 30
                    ]
                    |> String.concat ","

                let data =
                    Array.concat
                        [
                            two
                            BitConverter.GetBytes 0.1
                            [| 0uy; 0x3Cuy; 0x80uy; 0x3Fuy |]
                            BitConverter.GetBytes -5L
                            [| 0xFFuy; 1uy |]
                        ]

                let state = parse $"{{{header}}}   " data |> valueOf
                Expect.equal state.Tensors.Count 8 "count"
                shouldHold "f32" [ 1; 2 ] [ 1.5; -2.0 ] state
                shouldHold "f64" [] [ 0.1 ] state
                shouldHold "f16" [ 1 ] [ 1.0 ] state
                shouldHold "bf16" [ 1 ] [ 1.0 ] state
                shouldHold "i64" [ 1 ] [ -5.0 ] state
                shouldHold "i8" [ 1 ] [ -1.0 ] state
                shouldHold "bool" [ 1 ] [ 1.0 ] state
                shouldHold "none" [ 0; 4 ] [] state)

            testCase "headers that do not fit the data are refused" (fun () ->
                let fails parts entry =
                    parse $"{{\"w\":{entry}}}" two |> shouldFail parts

                fails [ "w"; "2×2 of F32 needs 16 bytes, its offsets span 8" ] (entry "F32" "[2,2]" 0 8)
                fails [ "w"; "within the 8 bytes" ] (entry "F32" "[4]" 0 16)
                fails [ "w"; "within the 8 bytes" ] (entry "F32" "[2]" -8 0)
                fails [ "w"; "within the 8 bytes" ] (entry "F32" "[2]" 8 0)
                fails [ "w"; "more than 2³¹" ] (entry "F32" "[1099511627776,1099511627776]" 0 8)
                fails [ "w"; "negative size" ] (entry "F32" "[-2,-1]" 0 8)
                fails [ "w"; "no integer" ] (entry "F32" "[1e99]" 0 8)
                fails [ "w"; "no integer" ] (entry "F32" "[99999999999999999999]" 0 8)
                fails [ "w"; "F8_E4M3"; "not supported" ] (entry "F8_E4M3" "[8]" 0 8)
                fails [ "w"; "no dtype" ] "{}"
                fails [ "w"; "no object" ] "3"
                fails [ "w"; "two numbers" ] "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}")

            testCase "names that occur twice and tensors that overlap are refused" (fun () ->
                let whole = entry "F32" "[2]" 0 8
                let half = entry "F32" "[1]" 0 4

                parse $"{{\"w\":{half},\"w\":{half}}}" two
                |> shouldFail [ "w"; "two tensors of this name" ]

                parse $"{{\"v\":{whole},\"w\":{whole}}}" two |> shouldFail [ "overlap" ])

            testCase "broken headers are refused" (fun () ->
                let nested = String.replicate 100_000 "["
                parse $"{{\"w\":{nested}" two |> shouldFail [ "header"; "not valid JSON" ]
                parse "{\"w\":" two |> shouldFail [ "header"; "not valid JSON" ]
                parse "{\"\\ud800\":1}" two |> shouldFail [ "header"; "UTF-8" ]

                for length in [ Int64.MaxValue; -1L; 1L <<< 40; 100_000_001L; 1000L ] do
                    Array.append (BitConverter.GetBytes length) "{}"B
                    |> parseWith Safetensors.parse
                    |> shouldFail [ "header length" ])

            testCase "a file cut anywhere is an error" (fun () ->
                let header = $"{{\"w\":" + entry "F32" "[2]" 0 8 + "}"
                let file = safetensors header two

                Expect.isTrue
                    (Result.isOk (parseWith StateDict.parse file))
                    "Result.isOk (parseWith StateDict.parse file)"

                for length in 0 .. file.Length - 1 do
                    parseWith StateDict.parse (Array.truncate length file)
                    |> shouldFail [ "file: " ])
        ]
