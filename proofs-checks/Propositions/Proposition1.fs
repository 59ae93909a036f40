/// Proved in proofs-checks/coq/statements/Proposition1.v; here it is held against the program.
module LipVerify.Propositions.Proposition1

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

/// A ball, and one inside it: a smaller radius, and more zeros where the centre allows them.
let private nested seed =
    let draw = Draw seed
    let outer = (linearMapCase seed).Ball
    let center = Tensor.values outer.Center

    let mask =
        Array.map2 (fun c d -> if c = 0.0 && draw.Chance 0.5 then 0.0 else d) center (Tensor.values outer.Mask)

    let inner =
        { outer with
            Radius = Bound.certified (outer.Radius.Value * draw.Real(0.0, 1.0))
            Mask = Tensor.ofArray outer.Mask.Shape mask
        }

    outer, inner

/// Each bound is within 1e-8 of what exact arithmetic would give (the slack of a certificate), so that two may swap by that much.
let private slack = 1e-8

[<Tests>]
let tests =
    testList
        "Proposition1"
        [
            statement
                "Proposition 1: a bound over a ball is one over every ball inside it"
                100
                nested
                (fun (outer, inner) ->
                    let bound = Bound.certified 3.0

                    Expect.equal
                        (Propositions.superset outer inner bound)
                        bound
                        "Propositions.superset outer inner bound")

            statement "Proposition 1: a ball that is not inside is refused" 60 nested (fun (outer, inner) ->
                let refused ball =
                    Expect.thrown<System.ArgumentException>(fun () ->
                        Propositions.superset outer ball Bound.one |> ignore)
                    |> ignore

                refused
                    { inner with
                        Radius = Bound.certified (outer.Radius.Value + 1.0)
                    }

                refused
                    { inner with
                        Center = Tensor.map (fun c -> c + 1.0) inner.Center
                    }

                let mask = Tensor.values outer.Mask

                if Array.contains 0.0 mask then
                    refused
                        { inner with
                            Mask = Tensor.map (fun _ -> 1.0) inner.Mask
                        })

            statement
                "Proposition 1: the bound over a ball holds for slopes inside smaller balls"
                60
                network
                (fun case ->
                    let center = Tensor.values case.Input

                    let bound =
                        (Analytic.bound context Nominal case.Network case.Input case.Radius).Bound

                    let inner = case.Radius.Value * 0.1

                    slopes case.Network center (candidates (Draw case.Seed) case.Network center inner)
                    |> assertBounds "a smaller ball" bound.Value)

            statement "Proposition 1: bounds grow with the radius, in both definitions" 80 network (fun case ->
                for definition in [ Nominal; Uniform ] do
                    let bound factor =
                        (Analytic.bound
                            context
                            definition
                            case.Network
                            case.Input
                            (radius (factor * case.Radius.Value)))
                            .Bound.Value

                    let bounds = [ 0.0; 0.01; 0.5; 1.0; 2.0 ] |> List.map bound

                    for smaller, larger in List.pairwise bounds do
                        Expect.isLessThanOrEqual smaller (larger * (1.0 + slack)) (string definition))
        ]
