/// Certificates by random vectors, on operators small enough to know the truth.
/// The inequalities behind certificates by factors are proved in proofs-checks/coq/statements/SpectralNorm.v.
module LipVerify.Tests.CoreCertificateTests

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Analytic
open LipVerify.Propositions.Generators
open LipVerify.Propositions.Oracles
open LipVerify.Tests.CoreSpectralTests
open Expecto
open LipVerify.Propositions.Expectations

let private diagonal (values: float[]) =
    MaskedMap.whole (Diagonal(Tensor.vector values))

let private withSeed seed = { context with Seed = seed }

/// The certificate of an operator whose norm is near 1, as a bound on the norm, with what was attained.
let private certify context (m: MaskedMap) absoluteProduct tolerance failure =
    let gram = Gram.operator context m (Gram.cheapestSide m) absoluteProduct

    let certificate =
        LanczosCertificate.largestEigenvalue context gram tolerance failure

    sqrt certificate.Upper, sqrt certificate.Attained, certificate.Applications

/// Spectra that are hard in different ways, largest value 1, for `n` singular values.
let private spectra n =
    [
        "one value", fun _ -> 1.0
        "semicircle, no gap", fun i -> cos (Math.PI / 2.0 * float i / float n)
        "gap", fun i -> if i = 0 then 1.0 else 0.8 * float (n - i) / float n
        "several above a bulk",
        fun i ->
            if i < 5 then
                1.0 - 0.02 * float i
            else
                0.7 * float (n - i) / float n
        "a pair at distance 1e-5",
        fun i ->
            if i < 2 then
                1.0 - 1e-5 * float i
            else
                0.9 * float (n - i) / float n
        "a pair at distance 1e-12",
        fun i ->
            if i < 2 then
                1.0 - 1e-12 * float i
            else
                0.9 * float (n - i) / float n
        "a cluster", fun i -> 1.0 - 1e-9 * float i
        "rank one", fun i -> if i = 0 then 1.0 else 0.0
        "geometric", fun i -> Math.Pow(0.5, float i)
    ]

/// With the failure probability `δ`, at most this many of `count` trials may fail: the mean and five standard deviations.
let private mayFail failure count =
    let mean = failure * float count
    int (mean + 5.0 * sqrt (mean * (1.0 - failure)) + 1.0)

[<Tests>]
let tests =
    testList
        "CoreCertificate"
        [
            testCase "a certificate lies above the largest singular value, and not far" (fun () ->
                for n in [ 20; 300; 2000 ] do
                    for name, spectrum in spectra n do
                        for tolerance in [ 1e-2; 1e-3; 1e-5 ] do
                            let upper, attained, _ =
                                certify (withSeed n) (diagonal (Array.init n spectrum)) 1.0 tolerance 1e-9

                            let what = $"{name}, n = {n}, tolerance {tolerance}"
                            Expect.isGreaterThanOrEqual upper 1.0 what
                            Expect.isLessThanOrEqual attained (1.0 + 1e-12) what

                            // Tolerances that a spectrum without a gap would need thousands of steps for are not promised.
                            if tolerance >= 1e-3 then
                                Expect.isLessThanOrEqual upper (attained * (1.0 + tolerance) * (1.0 + 1e-12)) what)

            testCase "with a gap the certificate is as tight as asked" (fun () ->
                let n = 2000

                let values =
                    Array.init n (fun i -> if i = 0 then 1.0 else 0.9 * float (n - i) / float n)

                let upper, attained, applications = certify context (diagonal values) 1.0 1e-6 1e-9
                Expect.isInRange upper (1.0, 1.0 + 2e-6) "upper"
                Expect.isWithin 1e-9 attained (1.0) "attained"
                // Plain power iteration of 100 steps costs 100.
                Expect.isLessThan applications 120 "applications")

            statement
                "random certificates of random operators are never below the largest singular value"
                2000
                operator
                (fun (case, m) ->
                    let m = MaskedMap.mergeScales m
                    let struct (columnNorm, rowNorm) = MaskedMap.absoluteNorms engine m
                    let ceiling = sqrt columnNorm * sqrt rowNorm

                    if ceiling > 1e-200 && ceiling < 1e200 then
                        let exponent = -(Math.ILogB ceiling)
                        let scaled = MaskedMap.scaleRows exponent m
                        let product = Math.ScaleB(ceiling, exponent) ** 2.0 * (1.0 + 1e-12)
                        let tolerance = [| 1e-1; 1e-2; 1e-4; 1e-7; 1e-12 |][case.Seed % 5]
                        let upper, attained, _ = certify (withSeed case.Seed) scaled product tolerance 1e-9
                        let rows = explicit scaled
                        let error = singularError rows
                        let exact = spectralNorm rows
                        Expect.isGreaterThanOrEqual upper (exact * (1.0 - error)) "upper"
                        Expect.isLessThanOrEqual attained (exact * (1.0 + error + 1e-12 * ceiling / exact)) "attained"

                        if tolerance >= 1e-7 then
                            Expect.isLessThanOrEqual upper (exact * (1.0 + tolerance + error)) "upper")

            testCase "tight certificates find rank one, multiples of the identity and clusters" (fun () ->
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
                    let scale = 1.0 / (exact * float n)
                    let m = MaskedMap.whole (dense n n (weights |> Array.map (fun w -> scale * w)))
                    let upper, attained, _ = certify context m 1.0 1e-8 1e-9
                    let exact = scale * exact
                    Expect.isWithin (1e-9 * exact) attained exact name
                    Expect.isInRange upper (exact * (1.0 - 1e-13), exact * (1.0 + 1.1e-8)) name)

            testCase "the support of the side is kept to" (fun () ->
                let m =
                    { diagonal (Array.init 500 (fun i -> float (i + 1) / 500.0)) with
                        Columns = Tensor.vector (Array.init 500 (fun i -> if i < 100 then 1.0 else 0.0))
                    }

                let upper, attained, _ = certify context m 1.0 1e-8 1e-9
                Expect.isWithin 1e-9 attained (0.2) "attained"
                Expect.isInRange upper (0.2, 0.2 * (1.0 + 1.1e-8)) "upper")

            testCase "rounding that drowns two vectors leaves room for more of them" (fun () ->
                // Beside ‖|M|‖ the norm is so small that rounding outweighs what two vectors of 1e-10 leave open.
                let values =
                    Array.init 3000 (fun i -> if i = 0 then 1.0 else 0.9 * float (3000 - i) / 3000.0)

                let scale = 3e-4
                let m = diagonal (values |> Array.map (fun v -> scale * v))
                let upper, attained, applications = certify context m 1.0 1e-4 1e-9
                Expect.isGreaterThanOrEqual upper scale "upper"
                Expect.isLessThanOrEqual upper (attained * 1.0001) "upper"
                Expect.isGreaterThan applications 100 "a single attempt did")

            testCase "a tolerance beyond reach gets as close as rounding lets it" (fun () ->
                for rows, columns in [ 3500, 20; 20, 3500 ] do
                    let weights = Gaussian.draw 9 1 (rows * columns) |> Array.map (fun w -> w / 3500.0)
                    let m = MaskedMap.whole (dense rows columns weights)

                    for side, tolerance in List.allPairs [ Gram.Rows; Gram.Columns ] [ 1e-12; 1e-16; 1e-300 ] do
                        let certificate =
                            LanczosCertificate.largestEigenvalue
                                (withSeed 1)
                                (Gram.operator context m side 1.0)
                                tolerance
                                1e-9

                        Expect.isGreaterThan certificate.Upper certificate.Attained "upper"

                        Expect.isLessThan
                            certificate.Upper
                            (certificate.Attained * (1.0 + 1e-5))
                            $"{rows} × {columns}, {side}")

            testCase "a bound that is of no use takes fewer applications, and still holds" (fun () ->
                for name, spectrum in spectra 300 do
                    let m = diagonal (Array.init 300 spectrum)
                    let gram = Gram.operator context m (Gram.cheapestSide m) 1.0

                    let find useful =
                        LanczosCertificate.largestEigenvalueFor
                            { LanczosCertificate.asLowAsPossible with
                                Useful = useful
                            }
                            context
                            gram
                            1e-4
                            1e-9

                    let all, useless = find Double.PositiveInfinity, find 0.3
                    Expect.isGreaterThanOrEqual useless.Upper 1.0 name
                    Expect.isGreaterThan useless.Attained (0.3) name
                    Expect.isLessThanOrEqual useless.Attained (1.0 + 1e-9) name
                    Expect.isTrue (find 1.5 = all) name

                    if name = "semicircle, no gap" then
                        Expect.isLessThan useless.Applications (all.Applications / 4) name)

            testCase "a bound that is good enough is worth no second attempt" (fun () ->
                // Rounding leaves no room for the tolerance asked for.
                let weights = Gaussian.draw 9 1 (3500 * 20) |> Array.map (fun w -> w / 3500.0)

                let gram =
                    Gram.operator context (MaskedMap.whole (dense 3500 20 weights)) Gram.Rows 1.0

                let find vectors enough =
                    LanczosCertificate.largestEigenvalueFor
                        { LanczosCertificate.asLowAsPossible with
                            Vectors = vectors
                            Enough = enough
                        }
                        (withSeed 1)
                        gram
                        1e-16
                        1e-9

                let all, enough, many = find 2 0.0, find 2 1.0, find 8 0.0
                Expect.isLessThan enough.Applications all.Applications "applications"
                Expect.isInRange enough.Upper (all.Attained, 1.0) "upper"
                // One attempt is the last.
                Expect.isLessThan many.Applications all.Applications "applications"
                Expect.equal (many.Applications % 8) 0 "many.Applications % 8"
                Expect.isInRange many.Upper (all.Attained, 1.0) "upper")

            testTheory "certificates fail no more often than they say" [ 0.1; 0.01 ] (fun (failure: float) ->
                let n = 40
                let count = 1000
                // No gap: the certificate's bound is loose only by what its random vectors leave open.
                let values = Array.init n (fun i -> 1.0 - 0.2 * float i / float n)
                let m = diagonal values

                let failures =
                    Seq.init count (fun seed -> certify (withSeed (seed + 1)) m 1.0 0.3 failure)
                    |> Seq.filter (fun (upper, _, _) -> upper < 1.0)
                    |> Seq.length

                Expect.isLessThanOrEqual failures (mayFail failure count) "failures")

            testCase "a large operator gets a probabilistic norm within its tolerance, at every scale" (fun () ->
                // Taps this far apart couple nearly all positions, so that a factorisation is dear.
                let axis = WindowAxis(14, 3, 1, 6, 6, 6)
                let weights = Gaussian.draw 5 1 (21 * 21 * 9)

                for scale in [ 1.0; 1e-150; 1e150 ] do
                    let kernel =
                        Tensor.ofArray [ 21; 21; 3; 3 ] (weights |> Array.map (fun w -> scale * w))

                    let map =
                        Convolution(Convolution.create (ConvolutionGeometry(21, 21, axis, axis)) kernel)

                    let norm = Spectral.norm context (MaskedMap.whole map)

                    let exact =
                        Spectral.norm
                            { context with
                                Certification =
                                    { context.Certification with
                                        Deterministic = true
                                    }
                            }
                            (MaskedMap.whole map)

                    Expect.equal norm.Bound.Rigor (Probabilistic 1e-9) "rigor"
                    Expect.equal exact.Bound.Rigor Certified "rigor"
                    Expect.isGreaterThanOrEqual norm.Bound.Value (exact.Bound.Value * (1.0 - 1e-8)) "value"
                    Expect.isLessThanOrEqual norm.Bound.Value (norm.Attained * 1.001) "value")

            testCase "the same seed gives the same certificate, another seed another" (fun () ->
                let m = diagonal (Array.init 500 (fun i -> 1.0 - 0.5 * float i / 500.0))
                let first = certify (withSeed 3) m 1.0 1e-2 1e-9
                Expect.equal (certify (withSeed 3) m 1.0 1e-2 1e-9) first "certify (withSeed 3) m 1.0 1e-2 1e-9"
                Expect.notEqual (certify (withSeed 4) m 1.0 1e-2 1e-9) first "certify (withSeed 4) m 1.0 1e-2 1e-9")

            testCase "an operator beyond deterministic certificates is refused by the layer's name" (fun () ->
                // Taps this far apart couple nearly all positions.
                let axis = WindowAxis(130, 3, 1, 64, 64, 64)

                let wide =
                    Convolution(
                        Convolution.create (ConvolutionGeometry(1, 1, axis, axis)) (Tensor.create [ 1; 1; 3; 3 ] 2.0)
                    )

                let blocks = Series [ Step("wide", Layer.linear wide); Step("relu", Layer.relu) ]

                let network =
                    match Network.create [ 1; 130; 130 ] blocks with
                    | Ok network -> network
                    | Error problem -> failwith problem

                let strict =
                    { context with
                        Certification =
                            { context.Certification with
                                Deterministic = true
                            }
                    }

                try
                    Global.bound strict network |> ignore
                    failtest "the layer was certified"
                with :? Spectral.NotCertifiableException as failure ->
                    Expect.stringContainsAll failure.Message [ "layer 0 (wide)"; "16900" ] "message")

            testCase "a Gram matrix that rounds downward all the way does not lower the certificate" (fun () ->
                // A million squares 1 + 2^-40 + 2^-82: behind a partial sum of 8192 each addition loses the small part.
                let count = 1_000_000
                let entry = 1.0 + Math.ScaleB(1.0, -41)
                let column = Dense(Dense.create (Tensor.create [ count; 1 ] entry))
                let exact = float count * (1.0 + Math.ScaleB(1.0, -40))

                let enclosure =
                    CholeskyCertificate.largestGramEigenvalue
                        context
                        (MaskedMap.whole column)
                        (GramLayout.ofSide Gram.Columns (MaskedMap.whole column))
                        (exact * (1.0 + 1e-9))

                Expect.isLessThan enclosure.Estimate (exact * (1.0 - 1e-13)) "rounding was not downward"
                Expect.isGreaterThan enclosure.Upper exact "upper")
        ]
