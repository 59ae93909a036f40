/// Elementwise bounds on the matrices `J` with `f(x) − f(x') = J (x − x')` for inputs of a ball: the forward products of FastLip
/// (Weng et al. 2018), with slopes from enclosures over the ball.
module LipVerify.Core.Bounds.Jacobian.JacobianIntervals

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Activations
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Enclosures

/// Where the walk through the stages stands: the values there, and the columns of `J`, one an input coordinate.
[<ReferenceEquality>]
type private Position =
    {
        Reach: Reach
        Columns: EnclosedTensor[]
        /// The factors on the way, the last first.
        Factors: JacobianFactor list
    }

/// The ends `[low, high]` of an interval `value ± error`, rounded outward.
let internal ends (value: float) error =
    if error = 0.0 then
        struct (value, value)
    else
        struct (-(Rounding.addUp -value error), Rounding.addUp value error)

/// The middle of an interval and a distance that reaches both ends.
let internal middle (low: float) (high: float) =
    if low = high then
        struct (low, 0.0)
    else
        let value = 0.5 * low + 0.5 * high

        if Double.IsFinite value then
            struct (value, max (Rounding.addUp high -value) (Rounding.addUp value -low))
        else
            struct (0.0, Double.PositiveInfinity)

/// `value·factor`, rounded upward whatever the signs.
let private timesUp (value: float) factor =
    if factor = 1.0 then value
    elif value = 0.0 || factor = 0.0 then 0.0
    else Math.BitIncrement(value * factor)

/// The interval of `λ·j` for a slope `λ` and an entry `j = value ± error`.
let private bend (slope: SlopeInterval) value error =
    if slope.Lower = 1.0 && slope.Upper = 1.0 then
        struct (value, error)
    elif slope.Lower = 0.0 && slope.Upper = 0.0 then
        struct (0.0, 0.0)
    else
        let struct (low, high) = ends value error

        if slope.Lower >= 0.0 then
            let highest = timesUp high (if high > 0.0 then slope.Upper else slope.Lower)
            let lowest = -(timesUp -low (if low < 0.0 then slope.Upper else slope.Lower))
            middle lowest highest
        else
            // Ends of either sign may meet slopes of either sign.
            let largest factor =
                max (timesUp high factor) (timesUp low factor)

            let smallest factor =
                -(max (timesUp -low factor) (timesUp -high factor))

            middle (min (smallest slope.Lower) (smallest slope.Upper)) (max (largest slope.Lower) (largest slope.Upper))

let internal ofPairs shape (pairs: struct (float * float)[]) : EnclosedTensor =
    {
        Value = pairs |> Array.map (fun struct (value, _) -> value) |> Tensor.ofArray shape
        Error = pairs |> Array.map (fun struct (_, error) -> error) |> Tensor.ofArray shape
    }

let private activated context definition (activations: EntryActivations) (position: Position) (pre: Reach) =
    let y = Reach.beforeActivation context activations pre

    let slopes: SlopeInterval[] =
        Reach.excursions y
        |> Array.mapi (fun i excursion -> activations[i].Slopes definition excursion)

    let bent (column: EnclosedTensor) =
        Array.map3 bend slopes (Tensor.values column.Value) (Tensor.values column.Error)
        |> ofPairs column.Value.Shape

    {
        Reach = Reach.activate context.Engine activations y
        Columns = position.Columns |> Array.Parallel.map bent
        Factors = SlopeFactor slopes :: position.Factors
    }

let private affine (context: Context) definition (position: Position) (layers: PlacedLayer list) map activations =
    let engine, head = context.Engine, layers.Head
    context.Report $"layer {head.Index} ({head.Name}): {position.Columns.Length} columns of the Jacobian"

    let nominal =
        (position.Reach.Nominal, layers)
        ||> List.fold (fun enclosed layer -> EnclosedTensor.apply engine layer enclosed)

    let image = Reach.affine engine None head map nominal position.Reach
    let linear = { head with Layer = Layer.linear map }

    let columns =
        position.Columns
        |> Array.map (fun column ->
            Context.check context
            EnclosedTensor.apply engine linear column)

    let position =
        { position with
            Columns = columns
            Factors = AffineFactor(map, false) :: position.Factors
        }

    match activations with
    | Some activations -> activated context definition activations position image
    | None -> { position with Reach = image }

/// The maximum moves by a mean of the moves of those members that can be the largest, so its row of `J` lies in the hull of
/// theirs.
let private maxPooling (context: Context) layer (geometry: PoolingGeometry) (position: Position) =
    let inputs = Reach.beforeMaxPooling context geometry position.Reach
    let enclosure = Reach.enclosure inputs

    let lower, upper = Tensor.values enclosure.Lower, Tensor.values enclosure.Upper

    let contenders = Array.zeroCreate<int[]> geometry.OutputSize

    PoolingWindows.iterate geometry (fun output members ->
        let best = members |> Seq.map (fun i -> lower[i]) |> Seq.max

        contenders[output] <-
            [|
                for i in members do
                    if not (upper[i] < best) then
                        i
            |])

    let nominal = EnclosedTensor.apply context.Engine layer inputs.Nominal

    let hull (column: EnclosedTensor) =
        let values, errors = Tensor.values column.Value, Tensor.values column.Error

        contenders
        |> Array.map (fun members ->
            if members.Length = 1 then
                struct (values[members[0]], errors[members[0]])
            else
                let mutable low = Double.PositiveInfinity
                let mutable high = Double.NegativeInfinity

                for i in members do
                    let struct (least, largest) = ends values[i] errors[i]
                    low <- min low least
                    high <- max high largest

                middle low high)
        |> ofPairs nominal.Value.Shape

    {
        Reach = Reach.maxPooling geometry nominal inputs
        Columns = position.Columns |> Array.Parallel.map hull
        Factors = MeanFactor(contenders, lower.Length) :: position.Factors
    }

let rec private stage context definition (position: Position) stage =
    Context.check context

    match stage with
    | AffineStage(layers, map, activations) -> affine context definition position layers map activations
    | ActivationStage(_, activations) -> activated context definition activations position position.Reach
    | MaxPoolingStage(layer, geometry) -> maxPooling context layer geometry position
    | SumStage branches ->
        let ends =
            branches |> List.map (series context definition { position with Factors = [] })

        {
            Reach = ends |> List.map _.Reach |> Reach.sum position.Reach
            Columns = ends |> List.map _.Columns |> List.reduce (Array.map2 EnclosedTensor.add)
            Factors =
                SumFactor(ends |> List.map (fun branch -> List.rev branch.Factors))
                :: position.Factors
        }

and private series context definition position stages =
    (position, stages) ||> List.fold (stage context definition)

let private start norm (network: Network) (input: Tensor) (radius: Radius) =
    let shape = network.InputShape
    let center = EnclosedTensor.exact (Tensor.reshape shape input)
    let size = center.Value.Length

    let unit i =
        let values = Array.zeroCreate size
        values[i] <- 1.0
        EnclosedTensor.exact (Tensor.ofArray shape values)

    {
        Reach = Reach.start norm Crown center radius.Value
        Columns = Array.init size unit
        Factors = []
    }

/// The columns of `J`, and the factors that it is the product of, the first one first.
let internal columnsAndFactors (context: Context) norm definition (network: Network) (input: Tensor) (radius: Radius) =
    let last =
        series context definition (start norm network input radius) (Stage.ofNetwork network)

    struct (last.Columns, List.rev last.Factors)

/// Encloses the columns of every `J` with `f(x) − f(x') = J (x − x')`, for `x` in the ball of this norm and radius around `input`
/// and `x'` the input itself (`Nominal`) or any other of the ball (`Uniform`). Rounding is enclosed, no random draw is made.
let columns (context: Context) norm definition (network: Network) (input: Tensor) (radius: Radius) : EnclosedTensor[] =
    let struct (columns, _) =
        columnsAndFactors context norm definition network input radius

    columns
