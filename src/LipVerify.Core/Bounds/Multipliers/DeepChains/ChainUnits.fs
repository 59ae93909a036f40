/// Units for the neurons of a chain: powers of two that bring its recursion near 1 at each of them, whatever the depth.
module internal LipVerify.Core.Bounds.Multipliers.DeepChains.ChainUnits

open System

/// Which neurons have a unit in common.
type Units =
    /// Those of a layer.
    | OfLayers
    /// None.
    | OfNeurons

/// `⌊log₂|x|⌋`, far below all others for 0.
let private exponent (x: float) =
    if x = 0.0 then -1_000_000 else Math.ILogB(abs x)

/// `2^r_i·w_ij·2^c_j`.
let scale (map: ChainMatrix) (rows: int[]) (columns: int[]) =
    { map with
        Values =
            map.Values
            |> Array.mapi (fun k w -> Math.ScaleB(w, rows[k / map.Columns] + columns[k % map.Columns]))
    }

/// `2^r_i·a_ij·2^r_j`.
let scaleImage (a: float[]) (rows: int[]) =
    let n = rows.Length
    a |> Array.mapi (fun k a -> Math.ScaleB(a, rows[k / n] + rows[k % n]))

/// One exponent for a layer: that of its largest row.
let private shared (exponents: int[]) =
    Array.create exponents.Length (Array.min exponents)

let private among units =
    match units with
    | OfLayers -> shared
    | OfNeurons -> id

/// Exponents that bring the largest entry of each row between 1 and 2, the columns having theirs.
let ofEntries units (map: ChainMatrix) (columns: int[]) =
    Array.init map.Rows (fun i ->
        let mutable largest = -1_000_000

        for j in 0 .. map.Columns - 1 do
            largest <- max largest (exponent map.Values[i * map.Columns + j] + columns[j])

        -largest)
    |> among units

/// Exponents that bring the roots of the diagonal of an image between 1 and 2.
let ofImage units (a: float[]) n =
    Array.init n (fun i -> -(exponent (sqrt (max 0.0 a[i * n + i]))))
    |> Array.map (fun e -> if e > 10_000 then 0 else e)
    |> among units
