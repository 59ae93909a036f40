module LipVerify.Tests.CoreLinearizationTests

open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

let private values (storage: Storage) =
    Tensor.values (Tensor.ofStorage [ storage.Length ] storage)

let private dot (a: float[]) (b: float[]) =
    Array.fold2 (fun sum x y -> sum + x * y) 0.0 a b

[<Tests>]
let tests =
    testList
        "CoreLinearization"
        [
            statement "pushforward and pullback are adjoint, row by row" 150 network (fun case ->
                let draw = Draw case.Seed
                let n, m = case.Input.Length, Shape.size case.Network.OutputShape
                let points = draw.Gaussians(3 * n)
                let linear = Linearization.at context case.Network 3 (HostStorage points)
                let v, w = draw.Gaussians(3 * n), draw.Gaussians(3 * m)

                let pushed, pulled =
                    values (linear.Pushforward(HostStorage v)), values (linear.Pullback(HostStorage w))
                // Without cancellation: the Jacobian is at most the global constant.
                let largest = (Global.bound context case.Network).Bound.Value

                for row in 0..2 do
                    let part (a: float[]) size = a[row * size .. row * size + size - 1]
                    let vi, wi = part v n, part w m
                    let difference = abs (dot (part pushed m) wi - dot vi (part pulled n))
                    Expect.isLessThanOrEqual difference (1e-11 * largest * norm vi * norm wi) "difference")

            statement "the value of a linearization is that of the network" 100 network (fun case ->
                let points =
                    Array.init 3 (fun k -> (Draw(case.Seed + k)).Gaussians case.Input.Length)

                let linear =
                    Linearization.at context case.Network 3 (HostStorage(Array.concat points))

                let expected = evaluateAll case.Network points |> Array.concat
                Expect.isTrue (values linear.Value = expected) "values linear.Value = expected")

            statement "inside a linear piece the pushforward is the difference of values" 120 network (fun case ->
                let draw = Draw case.Seed
                let x, y = draw.Gaussians case.Input.Length, draw.Gaussians case.Input.Length

                let at s =
                    Array.map2 (fun a b -> a + s * (b - a)) x y

                for s, t in knots case.Network x y |> Array.pairwise |> Array.truncate 6 do
                    // The knots are rounded: the inner half of a piece that is not too short surely lies on one piece.
                    if t - s > 1e-6 then
                        let inner w = at (s + w * (t - s))
                        let ends = [| inner 0.25; inner 0.75 |]
                        let linear = Linearization.at context case.Network 1 (HostStorage(inner 0.5))
                        let moved = Array.map2 (-) ends[1] ends[0]
                        let pushed = values (linear.Pushforward(HostStorage moved))

                        let reached, errors =
                            evaluateAll case.Network ends, evaluationErrors case.Network ends

                        let difference = Array.map2 (-) (Array.map2 (-) reached[1] reached[0]) pushed

                        Expect.isLessThanOrEqual
                            (norm difference)
                            (2.0 * (errors[0] + errors[1]) + 1e-12 * norm pushed)
                            "norm difference")
        ]
