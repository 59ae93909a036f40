module LipVerify.Tests.ComputeGramProductTests

open FsCheck.FSharp
open LipVerify.Compute
open LipVerify.Tests.ComputeReference
open Expecto

type GramProductCase =
    {
        Rows: int
        Columns: int
        Vectors: int
        /// Of ten factors this many are 0.
        Dead: int
        Seed: int
    }

let private suiteOfComputeGramProduct (engine: IEngine) =

    let case =
        gen {
            let! rows =
                Gen.frequency
                    [
                        1, Gen.constant 0
                        5, Gen.choose (1, 9)
                        3, Gen.choose (30, 70)
                        1, Gen.choose (250, 300)
                    ]

            let! columns =
                Gen.frequency
                    [
                        1, Gen.constant 0
                        5, Gen.choose (1, 20)
                        3, Gen.choose (60, 130)
                        1, Gen.choose (2000, 5000)
                    ]

            let! vectors = Gen.choose (0, 5)
            let! dead = Gen.elements [ 0; 3; 10 ]
            let! seed = Gen.choose (0, 1000000)

            return
                {
                    Rows = rows
                    Columns = columns
                    Vectors = vectors
                    Dead = dead
                    Seed = seed
                }
        }

    let factors case =
        Array.init case.Rows (fun i ->
            if (i * 7 + case.Seed) % 10 < case.Dead then
                0.0
            else
                0.1 + float (i % 9))

    let run (engine: IEngine) case (matrix: float[]) =
        let x = randomValues (case.Seed + 1) (case.Vectors * case.Columns)
        let y = Array.create (case.Vectors * case.Columns) nan
        engine.MultiplyGram(case.Rows, case.Columns, host matrix, host (factors case), case.Vectors, host x, host y)
        x, y

    [
        testCase "AᵀSA·x is within its depth of the sums over both sides" (fun () ->
            check 120 case (fun case ->
                let matrix = randomValues case.Seed (case.Rows * case.Columns)
                let s = factors case
                let x, y = run engine case matrix

                let image =
                    Array.init (case.Vectors * case.Rows) (fun index ->
                        let v, i = index / case.Rows, index % case.Rows

                        let terms =
                            Array.init case.Columns (fun j -> matrix[i * case.Columns + j] * x[v * case.Columns + j])

                        struct (s[i] * Array.sum terms, s[i] * Array.sumBy abs terms))

                let expected =
                    Array.init y.Length (fun index ->
                        let v, j = index / case.Columns, index % case.Columns
                        let column = Array.init case.Rows (fun i -> matrix[i * case.Columns + j])
                        let entry i = image[v * case.Rows + i]

                        {
                            Value =
                                column
                                |> Array.mapi (fun i a -> (let struct (value, _) = entry i in value * a))
                                |> Array.sum
                            Absolute =
                                column
                                |> Array.mapi (fun i a -> (let struct (_, size) = entry i in size * abs a))
                                |> Array.sum
                        })

                // The reference sums rows and columns one after the other.
                let depth =
                    max (engine.GramProductDepth(case.Rows, case.Columns)) (case.Rows + case.Columns + 3)

                assertWithinRounding $"{case}" depth expected y))

        testCase
            "AᵀSA·x has the same bits with one thread and with two, and whatever the matrix holds where S is 0"
            (fun () ->
                let alone = singleThreaded engine

                check 60 case (fun case ->
                    let matrix = randomValues case.Seed (case.Rows * case.Columns)
                    let s = factors case

                    let spoilt =
                        matrix |> Array.mapi (fun i a -> if s[i / case.Columns] = 0.0 then nan else a)

                    let _, one = run alone case matrix
                    let _, two = run engine case spoilt
                    assertSameBits one two))

        testCase "a vector's image does not depend on the vectors beside it" (fun () ->
            check 60 case (fun case ->
                let matrix = randomValues case.Seed (case.Rows * case.Columns)
                let x, together = run engine case matrix

                for v in 0 .. case.Vectors - 1 do
                    let own = Array.sub x (v * case.Columns) case.Columns
                    let y = Array.create case.Columns nan

                    engine.MultiplyGram(
                        case.Rows,
                        case.Columns,
                        host matrix,
                        host (factors case),
                        1,
                        host own,
                        host y
                    )

                    assertSameBits y (Array.sub together (v * case.Columns) case.Columns)))

        testCase "blocks that are too short or shared are refused" (fun () ->
            let block n : Storage = host (Array.zeroCreate n)
            let x = block 4

            Expect.stringContains
                (refusal (fun () -> engine.MultiplyGram(3, 2, block 5, block 3, 2, x, block 4)))
                "a "
                ""

            Expect.stringContains
                (refusal (fun () -> engine.MultiplyGram(3, 2, block 6, block 2, 2, x, block 4)))
                "s "
                ""

            Expect.stringContains
                (refusal (fun () -> engine.MultiplyGram(3, 2, block 6, block 3, 2, x, x)))
                "same block"
                "")

    ]

[<Tests>]
let tests =
    testList
        "ComputeGramProduct"
        [
            onEngine "managed" 2 suiteOfComputeGramProduct
            onEngine "ilgpu:cpu" 2 suiteOfComputeGramProduct
            onEngine "cuda" 2 suiteOfComputeGramProduct
        ]
