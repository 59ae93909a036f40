/// Bounds on margins between outputs, and the radii and constants that rest on enclosures.
module LipVerify.Propositions.Margins

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Radii
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open LipVerify.Propositions.Proposition6
open Expecto
open LipVerify.Propositions.Expectations

[<Tests>]
let tests =
    testList
        "Margins"
        [
            statement "Margins: those at points of the ball are not below their bounds" 100 classifier (fun case ->
                let center, distance = Tensor.values case.Input, case.Radius.Value

                let label =
                    Network.evaluate context case.Network case.Input |> Tensor.values |> classOf

                let bounds =
                    LipVerify.Core.Enclosures.Margins.lowerBounds context case.Network case.Input case.Radius label

                let points =
                    Array.append (candidates (Draw case.Seed) case.Network center distance) (attacks case distance)
                    |> within center distance

                for x in points do
                    let output =
                        EnclosedTensor.evaluate context case.Network (Tensor.ofArray case.Input.Shape x)

                    let values, errors = Tensor.values output.Value, Tensor.values output.Error

                    for j in 0 .. values.Length - 1 do
                        let margin = values[label] - values[j] + errors[label] + errors[j]

                        if j <> label && Double.IsFinite margin then
                            Expect.isGreaterThanOrEqual margin bounds[j] $"class {j}")

            statement "Margins: on a linear network they are attained" 100 (fun seed -> Draw seed) (fun draw ->
                let classes, inputs = draw.Int(2, 5), draw.Int(1, 6)
                let weights = Array.init classes (fun _ -> draw.Gaussians inputs)

                let network =
                    build
                        [ inputs ]
                        [
                            Step(
                                "dense",
                                Layer.linear (
                                    Dense(Dense.create (Tensor.ofArray [ classes; inputs ] (Array.concat weights)))
                                )
                            )
                        ]

                let x, distance = draw.Gaussians inputs, draw.Power(-9.0, 3.0)
                let label = draw.Int(0, classes - 1)

                let bounds =
                    LipVerify.Core.Enclosures.Margins.lowerBounds
                        context
                        network
                        (Tensor.vector x)
                        (radius distance)
                        label

                for j in 0 .. classes - 1 do
                    let difference = Array.map2 (-) weights[label] weights[j]
                    let nominal = Array.fold2 (fun sum a b -> sum + a * b) 0.0 difference x
                    let size = Array.fold2 (fun sum a b -> sum + abs (a * b)) 0.0 difference x
                    let exact = nominal - distance * norm difference

                    if j <> label then
                        // Sums of six terms, each rounded a dozen times, of numbers that may be twice as large as their difference.
                        let rounding =
                            1e-14 * (4.0 * size + 20.0 + distance * (norm weights[label] + norm weights[j]))

                        Expect.isWithin rounding bounds[j] exact "bounds[j]")

            statement
                "margin radius: no sample and no gradient step within it changes the class"
                60
                classifier
                (fun case ->
                    match MarginRadius.crown context case.Network case.Input with
                    | Error problem -> failwith problem
                    | Ok found ->
                        Expect.isTrue (found.Rigor = Certified) "found.Rigor = Certified"

                        if found.Label.IsNone then
                            Expect.equal found.Radius 0 "radius"
                        else
                            found.NotShownAt
                            |> Option.iter (fun upper -> Expect.isGreaterThan upper found.Radius "upper")

                            if found.Radius > 0.0 && found.Radius < 1e90 then
                                assertNoChange case found.Radius)

            statement
                "margin radius: between two classes of a linear network it is the distance to the boundary"
                60
                (fun seed -> Draw seed)
                (fun draw ->
                    let inputs = draw.Int(1, 6)
                    let weights, x = draw.Gaussians inputs, draw.Gaussians inputs
                    let zero = Array.zeroCreate inputs

                    let network =
                        build
                            [ inputs ]
                            [
                                Step(
                                    "dense",
                                    Layer.linear (
                                        Dense(Dense.create (Tensor.ofArray [ 2; inputs ] (Array.append weights zero)))
                                    )
                                )
                            ]

                    let margin = Array.fold2 (fun sum a b -> sum + a * b) 0.0 weights x |> abs
                    let distance = margin / norm weights

                    match MarginRadius.crown context network (Tensor.vector x) with
                    | Ok found when distance > 1e-6 ->
                        // Both ends of the search meet to 1e-3.
                        Expect.isWithin (1.001e-3 * distance) found.Radius distance "radius"
                        Expect.isLessThanOrEqual found.Radius (distance * (1.0 + 1e-12)) "radius"
                    | _ -> ())

            statement
                "Algorithm 1 with enclosures: the bound covers samples, lines and their knots, and is not above the paper's"
                120
                network
                (fun case ->
                    let center = Tensor.values case.Input

                    let slopes =
                        slopes case.Network center (candidates (Draw case.Seed) case.Network center case.Radius.Value)

                    let bound kind definition =
                        (Analytic.boundWith context kind definition case.Network case.Input case.Radius).Bound.Value

                    for definition in [ Nominal; Uniform ] do
                        let paper =
                            (Analytic.bound context definition case.Network case.Input case.Radius).Bound.Value

                        for kind in [ Interval; Crown; Probes ] do
                            slopes |> assertBounds (EnclosureKind.name kind) (bound kind definition)
                            // Six spectral norms in a row, each loose by up to 1e-8.
                            Expect.isLessThanOrEqual
                                (bound kind definition)
                                (paper * (1.0 + 1e-6))
                                "bound kind definition")

            statement
                "Algorithm 1 with enclosures: the uniform bound covers pairs and the pieces between them"
                60
                network
                (fun case ->
                    let center = Tensor.values case.Input

                    let points =
                        samples (Draw case.Seed) 6 center (Array.create center.Length 1.0) case.Radius.Value

                    let bound =
                        (Analytic.boundWith context Crown Uniform case.Network case.Input case.Radius).Bound.Value

                    for x, y in Array.pairwise points do
                        slopes case.Network x [| y |] |> assertBounds "a pair" bound
                        pieceSlopes case.Network x y |> assertBounds "a piece" bound)
        ]
