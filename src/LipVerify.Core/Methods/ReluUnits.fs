namespace LipVerify.Core

open System

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

    /// One after the other, without a ReLU between; the second takes what the first gives, in its units.
    let compose (first: ReluStep) (second: ReluStep) =
        let zeros = Array.zeroCreate first.Rows[0].Length

        inUnits
            zeros
            (second.Rows |> Array.map (fun row -> ReluChain.combination row first.Rows))
            (Array.map2 (fun row b -> ReluChain.dot row first.Bias + b) second.Rows second.Bias)
        |> Result.map (fun step ->
            { step with
                Exponents = Array.map2 (+) step.Exponents second.Exponents
            })

    /// The last step in one unit, without its bias: no constant depends on that.
    let inOneUnit (step: ReluStep) =
        let unit = Array.max step.Exponents

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
