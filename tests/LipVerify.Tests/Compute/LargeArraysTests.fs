module LipVerify.Tests.LargeArraysTests

open System
open LipVerify.Compute
open Expecto
open LipVerify.Propositions.Expectations

let private suiteOfLargeArrays () =

    [
        testTheory
            "arrays are of the length asked for and hold zeros, also where memory is used again"
            [
                0
                1
                524287 // one short of what asks for large pages
                524288
                3000001
            ]
            (fun (length: int) ->
                for round in 1..3 do
                    let values = LargeArrays.Allocate<float> length
                    Expect.equal values.Length length "length"
                    Expect.isTrue (values |> Array.forall (fun value -> BitConverter.DoubleToInt64Bits value = 0L)) ""
                    Array.fill values 0 length (float round)

                    Expect.isTrue
                        (values |> Array.forall (fun value -> value = float round))
                        "values |> Array.forall (fun value -> value = float round)"

                    GC.Collect())

        testCase "arrays of smaller elements count bytes, not elements" (fun () ->
            let bytes = LargeArrays.Allocate<byte> 4194305

            Expect.isTrue
                (bytes |> Array.forall (fun value -> value = 0uy))
                "bytes |> Array.forall (fun value -> value = 0uy)"

            Array.fill bytes 0 bytes.Length 255uy

            Expect.isTrue
                (bytes |> Array.forall (fun value -> value = 255uy))
                "bytes |> Array.forall (fun value -> value = 255uy)")

        testCase "arrays that nobody holds any more do not pile up" (fun () ->
            let held = LargeArrays.Allocate<float>(1 <<< 23)
            let mutable most = 0L

            for _ in 1..200 do
                let values = LargeArrays.Allocate<float>(1 <<< 22) // 32 MB
                values[0] <- 1.0
                most <- max most (GC.GetTotalMemory false)

            // The slack of 256 MB, the array that passes it, and some for what else the process does.
            let leftOver = most - GC.GetTotalMemory true
            Expect.isLessThan leftOver (400L <<< 20) "bytes beside those in use"
            Expect.equal held.Length (1 <<< 23) "length")

    ]

[<Tests>]
let tests = testList "LargeArrays" [ yield! suiteOfLargeArrays () ]
