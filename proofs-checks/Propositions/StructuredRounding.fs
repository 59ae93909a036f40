/// The passes through loops and the bounds on their rounding, held against exact arithmetic (METHODS section 14a).
module LipVerify.Propositions.StructuredRounding

open System
open System.Collections.Generic
open LipVerify.Compute
open LipVerify.Core
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.StructuredLoops
open NUnit.Framework

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

[<Test>]
let ``Structured: passes err by no more than their bounds`` () =
    let mutable finite = 0

    check 120 network (fun case ->
        let operator = (randomLoop case).Operator
        let draw = Draw(case.Seed + 8)
        let rows, columns = LoopOperator.rows operator, LoopOperator.columns operator

        let checkPass name pass exactly from target (bound: LoopRounding.LoopErrors -> float) points =
            let batch = vectors draw from

            let errors =
                LoopRounding.errors context norms LoopRounding.nothingCarried operator batch.Length

            let struct (results, seen) = computed pass target batch

            if Double.IsFinite(bound errors) then
                finite <- finite + 1

            batch
            |> Array.iteri (fun i vector ->
                let expected: ExactPass = exactly operator vector
                let length = Oracles.norm vector * (1.0 + 1e-12)

                let allowed share =
                    share * length + max errors.Underflow 0.0 |> (*) (1.0 + 1e-12)

                if Array.forall Double.IsFinite results[i] then
                    difference results[i] expected.Result
                    |> assertWithin $"{name} of {case.Text}" (allowed (bound errors))

                    assertWithin $"the norm of {case.Text}" (errors.Norm * length) expected.Result

                for pair in seen do
                    let here = pair.Value
                    let mine = row here (here.Length / batch.Length) i

                    // Underflow on the way is part of the bounds for unit vectors; it is left as it is for shorter ones.
                    let room = max 1.0 length

                    if Array.forall Double.IsFinite mine then
                        difference mine expected.Seen[pair.Key]
                        |> assertWithin $"{name}, {pair.Key} of {case.Text}" (points errors pair.Key * room))

        checkPass
            "forward"
            (LoopOperator.push context operator)
            pushExactly
            columns
            rows
            (fun errors -> errors.Forward)
            (fun errors -> errors.Increments)

        checkPass
            "backward"
            (LoopOperator.pull context operator)
            pullExactly
            rows
            columns
            (fun errors -> errors.Backward)
            (fun errors -> errors.Adjoints))

    // Bounds that say nothing are rare.
    Assert.That(finite, Is.GreaterThan 200)

[<Test>]
let ``Structured: the backward pass is the adjoint of the forward one`` () =
    check 100 network (fun case ->
        let operator = (randomLoop case).Operator
        let draw = Draw(case.Seed + 9)
        let x = draw.Gaussians(LoopOperator.columns operator)
        let y = draw.Gaussians(LoopOperator.rows operator)

        // In exact arithmetic, to which both passes are held above.
        let forward = inner (pushExactly operator x).Result (Array.map exact y)
        let backward = inner (pullExactly operator y).Result (Array.map exact x)
        Assert.That(Dyadic.sign (Dyadic.subtract forward backward), Is.EqualTo 0, case.Text))

/// `K` with rows that the kinks of a loop with these bends make: pooling with windows that overlap in every entry.
[<Test>]
let ``Structured: windows that overlap much hand much back to one entry`` () =
    let axis extent =
        WindowAxis(extent, 6, 1, 0, 0, 1, false)

    for seed in 1..5 do
        let draw = Draw seed
        let pooling = Layer.maxPooling (PoolingGeometry(1, axis 11, axis 11))
        let network = build [ 1; 11; 11 ] [ Step("pool", pooling) ]

        // One entry leads all windows that it is in.
        let values =
            Array.init 121 (fun i -> if i = 60 then 100.0 else draw.Gaussian())

        let case =
            {
                Seed = seed
                Network = network
                Input = Tensor.ofArray [ 1; 11; 11 ] values
                Radius = radius 1.0
            }

        let operator = (randomLoop case).Operator

        let errors =
            LoopRounding.errors context norms LoopRounding.nothingCarried operator 1

        let y = draw.Gaussians(LoopOperator.rows operator)
        let x = engine.Allocate(LoopOperator.columns operator)
        LoopOperator.pull context operator LoopOperator.unseen 1 (HostStorage y) x

        difference (Tensor.values (Tensor.ofStorage [ x.Length ] x)) (pullExactly operator y).Result
        |> assertWithin $"seed {seed}" (errors.Backward * Oracles.norm y)

[<Test>]
let ``Structured: underflow inside a scaled map grows with its scale`` () =
    // 2^600·(2^-600 x) for x of 1e-141: what is left of x in between is a few least doubles.
    let map =
        Scaled(
            Tensor.vector [| Math.ScaleB(1.0, 600) |],
            Dense(Dense.create (Tensor.ofArray [ 1; 1 ] [| Math.ScaleB(1.0, -600) |]))
        )

    let first = Dense(Dense.create (Tensor.ofArray [ 1; 1 ] [| 1.0 |]))

    let operator =
        {
            Loop =
                {
                    Steps = [ Mapped(0, Dense(Dense.create (Tensor.ofArray [ 1; 1 ] [| 1e-141 |]))); Mapped(1, map); Mapped(2, first) ]
                    Bends = [||]
                    Inputs = 1
                    Outputs = 1
                    Channels = 0
                }
            Gains = [||]
            Scale = 1e141
        }

    let errors =
        LoopRounding.errors context norms LoopRounding.nothingCarried operator 1

    for x in [ 1.0; 0.7; -0.3; 1e-3 ] do
        let y = engine.Allocate 1
        LoopOperator.push context operator LoopOperator.unseen 1 (HostStorage [| x |]) y

        difference (Tensor.values (Tensor.ofStorage [ 1 ] y)) (pushExactly operator [| x |]).Result
        |> assertWithin $"forward at {x}" (errors.Forward * abs x + errors.Underflow)

        LoopOperator.pull context operator LoopOperator.unseen 1 (HostStorage [| x |]) y

        difference (Tensor.values (Tensor.ofStorage [ 1 ] y)) (pullExactly operator [| x |]).Result
        |> assertWithin $"backward at {x}" (errors.Backward * max 1.0 (abs x))

[<Test>]
let ``Structured: no norm of a loop is above what is certified`` () =
    check 40 network (fun case ->
        let operator = (randomLoop case).Operator
        let columns, rows = LoopOperator.columns operator, LoopOperator.rows operator

        if columns * rows < 4000 then
            let image = engine.Allocate(columns * rows)

            let unit =
                Array.init (columns * columns) (fun k -> if k / columns = k % columns then 1.0 else 0.0)

            LoopOperator.push context operator LoopOperator.unseen columns (HostStorage unit) image
            let matrix = Tensor.values (Tensor.ofStorage [ image.Length ] image) |> Array.chunkBySize rows

            if matrix |> Array.forall (Array.forall Double.IsFinite) then
                let norm = Oracles.spectralNorm matrix
                let certified = sqrt (LoopGram.certify context norms operator 1e-2).Upper

                Assert.That(
                    certified,
                    Is.GreaterThanOrEqualTo(norm * (1.0 - 1e-11)).Or.NaN,
                    $"{case.Text}: {certified:R} is below {norm:R}"
                ))
