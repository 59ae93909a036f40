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

/// The linear maps of a chain with an activation between each two whose slopes are in `[0, 1]`, first to last, without neurons that take or give nothing.
[<ReferenceEquality>]
type internal MultiplierChain =
    {
        Maps: ChainMatrix[]
        /// A constant of the chain times `2^Exponent` is one of the network.
        Exponent: int
    }

    /// ReLUs in total.
    member chain.Neurons = Array.sumBy _.Rows chain.Maps - (Array.last chain.Maps).Rows

    /// The place of the first neuron of each layer among all neurons, and the number of them all behind the last.
    member chain.Offsets =
        chain.Maps[.. chain.Maps.Length - 2]
        |> Array.scan (fun first map -> first + map.Rows) 0

/// The matrices of a network that is a chain.
module internal MultiplierChain =

    /// No matrix has more entries.
    let private largestMatrix = 1 <<< 24

    /// The most values that a search keeps at a time for one choice of multipliers: half a gigabyte.
    let private mostValues = 1L <<< 26

    /// Products of factors that are smaller could lose digits before they are brought to a common unit.
    let private smallestProduct = Math.ScaleB(1.0, -900)

    let private unsuitable =
        "it is not a chain of maps with an activation between each two whose slopes are in [0, 1]"

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

    /// Multipliers are those of slopes from 0 to 1.
    let private isBetweenZeroAndOne (activations: EntryActivations) =
        activations.Global.Lower >= 0.0 && activations.Global.Upper <= 1.0

    /// Activations before the first map, after the last, and after another one stretch nothing, and are left out.
    let rec private collect engine maps stages =
        match stages with
        | [] when List.length maps > 1 -> Ok(List.rev maps |> Array.ofList)
        | ActivationStage(_, activations) :: rest when isBetweenZeroAndOne activations -> collect engine maps rest
        | AffineStage(_, map, activations) :: rest when
            (match activations with
             | Some activations -> isBetweenZeroAndOne activations
             | None -> rest.IsEmpty)
            ->
            matrix engine map |> Result.bind (fun map -> collect engine (map :: maps) rest)
        | _ -> Error unsuitable

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

    let private restrict (map: ChainMatrix) (rows: int[]) (columns: int[]) =
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

    /// The matrices of a network, restricted to what is live; empty where the network is constant. Or why it is not of this kind.
    let ofNetwork (engine: IEngine) (network: Network) : Result<ChainMatrix[], string> =
        Stage.ofNetwork network
        |> collect engine []
        |> Result.map (fun maps ->
            let live = live maps

            if live |> Array.exists Array.isEmpty then
                [||]
            else
                maps |> Array.mapi (fun k map -> restrict map live[k + 1] live[k]))
        |> Result.bind (fun maps ->
            let values (map: ChainMatrix) =
                int64 map.Rows * (2L * int64 map.Columns + int64 map.Rows)

            if Array.sumBy values maps <= mostValues then
                Ok maps
            else
                Error "the layers together are too large")
