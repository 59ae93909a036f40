/// What engines claim of the depth of their sums, on sums that lose all they can: behind a 1, terms of just less than half a unit in its
/// last place vanish one by one, each with nearly the largest error that a rounding may have. A claim that is too low by a part does not pass.
module LipVerify.Tests.ComputeDepthTests

open System
open System.Numerics
open LipVerify.Compute
open LipVerify.Tests.ComputeReference
open Expecto
open LipVerify.Propositions.Expectations

/// `(2²⁰ − 1)·2⁻⁷³`, just below `2⁻⁵³`.
let private small = Math.ScaleB(float ((1 <<< 20) - 1), -73)

/// A value in units of `2⁻¹²⁶`: values here are multiples of it.
let private exactly (value: float) =
    let bits = BitConverter.DoubleToInt64Bits value
    let exponent = int (bits >>> 52) &&& 0x7FF
    let mantissa = (bits &&& 0xFFFFFFFFFFFFFL) ||| 0x10000000000000L

    if value = 0.0 then
        BigInteger.Zero
    else
        BigInteger mantissa <<< (exponent - 1075 + 126)

/// Terms with a 1 at the start of every `period`, and their sum.
type private Terms = { Values: float[]; Sum: BigInteger }

let private terms period count =
    let values = Array.init count (fun i -> if i % period = 0 then 1.0 else small)

    {
        Values = values
        Sum =
            values
            |> Array.countBy id
            |> Array.fold (fun total (value, times) -> total + exactly value * BigInteger(times: int)) BigInteger.Zero
    }

/// |sum − exact| ≤ γ_depth·exact for terms that are positive, compared as whole numbers: γ in units of `2⁻¹⁰⁶`, rounded down.
let private assertCovered what (depth: int) (terms: Terms) (sum: float) =
    let error = BigInteger.Abs(exactly sum - terms.Sum)

    let gamma =
        (BigInteger depth <<< 106) / ((BigInteger.One <<< 53) - BigInteger depth)

    if (error <<< 106) > gamma * terms.Sum then
        failtest $"{what}: the error of a sum of {terms.Values.Length} terms is not covered by a depth of {depth}"

let private periods = [ 1 <<< 30; 1024; 256; 128; 64; 16 ]

let private ones count = Array.create<float> count 1.0

let private suiteOfDepths (engine: IEngine) =
    [
        testTheory
            "matrix products"
            [ 1, 1, 50; 1, 1, 3000; 2, 70, 900; 70, 2, 900; 9, 11, 700; 2, 3, 20000 ]
            (fun (m: int, n: int, k: int) ->
                for period in periods do
                    let terms = terms period k

                    for ta in [ true; false ] do
                        for tb in [ true; false ] do
                            // All rows of op(A) are the terms, and B is ones.
                            let a = Array.init (m * k) (fun at -> terms.Values[if ta then at / m else at % k])
                            let c = Array.create (m * n) nan

                            engine.MatrixMultiply(
                                ta,
                                tb,
                                m,
                                n,
                                k,
                                1.0,
                                MatrixView.Of(host a, (if ta then m else k)),
                                MatrixView.Of(host (ones (k * n)), (if tb then k else n)),
                                0.0,
                                MatrixView.Of(host c, n)
                            )

                            let depth = engine.MatrixProductDepth(ta, tb, m, n, k)
                            Expect.isLessThanOrEqual depth (max 1 k) "no sum is deeper than it is long"
                            c |> Array.iter (assertCovered $"{m}×{n}, {ta}, {tb}" depth terms))

        testCase "convolutions and adjoints whose windows cover everything" (fun () ->
            for channels, kernel in [ 3, 1; 40, 5; 130, 3 ] do
                let axis = WindowAxis(kernel, kernel)
                let size = channels * kernel * kernel
                let mutable forward = ConvolutionGeometry(channels, 2, axis, axis)
                let line = WindowAxis(1, 1)
                let mutable backward = ConvolutionGeometry(2, size, line, line)

                for period in periods do
                    let terms = terms period size
                    let y = Array.create 2 nan
                    engine.Convolve(&forward, host (ones (2 * size)), host terms.Values, 1, host y)
                    let depth = engine.ConvolutionDepth(&forward, 1)
                    y |> Array.iter (assertCovered $"convolution of {size}" depth terms)

                    let x = Array.create 2 nan
                    engine.ConvolveAdjoint(&backward, host (ones (2 * size)), host terms.Values, 1, host x)
                    let depth = engine.ConvolutionAdjointDepth(&backward, 1)
                    x |> Array.iter (assertCovered $"adjoint of {size}" depth terms))

        testCase "Gram products, along rows and down columns" (fun () ->
            for size in [ 3; 300; 3000 ] do
                for period in periods do
                    let terms = terms period size
                    let y = Array.create size nan
                    engine.MultiplyGram(1, size, host (ones size), host [| 1.0 |], 1, host terms.Values, host y)

                    y
                    |> Array.iter (assertCovered $"a row of {size}" (engine.GramProductDepth(1, size)) terms)

                    let y = [| nan |]
                    engine.MultiplyGram(size, 1, host (ones size), host terms.Values, 1, host [| 1.0 |], host y)
                    assertCovered $"a column of {size}" (engine.GramProductDepth(size, 1)) terms y[0])
    ]

/// Trees of additions in groups of threads that wait for each other: few sums, since every barrier takes its time.
let private suiteOfFewDepths (engine: IEngine) =
    [
        testCase "Gram products, along rows and down columns" (fun () ->
            for period in [ 1 <<< 30; 4; 16 ] do
                let terms = terms period 150
                let y = Array.create 150 nan
                engine.MultiplyGram(1, 150, host (ones 150), host [| 1.0 |], 1, host terms.Values, host y)
                y |> Array.iter (assertCovered "a row" (engine.GramProductDepth(1, 150)) terms)

                let y = [| nan |]
                engine.MultiplyGram(150, 1, host (ones 150), host terms.Values, 1, host [| 1.0 |], host y)
                assertCovered "a column" (engine.GramProductDepth(150, 1)) terms y[0])
    ]

[<Tests>]
let tests =
    testList
        "ComputeDepth"
        [
            onEngine "managed" 2 suiteOfDepths
            onEngine "openblas" 2 suiteOfDepths
            onEngine "torch:cpu" 2 suiteOfDepths
            onEngine "ilgpu:cpu" 2 suiteOfDepths
            onEngine "ilgpu:cpu:4" 2 suiteOfFewDepths
            onEngine "cuda" 2 suiteOfDepths
            testCase "a claim that is too low is found" (fun () ->
                let terms = terms Int32.MaxValue 1000
                let sum = Array.fold (+) 0.0 terms.Values
                assertCovered "one after the other" 1000 terms sum

                Expect.thrown<AssertException>(fun () -> assertCovered "one after the other" 990 terms sum)
                |> ignore)
        ]
