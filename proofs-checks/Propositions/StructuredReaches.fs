/// What is proved of reaches and slopes over a ball, held against increments of the network itself (METHODS section 14b).
/// Proved in proofs-checks/coq/statements/Structured.v.
module LipVerify.Propositions.StructuredReaches

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
open LipVerify.Propositions.Oracles
open LipVerify.Propositions.StructuredLoops
open Expecto
open LipVerify.Propositions.Expectations

let private failure = 1e-9

/// Rounding of simulated increments, relative to the largest nominal value and increment at a place: far more than some hundred operations.
let private relative = 1e-10

let private nominalOf place =
    match place with
    | ActivationPlace(nominal, _)
    | RoundPlace(nominal, _, _) -> nominal

let private noise (plan: LoopPlan) place (dz: float[]) =
    let nominal = nominalOf plan.Places[place]

    let largest (values: float[]) =
        values |> Array.fold (fun best x -> max best (abs x)) 0.0

    relative * (largest (Tensor.values nominal.Value) + largest dz)
    + largest (Tensor.values nominal.Error)

/// `d_j` of each channel.
let private differences (bend: Bend) (dz: float[]) =
    bend.Plus
    |> Array.mapi (fun j plus ->
        if bend.Minus.Length > 0 then
            dz[plus] - dz[bend.Minus[j]]
        else
            dz[plus])

/// `δ`: what the place makes of increments beside the fixed slopes; one an output.
let private residuals (bend: Bend) (dz: float[]) (dy: float[]) =
    let fixedPart =
        match bend.Leaders with
        | Some leaders -> Array.map2 (fun slope leader -> slope * dz[leader]) (Tensor.values bend.Slopes) leaders
        | None -> Array.map2 (*) (Tensor.values bend.Slopes) dz

    let rest = Array.map2 (-) dy fixedPart

    if bend.Mean.Length > 0 then
        Array.iteri2 (fun j into d -> rest[into] <- rest[into] - bend.Mean[j] * d) bend.Into (differences bend dz)

    rest

let private assertClaims (case: NetworkCase) (plan: LoopPlan) (proved: ProvedReach) (found: Increments) =
    for place in 0 .. plan.Places.Length - 1 do
        let dz = found.Before[place]
        let claims = proved.Claims[place]
        let room = noise plan place dz

        let reach =
            match plan.Places[place] with
            | ActivationPlace _ ->
                {
                    Entries = dz |> Array.map abs
                    Pairs = [||]
                }
            | RoundPlace(_, pairs, _) ->
                {
                    Entries = dz |> Array.map abs
                    Pairs = pairs |> Array.map (fun struct (a, b) -> abs (dz[b] - dz[a]))
                }

        Array.iter2
            (fun reach bound ->
                if not (reach <= bound + room) then
                    failwith $"place {place} of {case.Text}: a reach of {reach:R} where {bound:R} is proved")
            (LoopSlopes.claimed claims reach)
            claims.Bound

/// `|δ_j| ≤ Width_j |d_j|`, and no residual where there is no channel, for increments between two points.
let private assertResiduals (case: NetworkCase) (plan: LoopPlan) (loop: Loop) (a: Increments) (b: Increments) =
    for place in 0 .. plan.Places.Length - 1 do
        let bend = loop.Bends[place]
        let dz = Array.map2 (-) b.Before[place] a.Before[place]
        let dy = Array.map2 (-) b.After[place] a.After[place]
        let room = noise plan place a.Before[place] + noise plan place b.Before[place]
        let rest = residuals bend dz dy
        let allowed = Array.create bend.Outputs room

        Array.iteri2
            (fun j into d -> allowed[into] <- allowed[into] + bend.Width[j] * abs d)
            bend.Into
            (differences bend dz)

        Array.iteri2
            (fun i delta allowed ->
                if not (abs delta <= allowed) then
                    failwith
                        $"output {i} of place {place}, {case.Text}: a residual of {delta:R} where {allowed:R} is allowed")
            rest
            allowed

/// The simulated outputs are those of the network.
let private assertOutputs (case: NetworkCase) (points: float[][]) (found: Increments[]) =
    let center = Tensor.values case.Input
    let values = evaluateAll case.Network (Array.append [| center |] points)
    let errors = evaluationErrors case.Network (Array.append [| center |] points)

    found
    |> Array.iteri (fun i increments ->
        let actual = Array.map2 (-) values[i + 1] values[0]
        let distance = norm (Array.map2 (-) actual increments.Outputs)
        let size = norm values[i + 1] + norm values[0] + norm increments.Outputs

        if Double.IsFinite size then
            Expect.isLessThanOrEqual
                distance
                (10.0 * (errors[0] + errors[i + 1]) + relative * size)
                $"point {i} of {case.Text}")

/// A network whose radius is of the order at which slopes begin to be unknown.
let internal local seed =
    let case = network seed
    let draw = Draw(seed + 3)

    { case with
        Radius = radius (draw.Power(-3.0, 0.5))
    }

[<Tests>]
let tests =
    testList
        "StructuredReaches"
        [
            testCase "Structured: increments keep to what is proved of them" (fun () ->
                let mutable proofs, channels = 0, 0

                check 70 local (fun case ->
                    for definition in [ Nominal; Uniform ] do
                        let plan = planOf case.Network case.Input

                        match LoopReach.find context norms definition plan [||] case.Radius.Value failure with
                        | None -> ()
                        | Some proved ->
                            proofs <- proofs + 1
                            channels <- channels + proved.Loop.Channels
                            let center = Tensor.values case.Input
                            let points = candidates (Draw case.Seed) case.Network center case.Radius.Value

                            let found =
                                points
                                |> Array.map (fun x -> simulate plan proved.Loop (Array.map2 (-) x center))

                            assertOutputs case points found

                            for increments in found do
                                assertClaims case plan proved increments

                            let still = simulate plan proved.Loop (Array.zeroCreate center.Length)

                            let pairs =
                                match definition with
                                | Nominal -> found |> Array.map (fun increments -> still, increments)
                                | Uniform -> Array.append [| still |] found |> Array.pairwise

                            for a, b in pairs do
                                assertResiduals case plan proved.Loop a b)

                // Most networks have reaches that can be proved, and slopes that are not known.
                Expect.isGreaterThan proofs 70 "proofs"
                Expect.isGreaterThan channels 70 "channels")

            testCase "Structured: where slopes are known, the loop is the derivative" (fun () ->
                for seed in 1..30 do
                    let draw = Draw seed
                    let struct (network, input) = generalChain draw [ 4; 7; 6; 3 ]
                    let plan = planOf network input
                    let linear = LinearLoop.operator plan
                    let direction = draw.Gaussians 4
                    let image = engine.Allocate 3
                    LoopOperator.push context linear LoopOperator.unseen 1 (HostStorage direction) image
                    let pushed = Tensor.values (Tensor.ofStorage [ 3 ] image)

                    // General position: kinks are further away than this, and the quotient of differences errs by 1e-16/h.
                    let h = 1e-6
                    let moved = Array.map2 (fun x d -> x + h * d) (Tensor.values input) direction
                    let values = evaluateAll network [| Tensor.values input; moved |]
                    let quotient = Array.map2 (fun a b -> (b - a) / h) values[0] values[1]

                    Expect.isLessThan
                        (norm (Array.map2 (-) quotient pushed))
                        (1e-7 * (1.0 + norm pushed))
                        $"seed {seed}")

            statement "Structured: all inputs keep to the slopes of the loop for all inputs" 60 network (fun case ->
                let plan = planOf case.Network (Tensor.create case.Network.InputShape 0.0)

                let loop = (LoopReach.everywhere context norms plan).Loop
                let draw = Draw(case.Seed + 4)

                let found =
                    Array.init 6 (fun _ ->
                        let size = draw.Power(-3.0, 3.0)
                        simulate plan loop (draw.Gaussians case.Input.Length |> Array.map (fun x -> size * x)))

                for a, b in Array.pairwise found do
                    assertResiduals case plan loop a b)
        ]
