/// Proved in proofs-checks/coq/statements/Theorem2.v; here it is held against the program.
module LipVerify.Propositions.Theorem2

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

/// `x ↦ relu(A x + b)` over the restricted ball of the case.
let private affineRelu (case: MapCase) =
    let bias = biasOf case
    build (LinearMap.inputShape case.Map) [ Step("affine", Affine(case.Map, bias)); Step("relu", Layer.relu) ], bias

let private slopesOf definition (case: MapCase) bias =
    let nominal =
        LinearMap.applyTo engine case.Map case.Ball.Center
        |> Tensor.map2 (fun b y -> y + b) bias

    Propositions.affineUpperBound engine case.Map nominal case.Ball
    |> Propositions.slopes definition

let private bound definition (case: MapCase) bias =
    (Propositions.affineRelu context case.Map (slopesOf definition case bias) case.Ball).Bound

let private mask (case: MapCase) = Tensor.values case.Ball.Mask
let private center (case: MapCase) = Tensor.values case.Ball.Center

/// A neuron `x ↦ relu(aᵀx + b)` over a restricted ball.
let private neuron seed =
    let draw = Draw seed
    let n = draw.Int(1, 6)
    let row = draw.Gaussians n
    let mask = Array.init n (fun i -> if i > 0 && draw.Chance 0.4 then 0.0 else 1.0)
    let center = Array.map2 (*) mask (draw.Gaussians n)
    row, mask, center, draw.Real(-4.0, 1.0), draw.Real(0.01, 3.0)

[<Tests>]
let tests =
    testList
        "Theorem2"
        [
            statement "Theorem 2: R A D bounds every sampled slope" 200 linearMapCase (fun case ->
                let network, bias = affineRelu case
                let draw = Draw case.Seed
                let sampled = samples draw 24 (center case) (mask case) case.Ball.Radius.Value

                let traced =
                    sampled
                    |> Array.truncate 4
                    |> Array.collect (fun x ->
                        knotPoints network (Array.map2 (fun c p -> 2.0 * c - p) (center case) x) x)
                    |> within (center case) case.Ball.Radius.Value

                slopes network (center case) (Array.append sampled traced)
                |> assertBounds "R A D" (bound Nominal case bias).Value)

            statement
                "Theorem 2: with the uniform slopes R A D bounds the slope between any two points"
                150
                linearMapCase
                (fun case ->
                    let network, bias = affineRelu case

                    let points =
                        samples (Draw case.Seed) 8 (center case) (mask case) case.Ball.Radius.Value

                    let bound = (bound Uniform case bias).Value

                    for x, y in Array.pairwise points do
                        slopes network x [| y |] |> assertBounds "a pair" bound
                        pieceSlopes network x y |> assertBounds "a piece between a pair" bound)

            statement "Theorem 2: the bound is the largest singular value of R A D" 250 linearMapCase (fun case ->
                let bias = biasOf case

                for definition in [ Nominal; Uniform ] do
                    let slopes = slopesOf definition case bias
                    let rows = masked (Tensor.values slopes) (matrix case.Map) (mask case)
                    let exact = spectralNorm rows
                    let bound = (Propositions.affineRelu context case.Map slopes case.Ball).Bound
                    Expect.isGreaterThanOrEqual bound.Value (exact * (1.0 - singularError rows)) "value"
                    Expect.isLessThanOrEqual bound.Value (exact * (1.0 + 1e-8)) "value"
                    Expect.equal bound.Rigor Certified "rigor")

            statement "Theorem 2: without a ReLU the bound is the norm of A D" 150 linearMapCase (fun case ->
                let whole = matrix case.Map
                let rows = masked (Array.create whole.Length 1.0) whole (mask case)
                let exact = spectralNorm rows
                let bound = (Propositions.affine context case.Map case.Ball).Bound
                Expect.isGreaterThanOrEqual bound.Value (exact * (1.0 - singularError rows)) "value"
                Expect.isLessThanOrEqual bound.Value (exact * (1.0 + 1e-8)) "value"
                Expect.equal bound.Rigor Certified "rigor")

            statement
                "Theorem 2: one neuron attains the bound along D a"
                150
                neuron
                (fun (row, mask, center, offset, radius) ->
                    let map = Dense(Dense.create (Tensor.ofArray [ 1; row.Length ] row))
                    let nominal = Array.fold2 (fun sum a c -> sum + a * c) 0.0 row center
                    let bias = Tensor.vector [| offset - nominal |]

                    let network =
                        build [ row.Length ] [ Step("affine", Affine(map, bias)); Step("relu", Layer.relu) ]

                    let direction = Array.map2 (*) mask row
                    let size = norm direction
                    let finish = Array.map2 (fun c a -> c + a / size * radius) center direction

                    let ball =
                        {
                            Center = Tensor.vector center
                            Radius = Bound.certified radius
                            Mask = Tensor.vector mask
                        }

                    let y =
                        Propositions.affineUpperBound
                            engine
                            map
                            (Network.evaluate
                                context
                                (build [ row.Length ] [ Step("affine", Affine(map, bias)) ])
                                ball.Center)
                            ball

                    let bound =
                        (Propositions.affineRelu context map (Propositions.slopes Nominal y) ball).Bound

                    let exact =
                        slopes network center (knotPoints network center finish)
                        |> Array.map _.Value
                        |> Array.max

                    // The certificate is loose by at most 1e-8; where ȳ barely passes 0 the slope cancels, relative to ‖a‖.
                    Expect.isWithin (1e-8 * size) bound.Value exact "value")

            statement "Theorem 2: huge and tiny maps keep their bounds" 100 linearMapCase (fun case ->
                for exponent in [ -150.0; -30.0; 30.0; 150.0 ] do
                    let factor = Math.Pow(10.0, exponent) / case.Scale
                    let scaled = multiplied factor case.Map

                    let rows =
                        masked (Array.create (LinearMap.outputs scaled) 1.0) (matrix scaled) (mask case)

                    let exact = spectralNorm rows
                    let bound = (Propositions.affine context scaled case.Ball).Bound.Value
                    Expect.isGreaterThanOrEqual bound (exact * (1.0 - singularError rows)) "bound"
                    Expect.isLessThanOrEqual bound (exact * (1.0 + 1e-8)) "bound")
        ]
