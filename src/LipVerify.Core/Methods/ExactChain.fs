namespace LipVerify.Core

open System
open System.Collections.Generic
open LipVerify.Compute

/// `x ↦ W x + b` with its rows at hand, each in a unit of its own.
[<ReferenceEquality>]
type internal ReluStep =
    {
        /// The rows of `W`, whose largest entries are between 1 and 2 where the bias is not much larger.
        Rows: float[][]
        /// `b`.
        Bias: float[]
        /// The unit of each output: it stands for so many `2^Exponents_i`.
        Exponents: int[]
    }

/// A network as dense affine maps with a ReLU between each two: `W_K relu(… relu(W_1 x + b_1) …) + b_K`. ReLU keeps powers of two, so
/// that every neuron has a unit in which its weights are near 1: no product of weights leaves the range of doubles, and the
/// change of units is exact.
[<ReferenceEquality>]
type internal ReluChain =
    {
        /// The affine maps; all but the last are followed by a ReLU.
        Steps: ReluStep[]
    }

    /// ReLUs in total.
    member chain.Neurons =
        Array.sumBy (fun step -> step.Rows.Length) chain.Steps
        - (Array.last chain.Steps).Rows.Length

/// A chain over a ball around a nominal input, in units in which the radius is between 1 and 2.
[<ReferenceEquality>]
type internal ReluBall =
    {
        /// The chain; its units are those of the network where inputs have the unit `2^Unit`.
        Chain: ReluChain
        Center: float[]
        Radius: float
        /// The unit of inputs.
        Unit: int
    }

    /// A point in the network's own units.
    member ball.Place(x: float[]) =
        x |> Array.map (fun x -> Math.ScaleB(x, ball.Unit))

    /// The point at `x0 + ε s`, in the network's own units.
    member ball.Point(s: float[]) =
        Array.map2 (fun c s -> c + ball.Radius * s) ball.Center s |> ball.Place

    /// A constant of the chain times `2^this` is one of the network.
    member private ball.Exponent = (Array.last ball.Chain.Steps).Exponents[0] - ball.Unit

    /// A constant of the chain as one of the network, rounded upward.
    member ball.Upward(constant: float) = Rounding.scaleUp constant ball.Exponent

    /// A constant of the chain as one of the network, rounded downward.
    member ball.Downward(constant: float) =
        Rounding.scaleDown constant ball.Exponent

    /// A constant of the network as one of the chain, rounded upward.
    member ball.InwardUp(constant: float) =
        Rounding.scaleUp constant -ball.Exponent

    /// A constant of the network as one of the chain, rounded downward.
    member ball.InwardDown(constant: float) =
        Rounding.scaleDown constant -ball.Exponent

module internal ReluChain =

    /// The most weights of one step that are written out.
    let private most = 20_000_000L

    let dot (a: float[]) (b: float[]) =
        let mutable sum = 0.0

        for i in 0 .. a.Length - 1 do
            sum <- sum + a[i] * b[i]

        sum

    /// `‖v‖₂`, safe from overflow and underflow of the squares.
    let length (v: float[]) =
        let largest = v |> Array.fold (fun largest x -> max largest (abs x)) 0.0

        if largest = 0.0 then
            0.0
        else
            let unit = v |> Array.map (fun x -> x / largest)
            largest * sqrt (dot unit unit)

    /// `Σ_i weights_i·rows_i`.
    let combination (weights: float[]) (rows: float[][]) =
        let sum = Array.zeroCreate<float> rows[0].Length

        for i in 0 .. rows.Length - 1 do
            let weight = weights[i]

            if weight <> 0.0 then
                let row = rows[i]

                for j in 0 .. sum.Length - 1 do
                    sum[j] <- sum[j] + weight * row[j]

        sum

    /// Of a bias it counts for the unit of its row what is left behind so many halvings: a neuron whose bias is larger than that next to
    /// its weights has one slope.
    let private headroom = 300

    let private exponentOf (x: float) =
        if x = 0.0 then Int32.MinValue else Math.ILogB x

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
    let private inUnits (inputs: int[]) (rows: float[][]) (bias: float[]) =
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
    let private compose (first: ReluStep) (second: ReluStep) =
        let zeros = Array.zeroCreate first.Rows[0].Length

        inUnits
            zeros
            (second.Rows |> Array.map (fun row -> combination row first.Rows))
            (Array.map2 (fun row b -> dot row first.Bias + b) second.Rows second.Bias)
        |> Result.map (fun step ->
            { step with
                Exponents = Array.map2 (+) step.Exponents second.Exponents
            })

    /// The matrix of an affine stage, column by column, and its value at 0.
    let private write (context: Context) (layers: PlacedLayer list) map =
        let inputs, outputs = LinearMap.inputs map, LinearMap.outputs map
        let basis = Array.zeroCreate<float>(inputs * inputs)

        for i in 0 .. inputs - 1 do
            basis[i * inputs + i] <- 1.0

        let columns = Array.zeroCreate<float>(inputs * outputs)
        LinearMap.apply context.Engine map inputs (HostStorage basis) (HostStorage columns)

        let origin =
            (HostStorage(Array.zeroCreate inputs) :> Storage, layers)
            ||> List.fold (fun x layer -> Layer.apply context.Engine layer.Layer 1 x)

        struct (Array.init outputs (fun i -> Array.init inputs (fun j -> columns[j * outputs + i])),
                Tensor.values (Tensor.ofStorage [ outputs ] origin))

    /// The steps so far, last first, and the affine map since the last ReLU where there is one.
    [<ReferenceEquality>]
    type private Growing =
        {
            Inputs: int
            Steps: ReluStep list
            Pending: ReluStep option
        }

        /// The units of the values so far.
        member growing.Units =
            match growing.Pending, growing.Steps with
            | Some step, _
            | None, step :: _ -> step.Exponents
            | None, [] -> Array.zeroCreate growing.Inputs

    let private identity size =
        struct (Array.init size (fun i -> Array.init size (fun j -> if i = j then 1.0 else 0.0)), Array.zeroCreate size)

    /// What is pending, or the identity.
    let private pending (growing: Growing) =
        match growing.Pending with
        | Some step -> Ok step
        | None ->
            let struct (rows, bias) = identity growing.Units.Length
            inUnits growing.Units rows bias

    let private add context state stage =
        state
        |> Result.bind (fun (growing: Growing) ->
            let rectify step =
                { growing with
                    Steps = step :: growing.Steps
                    Pending = None
                }

            match stage with
            | AffineStage(_, map, _) when
                int64 (LinearMap.inputs map)
                * max (int64 (LinearMap.inputs map)) (int64 (LinearMap.outputs map))
                    >
                    most
                ->
                Error "a layer is too large to be written out as a matrix"
            | AffineStage(layers, map, rectified) ->
                let struct (rows, bias) = write context layers map

                inUnits growing.Units rows bias
                |> Result.bind (fun step ->
                    match growing.Pending with
                    | Some first -> compose first step
                    | None -> Ok step)
                |> Result.map (fun step ->
                    if rectified then
                        rectify step
                    else
                        { growing with Pending = Some step })
            | ReluStage _ -> pending growing |> Result.map rectify
            | MaxPoolingStage _ -> Error "the network has max pooling"
            | SumStage _ -> Error "the network has sums of branches")

    /// The last step in one unit, without its bias: no constant depends on that.
    let private outputs (step: ReluStep) =
        let unit = Array.max step.Exponents

        Array.map2 (fun row e -> rescaled (Array.create (Array.length row) (unit - e)) row) step.Rows step.Exponents
        |> all
        |> Result.map (fun rows ->
            {
                Rows = rows
                Bias = Array.zeroCreate rows.Length
                Exponents = Array.create rows.Length unit
            })

    /// The value of the chain at a point, but for the bias of the outputs, in its units.
    let evaluate (chain: ReluChain) (x: float[]) =
        let apply (values: float[]) (step: ReluStep) =
            Array.map2 (fun row b -> dot row values + b) step.Rows step.Bias

        chain.Steps[1..]
        |> Array.fold (fun values step -> apply (values |> Array.map (max 0.0)) step) (apply x chain.Steps[0])

    /// The network as a chain, or why it is none.
    let ofNetwork context (network: Network) =
        let size = Shape.size network.InputShape

        if int64 size * int64 size > most then
            Error "the input is too large"
        else
            (Ok
                {
                    Inputs = size
                    Steps = []
                    Pending = None
                },
             Stage.ofNetwork network)
            ||> List.fold (add context)
            |> Result.bind (fun growing ->
                pending growing
                |> Result.bind outputs
                |> Result.map (fun last ->
                    {
                        Steps = Array.ofList (List.rev (last :: growing.Steps))
                    }))

    /// The slope of a ReLU whose sign is that of its weights, since what ReLUs give is never negative; −1 where that does not tell. ReLUs
    /// before it that are off have no part in it.
    let impliedSlope (isOff: bool[]) (row: float[]) (bias: float) =
        let isOneSided (isRight: float -> bool) =
            isRight bias && Array.forall2 (fun off w -> off || isRight w) isOff row

        if isOneSided (fun x -> x <= 0.0) then 0
        elif isOneSided (fun x -> x >= 0.0) then 1
        else -1

    /// Numbers for the planes on which pre-activations are 0, layer by layer: neurons with the same weights and bias have the same one, those
    /// with all signs changed its negative. What is only equal after rounding has numbers of its own.
    let planes (chain: ReluChain) : int[][] =
        let mutable count = 0

        chain.Steps
        |> Array.map (fun step ->
            let known = Dictionary<float[], int>(HashIdentity.Structural)

            Array.map2
                (fun (row: float[]) b ->
                    let equation = Array.append row [| b |]

                    let isNegative =
                        equation
                        |> Array.tryFind (fun x -> x <> 0.0)
                        |> Option.exists (fun x -> x < 0.0)

                    let sign = if isNegative then -1 else 1
                    let key = equation |> Array.map (fun x -> float sign * x)

                    match known.TryGetValue key with
                    | true, number -> sign * number
                    | _ ->
                        count <- count + 1
                        known[key] <- count
                        sign * count)
                step.Rows
                step.Bias)

    /// The furthest that the centre of a ball may be from 0, in radii.
    let private furthest = Math.ScaleB(1.0, 500)

    /// The chain over a ball, or why its numbers do not fit. An infinite radius stands for all inputs.
    let around (center: float[]) radius (chain: ReluChain) : Result<ReluBall, string> =
        let unit =
            if radius > 0.0 && Double.IsFinite radius then
                Math.ILogB radius
            else
                0

        let scaled = center |> Array.map (fun c -> Math.ScaleB(c, -unit))

        if scaled |> Array.exists (fun c -> abs c > furthest) then
            Error "the ball is too small for the size of its centre"
        else
            let biases =
                chain.Steps
                |> Array.map (fun step -> rescaled (Array.create step.Bias.Length unit) step.Bias)
                |> all

            match biases, rescaled (Array.create center.Length unit) center with
            | Ok biases, Ok center ->
                Ok
                    {
                        Chain =
                            {
                                Steps =
                                    Array.map2
                                        (fun (step: ReluStep) bias ->
                                            { step with
                                                Bias = bias
                                                Exponents = step.Exponents |> Array.map (fun e -> e + unit)
                                            })
                                        chain.Steps
                                        biases
                            }
                        Center = center
                        Radius = Math.ScaleB(radius, -unit)
                        Unit = unit
                    }
            | _ -> Error "the ball is out of proportion to the biases of the network"

    /// Beyond this the regions take too long to bound.
    let private mostNeurons = 2000

    /// The chain on whose slopes branch and bound branches, or why it does not.
    let branched context network (center: float[]) (radius: Radius) =
        ofNetwork context network
        |> Result.bind (fun chain ->
            if radius.Value = 0.0 then
                Error "the ball is a point"
            elif chain.Neurons > mostNeurons then
                Error $"it has more than {mostNeurons} ReLUs"
            else
                around center radius.Value chain)
