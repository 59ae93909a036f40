module LipVerify.Tests.ComputeProductTests

open System
open FsCheck.FSharp
open LipVerify.Compute
open LipVerify.Tests.ComputeReference
open Expecto
open LipVerify.Propositions.Expectations

type MatrixCase =
    {
        Sizes: int * int * int
        Transposes: bool * bool
        Alpha: float
        Beta: float
        Slack: int
        Seed: int
    }

let private suiteOfComputeProduct (engine: IEngine) =

    let side =
        Gen.frequency [ 4, Gen.choose (1, 9); 3, Gen.choose (1, 60); 1, Gen.choose (100, 230) ]

    let case =
        gen {
            let! m = side
            let! n = side
            let! k = Gen.frequency [ 1, Gen.constant 0; 9, side ]
            let! ta = Gen.elements [ true; false ]
            let! tb = Gen.elements [ true; false ]
            let! alpha = Gen.elements [ 1.0; -1.0; 0.37; 0.0 ]
            let! beta = Gen.elements [ 0.0; 1.0; -0.81 ]
            let! slack = Gen.choose (0, 5)
            let! seed = Gen.choose (0, 1000000)

            return
                {
                    Sizes = m, n, k
                    Transposes = ta, tb
                    Alpha = alpha
                    Beta = beta
                    Slack = slack
                    Seed = seed
                }
        }

    /// A matrix inside a larger block: an offset, and rows with something else behind them.
    let embed slack rows columns seed =
        let stride = columns + slack
        let values = randomValues seed (slack + rows * stride)
        values, MatrixView(host values, slack, stride), (fun i j -> values[slack + i * stride + j])

    let run (engine: IEngine) case =
        let m, n, k = case.Sizes
        let ta, tb = case.Transposes

        let _, a, at =
            if ta then
                embed case.Slack k m case.Seed
            else
                embed case.Slack m k case.Seed

        let _, b, bt =
            if tb then
                embed case.Slack n k (case.Seed + 1)
            else
                embed case.Slack k n (case.Seed + 1)

        let values, c, ct = embed case.Slack m n (case.Seed + 2)

        let expected =
            multiply
                m
                n
                k
                case.Alpha
                (fun i q -> if ta then at q i else at i q)
                (fun q j -> if tb then bt j q else bt q j)
                case.Beta
                ct

        let before = Array.copy values

        if case.Beta = 0.0 then
            for i in 0 .. m - 1 do
                for j in 0 .. n - 1 do
                    values[case.Slack + i * (n + case.Slack) + j] <- nan

        engine.MatrixMultiply(ta, tb, m, n, k, case.Alpha, a, b, case.Beta, c)

        expected,
        [|
            for i in 0 .. m - 1 do
                for j in 0 .. n - 1 -> ct i j
        |],
        before,
        values

    [
        testCase
            "a matrix product is within rounding of the triple loop, and what C held does not matter when β is 0"
            (fun () ->
                check 150 case (fun case ->
                    let expected, actual, _, _ = run engine case
                    let _, _, k = case.Sizes
                    // One more rounding each for α, for β and for their sum.
                    assertWithinRounding $"{case}" (k + 3) expected actual))

        testCase "a matrix product writes nothing outside C" (fun () ->
            check 60 case (fun case ->
                let _, _, before, after = run engine case
                let m, n, _ = case.Sizes
                let stride = n + case.Slack

                for i in 0 .. after.Length - 1 do
                    let place = i - case.Slack
                    let inside = place >= 0 && place / stride < m && place % stride < n

                    if not inside && before[i] <> after[i] then
                        failwith $"{case}: position {i} changed"))

        testCase "a matrix product has the same bits with one thread and with two" (fun () ->
            let alone = singleThreaded engine

            check 40 case (fun case ->
                let _, one, _, _ = run alone case
                let _, two, _, _ = run engine case
                assertSameBits one two))

        testTheory
            "long and slender products are within rounding of the triple loop"
            [ 3, 4, 40000; 30, 20, 9000; 1, 3000, 17; 2, 19, 5000; 600, 9, 300 ]
            (fun (m: int, n: int, k: int) ->
                for ta in [ true; false ] do
                    for tb in [ true; false ] do
                        let case =
                            {
                                Sizes = m, n, k
                                Transposes = ta, tb
                                Alpha = 1.0
                                Beta = 1.0
                                Slack = 1
                                Seed = m
                            }

                        let expected, actual, _, _ = run engine case
                        // The results of up to eight slices are added: that many roundings more.
                        assertWithinRounding $"{case}" (k + 11) expected actual)

        testCase
            "a product whose result overlaps an operand is refused, and neighbouring column blocks are not"
            (fun () ->
                let block = host (randomValues 1 (20 * 20))
                let left, right = MatrixView(block, 0, 20), MatrixView(block, 10, 20)
                let other = MatrixView.Of(host (randomValues 2 100), 10)
                engine.MatrixMultiply(false, false, 20, 10, 10, 1.0, left, other, 0.0, right)

                refusal (fun () ->
                    engine.MatrixMultiply(false, false, 20, 10, 10, 1.0, left, other, 0.0, MatrixView(block, 5, 20)))
                |> ignore)

        testCase "a matrix that does not fit its block is refused with both numbers" (fun () ->
            let short = host (Array.zeroCreate 11)
            let fit = MatrixView.Of(host (Array.zeroCreate 12), 4)

            let error =
                refusal (fun () ->
                    engine.MatrixMultiply(
                        false,
                        true,
                        3,
                        3,
                        4,
                        1.0,
                        MatrixView.Of(short, 4),
                        fit,
                        0.0,
                        MatrixView.Of(host (Array.zeroCreate 9), 3)
                    ))

            Expect.stringContainsAll error [ "12"; "11" ] "error"

            for view in
                [
                    MatrixView(fit.Storage, -1, 4)
                    MatrixView(fit.Storage, 0, 3)
                    MatrixView(fit.Storage, 0, Int32.MaxValue)
                ] do
                refusal (fun () ->
                    engine.MatrixMultiply(
                        false,
                        true,
                        3,
                        3,
                        4,
                        1.0,
                        view,
                        fit,
                        0.0,
                        MatrixView.Of(host (Array.zeroCreate 9), 3)
                    ))
                |> ignore)

        testCase "a product with a function of the entries is within rounding of its definition, either way" (fun () ->
            let cases =
                gen {
                    let! rows = Gen.choose (1, 150)
                    let! columns = Gen.frequency [ 4, Gen.choose (1, 70); 1, Gen.choose (2000, 4200) ]
                    let! seed = Gen.choose (0, 1000000)
                    let! scale = Gen.elements [ 1.0; 0.25; 1024.0 ]
                    return rows, columns, seed, scale
                }

            check 60 cases (fun (rows, columns, seed, scale) ->
                let a = randomValues seed (rows * columns)

                for f, apply in [ EntryFunction.Absolute, abs; EntryFunction.Square, (fun v -> v * v) ] do
                    let entry i j = apply (scale * a[i * columns + j])

                    let across, down = sparseValues seed columns, sparseValues seed rows

                    let product lines terms (entry: int -> int -> float) (x: float[]) transpose =
                        let expected =
                            Array.init lines (fun i ->
                                let parts = Array.init terms (fun j -> entry i j * x[j])

                                {
                                    Value = Array.sum parts
                                    Absolute = Array.sumBy abs parts
                                })

                        let y = Array.create lines nan
                        engine.MultiplyEntries(f, scale, transpose, rows, columns, host a, host x, host y)
                        // Squaring rounds once more.
                        assertWithinRounding $"{f} {rows}×{columns}" (terms + 1) expected y

                    product rows columns entry across false
                    product columns rows (fun j i -> entry i j) down true))

    ]

[<Tests>]
let tests =
    testList
        "ComputeProduct"
        [
            onEngine "managed" 2 suiteOfComputeProduct
            onEngine "openblas" 2 suiteOfComputeProduct
            onEngine "torch:cpu" 2 suiteOfComputeProduct
            onEngine "ilgpu:cpu" 2 suiteOfComputeProduct
            onEngine "cuda" 2 suiteOfComputeProduct
        ]
