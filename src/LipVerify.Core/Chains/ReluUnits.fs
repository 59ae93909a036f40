namespace LipVerify.Core.Chains

open System
open LipVerify.Core.Numbers

/// Units for the neurons of a chain, powers of two in which its weights are near 1 (`ReluChain`).
module internal ReluUnits =

    /// Of a bias it counts for the unit of its row what is left behind so many halvings: a neuron whose bias is larger than that next to
    /// its weights has one slope.
    let private headroom = 300

    /// True where a change of units left the digits of a number as they were.
    let private isExact exponent (before: float) (after: float) =
        Double.IsFinite after && Math.ScaleB(after, -exponent) = before

    let private tooWide () : Result<'a, string> =
        Error "its weights span more than the range of doubles"

    /// `2^-exponent·x` for numbers and exponents side by side, or that digits would be lost.
    let private rescaled (exponents: int[]) (values: float[]) =
        let result = Array.map2 (fun (x: float) e -> Math.ScaleB(x, -e)) values exponents

        if Array.forall2 (fun e (x, y) -> isExact -e x y) exponents (Array.zip values result) then
            Ok result
        else
            tooWide ()

    let private all (results: Result<'a, string>[]) =
        match
            results
            |> Array.tryPick (function
                | Error problem -> Some problem
                | Ok _ -> None)
        with
        | Some problem -> Error problem
        | None -> results |> Array.choose Result.toOption |> Ok

    /// An affine map of inputs that have units, in units of its own.
    let inUnits (inputs: int[]) (rows: float[][]) (bias: float[]) =
        let unit (row: float[]) (b: float) =
            Array.fold2
                (fun largest w e -> if w = 0.0 then largest else max largest (Math.ILogB w + e))
                (if b = 0.0 then Int32.MinValue else Math.ILogB b - headroom)
                row
                inputs

        let units =
            Array.map2 unit rows bias
            |> Array.map (fun e -> if e = Int32.MinValue then 0 else e)

        let rows =
            Array.map2 (fun row unit -> rescaled (inputs |> Array.map (fun e -> unit - e)) row) rows units
            |> all

        match rows, rescaled units bias with
        | Ok rows, Ok bias ->
            Ok
                {
                    Rows = rows
                    Bias = bias
                    Exponents = units
                }
        | _ -> tooWide ()

    /// More products than this are not checked.
    let private mostProducts = 1_000_000L

    /// `Σ_i weights_i·values_i + offset`, if no rounding is needed.
    let private trySum (weights: float[]) (values: float[]) offset =
        let exact =
            Dyadic.add (Dyadic.combination weights (Array.map Dyadic.ofFloat values)) (Dyadic.ofFloat offset)

        let value = Dyadic.toFloat exact
        if Dyadic.isFloat exact value then Some value else None

    /// One after the other, without a ReLU between; the second takes what the first gives, in its units. None where that has to be
    /// rounded: a constant that is exact is not one of another network.
    let compose (first: ReluStep) (second: ReluStep) =
        let inputs = first.Rows[0].Length

        let column j =
            first.Rows |> Array.map (fun row -> row[j])

        if int64 second.Rows.Length * int64 first.Rows.Length * int64 inputs > mostProducts then
            Ok None
        else
            let columns = Array.init inputs column

            let rows =
                second.Rows
                |> Array.map (fun row -> columns |> Array.map (fun column -> trySum row column 0.0))

            let bias = Array.map2 (fun row b -> trySum row first.Bias b) second.Rows second.Bias

            if
                rows |> Array.forall (Array.forall Option.isSome)
                && Array.forall Option.isSome bias
            then
                inUnits (Array.zeroCreate inputs) (rows |> Array.map (Array.choose id)) (Array.choose id bias)
                |> Result.map (fun step ->
                    Some
                        { step with
                            Exponents = Array.map2 (+) step.Exponents second.Exponents
                        })
            else
                Ok None

    /// The last step in one unit, in which its largest weight is near 1, without its bias: no constant depends on that.
    let inOneUnit (step: ReluStep) =
        let sizes =
            Array.map2
                (fun row e ->
                    let largest = row |> Array.fold (fun largest x -> max largest (abs x)) 0.0
                    if largest = 0.0 then None else Some(Math.ILogB largest + e))
                step.Rows
                step.Exponents

        let unit = sizes |> Array.choose id |> Array.fold max Int32.MinValue
        let unit = if unit = Int32.MinValue then 0 else unit

        Array.map2 (fun row e -> rescaled (Array.create (Array.length row) (unit - e)) row) step.Rows step.Exponents
        |> all
        |> Result.map (fun rows ->
            {
                Rows = rows
                Bias = Array.zeroCreate rows.Length
                Exponents = Array.create rows.Length unit
            })

    /// The furthest that the centre of a ball may be from 0, in radii.
    let private furthest = Math.ScaleB(1.0, 500)

    /// The chain over a ball, or why its numbers do not fit. An infinite radius stands for all inputs.
    let around (center: float[]) radius (chain: ReluChain) : Result<ReluBall, string> =
        let unit =
            if radius > 0.0 && Double.IsFinite radius then
                Math.ILogB radius
            else
                0

        if center |> Array.exists (fun c -> abs (Math.ScaleB(c, -unit)) > furthest) then
            Error "the ball is too small for the size of its centre"
        else
            let biases =
                chain.Steps
                |> Array.map (fun step -> rescaled (Array.create step.Bias.Length unit) step.Bias)
                |> all

            let shifted (step: ReluStep) bias =
                { step with
                    Bias = bias
                    Exponents = step.Exponents |> Array.map (fun e -> e + unit)
                }

            match biases, rescaled (Array.create center.Length unit) center with
            | Ok biases, Ok center ->
                Ok
                    {
                        Chain =
                            {
                                Steps = Array.map2 shifted chain.Steps biases
                            }
                        Center = center
                        Radius = Math.ScaleB(radius, -unit)
                        Unit = unit
                    }
            | _ -> Error "the ball is out of proportion to the biases of the network"
