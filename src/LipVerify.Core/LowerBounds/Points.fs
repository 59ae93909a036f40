/// Many points of a network at once, in batches that fit into memory. Points are rows of one array.
module LipVerify.Core.LowerBounds.Points

open System
open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.Networks

/// Values that one batch may keep alive: a quarter of a gigabyte.
let private valuesAtOnce = 1 <<< 25

/// How many points fit into one batch.
let private rowsAtOnce (network: Network) =
    let values =
        Network.layers network
        |> List.sumBy (fun layer -> int64 (Shape.size layer.Output))

    int (max 1L (int64 valuesAtOnce / (int64 (Shape.size network.InputShape) + values)))

let internal host (storage: Storage) =
    Tensor.values (Tensor.ofStorage [ storage.Length ] storage)

/// Runs `work first count rows` on consecutive batches of `group`s of points.
let internal inBatches (network: Network) group (points: float[]) (work: int -> int -> HostStorage -> unit) =
    let size = Shape.size network.InputShape
    let count = points.Length / size
    let atOnce = max group (rowsAtOnce network / group * group)

    for first in 0..atOnce .. count - 1 do
        let rows = min atOnce (count - first)

        let part =
            if rows = count then
                points
            else
                Array.sub points (first * size) (rows * size)

        work first rows (HostStorage part)

/// `f(x)` at each point, one row a point.
let outputs (context: Context) (network: Network) (points: float[]) : float[] =
    let size = Shape.size network.OutputShape
    let all = Array.zeroCreate (points.Length / Shape.size network.InputShape * size)

    inBatches network 1 points (fun first rows part ->
        let batch = Tensor.ofStorage (rows :: network.InputShape) part
        let values = Network.evaluateBatch context network batch |> Tensor.values
        Array.blit values 0 all (first * size) values.Length)

    all

/// The outputs at each point, and `J(x)ᵀ w` for the rows `w` that `weigh` makes of them: from the number of the first point of a
/// batch and the outputs of the batch to as many rows `w`. Points of one `group` of neighbours come in one batch.
let pull (context: Context) (network: Network) group (points: float[]) (weigh: int -> float[] -> float[]) =
    let size = Shape.size network.OutputShape
    let all = Array.zeroCreate (points.Length / Shape.size network.InputShape * size)
    let pulled = Array.zeroCreate points.Length

    inBatches network group points (fun first rows part ->
        let linear = Linearization.at context network rows part
        let values = host linear.Value
        let back = linear.Pullback(HostStorage(weigh first values)) |> host
        Array.blit values 0 all (first * size) values.Length
        Array.blit back 0 pulled (first * Shape.size network.InputShape) back.Length)

    struct (all, pulled)

/// Divides each row of the given size by its norm; rows of zeros stay.
let normalise size (rows: float[]) =
    for first in 0..size .. rows.Length - 1 do
        let norm = Vectors.norm (ReadOnlySpan(rows, first, size))

        if norm > 0.0 && Double.IsFinite norm then
            for i in first .. first + size - 1 do
                rows[i] <- rows[i] / norm
