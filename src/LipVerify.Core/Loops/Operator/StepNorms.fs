/// What steps of a loop stretch vectors by, and what their rounding depends on.
module internal LipVerify.Core.Loops.Operator.StepNorms

open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral

/// What is known of one linear map.
[<Struct>]
type MapNorms =
    {
        /// `‖A‖`.
        Norm: float
        /// `√(‖A‖₁‖A‖_∞) ≥ ‖|A|‖`.
        Absolute: float
        /// What underflow may add to the length of results, forward or back.
        Underflow: float
    }

/// Upper bounds on norms of maps, by what they are made of.
type MapNormTable = LinearMap -> MapNorms

let private largest (tensor: Tensor) =
    let struct (_, largest) = Tensor.sizes tensor
    largest

let rec private largestEntry map =
    match map with
    | Dense dense -> largest dense.Weights
    | Convolution convolution -> largest convolution.Weights
    | AveragePooling _ -> 1.0
    | Sparse sparse -> largest sparse.Values
    | Diagonal scale -> largest scale
    | Scaled(scale, map) -> largest scale * largestEntry map
    | Rounded(_, map) -> largestEntry map

let private terms map =
    float (LinearMap.termsInRow map + LinearMap.termsInColumn map + 2)

/// What may multiply the underflow of a product inside a map: row factors on the way forward, the scaled map on the way back.
let rec private amplification map =
    match map with
    | Dense _
    | Convolution _
    | AveragePooling _
    | Sparse _
    | Diagonal _ -> 1.0
    | Scaled(scale, map) -> max 1.0 (largest scale) * amplification map + terms map * largestEntry map
    | Rounded(_, map) -> amplification map

let private underflow map =
    sqrt (float (LinearMap.outputs map) + float (LinearMap.inputs map))
    * terms map
    * 8.0
    * System.Double.Epsilon
    * amplification map

/// What is known of a map of this norm.
let ofMap (engine: IEngine) map norm : MapNorms =
    let struct (columns, rows) =
        MaskedMap.absoluteNorms engine (MaskedMap.mergeScales (MaskedMap.whole map))

    {
        Norm = norm
        Absolute = Rounding.mulUp (Rounding.sqrtUp columns) (Rounding.sqrtUp rows)
        Underflow = underflow map
    }

/// The most channels that add to one output, and the most differences that one entry is in.
let private overlaps size (positions: int[] list) =
    let counts = Array.zeroCreate<int> size

    for list in positions do
        for i in list do
            counts[i] <- counts[i] + 1

    if size = 0 then 0 else Array.max counts

/// A bend's parts: `B` and `|B|`, from `u` to `y`, from `x` to `v`, and the roundings on the way.
[<Struct>]
type BendNorms =
    {
        Base: float
        Residuals: float
        Differences: float
        Roundings: int
    }

let ofBend (bend: Bend) (gains: Gains) =
    let into = overlaps bend.Outputs [ bend.Into ]

    let followed =
        match bend.Leaders with
        | None -> 1
        | Some leaders -> overlaps bend.Inputs [ leaders ]

    let means =
        if bend.Mean.Length = 0 then
            0.0
        else
            bend.Mean |> Array.map abs |> Array.max

    let inDifferences = overlaps bend.Inputs [ bend.Plus; bend.Minus ]

    // Rows of the differences have one or two entries of size 1.
    let differences =
        sqrt (float inDifferences * (if bend.Minus.Length > 0 then 2.0 else 1.0))

    {
        Base =
            largest bend.Slopes * sqrt (float followed)
            + means * differences * sqrt (float into)
        Residuals = largest gains.In * sqrt (float into)
        Differences = largest gains.Out * differences
        // On the way back an entry takes what all outputs that follow it and all its differences hand back.
        Roundings = 2 * into + followed + inDifferences + 8
    }

/// A step's point, where it has one.
let pointOf step =
    match step with
    | Mapped(layer, _) -> Some(BeforeMap layer)
    | Bent bend -> Some(BeforeBend bend)
    | Added _ -> None
