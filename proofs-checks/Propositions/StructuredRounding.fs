/// The passes through loops and the bounds on their rounding, held against exact arithmetic (METHODS section 14a).
module LipVerify.Propositions.StructuredRounding

open System
open System.Collections.Generic
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Loops.Operator
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.StructuredLoops
open Expecto
open LipVerify.Propositions.Expectations

let private exact = Dyadic.ofFloat
let private squares (v: Dyadic[]) = inner v v

/// Whether `‖v‖ ≤ bound`; a bound that is not finite says nothing.
let private isWithin (bound: float) (v: Dyadic[]) =
    not (Double.IsFinite bound)
    || Dyadic.isAtMost (Dyadic.multiply (exact bound) (exact bound)) (squares v)

let private difference (computed: float[]) (v: Dyadic[]) =
    Array.map2 (fun c v -> Dyadic.subtract (exact c) v) computed v

let private row (values: float[]) length i = Array.sub values (i * length) length

/// A pass over a batch, and what it saw.
let private computed pass rows (batch: float[][]) =
    let seen = Dictionary<LoopPoint, float[]>()

    let visit point (x: Storage) =
        seen[point] <- Array.copy (Tensor.values (Tensor.ofStorage [ x.Length ] x))

    let result = engine.Allocate(batch.Length * rows)
    pass visit batch.Length (HostStorage(Array.concat batch)) result
    let values = Tensor.values (Tensor.ofStorage [ result.Length ] result)
    struct (Array.init batch.Length (row values rows), seen)

/// Vectors of lengths from tiny to large, some of them unit vectors.
let private vectors (draw: Draw) length =
    Array.init (draw.Pick [ 1; 1; 3; 10 ]) (fun _ ->
        if draw.Chance 0.3 then
            let at = draw.Int(0, length - 1)
            Array.init length (fun i -> if i = at then 1.0 else 0.0)
        else
            let size = draw.Power(-3.0, 1.0)
            draw.Gaussians length |> Array.map (fun g -> size * g))

let private assertWithin (what: string) bound distance =
    if not (isWithin bound distance) then
        let length = sqrt (Dyadic.toFloat (squares distance))
        failwith $"{what}: an error of {length:R} where {bound:R} is the bound"

/// A loop of one bend, or of maps alone.
let private handmade steps bends inputs outputs scale : LoopOperator =
    LoopOperator.create
        {
            Steps = steps
            Bends = bends
            Inputs = inputs
            Outputs = outputs
            Channels = 0
        }
        [||]
        scale

let private applied pass length (x: float[]) =
    let y = engine.Allocate length
    pass 1 (HostStorage(Array.copy x)) y
    Array.copy (Tensor.values (Tensor.ofStorage [ length ] y))

[<Tests>]
let tests =
    testList
        "StructuredRounding"
        [
            testCase "Structured: passes err by no more than their bounds" (fun () ->
                let mutable finite = 0

                check 120 network (fun case ->
                    let operator = (randomLoop case).Operator
                    let draw = Draw(case.Seed + 8)
                    let rows, columns = LoopOperator.rows operator, LoopOperator.columns operator

                    let checkPass
                        name
                        pass
                        exactly
                        from
                        target
                        (bound: LoopRounding.LoopErrors -> float)
                        points
                        measured
                        =
                        let batch = vectors draw from

                        let errors =
                            LoopRounding.errors context norms LoopRounding.nothingCarried operator batch.Length

                        let passErrors =
                            LoopRounding.passErrors context norms LoopRounding.nothingCarried operator batch.Length

                        let struct (results, seen) = computed pass target batch

                        let lengths i length point =
                            let here: float[] = seen[point]
                            Oracles.norm (row here (here.Length / batch.Length) i) / length * (1.0 + 1e-6)

                        if Double.IsFinite(bound errors) then
                            finite <- finite + 1

                        batch
                        |> Array.iteri (fun i vector ->
                            let expected: ExactPass = exactly operator vector
                            let length = Oracles.norm vector * (1.0 + 1e-12)

                            let allowed share =
                                share * length + max errors.Underflow 0.0 |> (*) (1.0 + 1e-12)

                            let own = measured passErrors (lengths i (max length 1e-300))

                            if Array.forall Double.IsFinite results[i] then
                                let distance = difference results[i] expected.Result
                                assertWithin $"{name} of {case.Text}" (allowed (bound errors)) distance
                                assertWithin $"{name}, measured, of {case.Text}" (allowed own) distance

                                assertWithin $"the norm of {case.Text}" (errors.Norm * length) expected.Result

                            for pair in seen do
                                let here = pair.Value
                                let mine = row here (here.Length / batch.Length) i

                                // Underflow on the way is part of the bounds for unit vectors; it is left as it is for shorter ones.
                                let room = max 1.0 length

                                if Array.forall Double.IsFinite mine then
                                    difference mine expected.Seen[pair.Key]
                                    |> assertWithin
                                        $"{name}, {pair.Key} of {case.Text}"
                                        (points errors pair.Key * room))

                    checkPass
                        "forward"
                        (LoopOperator.push context operator)
                        pushExactly
                        columns
                        rows
                        (fun errors -> errors.Forward)
                        (fun errors -> errors.Increments)
                        _.Forward

                    checkPass
                        "backward"
                        (LoopOperator.pull context operator)
                        pullExactly
                        rows
                        columns
                        (fun errors -> errors.Backward)
                        (fun errors -> errors.Adjoints)
                        _.Backward)

                // Bounds that say nothing are rare.
                Expect.isGreaterThan finite 200 "finite")

            statement "Structured: the backward pass is the adjoint of the forward one" 100 network (fun case ->
                let operator = (randomLoop case).Operator
                let draw = Draw(case.Seed + 9)
                let x = draw.Gaussians(LoopOperator.columns operator)
                let y = draw.Gaussians(LoopOperator.rows operator)

                // In exact arithmetic, to which both passes are held above.
                let forward = inner (pushExactly operator x).Result (Array.map exact y)
                let backward = inner (pullExactly operator y).Result (Array.map exact x)
                Expect.equal (Dyadic.sign (Dyadic.subtract forward backward)) 0 case.Text)

            testCase "Structured: an entry that leads many outputs sums what they hand back" (fun () ->
                // The first 1, and then what is too small to be added to it one by one.
                let n = 1000

                let bend =
                    {
                        Inputs = 1
                        Outputs = n
                        Leaders = Some(Array.zeroCreate n)
                        Slopes = Tensor.create [ n ] 1.0
                        First = 0
                        Into = [||]
                        Plus = [||]
                        Minus = [||]
                        Mean = [||]
                        Width = [||]
                    }

                let operator = handmade [ Bent 0 ] [| bend |] 1 n 1.0

                let errors =
                    LoopRounding.errors context norms LoopRounding.nothingCarried operator 1

                let y = Array.init n (fun i -> if i = 0 then 1.0 else 0.99 * Rounding.unitRoundoff)

                let x = applied (LoopOperator.pull context operator LoopOperator.unseen) 1 y
                let distance = difference x (pullExactly operator y).Result
                assertWithin "backward" (errors.Backward * Oracles.norm y) distance
                // The sum does lose what it may.
                Expect.isFalse
                    (isWithin (500.0 * Rounding.unitRoundoff) distance)
                    "isWithin (500.0 * Rounding.unitRoundoff) distance")

            testCase "Structured: underflow inside a scaled map grows with its scale" (fun () ->
                // Of 2^-1070·x in the middle a few bits are left.
                let dense exponent =
                    Dense(Dense.create (Tensor.ofArray [ 1; 1 ] [| Math.ScaleB(1.0, exponent) |]))

                let steps =
                    [
                        Mapped(0, dense -470)
                        Mapped(1, Scaled(Tensor.vector [| Math.ScaleB(1.0, 600) |], dense -600))
                    ]

                let operator = handmade steps [||] 1 1 (Math.ScaleB(1.0, 400))

                let errors =
                    LoopRounding.errors context norms LoopRounding.nothingCarried operator 1

                for x in [ 1.0; 0.7; -0.3; 1e-3 ] do
                    let y = applied (LoopOperator.push context operator LoopOperator.unseen) 1 [| x |]

                    difference y (pushExactly operator [| x |]).Result
                    |> assertWithin $"forward at {x}" (errors.Forward * abs x + errors.Underflow)

                    let y = applied (LoopOperator.pull context operator LoopOperator.unseen) 1 [| x |]

                    difference y (pullExactly operator [| x |]).Result
                    |> assertWithin $"backward at {x}" errors.Backward)

            statement "Structured: no norm of a loop is above what is certified" 40 network (fun case ->
                let operator = (randomLoop case).Operator
                let columns, rows = LoopOperator.columns operator, LoopOperator.rows operator

                if columns * rows < 4000 then
                    let image = engine.Allocate(columns * rows)

                    let unit =
                        Array.init (columns * columns) (fun k -> if k / columns = k % columns then 1.0 else 0.0)

                    LoopOperator.push context operator LoopOperator.unseen columns (HostStorage unit) image

                    let matrix =
                        Tensor.values (Tensor.ofStorage [ image.Length ] image)
                        |> Array.chunkBySize rows

                    if matrix |> Array.forall (Array.forall Double.IsFinite) then
                        let norm = Oracles.spectralNorm matrix
                        let certified = sqrt (LoopGram.certify context norms operator 1e-2).Upper

                        if not (Double.IsNaN certified) then
                            Expect.isGreaterThanOrEqual certified (norm * (1.0 - 1e-11)) case.Text)

            statement
                "Structured: sums of squares of probes err by no more than what their lengths on the way allow"
                60
                network
                (fun case ->
                    let loop = randomLoop case
                    let operator = loop.Operator
                    let columns = LoopOperator.columns operator
                    let draw = Draw(case.Seed + 10)
                    let count, batch = draw.Int(1, 7), draw.Int(1, 4)
                    let probes = Array.init count (fun _ -> draw.Gaussians columns)

                    let squares =
                        LoopProbes.squares context loop.Plan operator batch count (fun first count ->
                            Array.concat probes[first .. first + count - 1])

                    let errors = LoopProbes.errors context norms operator squares
                    let expected = probes |> Array.map (pushExactly operator)

                    squares.Entries
                    |> Array.iteri (fun place entries ->
                        let rows = expected |> Array.map (fun pass -> pass.Seen[BeforeBend place])

                        entries
                        |> Array.iteri (fun i sum ->
                            if Double.IsFinite sum then
                                let truth = rows |> Array.map (fun row -> Dyadic.toFloat row[i]) |> Oracles.norm

                                let allowed = errors place + 1e-14 * truth + 1e-160

                                Expect.isWithin allowed (sqrt sum) truth $"place {place}, entry {i} of {case.Text}")))
        ]
