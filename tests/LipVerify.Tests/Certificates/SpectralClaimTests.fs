/// The checker's proofs of spectral norms against dense eigenvalues.
module LipVerify.Tests.SpectralClaimTests

open System
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Checker
open LipVerify.Checker.Network
open LipVerify.Checker.SpectralClaim
open LipVerify.Compute
open LipVerify.Propositions

/// A dense map with exact factors, to be scaled by `factors` and masked.
let private dense outputs inputs (weights: float[]) : Operator =
    {
        Inputs = inputs
        Outputs = outputs
        Entries = float weights.Length
        Row = fun i -> Array.init inputs (fun j -> struct (j, weights[i * inputs + j]))
        Factor = fun _ -> Directed.point 1.0
    }

let private isProved verdict =
    match verdict with
    | Proved _ -> true
    | Refuted _
    | NotChecked _ -> false

[<NoEquality; NoComparison>]
type private Case =
    {
        Operator: Operator
        Factors: float[]
        Mask: bool[]
        /// The norm, up to some 1e-14.
        Norm: float
    }

let private grow (draw: Generators.Draw) =
    let outputs, inputs = draw.Int(1, 14), draw.Int(1, 14)
    let size = draw.Pick [ 1.0; 1.0; 1e-120; 1e120 ]

    let weights =
        Generators.weightMatrix draw outputs inputs |> Array.map (fun a -> size * a)

    let factors =
        Array.init outputs (fun _ -> draw.Pick [ 0.0; 1.0; 1.0; draw.Real(0.0, 1.0) ])

    let mask = Array.init inputs (fun _ -> draw.Chance 0.8)

    let entry i j =
        if mask[j] then
            factors[i] * weights[i * inputs + j] / size
        else
            0.0

    let gram =
        Array.init (inputs * inputs) (fun k ->
            Seq.sum (seq { for i in 0 .. outputs - 1 -> entry i (k / inputs) * entry i (k % inputs) }))

    let eigenvalues = Generators.engine.SymmetricEigen(inputs, HostStorage gram, false)

    {
        Operator = dense outputs inputs weights
        Factors = factors
        Mask = mask
        Norm = size * sqrt (max 0.0 (Array.last eigenvalues))
    }

let private isAccepted case method failure relative =
    prove case.Operator case.Factors case.Mask method failure (case.Norm * relative)
    |> isProved

/// `tridiag(−1, 2, −1)`, whose largest eigenvalue is `2 + 2cos(π/(n + 1))`.
let private laplacian n : Operator =
    {
        Inputs = n
        Outputs = n
        Entries = 3.0 * float n
        Row =
            fun i ->
                [|
                    for j in max 0 (i - 1) .. min (n - 1) (i + 1) do
                        struct (j, (if i = j then 2.0 else -1.0))
                |]
        Factor = fun _ -> Directed.point 1.0
    }

[<Tests>]
let tests =
    testList
        "SpectralClaim"
        [
            testCase "True claims about small operators are accepted, false ones rejected" (fun () ->
                let seed = Random.Shared.Next()
                let draw = Generators.Draw seed

                for number in 1..2000 do
                    let case = grow draw

                    if case.Norm > 1e-6 * (if case.Norm < 1e-60 then 1e-120 else 1.0) then
                        for method, failure, margin in
                            [ "lanczos", 1e-9, 1e-9; "lanczos", 1e-9, 1e-3; "cholesky", 0.0, 1e-9 ] do
                            let where = $"{method}, margin {margin}, case {number} of seed {seed}"
                            Expect.isTrue (isAccepted case method failure (1.0 + margin)) where
                            Expect.isFalse (isAccepted case method failure (1.0 - max 1e-6 margin)) where)

            testTheory
                "The norm of a large Laplacian is shown"
                [ "lanczos", 4000, 1e-4; "lanczos", 4000, 1e-5; "cholesky", 3000, 1e-9 ]
                (fun (method: string, n: int, margin: float) ->
                    let case =
                        {
                            Operator = laplacian n
                            Factors = Array.create n 1.0
                            Mask = Array.create n true
                            Norm = 2.0 + 2.0 * cos (Math.PI / float (n + 1))
                        }

                    Expect.isTrue
                        (isAccepted case method 1e-9 (1.0 + margin))
                        "isAccepted case method 1e-9 (1.0 + margin)"

                    Expect.isFalse (isAccepted case method 1e-9 0.99) "isAccepted case method 1e-9 0.99")

            testCase "A claim may be as tight as the engine's deflation makes it" (fun () ->
                let draw = Generators.Draw(Random.Shared.Next())
                // A double largest eigenvalue with a gap behind it.
                let values = Array.init 3500 (fun i -> if i < 2 then 1.0 else draw.Real(0.0, 0.6))

                let case =
                    {
                        Operator = diagonal values
                        Factors = Array.create 3500 1.0
                        Mask = Array.create 3500 true
                        Norm = 1.0
                    }

                for margin in [ 1e-6; 1e-9; 1e-12 ] do
                    Expect.isTrue (isAccepted case "lanczos" 1e-9 (1.0 + margin)) $"{margin}")

            // One large value above `size − 1` others up to `rest`: what a single vector sees of it decides.
            testTheory
                "False claims pass no more often than their failure probability"
                [ 0.1, 60, 1.0; 0.1, 1000, 0.7; 0.6, 1000, 0.9 ]
                (fun (failure: float, size: int, rest: float) ->
                    let trials = 600
                    let draw = Generators.Draw(Random.Shared.Next())
                    let mutable passed = 0

                    for _ in 1..trials do
                        let values = Array.init size (fun i -> if i = 0 then 1.0 else draw.Real(0.0, rest))

                        let case =
                            {
                                Operator = diagonal values
                                Factors = Array.create size 1.0
                                Mask = Array.create size true
                                Norm = 1.0
                            }

                        if isAccepted case "lanczos" failure (1.0 - 1e-6) then
                            passed <- passed + 1

                    printfn "%s" $"{passed} of {trials} false claims passed"
                    // Six standard deviations of a binomial distribution.
                    let most =
                        float trials * failure + 6.0 * sqrt (float trials * failure * (1.0 - failure))

                    Expect.isLessThanOrEqual (float passed) most "float passed")
        ]
