/// What bounds ask of activations (METHODS section 16), against a hundred digits: values, slopes of chords (Theorem 1 in general), lines, increments.
module LipVerify.Propositions.ActivationCurves

open System
open Expecto
open LipVerify.Core.Numbers
open LipVerify.Core.Activations
open LipVerify.Propositions.Generators
open LipVerify.Propositions.Expectations
open LipVerify.Propositions.ManyDigits

/// The activations under test, by the names of the oracle.
let internal underTest: (string * Activation) list =
    [
        "relu", Relu.activation
        "leaky_relu(0.01)", LeakyRelu.activation 0.01
        "leaky_relu(-0.5)", LeakyRelu.activation -0.5
        "leaky_relu(1.5)", LeakyRelu.activation 1.5
        "abs", LeakyRelu.activation -1.0
        "relu6", Clip.activation 0.0 6.0
        "clip(-0.5, 0.75)", Clip.activation -0.5 0.75
        "hard_sigmoid(0.2, 0.5)", HardSigmoid.activation 0.2 0.5
        "hard_swish", HardSwish.activation
        "hard_swish(1, 3, 6)", HardSwish.general 1.0 3.0 6.0
        "hard_swish(0.16, 0.45, 0.9)", HardSwish.general 0.16 0.45 0.9
        "elu(1)", Elu.elu 1.0
        "elu(1.7)", Elu.elu 1.7
        "elu(0.3)", Elu.elu 0.3
        "elu(1.0000000000000002)", Elu.elu 1.0000000000000002
        "selu", Elu.selu 1.6732632423543772 1.0507009873554805
        "celu(0.5)", Elu.celu 0.5
        "sigmoid", Sigmoid.activation
        "tanh", Tanh.activation
        "erf", Erf.activation
        "softplus", Softplus.activation
        "softsign", Softsign.activation
        "silu", Silu.activation
        "gelu", Gelu.activation
        "gelu_tanh", Gelu.byTanh
        "gelu_erf(1.4142135381698608)", Gelu.byErf 1.4142135381698608
        "mish", Mish.activation
    ]

/// An activation with what it is.
[<ReferenceEquality; StructuredFormatDisplay("{Text}")>]
type private Case =
    {
        Activation: Activation
        Exact: Digits -> Digits
        Excursion: Excursion
        Draw: Draw
    }

    member case.Text =
        let e = case.Excursion
        $"{case.Activation.Name} [{e.NominalLow:R}, {e.NominalHigh:R}] −{e.Down:R} +{e.Up:R}"

/// Where activations bend, and far from it; the oracle of erf is for arguments below 8.
let private place (draw: Draw) =
    match draw.Int(0, 5) with
    | 0 ->
        draw.Pick
            [
                0.0
                -3.0
                3.0
                6.0
                -0.5
                0.75
                -2.5
                2.5
                Math.Sqrt 2.0
                -2.3993572805154677
                1.4905711794854285
            ]
    | 1 -> draw.Pick [ 1.0; -1.0 ] * draw.Power(-12.0, 0.0)
    | _ -> draw.Real(-4.5, 4.5)

let private reach (draw: Draw) =
    match draw.Int(0, 4) with
    | 0 -> 0.0
    | 1 -> draw.Power(-14.0, -3.0)
    | _ -> draw.Real(0.0, 3.0)

let private case (name: string, activation) seed =
    let draw = Draw seed
    let low = place draw

    {
        Activation = activation
        Exact = activations |> List.find (fun (known, _) -> known = name) |> snd
        Excursion =
            {
                NominalLow = low
                NominalHigh =
                    (if draw.Chance 0.5 then
                         low
                     else
                         low + draw.Power(-16.0, -1.0))
                Down = reach draw
                Up = reach draw
            }
        Draw = draw
    }

/// An exact nominal value of an excursion, and another that it may move to.
let private pairOf (case: Case) =
    let e, draw = case.Excursion, case.Draw

    let part low high =
        draw.Pick [ low; high; low + draw.Real(0.0, 1.0) * (high - low) ]

    let nominal =
        part e.NominalLow e.NominalHigh |> max e.NominalLow |> min e.NominalHigh

    let change = part -e.Down e.Up
    let nominal, change = ofFloat nominal, ofFloat change
    struct (nominal, change, case.Exact(nominal + change) - case.Exact nominal)

/// What the oracle itself may err by, and the conversion of ends: far below one unit in the last place of anything above 1e-60.
let private slack = ofFloat 1e-70

let private atMost (what: string) (case: Case) (value: Digits) (bound: float) =
    if
        Double.IsNaN bound
        || not (Double.IsPositiveInfinity bound) && value > ofFloat bound + slack
    then
        failtest $"{what} of {case.Text} is above {bound:R}"

let private atLeast what (case: Case) (value: Digits) (bound: float) =
    if
        Double.IsNaN bound
        || not (Double.IsNegativeInfinity bound) && value < ofFloat bound - slack
    then
        failtest $"{what} of {case.Text} is below {bound:R}"

let private samples = 6

let private cases = 60

let private ofActivation (name, activation: Activation) =
    let cased = case (name, activation)

    testList
        name
        [
            statement "values lie in their enclosures, which are narrow" cases cased (fun case ->
                let e = case.Excursion
                let radius = 0.5 * (e.NominalHigh - e.NominalLow)
                let middle = e.NominalLow + radius
                let struct (exactly, own) = activation.Enclose middle 0.0
                atMost "the value" case (case.Exact(ofFloat middle) - ofFloat exactly) own
                atLeast "the value" case (case.Exact(ofFloat middle) - ofFloat exactly) -own
                Expect.isLessThan own (1e-13 * (1.0 + abs middle)) "the error of a value"

                let struct (computed, error) = activation.Enclose middle radius
                let most = activation.Global |> SlopeIntervals.size
                Expect.isLessThanOrEqual error (1.001 * most * radius + 2e-13 * (1.0 + abs middle)) "the carried error"

                for at in [ middle - radius; middle + radius; middle + 0.3 * radius ] do
                    if abs (at - middle) <= radius then
                        atMost "a value within" case (case.Exact(ofFloat at) - ofFloat computed) error
                        atLeast "a value within" case (case.Exact(ofFloat at) - ofFloat computed) -error)

            statement "Theorem 1: slopes of chords lie in their intervals" cases cased (fun case ->
                let nominal = activation.Slopes Nominal case.Excursion
                let uniform = activation.Slopes Uniform case.Excursion

                for _ in 1..samples do
                    let struct (y, change, moved) = pairOf case

                    if not change.Raw.IsZero then
                        let slope = moved / change
                        atMost "a slope" case slope nominal.Upper
                        atLeast "a slope" case slope nominal.Lower
                        atMost "a slope" case slope activation.Global.Upper
                        atLeast "a slope" case slope activation.Global.Lower

                        // Any two pre-activations of the excursion.
                        let struct (y', change', _) = pairOf case
                        let a, b = y + change, y' + change'

                        if a <> b then
                            let slope = (case.Exact a - case.Exact b) / (a - b)
                            atMost "a slope between two" case slope uniform.Upper
                            atLeast "a slope between two" case slope uniform.Lower)

            statement "Theorem 1: intervals of slopes are hardly wider than what chords attain" cases cased (fun case ->
                let e = case.Excursion

                // Chords from one nominal value, with room to tell them apart.
                if e.NominalLow = e.NominalHigh && e.Down + e.Up > 1e-3 then
                    let y = ofFloat e.NominalLow
                    let interval = activation.Slopes Nominal e

                    let attained =
                        [|
                            for k in 0..200 do
                                let change = -e.Down + (e.Down + e.Up) * float k / 200.0

                                if abs change > 1e-9 then
                                    let change = ofFloat change
                                    let slope = (case.Exact(y + change) - case.Exact y) / change
                                    float (slope.Raw >>> 340) / Math.ScaleB(1.0, 60)
                        |]

                    // What lies between two chords of so many, and tangents at eight places.
                    let room = 0.03 * (activation.Global.Upper - activation.Global.Lower) + 1e-6

                    Expect.isLessThanOrEqual
                        interval.Upper
                        (Array.max attained + room)
                        $"the largest slope: {case.Text}"

                    Expect.isGreaterThanOrEqual
                        interval.Lower
                        (Array.min attained - room)
                        $"the smallest slope: {case.Text}")

            statement "lines lie below and above, and increments within their deviations" cases cased (fun case ->
                let lines = activation.Lines case.Excursion
                let struct (fall, rise) = activation.Deviations case.Excursion

                for _ in 1..samples do
                    let struct (_, change, moved) = pairOf case
                    atMost "an increment" case moved rise
                    atLeast "an increment" case moved -fall

                    atMost
                        "an increment over the upper line"
                        case
                        (moved - ofFloat lines.UpperSlope * change)
                        lines.UpperLift

                    atLeast
                        "an increment over the lower line"
                        case
                        (moved - ofFloat lines.LowerSlope * change)
                        -lines.LowerDrop)

            statement "a slope that is settled is the only one, and claims of reaches hold" cases cased (fun case ->
                let e = case.Excursion

                let isLine slope =
                    for _ in 1..samples do
                        let struct (_, change, moved) = pairOf case
                        atMost "a settled increment" case (moved - ofFloat slope * change) 0.0
                        atLeast "a settled increment" case (moved - ofFloat slope * change) 0.0

                match activation.Settled e with
                | ValueSome slope -> isLine slope
                | ValueNone -> ()

                let reach = max e.Down e.Up

                let struct (slopes, claim) =
                    activation.SlopesWithin Nominal e.NominalLow e.NominalHigh reach

                Expect.isGreaterThanOrEqual claim reach "a claim covers the reach that it was made for"

                // The slopes hold for all that is claimed.
                let claimed =
                    { case with
                        Excursion =
                            { e with
                                Down = min claim 3.0
                                Up = min claim 3.0
                            }
                    }

                for _ in 1..samples do
                    let struct (_, change, moved) = pairOf claimed

                    if not change.Raw.IsZero then
                        atMost "a slope within a claim" claimed (moved / change) slopes.Upper
                        atLeast "a slope within a claim" claimed (moved / change) slopes.Lower)

            statement "changes and one-sided derivatives lie in their enclosures" cases cased (fun case ->
                let e = case.Excursion
                let y = Interval.ofEnds e.NominalLow e.NominalHigh
                let delta = Interval.ofEnds (if e.Down > 0.0 then -e.Down else 0.25 * e.Up) e.Up
                let change = activation.Change y delta
                let derivative = activation.Derivative y delta

                for _ in 1..samples do
                    let struct (at, d, moved) = pairOf case

                    if d >= ofFloat delta.Low then
                        atMost "a change" case moved change.High
                        atLeast "a change" case moved change.Low

                        // A quotient of a small step differs from the limit by the curvature times the step.
                        let step = ofFloat (Math.ScaleB(1.0, -120))
                        let quotient = (case.Exact(at + step * d) - case.Exact at) / step
                        atMost "a derivative" case (quotient - ofFloat 1e-30) derivative.High
                        atLeast "a derivative" case (quotient + ofFloat 1e-30) derivative.Low)
        ]

/// What auto_LiRPA's rules for S-shaped activations give (Xu et al. 2020): chords and tangents, those from an end where the curve bends both ways,
/// found by bisection.
let private publishedUpper (f: float -> float) (slope: float -> float) low high =
    let chord = (f high - f low) / (high - low)
    let middle = 0.5 * (low + high)

    if high <= 0.0 || chord <= slope high then
        struct (chord, f low - chord * low)
    elif low >= 0.0 then
        struct (slope middle, f middle - slope middle * middle)
    else
        let mutable a, b = 0.0, high

        for _ in 1..100 do
            let d = 0.5 * (a + b)

            if (f d - f low) / (d - low) > slope d then
                b <- d
            else
                a <- d

        let tangent = slope b
        struct (tangent, f low - tangent * low)

[<Tests>]
let tests =
    testList
        "Activations"
        [
            yield! List.map ofActivation underTest

            statement "CROWN: lines of S-shaped activations are as tight as the published ones" 300 Draw (fun draw ->
                let activation, f, slope =
                    draw.Pick
                        [
                            Tanh.activation, Math.Tanh, (fun x -> 1.0 - Math.Tanh x * Math.Tanh x)
                            Sigmoid.activation,
                            (fun x -> 1.0 / (1.0 + Math.Exp -x)),
                            (fun x -> 1.0 / (2.0 + Math.Exp x + Math.Exp -x))
                        ]

                let nominal, down, up =
                    draw.Real(-3.0, 3.0), draw.Real(0.05, 4.0), draw.Real(0.05, 4.0)

                let low, high = nominal - down, nominal + up

                let lines =
                    activation.Lines
                        {
                            NominalLow = nominal
                            NominalHigh = nominal
                            Down = down
                            Up = up
                        }

                let middle = 0.5 * (low + high)
                let struct (publishedSlope, publishedOffset) = publishedUpper f slope low high
                let ours = f nominal + lines.UpperSlope * (middle - nominal) + lines.UpperLift

                Expect.isLessThanOrEqual
                    ours
                    (publishedSlope * middle + publishedOffset + 1e-8)
                    "the upper line in the middle"

                // Below, by symmetry.
                let struct (publishedSlope, publishedOffset) =
                    publishedUpper (fun x -> -(f -x)) (fun x -> slope -x) -high -low

                let value, offset = f nominal, lines.LowerDrop
                let ours = value + lines.LowerSlope * (middle - nominal) - offset
                let published = -(publishedSlope * -middle + publishedOffset)

                Expect.isGreaterThanOrEqual ours (published - 1e-8) "the lower line in the middle")

            testCase
                "An activation of an infinite pre-activation is not known, and unbounded excursions have the slopes of all"
                (fun () ->
                    for name, activation in underTest do
                        let struct (value, _) = activation.Enclose infinity 0.0
                        Expect.isFalse (Double.IsFinite value) name

                        for definition in [ Nominal; Uniform ] do
                            let anywhere =
                                {
                                    NominalLow = -infinity
                                    NominalHigh = infinity
                                    Down = 1.0
                                    Up = infinity
                                }

                            let slopes = activation.Slopes definition anywhere
                            Expect.isGreaterThanOrEqual slopes.Upper activation.Global.Upper name
                            Expect.isLessThanOrEqual slopes.Lower activation.Global.Lower name)
        ]
