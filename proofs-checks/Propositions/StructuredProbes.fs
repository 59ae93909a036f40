/// Random vectors that prove reaches: their quantiles, how often they fail, and why they must not have been seen before
/// (METHODS section 14b).
module LipVerify.Propositions.StructuredProbes

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Loops.Operator
open LipVerify.Core.Loops.Weights
open LipVerify.Core.Loops.Reaches
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.StructuredLoops
open Expecto
open LipVerify.Propositions.Expectations

/// `P(χ²_m ≤ q)` for even `m`: `1 − e^{−q/2} Σ_{k<m/2} (q/2)^k/k!`, summed from the other end, where all terms are positive.
let private probabilityBelow m (q: float) =
    let x = q / 2.0

    let rec sum k term total =
        if term < 1e-18 * total then
            total
        else
            sum (k + 1) (term * x / float (k + 1)) (total + term)

    let first = m / 2
    // ln(x^k e^{-x}/k!)
    let logFactorial = Seq.sumBy (fun i -> log (float i)) (seq { 2..first })
    let leading = exp (float first * log x - x - logFactorial)
    sum first leading 0.0 |> min 1.0

/// More of `trials` than this fail with a probability of 1e-9 at most, where each fails with `p`, independently of the others: Bennett's
/// inequality.
let internal mostFailures trials (p: float) =
    let mean = float trials * p

    let isUnlikely excess =
        let r = excess / mean
        -mean * ((1.0 + r) * log (1.0 + r) - r) < log 1e-9

    Seq.initInfinite float |> Seq.find isUnlikely |> (+) mean

/// A dense chain around an input, in a ball in which some of its slopes are not known.
let internal tiny seed =
    let draw = Draw seed
    let struct (network, input) = generalChain draw [ 3; 6; 5; 2 ]

    {
        Seed = seed
        Network = network
        Input = input
        Radius = radius (draw.Power(-2.0, -0.5))
    }

/// The usual effort, and with factors by place for every other seed.
let internal effortFor plan seed =
    { SearchEffort.forPlan plan with
        IsByPlace = seed % 2 = 0
    }

/// Reaches by exact row norms and the norm of the channels.
let internal reachesOf (plan: LoopPlan) (proved: ProvedReach) distance =
    let operator = LoopOperator.create proved.Loop proved.Factors 0.0
    let columns, rows = LoopOperator.columns operator, LoopOperator.rows operator

    let squares =
        LoopProbes.squares context plan operator 64 columns (LoopProbes.unitVectors columns 0)

    let image = engine.Allocate(columns * rows)

    LoopOperator.push
        context
        operator
        LoopOperator.unseen
        columns
        (HostStorage(LoopProbes.unitVectors columns 0 0 columns))
        image

    let kappa =
        Tensor.values (Tensor.ofStorage [ image.Length ] image)
        |> Array.chunkBySize rows
        |> Oracles.spectralNorm

    let rho = distance / sqrt (1.0 - kappa * kappa)
    let root = Array.map (fun sum -> rho * sqrt sum)

    Array.map2
        (fun entries pairs ->
            {
                Entries = root entries
                Pairs = root pairs
            })
        squares.Entries
        squares.Pairs

let private isBroken (claims: Claims[]) (reaches: PlaceReach[]) =
    Array.exists2
        (fun (claims: Claims) reach ->
            Array.exists2
                (fun reach bound -> reach > bound * (1.0 + 1e-9))
                (LoopSlopes.claimed claims reach)
                claims.Bound)
        claims
        reaches

/// A neuron behind twelve channels: its row over them, for factors of 1, and its loop.
let private behindChannels seed =
    let draw = Draw seed
    let hidden = 12

    let network =
        build
            [ 2 ]
            [
                Step(
                    "first",
                    Layer.dense
                        (Tensor.ofArray [ hidden; 2 ] (draw.Gaussians(2 * hidden)))
                        (Tensor.create [ hidden ] 0.0)
                )
                Step("relu", Layer.relu)
                Step(
                    "second",
                    Layer.dense (Tensor.ofArray [ 1; hidden ] (draw.Gaussians hidden)) (Tensor.vector [| 1.0 |])
                )
                Step("relu", Layer.relu)
            ]

    // At the origin every slope of the first layer is unknown.
    let plan = planOf network (Tensor.vector [| 0.0; 0.0 |])

    let reach size =
        {
            Entries = Array.create size 1.0
            Pairs = [||]
        }

    let struct (loop, _) = LoopSlopes.loop Uniform plan [| reach hidden; reach 1 |]
    struct (plan, loop)

let private vectors = 16

/// The square of the neuron's row norm that vectors drawn with a key tell, over the true one.
let private told plan (operator: LoopOperator) key =
    let columns = LoopOperator.columns operator

    let sumOver count fill =
        (LoopProbes.squares context plan operator count count fill).Entries[1][0]

    let draws =
        Array.init vectors (fun i -> Gaussian.drawWith key i columns) |> Array.concat

    sumOver vectors (fun _ _ -> Array.copy draws)
    / sumOver columns (LoopProbes.unitVectors columns 0)

/// A search that looks for factors with which the row seems to be small, by vectors of its own.
let private soughtBy (draw: Draw) plan (loop: Loop) key =
    let at factors =
        told plan (LoopOperator.create loop factors 0.0) key

    let start = Array.create loop.Channels 1.0

    ((start, at start), seq { 1..80 })
    ||> Seq.fold (fun (factors, best) _ ->
        let next = Array.copy factors
        let k = draw.Int(0, next.Length - 1)
        next[k] <- next[k] * draw.Power(-0.7, 0.7)
        let value = at next
        if value < best then next, value else factors, best)
    |> fst

[<Tests>]
let tests =
    testList
        "StructuredProbes"
        [
            testCase "Structured: the lower quantile of sums of squares is below it" (fun () ->
                for m in [ 4; 8; 32; 100; 256; 400; 2000 ] do
                    for failure in [ 0.9; 0.5; 0.1; 1e-2; 1e-6; 1e-9; 1e-16; 1e-40; 1e-200 ] do
                        let q = ChiSquare.lowerQuantile m failure
                        Expect.isGreaterThan q 0.0 "q"
                        let text = $"{m} draws, {failure}"
                        Expect.isLessThanOrEqual (probabilityBelow m q) (failure * (1.0 + 1e-9)) text
                        // Chernoff's bound gives away a factor of the order of the root of the number of draws, and a constant.
                        Expect.isGreaterThan (probabilityBelow m q) (failure / (40.0 * sqrt (float m))) text

                for m in [ 0; 1; 2 ] do
                    Expect.thrown<ArgumentException>(fun () -> ChiSquare.lowerQuantile m 1e-9 |> ignore)
                    |> ignore

                for failure in [ 0.0; 1.0; -1.0; nan ] do
                    Expect.thrown<ArgumentException>(fun () -> ChiSquare.lowerQuantile 32 failure |> ignore)
                    |> ignore)

            testCase "Structured: what probes prove fails no more often than they promise" (fun () ->
                for failure in [ 0.1; 0.01 ] do
                    let trials = 60
                    let mutable proofs, broken = 0, 0

                    for seed in 1..trials do
                        let case = tiny seed
                        let plan = planOf case.Network case.Input
                        let context = { context with Seed = seed }

                        match
                            LoopReach.findWith
                                (effortFor plan seed)
                                (fun _ -> GaussianVectors 16)
                                context
                                norms
                                Nominal
                                plan
                                [||]
                                case.Radius.Value
                                (failure / float LoopReach.parts)
                        with
                        | None -> ()
                        | Some proved ->
                            proofs <- proofs + 1

                            if isBroken proved.Claims (reachesOf plan proved case.Radius.Value) then
                                broken <- broken + 1

                    Expect.isGreaterThan proofs (trials / 4) "proofs"
                    Expect.isLessThanOrEqual (float broken) (mostFailures proofs failure) $"at {failure}")

            testCase "Structured: vectors that chose the operator do not prove its rows, fresh ones do" (fun () ->
                let failure, trials = 0.1, 40
                let quantile = ChiSquare.lowerQuantile vectors failure
                let mutable reused, fresh = 0, 0

                for seed in 1..trials do
                    let struct (plan, loop) = behindChannels seed
                    let searched = Gaussian.keyOf seed
                    let factors = soughtBy (Draw seed) plan loop searched
                    let operator = LoopOperator.create loop factors 0.0

                    // The row is larger than the vectors prove.
                    let fails key = told plan operator key < quantile

                    if fails searched then
                        reused <- reused + 1

                    if fails (LoopGram.key operator seed) then
                        fresh <- fresh + 1

                let most = mostFailures trials failure
                Expect.isLessThanOrEqual (float fresh) most "float fresh"
                Expect.isGreaterThan (float reused) most "float reused")

            testCase "Structured: draws change with every part of what they prove" (fun () ->
                let struct (_, loop) = behindChannels 1
                let factors = Array.create loop.Channels 1.0

                let key (loop: Loop) factors scale seed =
                    LoopGram.key (LoopOperator.create loop factors scale) seed

                let bend = loop.Bends[0]

                let withBend bend =
                    { loop with
                        Bends = Array.append [| bend |] loop.Bends[1..]
                    }

                let keys =
                    [
                        key loop factors 0.0 1
                        key loop factors 0.0 2
                        key loop factors 1.0 1
                        key loop (Array.mapi (fun j a -> if j = 3 then Math.BitIncrement a else a) factors) 0.0 1
                        key
                            (withBend
                                { bend with
                                    Width = bend.Width |> Array.map Math.BitIncrement
                                })
                            factors
                            0.0
                            1
                        key
                            (withBend
                                { bend with
                                    Slopes = Tensor.map Math.BitIncrement bend.Slopes
                                })
                            factors
                            0.0
                            1
                        key (withBend { bend with Into = Array.rev bend.Into }) factors 0.0 1
                        key (withBend { bend with Plus = Array.rev bend.Plus }) factors 0.0 1
                        key
                            (withBend
                                { bend with
                                    Mean = Array.create bend.Into.Length 0.25
                                })
                            factors
                            0.0
                            1
                        key
                            { loop with
                                Steps = List.tail loop.Steps
                            }
                            factors
                            0.0
                            1
                    ]

                Expect.equal (keys |> List.distinct |> List.length) keys.Length "keys |> List.distinct |> List.length"
                Expect.isTrue (key loop factors 0.0 1 = keys.Head) "key loop factors 0.0 1 = keys.Head")
        ]
