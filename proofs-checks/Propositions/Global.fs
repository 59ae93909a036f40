module LipVerify.Propositions.Global

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Analytic
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

[<Tests>]
let tests =
    testList
        "Global"
        [
            statement "Global: the bound covers the slope between any two inputs" 120 network (fun case ->
                let draw, size = Draw case.Seed, case.Input.Length
                let bound = (Global.bound context case.Network).Bound.Value

                for _ in 1..4 do
                    let scale = draw.Power(-2.0, 3.0)

                    let point () =
                        draw.Gaussians size |> Array.map (fun v -> scale * v)

                    let x, y = point (), point ()
                    slopes case.Network x [| y |] |> assertBounds "a pair" bound
                    pieceSlopes case.Network x y |> assertBounds "a piece" bound)

            statement
                "Global: no local bound exceeds it, and the nominal one not the uniform one"
                150
                network
                (fun case ->
                    let local definition =
                        (Analytic.bound context definition case.Network case.Input case.Radius).Bound.Value

                    let nominal, uniform = local Nominal, local Uniform
                    let whole = (Global.bound context case.Network).Bound.Value
                    // Certificates are loose by up to 1e-8, each in its own way.
                    Expect.isLessThanOrEqual nominal (uniform * (1.0 + 1e-8)) "nominal"
                    Expect.isLessThanOrEqual uniform (whole * (1.0 + 1e-8)) "uniform")

            statement
                "Global: the bound of a dense chain is the product of largest singular values"
                80
                Draw
                (fun draw ->
                    let widths = List.init (draw.Int(2, 4)) (fun _ -> draw.Int(1, 8))

                    let layers =
                        widths
                        |> List.pairwise
                        |> List.map (fun (inputs, outputs) -> inputs, outputs, weightMatrix draw outputs inputs)

                    let blocks =
                        layers
                        |> List.collect (fun (inputs, outputs, weights) ->
                            [
                                Step(
                                    "affine",
                                    Layer.linear (Dense(Dense.create (Tensor.ofArray [ outputs; inputs ] weights)))
                                )
                                Step("relu", Layer.relu)
                            ])

                    let exact =
                        layers
                        |> List.map (fun (inputs, _, weights) -> spectralNorm (Array.chunkBySize inputs weights))
                        |> List.reduce (*)

                    let bound = (Global.bound context (build [ widths.Head ] blocks)).Bound
                    Expect.equal bound.Rigor Certified "rigor"
                    Expect.isGreaterThanOrEqual bound.Value (exact * (1.0 - 1e-12)) "value"
                    Expect.isLessThanOrEqual bound.Value (exact * (1.0 + 1e-7)) "value")

            statement "Global: batch normalisation scales the rows of the map before it" 80 linearMapCase (fun case ->
                let shape = LinearMap.outputShape case.Map
                let draw = Draw(case.Seed + 5)

                let parameter f =
                    Tensor.vector (Array.init shape.Head (fun _ -> f ()))

                let normalised =
                    BatchNormalization.layers
                        shape
                        (parameter draw.Gaussian)
                        (parameter draw.Gaussian)
                        (parameter draw.Gaussian)
                        (parameter (fun () -> draw.Real(0.01, 2.0)))
                        1e-5

                let network =
                    Step("affine", Layer.linear case.Map)
                    :: (normalised |> List.map (fun layer -> Step("norm", layer)))
                    |> build (LinearMap.inputShape case.Map)

                match List.last normalised with
                | Affine(Rounded(_, Diagonal scale), _)
                | Affine(Diagonal scale, _) ->
                    let rows = matrix case.Map

                    let exact =
                        spectralNorm (masked (Tensor.values scale) rows (Array.create rows[0].Length 1.0))

                    let bound = (Global.bound context network).Bound.Value
                    Expect.isGreaterThanOrEqual bound (exact * (1.0 - 1e-12)) "bound"
                    Expect.isLessThanOrEqual bound (exact * (1.0 + 1e-8)) "bound"
                | other -> failtest $"batch normalisation became {Layer.kind other}")
        ]
