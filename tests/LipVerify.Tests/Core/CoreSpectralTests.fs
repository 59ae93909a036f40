module LipVerify.Tests.CoreSpectralTests

open System
open LipVerify.Compute
open LipVerify.Core
open LipVerify.Propositions.Generators
open LipVerify.Propositions.Oracles
open NUnit.Framework

/// An operator `R A D` with slopes between 0 and 1, some of them 0.
let private operator seed =
    let draw = Draw(seed + 11)
    let case = linearMapCase seed

    let slope () =
        draw.Pick [ 0.0; 1.0; 1.0; draw.Real(0.0, 1.0); draw.Power(-12.0, 0.0) ]

    case,
    {
        Map = case.Map
        Rows = Tensor.vector (Array.init (LinearMap.outputs case.Map) (fun _ -> slope ()))
        Columns = case.Ball.Mask
    }

let private explicit (m: MaskedMap) =
    masked (Tensor.values m.Rows) (matrix m.Map) (Tensor.values m.Columns)

/// Certified, not below the truth, and within 1e-8 of it.
let private assertTight (exact: float) error (norm: Spectral.SpectralNorm) =
    Assert.That(norm.Bound.Rigor, Is.EqualTo Certified)
    Assert.That(norm.Bound.Value, Is.GreaterThanOrEqualTo(exact * (1.0 - error)), "below the largest singular value")
    Assert.That(norm.Bound.Value, Is.LessThanOrEqualTo(exact * (1.0 + 1e-8)), "loose")
    Assert.That(norm.Attained, Is.LessThanOrEqualTo norm.Bound.Value)

[<Test>]
let ``the norm of a random operator is its largest singular value, from above`` () =
    check 500 operator (fun (_, m) ->
        let rows = explicit m
        assertTight (spectralNorm rows) (singularError rows) (Spectral.norm context m))

let private dense rows columns (weights: float[]) =
    Dense(Dense.create (Tensor.ofArray [ rows; columns ] weights))

let private normOf map =
    Spectral.norm context (MaskedMap.whole map)

/// A random orthogonal matrix: Gram–Schmidt, twice.
let private orthogonal (draw: Draw) n =
    let project (rows: float[] list) (v: float[]) =
        (v, rows)
        ||> List.fold (fun v row ->
            let along = Array.fold2 (fun s a b -> s + a * b) 0.0 v row
            Array.map2 (fun a b -> a - along * b) v row)

    let unit (v: float[]) = Array.map (fun a -> a / norm v) v

    ([], [ 1..n ])
    ||> List.fold (fun rows _ -> (draw.Gaussians n |> project rows |> unit |> project rows |> unit) :: rows)
    |> Array.ofList

/// `U diag(s) Vᵀ`.
let private withSpectrum draw (spectrum: float[]) =
    let n = spectrum.Length
    let u, v = orthogonal draw n, orthogonal draw n

    Array.init (n * n) (fun k ->
        let i, j = k / n, k % n
        let mutable sum = 0.0

        for q in 0 .. n - 1 do
            sum <- sum + u[q].[i] * spectrum[q] * v[q].[j]

        sum)

[<Test>]
let ``clustered spectra are bounded as well as separated ones`` () =
    check 60 Draw (fun draw ->
        let n = draw.Int(2, 24)
        let scale = draw.Pick [ 1.0; draw.Power(-150.0, 150.0) ]

        let spectrum =
            draw.Pick
                [
                    fun _ -> 1.0
                    fun i -> 1.0 - 1e-13 * float i
                    fun i -> 1.0 - 1e-9 * float i
                    fun i -> Math.Pow(0.1, float i)
                    fun i -> if i < 2 then 1.0 else 1e-8
                ]

        let weights =
            withSpectrum draw (Array.init n spectrum) |> Array.map (fun w -> scale * w)

        let rows = Array.chunkBySize n weights
        assertTight (spectralNorm rows) (singularError rows) (normOf (dense n n weights)))

[<Test>]
let ``norms known exactly are never undercut`` () =
    // Sylvester's matrices have orthogonal rows of ±1: the norm is √n, an integer for n = 4^k.
    let sylvester n =
        Array.init (n * n) (fun k ->
            if Numerics.BitOperations.PopCount(uint32 ((k / n) &&& (k % n))) % 2 = 0 then
                1.0
            else
                -1.0)

    for n in [ 1; 4; 16; 64 ] do
        for exponent in [ -500; -1; 0; 3; 500 ] do
            let weights = sylvester n |> Array.map (fun w -> Math.ScaleB(w, exponent))
            let norm = (normOf (dense n n weights)).Bound.Value
            let exact = Math.ScaleB(sqrt (float n), exponent)
            Assert.That(norm, Is.GreaterThanOrEqualTo exact, $"{n} at 2^{exponent}")
            Assert.That(norm, Is.LessThanOrEqualTo(exact * (1.0 + 1e-8)))

    // All ones: √(m·n).
    for m, n in [ 1, 4; 3, 12; 9, 16; 5, 80 ] do
        let norm = (normOf (dense m n (Array.create (m * n) 1.0))).Bound.Value
        Assert.That(norm, Is.GreaterThanOrEqualTo(sqrt (float (m * n))), $"{m} × {n}")
        Assert.That(norm, Is.LessThanOrEqualTo(sqrt (float (m * n)) * (1.0 + 1e-8)))

[<Test>]
let ``powers of two come out of the norm as they went in`` () =
    check 60 linearMapCase (fun case ->
        let whole = normOf case.Map

        for exponent in [ -300; 40; 300 ] do
            let scaled = normOf (multiplied (Math.ScaleB(1.0, exponent)) case.Map)
            let expected = Math.ScaleB(whole.Bound.Value, exponent)
            Assert.That(scaled.Bound.Value, Is.EqualTo(expected).Within(1e-9 * expected)))

[<Test>]
let ``maps at both ends of the range of doubles get a bound that holds`` () =
    for size in [ Double.Epsilon; 1e-320; 1e-310; 1e-300; 1e300; 1e307; 1.7e308 ] do
        for n in [ 1; 2; 5 ] do
            let norm = (normOf (dense n n (Array.create (n * n) size))).Bound.Value
            Assert.That(norm, Is.GreaterThanOrEqualTo(float n * size), $"{n} × {n} of {size:R}")

/// `diag(scales) A` with each scale the same for all rows.
let private scaledBy scales map =
    (map, scales)
    ||> List.fold (fun map scale -> Scaled(Tensor.create [ LinearMap.outputs map ] scale, map))

[<Test>]
let ``factors that underflow one by one do not lower the norm`` () =
    // Dense 3×3 with 1 on the diagonal and 1/4 elsewhere: the norm is 1.5.
    let matrix size =
        dense 3 3 (Array.init 9 (fun k -> if k % 4 = 0 then size else 0.25 * size))

    for size, scales, slope in
        [
            1e-24, [ 1e-300; 1e300 ], 1.0
            1e200, [ 1e-200 ], 1e-150
            1e306, [ 1e-306 ], 1e-20
            1e307, [ 2e-308 ], 1e-16
            1e300, [ 1e-165; 1e-165 ], 1.0
        ] do
        let m =
            { MaskedMap.whole (scaledBy scales (matrix size)) with
                Rows = Tensor.create [ 3 ] slope
            }

        let exact = 1.5 * (List.fold (*) size (List.sort scales |> List.rev)) * slope
        let norm = (Spectral.norm context m).Bound
        Assert.That(norm.Rigor, Is.EqualTo Certified)
        Assert.That(norm.Value, Is.GreaterThanOrEqualTo(exact * (1.0 - 1e-12)), $"{size} {scales} {slope}")

[<Test>]
let ``a zero operator has norm zero, certified`` () =
    check 60 operator (fun (_, m) ->
        let nothing tensor = Tensor.map (fun _ -> 0.0) tensor

        for zero in [ { m with Rows = nothing m.Rows }; { m with Columns = nothing m.Columns } ] do
            Assert.That((Spectral.norm context zero).Bound, Is.EqualTo Bound.zero))

    Assert.That((normOf (dense 3 4 (Array.zeroCreate 12))).Bound, Is.EqualTo Bound.zero)

[<Test>]
let ``compression of a dense operator leaves its norm`` () =
    check 100 Draw (fun draw ->
        let rows, columns = draw.Int(2, 30), draw.Int(2, 30)

        let m =
            {
                Map = dense rows columns (weightMatrix draw rows columns)
                Rows = Tensor.vector (mask draw rows |> Array.map (fun d -> d * draw.Real(0.0, 1.0)))
                Columns = Tensor.vector (mask draw columns)
            }

        let exact = spectralNorm (explicit m)
        let compressed = MaskedMap.compress m
        Assert.That(spectralNorm (explicit compressed), Is.EqualTo(exact).Within(1e-13 * exact))
        assertTight exact (singularError (explicit m)) (Spectral.norm context m))

[<Test>]
let ``absolute norms dominate the explicit ones`` () =
    check 200 operator (fun (_, m) ->
        let rows = explicit m
        let struct (columnNorm, rowNorm) = MaskedMap.absoluteNorms engine m
        let absolute = rows |> Array.map (Array.map abs)
        let largestRow = absolute |> Array.map Array.sum |> Array.max

        let largestColumn =
            Array.init rows[0].Length (fun j -> absolute |> Array.sumBy (fun row -> row[j]))
            |> Array.max
        // The sums here are themselves rounded.
        let rounding = 1e-13
        // A column sum leaves room for products that underflow to 0.
        let underflow = 1000.0 * Double.Epsilon
        Assert.That(rowNorm, Is.InRange(largestRow * (1.0 - rounding), largestRow * (1.0 + rounding)))

        Assert.That(
            columnNorm,
            Is.InRange(largestColumn * (1.0 - rounding), largestColumn * (1.0 + rounding) + underflow)
        ))

// Lanczos, on operators that the certificate would take otherwise.

let private lanczos m =
    let struct (side, _) = Gram.smallerSide m
    let ritz = Lanczos.largest context m side 2e-10 5000
    sqrt ritz.Value, ritz

/// True where the second eigenvalue of the Gram matrix is not close to the first.
let private separated m =
    let struct (side, live) = Gram.smallerSide m
    let gram = Gram.form context m side live
    let eigenvalues = engine.SymmetricEigen(live.Length, HostStorage gram, false)

    live.Length = 1
    || eigenvalues[live.Length - 2] < 0.999 * eigenvalues[live.Length - 1]

[<Test>]
let ``Lanczos agrees with the certificate on mid-size operators`` () =
    check 12 Draw (fun draw ->
        let c, h, w = draw.Int(1, 3), draw.Int(6, 12), draw.Int(6, 12)

        let m =
            { MaskedMap.whole (convolution draw (c, h, w)) with
                Columns = Tensor.vector (Array.init (c * h * w) (fun i -> if i % 5 = 0 then 0.0 else 1.0))
            }

        let certified = (Spectral.norm context m).Bound.Value

        if certified > 0.0 && separated m then
            Assert.That(fst (lanczos m), Is.EqualTo(certified).Within(1e-9 * certified)))

[<Test>]
let ``Lanczos tells nearly equal singular values apart`` () =
    for split in [ 1e-3; 1e-4; 1e-5; 1e-6; 1e-7 ] do
        let values =
            Array.init 600 (fun i ->
                match i with
                | 0 -> 1.0
                | 1 -> 1.0 - split
                | _ -> 0.9 * cos (float i / 600.0))

        let value, _ = lanczos (MaskedMap.whole (Diagonal(Tensor.vector values)))
        Assert.That(value, Is.EqualTo(1.0).Within 1e-9, $"split {split}")

[<Test>]
let ``Lanczos finds rank one, multiples of the identity and clusters`` () =
    let draw = Draw 7
    let n = 60
    let left, right = draw.Gaussians n, draw.Gaussians n

    let cases =
        [
            "rank one", Array.init (n * n) (fun k -> left[k / n] * right[k % n]), norm left * norm right
            "identity", Array.init (n * n) (fun k -> if k / n = k % n then 3.0 else 0.0), 3.0
            "isometry", withSpectrum draw (Array.create n 2.0), 2.0
            "cluster", withSpectrum draw (Array.init n (fun i -> 1.0 - 1e-10 * float i)), 1.0
            "pairs", withSpectrum draw (Array.init n (fun i -> 1.0 - 0.01 * float (i / 2))), 1.0
        ]

    for name, weights, exact in cases do
        let value, _ = lanczos (MaskedMap.whole (dense n n weights))
        Assert.That(value, Is.EqualTo(exact).Within(1e-9 * exact), name)

[<Test>]
let ``Lanczos restarts where the basis is full, and still finds the norm`` () =
    // Gaps like 1/n² at the top, as of a long path: far more steps than the basis holds.
    let n = 2500

    let values =
        Array.init n (fun i -> sqrt (2.0 + 2.0 * cos (Math.PI * float i / float n)))

    let m = MaskedMap.whole (Diagonal(Tensor.vector values))
    let value, ritz = lanczos m
    Assert.That(ritz.Applications, Is.GreaterThan 400, "the basis never filled")
    Assert.That(value, Is.EqualTo(values[0]).Within(1e-9 * values[0]))

[<Test>]
let ``Lanczos keeps to the support of its side`` () =
    let values = Array.init 500 (fun i -> float (i + 1))

    let m =
        { MaskedMap.whole (Diagonal(Tensor.vector values)) with
            Columns = Tensor.vector (Array.init 500 (fun i -> if i < 100 then 1.0 else 0.0))
        }

    Assert.That(fst (lanczos m), Is.EqualTo(100.0).Within(1e-7))

[<Test>]
let ``a long diagonal is bounded by its largest entry`` () =
    let values = Gaussian.draw 1 1 5000
    let norm = normOf (Diagonal(Tensor.vector values))
    Assert.That(norm.Bound, Is.EqualTo(Bound.certified (values |> Array.map abs |> Array.max)))
