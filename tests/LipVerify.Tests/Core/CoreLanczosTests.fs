/// The Lanczos recurrence and its tridiagonal matrices, against exact arithmetic and against an eigensolver.
/// The inequality is proved in proofs-checks/coq/statements/LanczosCertificate.v.
module LipVerify.Tests.CoreLanczosTests

open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Spectral
open LipVerify.Propositions.Generators
open LipVerify.Tests.CoreSpectralTests
open Expecto
open LipVerify.Propositions.Expectations

let private tridiagonal (diagonal: float[]) (offDiagonal: float[]) =
    {
        Diagonal = ResizeArray diagonal
        OffDiagonal = ResizeArray offDiagonal
    }

/// `T = B Bᵀ` for a bidiagonal `B`, so that it is positive semidefinite, with entries of one scale or of many.
let private semidefinite (draw: Draw) =
    let n = draw.Int(1, 12)

    let entry () =
        draw.Pick [ draw.Real(0.1, 1.0); draw.Power(-9.0, 0.0) ]

    let a = Array.init n (fun _ -> entry ())
    let b = Array.init n (fun _ -> entry ())

    tridiagonal
        (Array.init n (fun i -> a[i] * a[i] + (if i > 0 then b[i - 1] * b[i - 1] else 0.0)))
        (Array.init n (fun i -> a[i] * b[i]))

[<Tests>]
let tests =
    testList
        "CoreLanczos"
        [
            statement
                "the largest eigenvalue of a tridiagonal matrix is the eigensolver's"
                500
                (Draw >> semidefinite)
                (fun t ->
                    let n = t.Diagonal.Count

                    let matrix =
                        Array.init (n * n) (fun k ->
                            match k / n, k % n with
                            | i, j when i = j -> t.Diagonal[i]
                            | i, j when abs (i - j) = 1 -> t.OffDiagonal[min i j]
                            | _ -> 0.0)

                    let expected = engine.SymmetricEigen(n, HostStorage matrix, false) |> Array.max

                    Expect.isWithin
                        (1e-13 * expected)
                        (Tridiagonal.largestEigenvalue t)
                        expected
                        "Tridiagonal.largestEigenvalue t")

            statement
                "the first column of a resolvent is bounded from above, in exact arithmetic"
                500
                (Draw >> fun draw -> semidefinite draw, draw.Power(-12.0, 1.0))
                (fun (t, excess) ->
                    let n = t.Diagonal.Count
                    let lambda = Tridiagonal.largestEigenvalue t * (1.0 + excess)

                    match Tridiagonal.resolventColumn t lambda with
                    | None -> failtest $"{lambda:R} was not seen to exceed the eigenvalues"
                    | Some column ->
                        let exact = Dyadic.ofFloat

                        let diagonal =
                            [| for alpha in t.Diagonal -> Dyadic.subtract (exact lambda) (exact alpha) |]

                        let beta = [| for beta in t.OffDiagonal -> exact beta |]

                        // det(λI − T) of the rows from i on.
                        let determinants = Array.create (n + 2) (exact 1.0)

                        for i in n - 1 .. -1 .. 0 do
                            let coupled =
                                if i = n - 1 then
                                    exact 0.0
                                else
                                    Dyadic.multiply (Dyadic.multiply beta[i] beta[i]) determinants[i + 2]

                            determinants[i] <-
                                Dyadic.subtract (Dyadic.multiply diagonal[i] determinants[i + 1]) coupled

                        Expect.equal (Dyadic.sign determinants[0]) 1 "Dyadic.sign determinants[0]"

                        // Cramer's rule: φ_j = β_1 ⋯ β_{j−1} det(rows from j + 1 on)/det.
                        let mutable product = exact 1.0

                        for j in 0 .. n - 1 do
                            let numerator = Dyadic.multiply product determinants[j + 1]
                            let bound = Dyadic.multiply (exact column[j]) determinants[0]
                            Expect.isTrue (Dyadic.isAtMost bound numerator) $"entry {j}"
                            product <- Dyadic.multiply product beta[j])

            statement
                "no lambda up to the largest eigenvalue has a resolvent column"
                200
                (Draw >> semidefinite)
                (fun t ->
                    let largest = Tridiagonal.largestEigenvalue t

                    Expect.equal
                        (Tridiagonal.resolventColumn t (largest * (1.0 - 1e-12)))
                        None
                        "Tridiagonal.resolventColumn t (largest * (1.0 - 1e-12))"

                    Expect.equal (Tridiagonal.resolventColumn t 0.0) None "Tridiagonal.resolventColumn t 0.0")

            statement
                "each step of the recurrence errs by no more than it says, in exact arithmetic"
                300
                Draw
                (fun draw ->
                    let rows, columns = draw.Int(1, 5), draw.Int(1, 5)
                    let scale = draw.Pick [ 1.0; 1e-3; draw.Power(-30.0, 0.0) ]

                    let weights =
                        Array.init (rows * columns) (fun _ -> scale * draw.Pick [ 0.0; draw.Gaussian(); 0.5 ])

                    let m = MaskedMap.whole (dense rows columns weights)

                    let absolute = Array.sumBy (fun w -> w * w) weights

                    let lanczos =
                        Lanczos(
                            context,
                            Gram.operator context m Gram.Columns (absolute * (1.0 + 1e-12)),
                            1,
                            draw.Gaussians columns
                        )

                    let exact (v: Storage) =
                        Tensor.ofStorage [ columns ] v |> Tensor.values |> Array.map Dyadic.ofFloat

                    let dot (a: Dyadic[]) (b: Dyadic[]) =
                        Array.fold2 (fun sum x y -> Dyadic.add sum (Dyadic.multiply x y)) (Dyadic.ofFloat 0.0) a b

                    let row i =
                        Array.init columns (fun j -> Dyadic.ofFloat weights[i * columns + j])

                    let gram (v: Dyadic[]) =
                        let image = Array.init rows (fun i -> dot (row i) v)

                        Array.init columns (fun j ->
                            dot (Array.init rows (fun i -> Dyadic.ofFloat weights[i * columns + j])) image)

                    let mutable previous = Array.create columns (Dyadic.ofFloat 0.0)
                    let mutable current = exact lanczos.Vectors
                    let mutable before = Dyadic.ofFloat 0.0

                    for step in 0 .. draw.Int(0, 7) do
                        lanczos.Step()
                        let t = lanczos.Matrices[0]
                        let alpha = Dyadic.ofFloat t.Diagonal[step]
                        let beta = Dyadic.ofFloat t.OffDiagonal[step]
                        let next = exact lanczos.Vectors

                        let residual =
                            gram current
                            |> Array.mapi (fun j g ->
                                Dyadic.multiply beta next[j]
                                |> Dyadic.add (Dyadic.multiply alpha current[j])
                                |> Dyadic.add (Dyadic.multiply before previous[j])
                                |> Dyadic.subtract g)

                        let error = Dyadic.ofFloat lanczos.StepErrors[0].[step].Plain
                        let longest = Dyadic.ofFloat lanczos.UnitNorm

                        Expect.isTrue
                            (Dyadic.isAtMost (Dyadic.multiply error error) (dot residual residual))
                            $"step {step}"

                        Expect.isTrue
                            (Dyadic.isAtMost (Dyadic.multiply longest longest) (dot next next))
                            $"length {step}"

                        previous <- current
                        current <- next
                        before <- beta)
        ]
