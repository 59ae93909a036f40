/// Linear lower and upper functions of ReLUs and max pooling, against the functions themselves.
module LipVerify.Propositions.Relaxations

open LipVerify.Compute
open LipVerify.Core.Activations
open LipVerify.Core.Enclosures
open LipVerify.Propositions.Generators
open Expecto
open LipVerify.Propositions.Expectations

/// Multiples of 1/4 below 3, so that ends meet and tie, and every sum is exact.
let private coarse (draw: Draw) = float (draw.Int(-10, 10)) / 4.0

let private deviations (draw: Draw) count : Relaxation.Deviations =
    let low = Array.init count (fun _ -> coarse draw)
    let isExact = draw.Chance 0.5

    {
        Low = low
        High = low |> Array.map (fun v -> if isExact then v else v + abs (coarse draw) / 4.0)
        Fall = Array.init count (fun _ -> abs (coarse draw))
        Rise = Array.init count (fun _ -> abs (coarse draw))
    }

/// A value between two ends, often one of them.
let private between (draw: Draw) low high =
    draw.Pick [ low; high; low + draw.Real(0.0, 1.0) * (high - low) ]

/// Exact nominal values and deviations that are allowed.
let private point (draw: Draw) (d: Relaxation.Deviations) =
    let nominal = Array.map2 (between draw) d.Low d.High
    let change = Array.map2 (fun fall rise -> between draw -fall rise) d.Fall d.Rise
    nominal, change

/// What the comparison may lose to rounding: a few operations on numbers below 10.
let private rounding = 1e-14

let private assertBetween (bend: Relaxation.Relaxation) falls rises (change: float[]) output (value: float) =
    let lower =
        bend.LowerSlope[output] * change[bend.LowerEntry[output]]
        - bend.LowerDrop[output]

    let upper =
        bend.UpperSlope[output] * change[bend.UpperEntry[output]]
        + bend.UpperLift[output]

    Expect.isGreaterThanOrEqual value (lower - rounding) $"output {output}: lower function"
    Expect.isLessThanOrEqual value (upper + rounding) $"output {output}: upper function"
    Expect.isGreaterThanOrEqual value (-(Array.item output falls) - rounding) $"output {output}: fall"
    Expect.isLessThanOrEqual value (Array.item output rises + rounding) $"output {output}: rise"

let private relu v = max 0.0 v

let private relus = EntryActivations.all Relu.activation

[<Tests>]
let tests =
    testList
        "Relaxations"
        [
            statement "Relaxation: the functions of a ReLU lie below and above it" 300 Draw (fun draw ->
                let d = deviations draw 20
                let bend = Relaxation.activation relus d
                let struct (falls, rises) = Relaxation.activated relus d

                for _ in 1..30 do
                    let nominal, change = point draw d

                    for i in 0..19 do
                        relu (nominal[i] + change[i]) - relu nominal[i]
                        |> assertBetween bend falls rises change i)

            statement
                "Relaxation: with exact nominal values, the upper function of a ReLU meets it at both ends, and the lower one at one"
                200
                Draw
                (fun draw ->
                    let d = deviations draw 20
                    let d = { d with High = d.Low }
                    let bend = Relaxation.activation relus d

                    for i in 0..19 do
                        let at change =
                            relu (d.Low[i] + change) - relu d.Low[i]

                        let upper change =
                            bend.UpperSlope[i] * change + bend.UpperLift[i]

                        let lower change =
                            bend.LowerSlope[i] * change - bend.LowerDrop[i]

                        for change in [ -d.Fall[i]; d.Rise[i] ] do
                            Expect.isWithin rounding (upper change) (at change) "upper change"

                        let gaps =
                            [ -d.Fall[i]; d.Rise[i] ] |> List.map (fun change -> at change - lower change)

                        Expect.isWithin rounding (List.min gaps) (0.0) "List.min gaps")

            statement "Relaxation: the functions of max pooling lie below and above it" 400 Draw (fun draw ->
                let geometry = poolingGeometry draw (draw.Int(1, 2), draw.Int(1, 5), draw.Int(1, 5))
                let d = deviations draw geometry.InputSize

                // At times one member of each few stands out.
                let d =
                    if draw.Chance 0.5 then
                        let far =
                            Array.init geometry.InputSize (fun _ -> if draw.Chance 0.3 then 3.0 else 0.0)

                        { d with
                            Low = Array.map2 (+) d.Low far
                            High = Array.map2 (+) d.High far
                        }
                    else
                        d

                let struct (bend, falls, rises) = Relaxation.maxPooling geometry d
                let windows = Oracles.windows geometry

                for _ in 1..30 do
                    let nominal, change = point draw d

                    windows
                    |> Array.iteri (fun output members ->
                        let largest (value: int -> float) = members |> Seq.map value |> Seq.max

                        largest (fun i -> nominal[i] + change[i]) - largest (fun i -> nominal[i])
                        |> assertBetween bend falls rises change output))

            statement
                "Relaxation: a member that surely wins is its window's maximum, and only the others are contested"
                100
                Draw
                (fun draw ->
                    let size = draw.Int(1, 4)
                    let axis = WindowAxis(size, size, size)
                    let geometry = PoolingGeometry(1, axis, axis)
                    let d = deviations draw (size * size)
                    let winner = draw.Int(0, size * size - 1)
                    let apart = Array.init (size * size) (fun i -> if i = winner then 100.0 else 0.0)

                    let d =
                        { d with
                            Low = Array.map2 (+) d.Low apart
                            High = Array.map2 (+) d.High apart
                        }

                    let struct (bend, falls, rises) = Relaxation.maxPooling geometry d
                    Expect.equal bend.LowerEntry[0] winner "bend.LowerEntry[0]"
                    Expect.equal bend.UpperEntry[0] winner "bend.UpperEntry[0]"
                    Expect.equal bend.LowerSlope[0] 1.0 "bend.LowerSlope[0]"
                    Expect.equal bend.UpperSlope[0] 1.0 "bend.UpperSlope[0]"
                    Expect.equal bend.LowerDrop[0] 0 "bend.LowerDrop[0]"
                    Expect.equal bend.UpperLift[0] 0 "bend.UpperLift[0]"
                    Expect.equal falls[0] d.Fall[winner] "falls[0]"
                    Expect.equal rises[0] d.Rise[winner] "rises[0]"
                    Expect.all (Relaxation.contested geometry d) not "no window is contested")

            testCase "Relaxation: where nothing is known of the nominal values, the functions still hold" (fun () ->
                let unknown: Relaxation.Deviations =
                    {
                        Low = [| -infinity |]
                        High = [| infinity |]
                        Fall = [| 1.0 |]
                        Rise = [| 2.0 |]
                    }

                let bend = Relaxation.activation relus unknown

                for change in [ -1.0; 0.0; 2.0 ] do
                    for nominal in [ -10.0; -0.5; 0.5; 10.0 ] do
                        let value = relu (nominal + change) - relu nominal
                        Expect.isGreaterThanOrEqual value (bend.LowerSlope[0] * change - bend.LowerDrop[0]) "value"

                        Expect.isLessThanOrEqual
                            value
                            (bend.UpperSlope[0] * change + bend.UpperLift[0] + rounding)
                            "value")
        ]
