/// SeqLip (METHODS section 12) against maxima over vertices that are found with other factors, and where it does not apply.
module LipVerify.Propositions.SeqLipMaxima

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.SeqLip
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open LipVerify.Propositions.SeqLip
open Expecto
open LipVerify.Propositions.Expectations

/// `(B Bᵀ)^p` for the rows of `B`, by its eigenvectors.
let private power (rows: float[][]) p =
    let n = rows.Length

    let gram =
        Array.init (n * n) (fun k -> Array.fold2 (fun sum a b -> sum + a * b) 0.0 rows[k / n] rows[k % n])

    let values = engine.SymmetricEigen(n, HostStorage gram, true)

    Array.init n (fun i ->
        Array.init n (fun j ->
            Seq.sum (
                seq { for k in 0 .. n - 1 -> gram[k * n + i] * Math.Pow(max 0.0 values[k], p) * gram[k * n + j] }
            )))

let private transpose (rows: float[][]) =
    Array.init rows[0].Length (fun j -> rows |> Array.map (fun row -> row[j]))

let private times (a: float[][]) (b: float[][]) =
    let columns = transpose b

    a
    |> Array.map (fun row -> columns |> Array.map (Array.fold2 (fun sum x y -> sum + x * y) 0.0 row))

/// `max ‖A diag(σ) B‖` over the vertices, one after the other.
let private largestVertex (a: float[][]) (b: float[][]) =
    seq {
        for bits in 0 .. (1 <<< b.Length) - 1 ->
            b
            |> Array.mapi (fun j row ->
                if bits >>> j &&& 1 = 1 then
                    row
                else
                    Array.map (fun _ -> 0.0) row)
            |> times a
            |> spectralNorm
    }
    |> Seq.max

/// A chain of dense maps with these matrices.
let private chainOf (matrices: float[][] list) =
    let layers =
        matrices
        |> List.collect (fun rows ->
            [
                Step("relu", Layer.relu)
                Step(
                    "dense",
                    Layer.linear (
                        Dense(Dense.create (Tensor.ofArray [ rows.Length; rows[0].Length ] (Array.concat rows)))
                    )
                )
            ])

    build [ matrices.Head[0].Length ] layers.Tail

let private matrices (draw: Draw) widths =
    List.pairwise widths
    |> List.map (fun (inputs, outputs) -> weightMatrix draw outputs inputs |> Array.chunkBySize inputs)

let private largeConvolution channels (draw: Draw) =
    let axis = WindowAxis(64, 3, 1, 1, 1)
    let geometry = ConvolutionGeometry(channels, 2, axis, axis)

    Layer.linear (
        Convolution(Convolution.create geometry (Tensor.ofArray [ 2; channels; 3; 3 ] (draw.Gaussians(18 * channels))))
    )

[<Tests>]
let tests =
    testList
        "SeqLipMaxima"
        [
            statement
                "SeqLip: with one hidden layer the vertices are those of A₂ diag(σ) A₁ itself"
                60
                Draw
                (fun draw ->
                    let scale = if draw.Chance 0.2 then draw.Power(-100.0, 100.0) else 1.0

                    let maps =
                        matrices draw [ draw.Int(1, 12); draw.Int(1, 8); draw.Int(1, 12) ]
                        |> List.map (Array.map (Array.map (fun w -> scale * w)))

                    let network = chainOf maps
                    let expected = largestVertex maps[1] maps[0]
                    let found = (bound Enumerated network).Value
                    Expect.isGreaterThanOrEqual found (expected * (1.0 - 1e-12)) "found"
                    // Where the maximum is far below the product of norms, what the factors miss weighs more: about √η of the product.
                    Expect.isLessThanOrEqual found (expected * (1.0 + 1e-8) + 1e-6 * productOfNorms network) "found")

            statement
                "SeqLip: with two hidden layers the map between them is shared out by its square root"
                40
                Draw
                (fun draw ->
                    let maps =
                        matrices draw [ draw.Int(1, 6); draw.Int(1, 6); draw.Int(1, 6); draw.Int(1, 6) ]

                    // `(AᵀA)^{1/4} = V Σ^{1/2} Vᵀ`: as good as `Σ^{1/2} Vᵀ` beside a norm.
                    let expected =
                        largestVertex (power (transpose maps[1]) 0.25) maps[0]
                        * largestVertex maps[2] (power maps[1] 0.25)

                    let network = chainOf maps
                    let found = (bound Enumerated network).Value
                    let whole = productOfNorms network
                    // A fourth root makes 1e-4 of an eigenvalue of 1e-16 that should be 0.
                    Expect.isWithin (1e-3 * whole) found (min expected whole) "found")

            testCase
                "SeqLip: the absolute value as two ReLUs has the constant 1, and the product of norms is 2"
                (fun () ->
                    let network = chainOf [ [| [| 1.0 |]; [| -1.0 |] |]; [| [| 1.0; 1.0 |] |] ]
                    Expect.isWithin 1e-8 (productOfNorms network) (2.0) "productOfNorms network"
                    Expect.isInRange (bound Enumerated network).Value (1.0, 1.0 + 1e-8) "value"
                    Expect.isInRange (bound Relaxed network).Value (1.0, 1.5 + 1e-8) "value"
                    Expect.isWithin 1e-12 (bound Greedy network).Value (1.0) "value")

            testCase "SeqLip: random wide chains are bounded by clearly less than the product of norms" (fun () ->
                for seed in 1..4 do
                    let draw = Draw seed

                    let maps =
                        [ 10, 40; 40, 40; 40, 40; 40, 5 ]
                        |> List.map (fun (inputs, outputs) ->
                            draw.Gaussians(inputs * outputs) |> Array.chunkBySize inputs)

                    let network = chainOf maps
                    let relaxed = (bound Relaxed network).Value
                    Expect.isLessThan relaxed (0.5 * productOfNorms network) "relaxed"
                    Expect.isLessThanOrEqual (bound Greedy network).Value relaxed "value")

            testCase
                "SeqLip: multipliers prove no more than slopes around one half do, for one wide hidden layer"
                (fun () ->
                    for seed in 1..6 do
                        let draw = Draw seed
                        let neurons = draw.Pick [ 30; 70 ]

                        let maps =
                            [ 12, neurons; neurons, draw.Pick [ 1; 9; 40 ] ]
                            |> List.map (fun (inputs, outputs) ->
                                draw.Gaussians(inputs * outputs) |> Array.chunkBySize inputs)

                        let network = chainOf maps
                        let composed = spectralNorm (times maps[1] maps[0])
                        let halved = 0.5 * (composed + spectralNorm maps[1] * spectralNorm maps[0])
                        let relaxed = tryBound Relaxed network

                        match relaxed with
                        | Ok found ->
                            Expect.stringContains found.Explanation "multipliers" "explanation"
                            Expect.isLessThan found.Bound.Value (halved * (1.0 - 1e-3)) "value"
                            // No fewer than a single choice of slopes reaches.
                            Expect.isGreaterThanOrEqual found.Bound.Value composed "value"

                            for _ in 1..20 do
                                let chosen =
                                    maps[0]
                                    |> Array.map (fun row ->
                                        if draw.Chance 0.5 then
                                            row
                                        else
                                            Array.map (fun _ -> 0.0) row)

                                Expect.isGreaterThanOrEqual
                                    found.Bound.Value
                                    (spectralNorm (times maps[1] chosen))
                                    "value"
                        | Error problem -> failwith problem)

            testCase "SeqLip: neurons without input or output change nothing" (fun () ->
                let first = [| [| 1.0; 2.0 |]; [| 0.0; 0.0 |]; [| -1.0; 0.5 |]; [| 3.0; 1.0 |] |]
                let second = [| [| 1.0; 7.0; 2.0; 0.0 |]; [| -2.0; 5.0; 1.0; 0.0 |] |]

                let expected =
                    largestVertex [| [| 1.0; 2.0 |]; [| -2.0; 1.0 |] |] [| first[0]; first[2] |]

                let found = (bound Enumerated (chainOf [ first; second ])).Value
                Expect.isInRange found (expected * (1.0 - 1e-12), expected * (1.0 + 1e-8)) "found")

            testCase "SeqLip: an affine network has the norm of its maps, and pooling multiplies" (fun () ->
                let rows = [| [| 3.0; 0.0 |]; [| 0.0; 2.0 |] |]
                let network = chainOf [ rows ]
                Expect.isWithin 1e-8 (bound Relaxed network).Value (3.0) "value"

                let pooling =
                    PoolingGeometry(1, WindowAxis(6, 3, 1, 0, 1), WindowAxis(6, 3, 1, 0, 1))

                let pooled = build [ 1; 6; 6 ] [ Step("pool", Layer.maxPooling pooling) ]
                Expect.isWithin 1e-12 (bound Relaxed pooled).Value (3.0) "value")

            testCase
                "SeqLip: a map too large to be written out gives its norm, is declined by enumeration, and estimated from its leading triplets"
                (fun () ->
                    let draw = Draw 3

                    let network =
                        build
                            [ 1; 64; 64 ]
                            [
                                Step("first", largeConvolution 1 draw)
                                Step("relu", Layer.relu)
                                Step("second", largeConvolution 2 draw)
                            ]

                    let relaxed = (bound Relaxed network).Value
                    Expect.equal relaxed (productOfNorms network) "relaxed"

                    match tryBound Enumerated network with
                    | Ok _ -> failtest "accepted"
                    | Error problem -> Expect.stringContains problem "too large" "problem"

                    let greedy = bound Greedy network
                    Expect.equal greedy.Rigor Estimate "rigor"
                    Expect.isLessThanOrEqual greedy.Value relaxed "value"
                    // A 3×3 convolution of these weights without any ReLU reaches more.
                    Expect.isGreaterThan greedy.Value (0.2 * relaxed) "value")

            testCase "SeqLip: more than sixteen neurons are not enumerated, and sums are declined" (fun () ->
                let draw = Draw 5
                let wide = chainOf (matrices draw [ 20; 17; 20 ])

                match tryBound Enumerated wide with
                | Ok _ -> failtest "accepted"
                | Error problem -> Expect.stringContains problem "17 ReLUs" "problem"

                let sixteen = chainOf (matrices draw [ 20; 16; 20 ])
                Expect.isLessThanOrEqual (bound Enumerated sixteen).Value (productOfNorms sixteen) "value"

                let sum =
                    build
                        [ 3 ]
                        [
                            Sum [ Series [ Step("relu", Layer.relu) ]; Series [ Step("identity", Identity) ] ]
                        ]

                match tryBound Relaxed sum with
                | Ok _ -> failtest "accepted"
                | Error problem -> Expect.stringContains problem "sums of branches" "problem")
        ]
