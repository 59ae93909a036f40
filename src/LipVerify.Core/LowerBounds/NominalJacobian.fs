/// The norm of the Jacobian at the nominal input, where the network is differentiable there.
module LipVerify.Core.LowerBounds.NominalJacobian

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Activations
open LipVerify.Core.Networks

/// A layer at which the network bends at the nominal input, or may do so as far as rounding lets it be known.
[<ReferenceEquality>]
type Kink =
    {
        /// The activation or pooling layer.
        Layer: PlacedLayer
        /// The outputs whose linear piece is not decided.
        Outputs: int
    }

[<ReferenceEquality>]
type private Point =
    {
        Nominal: EnclosedTensor
        /// 0 where a value is constant in a neighbourhood of the nominal input, else 1.
        Moving: Tensor
        Kinks: Kink list
    }

let private ends (enclosed: EnclosedTensor) =
    struct (Tensor.map2 (fun value error -> System.Math.BitDecrement(value - error)) enclosed.Value enclosed.Error
            |> Tensor.values,
            EnclosedTensor.upperEnd enclosed |> Tensor.values)

let private bends (layer: PlacedLayer) moving undecided point =
    let kinks =
        if undecided > 0 then
            { Layer = layer; Outputs = undecided } :: point.Kinks
        else
            point.Kinks

    { point with
        Moving = Tensor.ofArray layer.Output moving
        Kinks = kinks
    }

/// Decided where the activation is surely smooth at the pre-activation, or that is constant.
let private activation (layer: PlacedLayer) (activations: EntryActivations) point =
    let struct (low, high) = ends point.Nominal
    let moving = Tensor.values point.Moving

    let isUndecided i =
        moving[i] <> 0.0 && activations[i].MayBreak(Interval.ofEnds low[i] high[i])

    let undecided = Seq.init moving.Length id |> Seq.filter isUndecided |> Seq.length

    /// Whether the activation is constant around the pre-activation: no slope but 0 is possible for small increments.
    let isStill i =
        let excursion =
            {
                NominalLow = low[i]
                NominalHigh = high[i]
                Down = Double.Epsilon
                Up = Double.Epsilon
            }

        activations[i].Settled excursion = ValueSome 0.0

    bends layer (moving |> Array.mapi (fun i m -> if m <> 0.0 && isStill i then 0.0 else m)) undecided point

/// Decided where one member surely wins, or where all that may win are constant.
let private maxPooling (layer: PlacedLayer) (geometry: PoolingGeometry) point =
    let struct (low, high) = ends point.Nominal
    let moving = Tensor.values point.Moving
    let pooled = Array.zeroCreate geometry.OutputSize
    let mutable undecided = 0

    PoolingWindows.iterate geometry (fun output members ->
        let largest = members |> Seq.fold (fun best i -> max best low[i]) -infinity
        // Written so that a NaN may win.
        let candidates =
            members |> Seq.filter (fun i -> not (high[i] < largest)) |> Seq.toArray

        let isMoving = candidates |> Array.exists (fun i -> moving[i] <> 0.0)
        pooled[output] <- if isMoving then 1.0 else 0.0

        if isMoving && candidates.Length > 1 then
            undecided <- undecided + 1)

    bends layer pooled undecided point

let private layer (engine: IEngine) (placed: PlacedLayer) point =
    let decided =
        match placed.Layer with
        | Affine(map, _) ->
            { point with
                Moving =
                    RowNorms.absoluteRowSums engine map point.Moving
                    |> Tensor.map (fun sum -> if sum = 0.0 then 0.0 else 1.0)
            }
        | Activation activations -> activation placed activations point
        | MaxPooling geometry -> maxPooling placed geometry point
        | Reshape shape ->
            { point with
                Moving = Tensor.reshape shape point.Moving
            }
        | Identity -> point

    { decided with
        Nominal = EnclosedTensor.apply engine placed point.Nominal
    }

let rec private walk (context: Context) point node =
    Context.check context

    match node with
    | Leaf placed -> layer context.Engine placed point
    | Chain nodes -> (point, nodes) ||> List.fold (walk context)
    | Branches nodes ->
        nodes
        |> List.map (walk context { point with Kinks = [] })
        |> List.reduce (fun a b ->
            {
                Nominal = EnclosedTensor.add a.Nominal b.Nominal
                Moving = Tensor.map2 max a.Moving b.Moving
                Kinks = b.Kinks @ a.Kinks
            })
        |> fun sum ->
            { sum with
                Kinks = sum.Kinks @ point.Kinks
            }

/// The layers at which the network may bend at the centre of the ball, along coordinates that may move; none where it is
/// surely differentiable there. Values that are constant around the centre decide nothing, tie as they may.
let kinks (context: Context) (network: Network) (ball: RestrictedBall) : Kink list =
    let start =
        {
            Nominal = EnclosedTensor.exact (Tensor.reshape network.InputShape ball.Center)
            Moving = Tensor.reshape network.InputShape ball.Mask
            Kinks = []
        }

    List.rev (walk context start network.Node).Kinks

/// Steps of power iteration: within 1 % of the norm at least, and far closer with a spectral gap. In the maximum norm and the 1-norm they
/// pay for all rows of most networks, whose Jacobian's norm is then known.
let private iterations = 100

/// `‖J(x0) D‖` from below in the norm of inputs and outputs, a lower bound on the local Lipschitz constant by either definition, or where the network may bend.
/// At a kink the Jacobian of one adjacent piece is no lower bound: its piece may lie in other directions than those in which
/// it stretches most.
let lowerBound (context: Context) norm (network: Network) (ball: RestrictedBall) : Result<LowerBound, Kink list> =
    match kinks context network ball with
    | [] when ball.Radius.Value = 0.0 -> Ok LowerBound.none
    | [] ->
        let center, mask = Tensor.values ball.Center, Tensor.values ball.Mask
        let direction = StretchDirections.at context norm network mask iterations center
        Ok(LowerBound.along context norm network ball.Center (Tensor.ofArray network.InputShape direction))
    | kinks -> Error kinks
