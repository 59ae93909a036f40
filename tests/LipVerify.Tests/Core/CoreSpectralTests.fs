module LipVerify.Tests.CoreSpectralTests

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

/// A random operator `R A D` with slopes between 0 and 1, some of them 0.
let operator seed =
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

/// The rows of `R A D`.
let explicit (m: MaskedMap) =
    masked (Tensor.values m.Rows) (matrix m.Map) (Tensor.values m.Columns)

/// Certified, not below the truth, and within 1e-8 of it.
let private assertTight (exact: float) error (norm: Spectral.SpectralNorm) =
    Expect.equal norm.Bound.Rigor Certified "rigor"
    Expect.isGreaterThanOrEqual norm.Bound.Value (exact * (1.0 - error)) "below the largest singular value"
    Expect.isLessThanOrEqual norm.Bound.Value (exact * (1.0 + 1e-8)) "loose"
    Expect.isLessThanOrEqual norm.Attained norm.Bound.Value "attained"

/// A dense map with weights in row-major order.
let dense rows columns (weights: float[]) =
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

/// `U diag(s) Vᵀ` for random orthogonal `U` and `V`, row-major.
let withSpectrum draw (spectrum: float[]) =
    let n = spectrum.Length
    let u, v = orthogonal draw n, orthogonal draw n

    Array.init (n * n) (fun k ->
        let i, j = k / n, k % n
        let mutable sum = 0.0

        for q in 0 .. n - 1 do
            sum <- sum + u[q].[i] * spectrum[q] * v[q].[j]

        sum)

/// `diag(scales) A` with each scale the same for all rows.
let private scaledBy scales map =
    (map, scales)
    ||> List.fold (fun map scale -> Scaled(Tensor.create [ LinearMap.outputs map ] scale, map))

[<Tests>]
let tests =
    testList
        "CoreSpectral"
        [
            statement
                "the norm of a random operator is its largest singular value, from above"
                1500
                operator
                (fun (_, m) ->
                    let rows = explicit m
                    assertTight (spectralNorm rows) (singularError rows) (Spectral.norm context m))

            statement "clustered spectra are bounded as well as separated ones" 60 Draw (fun draw ->
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

            testCase "norms known exactly are never undercut" (fun () ->
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
                        Expect.isGreaterThanOrEqual norm exact $"{n} at 2^{exponent}"
                        Expect.isLessThanOrEqual norm (exact * (1.0 + 1e-8)) "norm"

                // All ones: √(m·n).
                for m, n in [ 1, 4; 3, 12; 9, 16; 5, 80 ] do
                    let norm = (normOf (dense m n (Array.create (m * n) 1.0))).Bound.Value
                    Expect.isGreaterThanOrEqual norm (sqrt (float (m * n))) $"{m} × {n}"
                    Expect.isLessThanOrEqual norm (sqrt (float (m * n)) * (1.0 + 1e-8)) "norm")

            statement "powers of two come out of the norm as they went in" 60 linearMapCase (fun case ->
                let whole = normOf case.Map

                for exponent in [ -300; 40; 300 ] do
                    let scaled = normOf (multiplied (Math.ScaleB(1.0, exponent)) case.Map)
                    let expected = Math.ScaleB(whole.Bound.Value, exponent)
                    Expect.isWithin (1e-9 * expected) scaled.Bound.Value expected "value")

            testCase "maps at both ends of the range of doubles get a bound that holds" (fun () ->
                for size in [ Double.Epsilon; 1e-320; 1e-310; 1e-300; 1e300; 1e307; 1.7e308 ] do
                    for n in [ 1; 2; 5 ] do
                        let norm = (normOf (dense n n (Array.create (n * n) size))).Bound.Value
                        Expect.isGreaterThanOrEqual norm (float n * size) $"{n} × {n} of {size:R}")

            testCase "factors that underflow one by one do not lower the norm" (fun () ->
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
                    Expect.equal norm.Rigor Certified "rigor"
                    Expect.isGreaterThanOrEqual norm.Value (exact * (1.0 - 1e-12)) $"{size} {scales} {slope}")

            testCase "a zero operator has norm zero, certified" (fun () ->
                check 60 operator (fun (_, m) ->
                    let nothing tensor = Tensor.map (fun _ -> 0.0) tensor

                    for zero in [ { m with Rows = nothing m.Rows }; { m with Columns = nothing m.Columns } ] do
                        Expect.equal (Spectral.norm context zero).Bound Bound.zero "bound")

                Expect.equal (normOf (dense 3 4 (Array.zeroCreate 12))).Bound Bound.zero "bound")

            statement "compression of a dense operator leaves its norm" 100 Draw (fun draw ->
                let rows, columns = draw.Int(2, 30), draw.Int(2, 30)

                let m =
                    {
                        Map = dense rows columns (weightMatrix draw rows columns)
                        Rows = Tensor.vector (mask draw rows |> Array.map (fun d -> d * draw.Real(0.0, 1.0)))
                        Columns = Tensor.vector (mask draw columns)
                    }

                let exact = spectralNorm (explicit m)
                let compressed = MaskedMap.compress m

                Expect.isWithin
                    (1e-13 * exact)
                    (spectralNorm (explicit compressed))
                    exact
                    "spectralNorm (explicit compressed)"

                assertTight exact (singularError (explicit m)) (Spectral.norm context m))

            statement "absolute norms dominate the explicit ones" 200 operator (fun (_, m) ->
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
                Expect.isInRange rowNorm (largestRow * (1.0 - rounding), largestRow * (1.0 + rounding)) "row norm"

                Expect.isInRange
                    columnNorm
                    (largestColumn * (1.0 - rounding), largestColumn * (1.0 + rounding) + underflow)
                    "column norm")

            testCase "a long diagonal is bounded by its largest entry" (fun () ->
                let values = Gaussian.draw 1 1 5000
                let norm = normOf (Diagonal(Tensor.vector values))
                Expect.equal norm.Bound (Bound.certified (values |> Array.map abs |> Array.max)) "bound")

            testCase "a huge factor of a row of zeros does not spoil the norm" (fun () ->
                let m =
                    { MaskedMap.whole (dense 2 2 [| 1e-200; 2e-200; 0.0; 0.0 |]) with
                        Rows = Tensor.vector [| 1.0; 1e300 |]
                    }

                let exact = 1e-200 * sqrt 5.0
                let norm = (Spectral.norm context m).Bound.Value
                Expect.isGreaterThanOrEqual norm (exact * (1.0 - 1e-15)) "norm"
                Expect.isLessThan norm (2.0 * exact) "norm")
        ]
