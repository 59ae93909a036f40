namespace LipVerify.Tests

open System
open FsCheck.FSharp
open LipVerify.Compute
open LipVerify.Tests.ComputeReference
open NUnit.Framework

[<TestFixture("managed")>]
[<TestFixture("openblas")>]
type ComputeFactorisationTests(name: string) =
    let mutable engine = Unchecked.defaultof<IEngine>

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

    [<OneTimeSetUp>]
    member _.Choose() = engine <- engineOrSkip name 2

    [<Test>]
    member _.``L·Lᵀ is A within γ_(n+1)·|L||Lᵀ|, and the upper triangle is left alone``() =
        let holds (n, seed) =
            let a = definite n seed
            let l = Array.mapi (fun i v -> if i % n > i / n then 77.0 else v) a
            Assert.That(engine.TryCholesky(n, host l))

            for i in 0 .. n - 1 do
                for j in 0 .. n - 1 do
                    if j > i then
                        Assert.That(l[i * n + j], Is.EqualTo 77.0)
                    else
                        let terms = [| for k in 0..j -> l[i * n + k] * l[j * n + k] |]
                        // Higham, Theorem 10.3; the product in this check adds as much again.
                        let allowed = 2.0 * gamma (n + 1) * Array.sumBy abs terms
                        Assert.That(abs (Array.sum terms - a[i * n + j]), Is.LessThanOrEqualTo allowed)

        check 40 seeded holds
        holds (450, 3)

    [<Test>]
    member _.``a Cholesky factor has the same bits with one thread and with two``() =
        let one, two = definite 300 1, definite 300 1

        Assert.That(
            (engineOrSkip name 1).TryCholesky(300, host one)
            && engine.TryCholesky(300, host two)
        )

        assertSameBits one two

    [<Test>]
    member _.``a matrix with a negative, zero, infinite or undefined pivot has no Cholesky factor``() =
        check 60 (Gen.zip seeded (Gen.elements [ -1.0; 0.0; nan; infinity ])) (fun ((n, seed), pivot) ->
            let a = definite n seed
            let i = seed % n
            a[i * n + i] <- pivot
            Assert.That(engine.TryCholesky(n, host a), Is.False))

    [<Test>]
    member _.``one undefined value off the diagonal is enough for failure``() =
        check 30 seeded (fun (n, seed) ->
            let n = n + 1
            let a = definite n seed
            a[(1 + seed % (n - 1)) * n + seed % (1 + seed % (n - 1))] <- nan
            Assert.That(engine.TryCholesky(n, host a), Is.False))

    [<Test>]
    member _.``definiteness is decided at the eigenvalue``() =
        check 20 seeded (fun (n, seed) ->
            let a = symmetric n seed
            let least = engine.SymmetricEigen(n, host (Array.copy a), false)[0]

            let shifted shift =
                a |> Array.mapi (fun i v -> if i / n = i % n then v + shift else v)
            // Eigenvalues err by a small multiple of n·u·‖A‖ ≤ n²·u, definiteness by γ_(n+1)·trace: 1e-9 is far above both.
            Assert.That(engine.TryCholesky(n, host (shifted (1e-9 - least))))
            Assert.That(engine.TryCholesky(n, host (shifted (-1e-9 - least))), Is.False))

    [<Test>]
    member _.``a matrix has the same eigenvalues, to the last bit, wherever it lies``() =
        check 20 seeded (fun (n, seed) ->
            let a = symmetric n seed

            // Arrays in between move the copies to other places within a line of the cache.
            let copies =
                List.init 16 (fun i -> Array.zeroCreate<float>(1 + i % 3), Array.copy a)

            let values =
                [ for _, copy in copies -> engine.SymmetricEigen(n, host copy, true), copy ]

            Assert.That(List.forall ((=) values.Head) values))

    [<Test>]
    member _.``eigenvalues ascend, and eigenvectors in rows rebuild the matrix``() =
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
                    Assert.That(values[i - 1], Is.LessThanOrEqualTo values[i])

                Assert.That(abs (values[i] - alone[i]), Is.LessThanOrEqualTo allowed)

                for j in 0 .. n - 1 do
                    let rebuilt =
                        Seq.sum (seq { for k in 0 .. n - 1 -> values[k] * vectors[k * n + i] * vectors[k * n + j] })

                    Assert.That(abs (rebuilt - a[i * n + j]), Is.LessThanOrEqualTo allowed))

    [<Test>]
    member _.``eigenvalues of a matrix that is not finite are refused``() =
        for bad in [ nan; infinity ] do
            let a = symmetric 4 1
            a[2 * 4 + 1] <- bad
            refusal (fun () -> engine.SymmetricEigen(4, host a, true) |> ignore) |> ignore

    [<Test>]
    member _.``a block too short for the matrix is refused with both numbers``() =
        let short = host (Array.zeroCreate 8)
        Assert.That(refusal (fun () -> engine.TryCholesky(3, short) |> ignore), Does.Contain("9").And.Contain("8"))

        Assert.That(
            refusal (fun () -> engine.SymmetricEigen(3, short, false) |> ignore),
            Does.Contain("9").And.Contain("8")
        )
