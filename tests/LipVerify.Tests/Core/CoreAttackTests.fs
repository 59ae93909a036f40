/// Attacks: what they return is adversarial in exact arithmetic, as far away as they say, and never inside a certified radius.
module LipVerify.Tests.CoreAttackTests

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.Attacks
open LipVerify.Core.Bounds.Analytic
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open LipVerify.Tests.DyadicNumbers
open Expecto
open LipVerify.Propositions.Expectations

/// A short search: properties hold for any.
let private brief =
    {
        Targets = 3
        Steps = 12
        Searches = 3
        Sizes = 4
        Finalists = 2
    }

let private attackWith box (case: NetworkCase) =
    Attack.all
    |> List.choose (fun attack -> Attacks.run context attack case.Network case.Input box brief)

let private square (value: float) =
    Dyadic.multiply (Dyadic.ofFloat value) (Dyadic.ofFloat value)

let private assertDistance (input: Tensor) (example: AdversarialExample) =
    let moved =
        Array.map2
            (fun a b -> Dyadic.subtract (Dyadic.ofFloat a) (Dyadic.ofFloat b))
            (Tensor.values example.Input)
            (Tensor.values input)

    Expect.isTrue (Dyadic.squares moved |> Dyadic.isAtMost (square example.Distance)) "further away than it says"

/// Two classes with a linear difference: the least perturbation is the margin over the norm of the difference of rows.
let private linear seed =
    let draw = Draw seed
    let n = draw.Int(2, 10)
    let weights = draw.Gaussians(2 * n)

    let network =
        build
            [ n ]
            [
                Step("fc", Layer.dense (Tensor.ofArray [ 2; n ] weights) (Tensor.vector (draw.Gaussians 2)))
            ]

    network, Tensor.vector (draw.Gaussians n), Array.init n (fun i -> weights[i] - weights[n + i])

[<Tests>]
let tests =
    testList
        "CoreAttack"
        [
            testCase
                "adversarial examples are adversarial in exact arithmetic, no further away than they say"
                (fun () ->
                    let found, certified = ref 0, ref 0

                    check 120 network (fun case ->
                        for example in attackWith None case do
                            found.Value <- found.Value + 1
                            assertDistance case.Input example
                            Expect.notEqual example.Label example.OriginalLabel "label"
                            Expect.isTrue (Double.IsFinite example.Distance) "Double.IsFinite example.Distance"

                            if example.Rigor = Certified && isDyadic case.Network then
                                certified.Value <- certified.Value + 1
                                let outputs = evaluateExactly case.Network (Tensor.values example.Input)
                                let original = outputs[example.OriginalLabel]

                                let exceeds output =
                                    Dyadic.sign (Dyadic.subtract output original) > 0

                                Expect.isTrue
                                    (outputs |> Array.exists exceeds)
                                    "no output exceeds that of the original class")

                    Expect.isGreaterThan found.Value 30 "value"
                    Expect.isGreaterThan certified.Value (found.Value / 4) "value")

            statement "no adversarial example lies inside a radius that Proposition 6 certifies" 80 network (fun case ->
                let output = EnclosedTensor.evaluate context case.Network case.Input

                for example in attackWith None case do
                    if example.Rigor = Certified then
                        let radius = radius example.Distance
                        let bound = (Analytic.bound context Nominal case.Network case.Input radius).Bound

                        Expect.isTrue
                            (not (Propositions.keepsClass output radius bound))
                            "not (Propositions.keepsClass output radius bound)")

            statement "adversarial examples stay inside the box" 80 network (fun case ->
                let draw = Draw(case.Seed + 9)

                let box =
                    {
                        Lower =
                            case.Input
                            |> Tensor.map (fun c -> if draw.Chance 0.2 then c else c - draw.Power(-1.0, 1.0))
                        Upper =
                            case.Input
                            |> Tensor.map (fun c -> if draw.Chance 0.2 then c else c + draw.Power(-1.0, 1.0))
                    }

                for example in attackWith (Some box) case do
                    let values = Tensor.values example.Input

                    Expect.isTrue
                        (Array.forall2 (<=) (Tensor.values box.Lower) values)
                        "Array.forall2 (<=) (Tensor.values box.Lower) values"

                    Expect.isTrue
                        (Array.forall2 (<=) values (Tensor.values box.Upper))
                        "Array.forall2 (<=) values (Tensor.values box.Upper)")

            statement
                "on linear classifiers the attacks in the 2-norm find the least perturbation and none finds less"
                60
                linear
                (fun (network, input, difference) ->
                    let outputs = Network.evaluate context network input |> Tensor.values
                    let least = abs (outputs[0] - outputs[1]) / norm difference

                    for attack in Attack.all do
                        match Attacks.run context attack network input None AttackEffort.thorough with
                        | None -> failwith $"{Attack.name attack} found nothing"
                        | Some example ->
                            // Rounding of the two outputs, against margins that are rarely small.
                            Expect.isGreaterThanOrEqual
                                example.Distance
                                (least * (1.0 - 1e-12) - 1e-13 / norm difference)
                                "distance"

                            match attack with
                            | FastGradientSign
                            | IteratedFastGradientSign -> ()
                            | GradientAscent
                            | ProjectedDescent
                            | CarliniWagner ->
                                Expect.isLessThanOrEqual example.Distance (1.01 * least + 1e-9) "distance")

            statement
                "the fast gradient sign attack moves every coordinate by the same step or not at all"
                60
                linear
                (fun (network, input, _) ->
                    match Attacks.run context FastGradientSign network input None brief with
                    | None -> failwith "nothing found"
                    | Some example ->
                        let moved =
                            Array.map2 (fun a b -> abs (a - b)) (Tensor.values example.Input) (Tensor.values input)

                        for distance in moved do
                            Expect.isWithin (1e-9 * (1.0 + Array.max moved)) distance (Array.max moved) "distance")

            testCase "a network of one class or of constant outputs has no adversarial example" (fun () ->
                let dense rows weights =
                    Layer.dense (Tensor.ofArray [ rows; 2 ] weights) (Tensor.vector (Array.init rows float))

                let input = Tensor.vector [| 0.5; -1.0 |]

                for layer in [ dense 1 [| 1.0; 2.0 |]; dense 3 (Array.zeroCreate 6) ] do
                    let network = build [ 2 ] [ Step("fc", layer) ]

                    for attack in Attack.all do
                        Expect.isTrue (Attacks.run context attack network input None brief).IsNone (Attack.name attack))

            testCase "a box that does not contain the input is refused" (fun () ->
                let network, input, _ = linear 1
                let shifted d = input |> Tensor.map (fun c -> c + d)

                let attempt () =
                    Attacks.run
                        context
                        ProjectedDescent
                        network
                        input
                        (Some
                            {
                                Lower = shifted 1.0
                                Upper = shifted 2.0
                            })
                        brief
                    |> ignore

                Expect.thrown<ArgumentException> attempt |> ignore)

            testCase "names of attacks lead back to them" (fun () ->
                for attack in Attack.all do
                    Expect.isTrue
                        (Attack.tryFind (Attack.name attack) = Some attack)
                        "Attack.tryFind (Attack.name attack) = Some attack"

                Expect.isTrue (Attack.tryFind "magic").IsNone "is none")

            testCase "nothing is certain where rounding misjudges the class of the nominal input" (fun () ->
                // f0 = 1e16 x0 + x1 − 1e16 x2 is 1 at (1, 1, 1), and 0 as computed; f1 = 0.5.
                let weights = Tensor.ofArray [ 2; 3 ] [| 1e16; 1.0; -1e16; 0.0; 0.0; 0.0 |]

                let network =
                    build [ 3 ] [ Step("fc", Layer.dense weights (Tensor.vector [| 0.0; 0.5 |])) ]

                let nominal = Tensor.vector [| 1.0; 1.0; 1.0 |]

                match Attacks.verify context ProjectedDescent network nominal (Tensor.vector [| 1.0; 64.0; 1.0 |]) with
                | Some example -> Expect.equal example.Rigor Numerical "rigor"
                | None -> ())
        ]
