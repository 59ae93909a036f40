module LipVerify.Tests.ComputeFactorisationTests

open System
open FsCheck.FSharp
open LipVerify.Compute
open LipVerify.Tests.ComputeReference
open Expecto
open LipVerify.Propositions.Expectations

let private suiteOfComputeFactorisation (engine: IEngine) =

    let order = Gen.frequency [ 4, Gen.choose (1, 40); 2, Gen.choose (60, 130) ]

    let seeded =
        gen {
            let! n = order
            let! seed = Gen.choose (0, 1000000)
            return n, seed
        }

    let symmetric n seed =
        let values = randomValues seed (n * n)
        Array.init (n * n) (fun i -> values[max (i / n) (i % n) * n + min (i / n) (i % n)])

    /// Diagonally dominant, hence positive definite.
    let definite n seed =
        symmetric n seed
        |> Array.mapi (fun i v -> if i / n = i % n then float n + v else v)

    [
        testCase "L·Lᵀ is A within γ_(n+1)·|L||Lᵀ|, and the upper triangle is left alone" (fun () ->
            let holds (n, seed) =
                let a = definite n seed
                let l = Array.mapi (fun i v -> if i % n > i / n then 77.0 else v) a
                Expect.isTrue (engine.TryCholesky(n, host l)) "engine.TryCholesky(n, host l)"

                for i in 0 .. n - 1 do
                    for j in 0 .. n - 1 do
                        if j > i then
                            Expect.equal l[i * n + j] 77.0 "l[i * n + j]"
                        else
                            let terms = [| for k in 0..j -> l[i * n + k] * l[j * n + k] |]
                            // Higham, Theorem 10.3; the product in this check adds as much again.
                            let allowed = 2.0 * gamma (n + 1) * Array.sumBy abs terms

                            Expect.isLessThanOrEqual
                                (abs (Array.sum terms - a[i * n + j]))
                                allowed
                                "abs (Array.sum terms - a[i * n + j])"

            check 40 seeded holds
            holds (450, 3))

        testCase "a Cholesky factor has the same bits with one thread and with two" (fun () ->
            let one, two = definite 300 1, definite 300 1

            Expect.isTrue
                ((singleThreaded engine).TryCholesky(300, host one)
                 && engine.TryCholesky(300, host two))
                ""

            assertSameBits one two)

        testCase "a matrix with a negative, zero, infinite or undefined pivot has no Cholesky factor" (fun () ->
            check 60 (Gen.zip seeded (Gen.elements [ -1.0; 0.0; nan; infinity ])) (fun ((n, seed), pivot) ->
                let a = definite n seed
                let i = seed % n
                a[i * n + i] <- pivot
                Expect.isFalse (engine.TryCholesky(n, host a)) "engine.TryCholesky(n, host a)"))

        testCase "one undefined value off the diagonal is enough for failure" (fun () ->
            check 30 seeded (fun (n, seed) ->
                let n = n + 1
                let a = definite n seed
                a[(1 + seed % (n - 1)) * n + seed % (1 + seed % (n - 1))] <- nan
                Expect.isFalse (engine.TryCholesky(n, host a)) "engine.TryCholesky(n, host a)"))

        testCase "definiteness is decided at the eigenvalue" (fun () ->
            check 20 seeded (fun (n, seed) ->
                let a = symmetric n seed
                let least = engine.SymmetricEigen(n, host (Array.copy a), false)[0]

                let shifted shift =
                    a |> Array.mapi (fun i v -> if i / n = i % n then v + shift else v)
                // Eigenvalues err by a small multiple of n·u·‖A‖ ≤ n²·u, definiteness by γ_(n+1)·trace: 1e-9 is far above both.
                Expect.isTrue
                    (engine.TryCholesky(n, host (shifted (1e-9 - least))))
                    "engine.TryCholesky(n, host (shifted (1e-9 - least)))"

                Expect.isFalse
                    (engine.TryCholesky(n, host (shifted (-1e-9 - least))))
                    "engine.TryCholesky(n, host (shifted (-1e-9 - least)))"))

        testCase "a matrix has the same eigenvalues, to the last bit, wherever it lies" (fun () ->
            check 20 seeded (fun (n, seed) ->
                let a = symmetric n seed

                // Arrays in between move the copies to other places within a line of the cache.
                let copies =
                    List.init 16 (fun i -> Array.zeroCreate<float>(1 + i % 3), Array.copy a)

                let values =
                    [ for _, copy in copies -> engine.SymmetricEigen(n, host copy, true), copy ]

                Expect.isTrue (List.forall ((=) values.Head) values) "List.forall ((=) values.Head) values"))

        testCase "eigenvalues ascend, and eigenvectors in rows rebuild the matrix" (fun () ->
            check 30 seeded (fun (n, seed) ->
                let a = symmetric n seed
                let vectors = Array.copy a
                let values = engine.SymmetricEigen(n, host vectors, true)
                let alone = engine.SymmetricEigen(n, host (Array.copy a), false)
                // Backward stable: p(n)·u·‖A‖_F with a modest polynomial; 50·n covers both solvers with room.
                let allowed =
                    50.0 * float n * Math.ScaleB(1.0, -53) * sqrt (Array.sumBy (fun v -> v * v) a)

                for i in 0 .. n - 1 do
                    if i > 0 then
                        Expect.isLessThanOrEqual values[i - 1] values[i] "values[i - 1]"

                    Expect.isLessThanOrEqual (abs (values[i] - alone[i])) allowed "abs (values[i] - alone[i])"

                    for j in 0 .. n - 1 do
                        let rebuilt =
                            Seq.sum (
                                seq { for k in 0 .. n - 1 -> values[k] * vectors[k * n + i] * vectors[k * n + j] }
                            )

                        Expect.isLessThanOrEqual (abs (rebuilt - a[i * n + j])) allowed "abs (rebuilt - a[i * n + j])"))

        testCase "eigenvalues of a matrix that is not finite are refused" (fun () ->
            for bad in [ nan; infinity ] do
                let a = symmetric 4 1
                a[2 * 4 + 1] <- bad
                refusal (fun () -> engine.SymmetricEigen(4, host a, true) |> ignore) |> ignore)

        testCase "a block too short for the matrix is refused with both numbers" (fun () ->
            let short = host (Array.zeroCreate 8)

            Expect.stringContainsAll
                (refusal (fun () -> engine.TryCholesky(3, short) |> ignore))
                [ "9"; "8" ]
                "refusal (fun () -> engine.TryCholesky(3, short) |> ignore)"

            Expect.stringContainsAll
                (refusal (fun () -> engine.SymmetricEigen(3, short, false) |> ignore))
                [ "9"; "8" ]
                "refusal (fun () -> engine.SymmetricEigen(3, short, false) |> ignore)")

    ]

[<Tests>]
let tests =
    testList
        "ComputeFactorisation"
        [
            onEngine "managed" 2 suiteOfComputeFactorisation
            onEngine "openblas" 2 suiteOfComputeFactorisation
            onEngine "torch:cpu" 2 suiteOfComputeFactorisation
            onEngine "ilgpu:cpu" 2 suiteOfComputeFactorisation
            onEngine "cuda" 2 suiteOfComputeFactorisation
        ]
