/// Proved in proofs-checks/coq/statements/Theorem3.v; here it is held against the program.
module LipVerify.Propositions.Theorem3

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open LipVerify.Propositions.Proposition5
open Expecto
open LipVerify.Propositions.Expectations

let private pooling seed = seed, geometry seed

let private network (g: LipVerify.Compute.PoolingGeometry) =
    build [ g.Channels; g.Rows.Input; g.Columns.Input ] [ Step("pool", Layer.maxPooling g) ]

[<Tests>]
let tests =
    testList
        "Theorem3"
        [
            statement
                "Theorem 3: the root of the overlap bounds the slope between any two inputs"
                200
                pooling
                (fun (seed, g) ->
                    let draw, network = Draw seed, network g
                    let bound = (Propositions.maxPooling g.MaxOverlap).Value

                    for _ in 1..4 do
                        let x, y =
                            Tensor.values (nominalInput draw network.InputShape), draw.Gaussians g.InputSize

                        slopes network x [| y |] |> assertBounds "max pooling" bound
                        pieceSlopes network x y |> assertBounds "max pooling, a piece" bound)

            statement
                "Theorem 3: raising the input with the most windows attains the bound"
                300
                pooling
                (fun (seed, g) ->
                    // All inputs tie at zero; one that rises lifts every window that holds it by as much.
                    let center = Array.zeroCreate g.InputSize
                    let shared, _ = windows g |> Seq.concat |> Seq.countBy id |> Seq.maxBy snd
                    let raised = Array.copy center
                    raised[shared] <- (Draw seed).Power(-3.0, 3.0)
                    let slope = (slopes (network g) center [| raised |])[0]
                    let bound = Propositions.maxPooling g.MaxOverlap
                    Expect.isWithin (1e-14 * slope.Value) bound.Value (slope.Value) "value"
                    Expect.equal bound.Rigor Certified "rigor")

            testCase "Theorem 3: the root is never rounded below" (fun () ->
                for n in 1..400 do
                    let root = bigint ((Propositions.maxPooling n).Value * float (1L <<< 52))
                    Expect.isTrue (root * root >= bigint n * bigint.Pow(2I, 104)) $"√{n}")
        ]
