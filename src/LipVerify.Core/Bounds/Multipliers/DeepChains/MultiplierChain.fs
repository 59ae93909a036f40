namespace LipVerify.Core.Bounds.Multipliers.DeepChains

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Activations
open LipVerify.Core.Networks

/// A linear map by its entries.
[<ReferenceEquality>]
type internal ChainMatrix =
    {
        Rows: int
        Columns: int
        /// Row-major.
        Values: float[]
        /// Entries differ from the true ones by at most this part of their size.
        Error: float
    }

/// What an activation does to an increment: its slope lies in `[Center − Width, Center + Width]`, whatever the sign of the ends.
[<Struct>]
type internal ChainSlope =
    {
        Center: float
        Width: float
    }

    /// Whether there is more than one slope, and so a multiplier.
    member slope.IsOpen = slope.Width > 0.0

    /// The steepest of them.
    member slope.Steepest = abs slope.Center + slope.Width

/// The linear maps of a chain, first to last, with activations between each two, without neurons that take or give nothing.
[<ReferenceEquality>]
type internal MultiplierChain =
    {
        Maps: ChainMatrix[]
        /// The slopes behind each map but the last, one a neuron.
        Slopes: ChainSlope[][]
        /// A constant of the chain times `2^Exponent` is one of the network.
        Exponent: int
    }

    /// Neurons in total.
    member chain.Neurons = Array.sumBy Array.length chain.Slopes

    /// Neurons with more than one slope.
    member chain.Open = chain.Slopes |> Array.sumBy (Array.filter _.IsOpen >> Array.length)

    /// The place of the first neuron of each layer among all neurons, and the number of them all behind the last.
    member chain.Offsets =
        chain.Maps[.. chain.Maps.Length - 2]
        |> Array.scan (fun first map -> first + map.Rows) 0

/// A network that is a chain: its maps, restricted to neurons that take and give something.
[<ReferenceEquality>]
type internal ChainNetwork =
    {
        /// The layers of each map, to be evaluated.
        Layers: PlacedLayer list[]
        /// Activations before the first of them.
        First: EntryActivations list
        /// The activations behind each map but the last.
        Activations: EntryActivations[]
        Maps: ChainMatrix[]
        /// Which rows of a layer those of its map are.
        Rows: int[][]
    }

/// The matrices of a network that is a chain.
module internal MultiplierChain =

    /// No matrix has more entries.
    let private largestMatrix = 1 <<< 24

    /// The most values that a search keeps at a time for one choice of multipliers: half a gigabyte.
    let private mostValues = 1L <<< 26

    /// Products of factors that are smaller could lose digits before they are brought to a common unit.
    let private smallestProduct = Math.ScaleB(1.0, -900)

    let private unsuitable =
        "it is not a chain of maps with an activation between each two"

    /// The entries as the images of unit vectors.
    let private byImages (engine: IEngine) map =
        let rows, columns = LinearMap.outputs map, LinearMap.inputs map
        let units = Array.zeroCreate<float>(columns * columns)

        for j in 0 .. columns - 1 do
            units[j * columns + j] <- 1.0

        let images = engine.Allocate(columns * rows)
        LinearMap.apply engine map columns (HostStorage units) images
        let images = Tensor.ofStorage [ columns * rows ] images |> Tensor.values
        // |fl(A e) − A e| ≤ γ|A|e, which is at most 2γ of what was computed.
        {
            Rows = rows
            Columns = columns
            Values = Array.init (rows * columns) (fun k -> images[k % columns * rows + k / columns])
            Error = 2.0 * Rounding.gamma (LinearMap.applyDepth engine map columns)
        }

    let private matrix (engine: IEngine) map =
        let rows, columns = LinearMap.outputs map, LinearMap.inputs map

        match map with
        | _ when int64 columns * int64 (max rows columns) > int64 largestMatrix ->
            Error $"a map of {columns} inputs and {rows} outputs is too large"
        | Dense dense ->
            Ok
                {
                    Rows = rows
                    Columns = columns
                    Values = Tensor.values dense.Weights
                    Error = 0.0
                }
        | _ when LinearMap.smallestEntry map < smallestProduct -> Error "factors leave the range of doubles"
        | _ ->
            let matrix = byImages engine map

            if Array.forall Double.IsFinite matrix.Values then
                Ok matrix
            else
                Error "factors leave the range of doubles"

    /// Activations before the first map and after the last may be left out where they stretch nothing.
    let private stretchesNothing (activations: EntryActivations) =
        SlopeIntervals.size activations.Global <= 1.0

    /// Those before the first map, and what is behind them.
    let rec private splitFirst stages =
        match stages with
        | ActivationStage(_, activations) :: rest when stretchesNothing activations ->
            let first, rest = splitFirst rest
            activations :: first, rest
        | rest -> [], rest

    /// A second ReLU leaves the values of the first as they are.
    let private isIdle before (activations: EntryActivations) =
        activations.IsRelu
        && Option.exists (fun (before: EntryActivations) -> before.IsRelu) before

    let private isLast stages =
        stages
        |> List.forall (fun stage ->
            match stage with
            | ActivationStage(_, activations) -> stretchesNothing activations
            | _ -> false)

    /// The layers, their map and the activations between each two.
    let rec private collect found stages =
        match stages, found with
        | [], _ when List.length found > 1 -> Ok(List.rev found)
        | ActivationStage(_, activations) :: rest, struct (_, _, before) :: _ when isIdle before activations ->
            collect found rest
        | [ AffineStage(layers, map, None) ], _ -> collect (struct (layers, map, None) :: found) []
        | AffineStage(layers, map, None) :: rest, _ when isLast rest -> collect (struct (layers, map, None) :: found) []
        | AffineStage(layers, map, Some activations) :: rest, _ when isLast rest && stretchesNothing activations ->
            collect (struct (layers, map, None) :: found) []
        | AffineStage(layers, map, Some activations) :: rest, _ when not rest.IsEmpty ->
            collect (struct (layers, map, Some activations) :: found) rest
        | _ -> Error unsuitable

    /// Their matrices.
    let private matrices engine found =
        (Ok [], found)
        ||> List.fold (fun before (struct (_, map, _)) ->
            before
            |> Result.bind (fun before -> matrix engine map |> Result.map (fun map -> map :: before)))
        |> Result.map (List.rev >> Array.ofList)

    let private hasEntry (map: ChainMatrix) (rows: int[]) (columns: int[]) =
        rows
        |> Array.exists (fun i -> columns |> Array.exists (fun j -> map.Values[i * map.Columns + j] <> 0.0))

    /// What is live before and behind each map: rows without entries give 0, columns without entries are not taken.
    let private live (maps: ChainMatrix[]) : int[][] =
        let taking (columns: int[]) (map: ChainMatrix) =
            Array.init map.Rows id |> Array.filter (fun i -> hasEntry map [| i |] columns)

        let live = Array.scan taking (Array.init maps[0].Columns id) maps

        for k in maps.Length - 1 .. -1 .. 0 do
            live[k] <- live[k] |> Array.filter (fun j -> hasEntry maps[k] live[k + 1] [| j |])

        live

    /// Some rows and columns of a map.
    let restrict (map: ChainMatrix) (rows: int[]) (columns: int[]) =
        if rows.Length = map.Rows && columns.Length = map.Columns then
            map
        else
            { map with
                Rows = rows.Length
                Columns = columns.Length
                Values =
                    rows
                    |> Array.collect (fun i -> columns |> Array.map (fun j -> map.Values[i * map.Columns + j]))
            }

    /// The chain of a network, restricted to what is live, with no maps where the network is constant; or why it is not of this kind.
    let ofNetwork (engine: IEngine) (network: Network) : Result<ChainNetwork, string> =
        let stages = Stage.ofNetwork network

        let first, stages = splitFirst stages

        collect [] stages
        |> Result.bind (fun found -> matrices engine found |> Result.map (fun maps -> struct (found, maps)))
        |> Result.bind (fun (struct (found, maps)) ->
            let live = live maps

            let maps =
                if live |> Array.exists Array.isEmpty then
                    [||]
                else
                    maps |> Array.mapi (fun k map -> restrict map live[k + 1] live[k])

            let values (map: ChainMatrix) =
                int64 map.Rows * (2L * int64 map.Columns + int64 map.Rows)

            if Array.sumBy values maps <= mostValues then
                Ok
                    {
                        Layers = [| for struct (layers, _, _) in found -> layers |]
                        First = first
                        Activations = [| for struct (_, _, activations) in found -> activations |] |> Array.choose id
                        Maps = maps
                        Rows = live[1..]
                    }
            else
                Error "the layers together are too large")
