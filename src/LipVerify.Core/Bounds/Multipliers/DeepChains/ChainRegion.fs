namespace LipVerify.Core.Bounds.Multipliers.DeepChains

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Activations
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures

/// A ball of inputs, with what is known of it before multipliers are sought.
[<ReferenceEquality>]
type internal ChainBall =
    {
        Definition: Definition
        Input: Tensor
        Radius: Radius
        /// Enclosures of pre-activations, by the index of their layer.
        Enclosures: Map<int, Enclosure>
        /// The norm of the map of each stage of layers, by the index of its first: they carry what rounding makes of nominal values.
        Norms: int -> float
    }

/// Which pairs of inputs are meant.
[<NoComparison>]
type internal ChainRegion =
    | AllInputs
    | InBall of ChainBall

/// Slopes of activations, over all inputs or over a ball, and the closed form with them.
module internal ChainRegion =

    let private slopeOf interval : ChainSlope =
        let struct (center, width) = SlopeIntervals.centered interval
        { Center = center; Width = width }

    /// Over all inputs every neuron can have any slope of its activation.
    let private everywhere (chain: ChainNetwork) k (rows: int[]) (_: float[]) : ChainSlope[] =
        rows
        |> Array.map (fun row -> slopeOf (chain.Activations[k].Item(chain.Rows[k][row]).Global))

    /// The values before each activation at the nominal input.
    let private nominal
        (context: Context)
        (chain: ChainNetwork)
        (ball: ChainBall)
        (network: Network)
        : EnclosedTensor[] =
        let engine = context.Engine
        let input = NominalWalk.start (Tensor.reshape network.InputShape ball.Input)

        let first =
            (input, chain.First)
            ||> List.fold (fun walk activations -> NominalWalk.activate engine activations walk)

        let hidden = chain.Layers[.. chain.Layers.Length - 2]

        (first, Array.zip hidden chain.Activations)
        ||> Array.mapFold (fun walk (layers, activations) ->
            Context.check context
            let before = NominalWalk.affine engine layers (ball.Norms layers.Head.Index) walk
            before.At, NominalWalk.activate engine activations before)
        |> fst

    /// Over a ball, from how far neurons can move: by the enclosures of `ball`, and by what is proved of the layers before.
    let private within
        (chain: ChainNetwork)
        (ball: ChainBall)
        (nominal: EnclosedTensor[])
        definition
        (known: float[][])
        =
        fun k (rows: int[]) (reaches: float[]) ->
            let endOf (pick: Enclosure -> Tensor) =
                Map.tryFind chain.Layers[k].Head.Index ball.Enclosures
                |> Option.map (pick >> Tensor.values)
                |> Option.defaultValue (Array.create nominal[k].Value.Length Double.PositiveInfinity)

            let fall, rise = endOf _.Fall, endOf _.Rise

            let (value: float[]), (error: float[]) =
                Tensor.values nominal[k].Value, Tensor.values nominal[k].Error

            Array.map2
                (fun row (reach: float) ->
                    let i = chain.Rows[k][row]
                    let before: float = known[k][row]
                    let reach = min (Rounding.mulUp reach ball.Radius.Value) before
                    known[k][row] <- reach

                    let down, up = min reach fall[i], min reach rise[i]

                    if
                        Double.IsFinite down
                        && Double.IsFinite up
                        && Double.IsFinite(value[i])
                        && Double.IsFinite(error[i])
                    then
                        chain.Activations[k].Item(i).Slopes
                            definition
                            {
                                NominalLow =
                                    if error[i] = 0.0 then
                                        value[i]
                                    else
                                        Math.BitDecrement(value[i] - error[i])
                                NominalHigh = Rounding.addUp value[i] error[i]
                                Down = down
                                Up = up
                            }
                        |> slopeOf
                    else
                        slopeOf (chain.Activations[k].Item(i).Global))
                rows
                reaches

    /// The closed form over a ball. How far neurons move is asked with the slopes between the nominal input and any other, whichever definition
    /// is meant: that is what moves are measured from.
    let private overBall (context: Context) units (chain: ChainNetwork) (network: Network) (ball: ChainBall) =
        let nominal = nominal context chain ball network

        let known =
            chain.Maps
            |> Array.map (fun map -> Array.create map.Rows Double.PositiveInfinity)

        let run definition =
            within chain ball nominal definition known
            |> ClosedForm.run context units chain.Maps

        match ball.Definition with
        | Nominal -> run Nominal
        | Uniform -> run Nominal |> Option.bind (fun _ -> run Uniform)

    /// The closed form with the slopes of the region.
    let closedForm (context: Context) units (chain: ChainNetwork) (network: Network) region : Started option =
        match region with
        | AllInputs -> ClosedForm.run context units chain.Maps (everywhere chain)
        | InBall ball -> overBall context units chain network ball
