module LipVerify.Tests.ComputeEngineTests

open System
open FsCheck.FSharp
open LipVerify.Compute
open LipVerify.Tests.ComputeReference
open Expecto
open LipVerify.Propositions.Expectations

let private suiteOfComputeVector (engine: IEngine) =

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

    [
        testCase "y + α·x, α·x and copies are elementwise and touch nothing else" (fun () ->
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
                        Expect.isLessThanOrEqual
                            (abs (sum[i] - (y[i] + 0.7 * from)))
                            (2.0 * gamma 2 * (abs y[i] + abs from))
                            "abs (sum[i] - (y[i] + 0.7 * from))"

                        Expect.equal copied[i] from "copied[i]"
                    else
                        Expect.isTrue (sum[i] = y[i] && copied[i] = y[i]) "sum[i] = y[i] && copied[i] = y[i]"

                    Expect.equal scaled[i] (if inside offsetX i then 0.7 * x[i] else x[i]) "scaled[i]"))

        testCase "y + α·x + β·z is elementwise and touches nothing else" (fun () ->
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

                        Expect.isLessThanOrEqual (abs (sum[i] - exact)) allowed "abs (sum[i] - exact)"
                    else
                        Expect.equal sum[i] y[i] "sum[i]")

            let block = host (Array.zeroCreate 10)

            refusal (fun () -> engine.AddTwoScaled(1.0, block, 1.0, host (Array.zeroCreate 10), block, 0, 5))
            |> ignore)

        testCase
            "an inner product is within rounding, wherever its vectors lie and however many threads there are"
            (fun () ->
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

                    // Engines of other libraries promise the same bits for the same call alone.
                    if engine :? CpuEngine then
                        assertSameBits [| dot |] [| ManagedEngine(1).Dot(host x, 0, host y, 0, length) |]))

        testCase "each row of a batch is multiplied by, or added to, the same vector, in place too" (fun () ->
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
                assertSameBits (x |> Array.mapi (fun i a -> a + v[i % size])) sum))

        testCase
            "values are picked and added by index, in order, where each row has indices of its own and where one serves all"
            (fun () ->
                let case =
                    gen {
                        let! inputSize = Gen.choose (1, 40)
                        let! size = Gen.choose (0, 60)
                        let! batch = Gen.choose (1, 4)
                        let! isShared = Gen.elements [ true; false ]
                        let! seed = Gen.choose (0, 1000000)
                        return inputSize, size, batch, isShared, seed
                    }

                check 80 case (fun (inputSize, size, batch, isShared, seed) ->
                    let random = Random seed

                    let indices =
                        Array.init (if isShared then size else batch * size) (fun _ -> random.Next inputSize)

                    // The second time with other indices in the same array.
                    for _ in 1..2 do
                        let index row i =
                            indices[if isShared then i else row * size + i]

                        let x = randomValues seed (batch * inputSize)
                        let picked = Array.create (batch * size) nan
                        engine.Gather(host x, inputSize, indices, size, batch, host picked)

                        assertSameBits
                            (Array.init (batch * size) (fun at ->
                                x[at / size * inputSize + index (at / size) (at % size)]))
                            picked

                        let expected, found = Array.copy x, Array.copy x
                        let y = randomValues (seed + 1) (batch * size)

                        for at in 0 .. batch * size - 1 do
                            let target = at / size * inputSize + index (at / size) (at % size)
                            expected[target] <- expected[target] + y[at]

                        engine.ScatterAdd(host y, inputSize, indices, size, batch, host found)

                        if engine.Name.StartsWith "torch" then
                            Array.iter2 (fun a b -> Expect.isWithin 1e-13 b a "sum") expected found
                        else
                            assertSameBits expected found

                        Array.Reverse indices))

        testCase "a step of a recurrence is what its operations are one by one" (fun () ->
            let case =
                gen {
                    let! length = Gen.frequency [ 6, Gen.choose (1, 60); 1, Gen.choose (2040, 5000) ]
                    let! count = Gen.choose (1, 10)
                    let! seed = Gen.choose (0, 1000000)
                    return length, count, seed
                }

            let onDevice (values: float[]) =
                let block = engine.Allocate values.Length
                engine.Copy(host values, 0, block, 0, values.Length)
                block

            let onHost (block: Storage) =
                let values = Array.zeroCreate<float> block.Length
                block.CopyTo(0, Span values)
                values

            check 60 case (fun (length, count, seed) ->
                let values k =
                    randomValues (seed + k) (count * length)

                let next, current, previous = values 0, values 1, values 2
                // The image of one vector is 0: its remainder is too short to be normalised.
                Array.fill next 0 length 0.0
                Array.fill previous 0 length 0.0

                if seed % 2 = 0 then
                    Array.fill current 0 length 0.0

                let before = Array.init count (fun i -> 0.1 * float i)
                let least = 1e-100
                let alphas, betas = Array.create count nan, Array.create count nan
                let result = onDevice next
                engine.Recur(result, onDevice current, onDevice previous, before, length, least, alphas, betas)
                let found = onHost result

                for i in 0 .. count - 1 do
                    let part (v: float[]) = Array.sub v (i * length) length
                    let x, c, p = part next, part current, part previous
                    let alpha = max 0.0 (Array.fold2 (fun sum a b -> sum + a * b) 0.0 x c)
                    let scale = Array.fold2 (fun sum a b -> sum + abs (a * b)) 0.0 x c
                    Expect.isLessThanOrEqual (abs (alphas[i] - alpha)) (2.0 * gamma (length + 1) * scale) "α"

                    let raw = Array.init length (fun j -> x[j] - alphas[i] * c[j] - before[i] * p[j])

                    let beta = sqrt (Array.sumBy (fun v -> v * v) raw)

                    let size =
                        Array.init length (fun j -> abs x[j] + alphas[i] * abs c[j] + before[i] * abs p[j])

                    let room =
                        2.0 * gamma (length + 8) * (sqrt (Array.sumBy (fun v -> v * v) size) + beta)

                    if beta > least then
                        Expect.isLessThanOrEqual (abs (betas[i] - beta)) room "β"

                        for j in 0 .. length - 1 do
                            Expect.isLessThanOrEqual
                                (abs (found[i * length + j] * betas[i] - raw[j]))
                                (2.0 * gamma 8 * size[j])
                                "next"
                    else
                        Expect.equal betas[i] least "least β"
                        Expect.allEqual (part found) 0.0 "nothing is left")

            let block: Storage = host (Array.zeroCreate 4)

            refusal (fun () ->
                engine.Recur(block, block, host (Array.zeroCreate 4), [| 0.0 |], 4, 0.1, [| 0.0 |], [| 0.0 |]))
            |> ignore)

        testCase "a copy within one block may overlap, a sum may not" (fun () ->
            let block = host (Array.init 100 float)
            engine.Copy(block, 0, block, 3, 97)

            Expect.equal
                (engine.Dot(block, 99, host [| 1.0 |], 0, 1))
                96.0
                "engine.Dot(block, 99, host [| 1.0 |], 0, 1)"

            refusal (fun () -> engine.AddScaled(1.0, block, 0, block, 3, 50)) |> ignore
            engine.AddScaled(1.0, block, 0, block, 50, 50))

        testCase "ranges outside their blocks are refused with both numbers" (fun () ->
            let ten, twelve = host (Array.zeroCreate 10), host (Array.zeroCreate 12)

            for call in
                [
                    (fun () -> engine.AddScaled(1.0, ten, 0, twelve, 0, 11))
                    (fun () -> engine.Scale(1.0, ten, 0, 11))
                    (fun () -> engine.Dot(twelve, 0, ten, 0, 11) |> ignore)
                    (fun () -> engine.Copy(ten, 0, twelve, 0, 11))
                    (fun () -> engine.MultiplyRows(ten, 1, host (Array.zeroCreate 11), twelve))
                ] do
                Expect.stringContainsAll (refusal call) [ "11"; "10" ] "refusal call"

            for call in
                [
                    (fun () -> engine.Scale(1.0, ten, -1, 2))
                    (fun () -> engine.Scale(1.0, ten, Int32.MaxValue, Int32.MaxValue))
                    (fun () -> engine.Copy(ten, 0, twelve, 0, -1))
                    (fun () -> engine.AddToRows(ten, -1, ten, ten))
                ] do
                refusal call |> ignore)

    ]

let private suiteOfComputeEngines () =

    [
        testCase "auto gives OpenBLAS where it is installed, otherwise the managed engine and a notice" (fun () ->
            let engine = Engines.Create("auto", 0)
            Expect.equal engine.Threads Environment.ProcessorCount "threads"

            match engine.Name with
            | "openblas"
            | "managed+openblas" -> Expect.isNull Engines.Notice "notice"
            | "managed" -> Expect.stringContains (string Engines.Notice) "libopenblas0-pthread" "notice"
            | other -> failtest $"unexpected engine {other}")

        testCase "an engine that cannot be had says what would help" (fun () ->
            let message name =
                (Expect.thrown<EngineUnavailableException>(fun () -> Engines.Create(name, 1) |> ignore)).Message

            Expect.stringContains
                (message "opencl")
                "no engine 'opencl'; use auto, openblas, managed, cuda[:N], ilgpu:cpu or torch"
                "opencl"

            Expect.stringContainsAll (message "mkl") [ "'mkl'"; "openblas" ] "mkl"

            if Engines.Create("auto", 1).Name = "managed" then
                Expect.stringContains (message "openblas") "libopenblas0-pthread" "openblas")

        testCase "threads are taken as given, and a negative number is refused" (fun () ->
            Expect.equal (Engines.Create("managed", 3).Threads) 3 "threads"
            refusal (fun () -> Engines.Create("managed", -1) |> ignore) |> ignore)

        testCase "an allocated block holds zeros" (fun () ->
            let engine = Engines.Create("managed", 1)
            let values = Array.create 7 nan
            engine.Allocate(7).CopyTo(0, values)
            Expect.allEqual values 0.0 "values"
            refusal (fun () -> engine.Allocate -1 |> ignore) |> ignore)

    ]

[<Tests>]
let tests =
    testList
        "ComputeEngine"
        [
            onEngine "managed" 1 suiteOfComputeVector
            onEngine "managed" 2 suiteOfComputeVector
            onEngine "torch:cpu" 2 suiteOfComputeVector
            onEngine "ilgpu:cpu" 2 suiteOfComputeVector
            onEngine "cuda" 2 suiteOfComputeVector
            testList "ComputeEngines" (suiteOfComputeEngines ())
        ]
