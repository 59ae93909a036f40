namespace LipVerify.Tests

open System
open FsCheck.FSharp
open LipVerify.Compute
open LipVerify.Tests.ComputeReference
open NUnit.Framework

[<TestFixture(1)>]
[<TestFixture(2)>]
type ComputeVectorTests(threads: int) =
    let engine: IEngine = ManagedEngine threads

    /// Lengths on both sides of the sizes at which work is cut.
    let lengths =
        gen {
            let! length =
                Gen.frequency
                    [
                        6, Gen.choose (0, 100)
                        1, Gen.choose (16380, 16390)
                        1, Gen.choose (40000, 50000)
                    ]

            let! offsetX = Gen.choose (0, 9)
            let! offsetY = Gen.choose (0, 9)
            let! seed = Gen.choose (0, 1000000)
            return length, offsetX, offsetY, seed
        }

    [<Test>]
    member _.``y + α·x, α·x and copies are elementwise and touch nothing else``() =
        check 60 lengths (fun (length, offsetX, offsetY, seed) ->
            let x, y = randomValues seed (length + 20), randomValues (seed + 1) (length + 20)
            let inside offset i = i >= offset && i < offset + length
            let sum, scaled, copied = Array.copy y, Array.copy x, Array.copy y
            engine.AddScaled(0.7, host x, offsetX, host sum, offsetY, length)
            engine.Scale(0.7, host scaled, offsetX, length)
            engine.Copy(host x, offsetX, host copied, offsetY, length)

            for i in 0 .. length + 19 do
                if inside offsetY i then
                    let from = x[i - offsetY + offsetX]
                    // Two roundings, or one where it is fused.
                    Assert.That(
                        abs (sum[i] - (y[i] + 0.7 * from)),
                        Is.LessThanOrEqualTo(2.0 * gamma 2 * (abs y[i] + abs from))
                    )

                    Assert.That(copied[i], Is.EqualTo from)
                else
                    Assert.That(sum[i] = y[i] && copied[i] = y[i])

                Assert.That(scaled[i], Is.EqualTo(if inside offsetX i then 0.7 * x[i] else x[i])))

    [<Test>]
    member _.``y + α·x + β·z is elementwise and touches nothing else``() =
        check 60 lengths (fun (length, offset, _, seed) ->
            let values k = randomValues (seed + k) (length + 20)

            let x, z, y = values 0, values 1, values 2
            let sum = Array.copy y
            engine.AddTwoScaled(0.7, host x, -1.3, host z, host sum, offset, length)

            for i in 0 .. length + 19 do
                if i >= offset && i < offset + length then
                    let exact = y[i] + 0.7 * x[i] - 1.3 * z[i]
                    // Four roundings, or two where they are fused, here and in the line above.
                    let allowed = 2.0 * gamma 4 * (abs y[i] + abs (0.7 * x[i]) + abs (1.3 * z[i]))

                    Assert.That(abs (sum[i] - exact), Is.LessThanOrEqualTo allowed)
                else
                    Assert.That(sum[i], Is.EqualTo y[i]))

        let block = host (Array.zeroCreate 10)

        refusal (fun () -> engine.AddTwoScaled(1.0, block, 1.0, host (Array.zeroCreate 10), block, 0, 5))
        |> ignore

    [<Test>]
    member _.``an inner product is within rounding, wherever its vectors lie and however many threads there are``() =
        check 60 lengths (fun (length, offsetX, offsetY, seed) ->
            let x, y = randomValues seed length, randomValues (seed + 1) length

            let pad offset (v: float[]) =
                Array.concat [ Array.create offset nan; v; [| nan |] ]

            let dot =
                engine.Dot(host (pad offsetX x), offsetX, host (pad offsetY y), offsetY, length)

            let expected =
                {
                    Value = Array.fold2 (fun s a b -> s + a * b) 0.0 x y
                    Absolute = Array.fold2 (fun s a b -> s + abs (a * b)) 0.0 x y
                }

            assertWithinRounding "dot" (length + 1) [| expected |] [| dot |]
            assertSameBits [| dot |] [| ManagedEngine(1).Dot(host x, 0, host y, 0, length) |])

    [<Test>]
    member _.``each row of a batch is multiplied by, or added to, the same vector, in place too``() =
        let case =
            gen {
                let! size = Gen.frequency [ 6, Gen.choose (0, 50); 1, Gen.choose (16380, 20000) ]
                let! batch = Gen.choose (0, 5)
                return size, batch
            }

        check 60 case (fun (size, batch) ->
            let x, v = randomValues size (size * batch), randomValues batch size
            let product, sum = Array.zeroCreate x.Length, Array.copy x
            engine.MultiplyRows(host x, batch, host v, host product)
            let block = host sum
            engine.AddToRows(block, batch, host v, block)
            assertSameBits (x |> Array.mapi (fun i a -> a * v[i % size])) product
            assertSameBits (x |> Array.mapi (fun i a -> a + v[i % size])) sum)

    [<Test>]
    member _.``a copy within one block may overlap, a sum may not``() =
        let block = host (Array.init 100 float)
        engine.Copy(block, 0, block, 3, 97)
        Assert.That(engine.Dot(block, 99, host [| 1.0 |], 0, 1), Is.EqualTo 96.0)
        refusal (fun () -> engine.AddScaled(1.0, block, 0, block, 3, 50)) |> ignore
        engine.AddScaled(1.0, block, 0, block, 50, 50)

    [<Test>]
    member _.``ranges outside their blocks are refused with both numbers``() =
        let ten, twelve = host (Array.zeroCreate 10), host (Array.zeroCreate 12)

        for call in
            [
                (fun () -> engine.AddScaled(1.0, ten, 0, twelve, 0, 11))
                (fun () -> engine.Scale(1.0, ten, 0, 11))
                (fun () -> engine.Dot(twelve, 0, ten, 0, 11) |> ignore)
                (fun () -> engine.Copy(ten, 0, twelve, 0, 11))
                (fun () -> engine.MultiplyRows(ten, 1, host (Array.zeroCreate 11), twelve))
            ] do
            Assert.That(refusal call, Does.Contain("11").And.Contain("10"))

        for call in
            [
                (fun () -> engine.Scale(1.0, ten, -1, 2))
                (fun () -> engine.Scale(1.0, ten, Int32.MaxValue, Int32.MaxValue))
                (fun () -> engine.Copy(ten, 0, twelve, 0, -1))
                (fun () -> engine.AddToRows(ten, -1, ten, ten))
            ] do
            refusal call |> ignore

[<TestFixture>]
type ComputeEnginesTests() =
    [<Test>]
    member _.``auto gives OpenBLAS where it is installed, otherwise the managed engine and a notice``() =
        let engine = Engines.Create("auto", 0)
        Assert.That(engine.Threads, Is.EqualTo Environment.ProcessorCount)

        match engine.Name with
        | "openblas"
        | "managed+openblas" -> Assert.That(Engines.Notice, Is.Null)
        | "managed" -> Assert.That(Engines.Notice, Does.Contain "libopenblas0-pthread")
        | other -> Assert.Fail $"unexpected engine {other}"

    [<Test>]
    member _.``an engine that cannot be had says what would help``() =
        let message name =
            (nonNull (Assert.Throws<EngineUnavailableException>(Action(fun () -> Engines.Create(name, 1) |> ignore))))
                .Message

        Assert.That(message "cuda", Does.Contain "no engine 'cuda'; use auto, openblas or managed")
        Assert.That(message "mkl", Does.Contain("'mkl'").And.Contain("openblas"))

        if Engines.Create("auto", 1).Name = "managed" then
            Assert.That(message "openblas", Does.Contain "libopenblas0-pthread")

    [<Test>]
    member _.``threads are taken as given, and a negative number is refused``() =
        Assert.That(Engines.Create("managed", 3).Threads, Is.EqualTo 3)
        refusal (fun () -> Engines.Create("managed", -1) |> ignore) |> ignore

    [<Test>]
    member _.``an allocated block holds zeros``() =
        let engine = Engines.Create("managed", 1)
        let values = Array.create 7 nan
        engine.Allocate(7).CopyTo(0, values)
        Assert.That(values, Is.All.EqualTo 0.0)
        refusal (fun () -> engine.Allocate -1 |> ignore) |> ignore
