/// Proved in proofs-checks/coq/statements/Proposition6.v; here it is held against the program.
module LipVerify.Propositions.Proposition6

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

let classOf (values: float[]) = Array.IndexOf(values, Array.max values)

/// A network that ends in a vector of at least two, over which classes make sense.
let classifier seed =
    let case = network seed
    let draw = Draw(seed + 17)
    let classes, features = draw.Int(2, 5), Shape.size case.Network.OutputShape

    let head =
        Layer.linear (Dense(Dense.create (Tensor.ofArray [ classes; features ] (draw.Gaussians(classes * features)))))

    let body =
        Network.layers case.Network
        |> List.map (fun placed -> Step(placed.Name, placed.Layer))

    let isChain =
        match case.Network.Node with
        | Chain nodes ->
            nodes
            |> List.forall (function
                | Leaf _ -> true
                | _ -> false)
        | _ -> false

    { case with
        Network =
            build
                case.Network.InputShape
                ((if isChain then body else [])
                 @ (if isChain then
                        [ Step("flatten", Reshape [ features ]); Step("head", head) ]
                    else
                        let inputs = Shape.size case.Network.InputShape

                        [
                            Step("flatten", Reshape [ inputs ])
                            Step(
                                "head",
                                Layer.linear (
                                    Dense(
                                        Dense.create (
                                            Tensor.ofArray [ classes; inputs ] (draw.Gaussians(classes * inputs))
                                        )
                                    )
                                )
                            )
                        ]))
    }

let private keeps (case: NetworkCase) radius =
    let output = Network.evaluate context case.Network case.Input

    Propositions.keepsClass
        (EnclosedTensor.exact output)
        radius
        (Analytic.bound context Nominal case.Network case.Input radius).Bound

/// The largest power-of-two fraction search: some radius that is certified, close to the largest.
let private certifiedRadius (case: NetworkCase) =
    let rec bisect low high steps =
        if steps = 0 then
            low
        else
            let middle = sqrt low * sqrt high

            if keeps case (radius middle) then
                bisect middle high (steps - 1)
            else
                bisect low middle (steps - 1)

    if keeps case (radius 1e-9) then bisect 1e-9 1e9 40 else 0.0

/// Points that gradient descent of each margin reaches inside the ball.
let attacks (case: NetworkCase) distance =
    let center = Tensor.values case.Input
    let output = Network.evaluate context case.Network case.Input |> Tensor.values
    let label = classOf output

    let descend rival =
        let direction (x: float[]) =
            let linear = Linearization.at context case.Network 1 (HostStorage x)

            let margin =
                Array.init output.Length (fun i ->
                    if i = rival then 1.0
                    elif i = label then -1.0
                    else 0.0)

            let pulled = linear.Pullback(HostStorage margin)
            Tensor.values (Tensor.ofStorage [ pulled.Length ] pulled)

        let step x =
            let gradient = direction x
            let size = norm gradient

            if size = 0.0 then
                x
            else
                let moved = Array.mapi (fun i c -> x[i] - c + gradient[i] / size * distance) center
                let length = norm moved
                Array.mapi (fun i c -> c + moved[i] / max length distance * distance * (1.0 - 1e-13)) center

        List.scan (fun x _ -> step x) center [ 1..6 ]

    [| 0 .. output.Length - 1 |]
    |> Array.filter (fun rival -> rival <> label)
    |> Array.collect (descend >> Array.ofList)

/// No sample and no gradient step within the distance changes the class.
let assertNoChange (case: NetworkCase) distance =
    let center = Tensor.values case.Input

    let points =
        Array.append
            (samples (Draw case.Seed) 30 center (Array.create center.Length 1.0) distance)
            (attacks case distance)
        |> within center distance
        |> Array.append [| center |]

    let values, errors =
        evaluateAll case.Network points, evaluationErrors case.Network points

    let label = classOf values[0]

    for k in 1 .. points.Length - 1 do
        let winner = classOf values[k]
        // Another class may lead only by as much as the values are rounded.
        Expect.isLessThanOrEqual (values[k][winner] - values[k][label]) (errors[k] + errors[0]) $"radius {distance:R}"

/// Logits `Q x` for a random rotation `Q`, where the nearest class change is at `δ/√2`.
let rotation seed =
    let draw = Draw seed
    let n = draw.Int(2, 6)

    // Gram–Schmidt, twice for orthogonality to the last bits.
    let orthogonal =
        let project (rows: float[] list) (v: float[]) =
            (v, rows)
            ||> List.fold (fun v row ->
                let along = Array.fold2 (fun s a b -> s + a * b) 0.0 v row
                Array.map2 (fun a b -> a - along * b) v row)

        let unit (v: float[]) = Array.map (fun a -> a / norm v) v

        ([], [ 1..n ])
        ||> List.fold (fun rows _ -> (draw.Gaussians n |> project rows |> unit |> project rows |> unit) :: rows)

    let map = Dense(Dense.create (Tensor.ofArray [ n; n ] (Array.concat orthogonal)))

    {
        Seed = seed
        Network = build [ n ] [ Step("rotation", Layer.linear map) ]
        Input = Tensor.vector (draw.Gaussians n)
        Radius = radius 1.0
    }

[<Tests>]
let tests =
    testList
        "Proposition6"
        [
            statement
                "Proposition 6: no sample and no gradient step within a certified radius changes the class"
                80
                classifier
                (fun case ->
                    let certified = certifiedRadius case

                    if certified > 0.0 then
                        assertNoChange case certified)

            statement
                "Proposition 6: an isometry is certified up to δ/√2 and loses its class beyond"
                100
                rotation
                (fun case ->
                    let output = Network.evaluate context case.Network case.Input
                    let nearest = Propositions.topTwoGap (EnclosedTensor.exact output) / sqrt 2.0
                    // Looseness of the norm's certificate.
                    Expect.isTrue
                        (keeps case (radius (nearest * (1.0 - 1e-8))))
                        "keeps case (radius (nearest * (1.0 - 1e-8)))"

                    Expect.isFalse
                        (keeps case (radius (nearest * (1.0 + 1e-8))))
                        "keeps case (radius (nearest * (1.0 + 1e-8)))"

                    let values = Tensor.values output
                    let label = classOf values
                    let beyond = attacks case (nearest * (1.0 + 1e-6)) |> evaluateAll case.Network

                    Expect.isTrue
                        (beyond |> Array.exists (fun v -> classOf v <> label))
                        "beyond |> Array.exists (fun v -> classOf v <> label)")

            statement
                "Proposition 6: at radius zero the class holds exactly where one output leads"
                80
                classifier
                (fun case ->
                    let output = Network.evaluate context case.Network case.Input

                    Expect.equal
                        (keeps case (radius 0.0))
                        (Propositions.topTwoGap (EnclosedTensor.exact output) > 0.0)
                        "keeps case (radius 0.0)")

            testCase "Proposition 6: a tie certifies nothing, and a single output everything" (fun () ->
                let keeps values distance lipschitz =
                    Propositions.keepsClass
                        (EnclosedTensor.exact (Tensor.vector values))
                        (radius distance)
                        (Bound.certified lipschitz)

                Expect.isFalse (keeps [| 1.0; 1.0; 0.0 |] 0.0 0.0) "keeps [| 1.0; 1.0; 0.0 |] 0.0 0.0"
                Expect.isFalse (keeps [| 1.0; 1.0; 0.0 |] 1e-300 1.0) "keeps [| 1.0; 1.0; 0.0 |] 1e-300 1.0"
                Expect.isTrue (keeps [| -3.0 |] 1e9 1e9) "keeps [| -3.0 |] 1e9 1e9"
                Expect.isFalse (keeps [| 1.0; 0.0 |] 1.0 infinity) "keeps [| 1.0; 0.0 |] 1.0 infinity"
                Expect.isFalse (keeps [| 1.0; 0.0 |] 1.0 nan) "keeps [| 1.0; 0.0 |] 1.0 nan")

            testCase "Proposition 6: outputs that are not numbers certify nothing" (fun () ->
                for values in
                    [
                        [| 1.0; nan |]
                        [| nan; 1.0; 0.0 |]
                        [| nan |]
                        [| infinity; 0.0 |]
                        [| infinity; infinity |]
                    ] do
                    let output = Tensor.vector values

                    Expect.isFalse
                        (Propositions.keepsClass (EnclosedTensor.exact output) (radius 0.0) Bound.one)
                        $"{List.ofArray values}")

            statement "Proposition 6: the threshold is not above δ/√2 in real arithmetic" 300 Draw (fun draw ->
                let first, second = draw.Real(0.0, 10.0), draw.Real(-10.0, 0.0)
                let output = Tensor.vector [| second; first |]
                // Squares decide without a root: 2·ε² ≤ δ², in integers of 2^-62. Bisection finds the largest accepted ε.
                let accepted distance =
                    Propositions.keepsClass (EnclosedTensor.exact output) (radius distance) Bound.one

                let rec bisect (low: float) (high: float) =
                    let middle = low + (high - low) / 2.0

                    if middle <= low || middle >= high then low
                    elif accepted middle then bisect middle high
                    else bisect low middle

                let largest = bisect 0.0 40.0

                let fraction (x: float) =
                    bigint (Math.ScaleB(x - Math.Floor x, 62))

                let integer (x: float) =
                    bigint (Math.Floor x) * bigint.Pow(2I, 62) + fraction x

                let gap = integer first - integer second
                // Entries below 2^-9 may lose bits beyond 2^-62; a unit in each operand covers that.
                Expect.isTrue
                    (2I * integer largest * integer largest <= (gap + 2I) * (gap + 2I))
                    "2I * integer largest * integer largest <= (gap + 2I) * (gap + 2I)")

            testCase "Proposition 6: an output that rounding may have reordered certifies no class" (fun () ->
                // The first output is 1 exactly and 0 in doubles; the second is 0.5.
                let weights = Tensor.ofArray [ 2; 3 ] [| 1e16; 1.0; -1e16; 0.5; 0.0; 0.0 |]
                let layer = Layer.dense weights (Tensor.vector [| 0.0; 0.0 |])

                match Network.create [ 3 ] (Step("fc", layer)) with
                | Error problem -> failwith problem
                | Ok network ->
                    let output =
                        EnclosedTensor.evaluate context network (Tensor.vector [| 1.0; 1.0; 1.0 |])

                    Expect.isFalse
                        (Propositions.keepsClass output (radius 0.0) Bound.one)
                        "Propositions.keepsClass output (radius 0.0) Bound.one")
        ]
