namespace LipVerify.Tests

open System
open LipVerify.Compute
open NUnit.Framework

[<TestFixture>]
type LargeArraysTests() =

    [<TestCase 0>]
    [<TestCase 1>]
    [<TestCase 524287>] // one short of what asks for large pages
    [<TestCase 524288>]
    [<TestCase 3000001>]
    member _.``arrays are of the length asked for and hold zeros, also where memory is used again``(length: int) =
        for round in 1..3 do
            let values = LargeArrays.Allocate<float> length
            Assert.That(values.Length, Is.EqualTo length)
            Assert.That(values |> Array.forall (fun value -> BitConverter.DoubleToInt64Bits value = 0L))
            Array.fill values 0 length (float round)
            Assert.That(values |> Array.forall (fun value -> value = float round))
            GC.Collect()

    [<Test>]
    member _.``arrays of smaller elements count bytes, not elements``() =
        let bytes = LargeArrays.Allocate<byte> 4194305
        Assert.That(bytes |> Array.forall (fun value -> value = 0uy))
        Array.fill bytes 0 bytes.Length 255uy
        Assert.That(bytes |> Array.forall (fun value -> value = 255uy))

    [<Test>]
    member _.``arrays that nobody holds any more do not pile up``() =
        let held = LargeArrays.Allocate<float>(1 <<< 23)
        let mutable most = 0L

        for _ in 1..200 do
            let values = LargeArrays.Allocate<float>(1 <<< 22) // 32 MB
            values[0] <- 1.0
            most <- max most (GC.GetTotalMemory false)

        // The slack of 256 MB, the array that passes it, and some for what else the process does.
        let leftOver = most - GC.GetTotalMemory true
        Assert.That(leftOver, Is.LessThan(400L <<< 20), "bytes beside those in use")
        Assert.That(held.Length, Is.EqualTo(1 <<< 23))
