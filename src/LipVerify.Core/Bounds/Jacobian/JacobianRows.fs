/// Rows that are carried through the factors of a product of matrices, for the recursion of RecurJac (Zhang, Zhang & Hsieh 2019) with
/// linear functions where signs are not known (Shi, Wang, Zhang, Kolter & Hsieh 2022).
/// A row `w` with an offset `c` stands for a bound on an entry of the product: it is at most `Y w + c`, where `Y` is the row of the
/// derivatives of one output at the place where the row is now. Rows are taken as exact numbers; what rounding takes from them is
/// added to the offset.
module internal LipVerify.Core.Bounds.Jacobian.JacobianRows

open System
open System.Threading.Tasks
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps

/// Bounds on the derivatives of all outputs at a place, entry by entry: `outputs × size`, row-major.
[<ReferenceEquality>]
type Derivatives = { Lower: float[]; Upper: float[] }

/// A factor with what is known of the derivatives behind it.
[<ReferenceEquality>]
type Link =
    /// A linear map. `weights` bound the sizes of the derivatives before it, `outputs × inputs`; `lost` bounds what products below the
    /// range of doubles may change in each output.
    | Linear of map: LinearMap * isAdjoint: bool * weights: float[] * lost: float[]
    /// Slopes, means or a spread, with the derivatives behind them.
    | Bend of JacobianFactor * Derivatives
    /// A sum of branches; `weights` bound the sizes of the derivatives behind it.
    | Summed of branches: Link list list * weights: float[]

/// Rows of one output under way, `Width` coefficients each.
[<ReferenceEquality>]
type Rows =
    {
        /// The output whose derivatives they bound.
        Output: int
        Count: int
        Width: int
        Coefficients: float[]
        Offsets: float[]
    }

/// Work on each row.
let forRows count (work: int -> unit) =
    if count = 1 then
        work 0
    else
        Parallel.For(0, count, work) |> ignore

/// What makes a computed sum of that many non-negative products an upper bound, up to products that underflow.
let private inflation terms =
    1.0 + 2.0 * Rounding.gamma (2 * terms + 4)

/// `A w` for each row.
let image (engine: IEngine) map isAdjoint count (coefficients: float[]) : float[] =
    let width =
        if isAdjoint then
            LinearMap.inputs map
        else
            LinearMap.outputs map

    let carried = engine.Allocate(Checked.(*) count width)

    if isAdjoint then
        LinearMap.adjoint engine map count (HostStorage coefficients) carried
    else
        LinearMap.apply engine map count (HostStorage coefficients) carried

    Tensor.values (Tensor.ofStorage [ carried.Length ] carried)

/// The `γ` of `|fl(A w) − A w| ≤ γ|A||w|`.
let private gamma (engine: IEngine) map isAdjoint count =
    if isAdjoint then
        LinearMap.adjointDepth engine map count
    else
        LinearMap.applyDepth engine map count
    |> Rounding.gamma

/// What the rounding of `A w` may change in the bound: `|Y (fl(A w) − A w)| ≤ γ|Y||A||w|`, for each row.
let private roundings engine map isAdjoint (weights: float[]) (lost: float[]) output count (coefficients: float[]) =
    let width = coefficients.Length / count
    let factor = Rounding.mulUp (gamma engine map isAdjoint count) (inflation width)
    let underflow = Rounding.addUp (float width * Double.Epsilon) lost[output]
    let roundings = Array.zeroCreate count

    forRows count (fun r ->
        let mutable sum = 0.0

        for i in 0 .. width - 1 do
            let w = coefficients[r * width + i]

            if w <> 0.0 then
                sum <- sum + abs w * weights[output * width + i]

        roundings[r] <- Rounding.addUp (Rounding.mulUp factor sum) underflow)

    roundings

/// The same for the unit vectors from `first` on.
let unitRoundings engine map isAdjoint (weights: float[]) (lost: float[]) output (first: int) count =
    let width = weights.Length / lost.Length
    let gamma = gamma engine map isAdjoint count

    Array.init count (fun r -> Rounding.addUp (Rounding.mulUp gamma weights[output * width + first + r]) lost[output])

/// Rows behind a linear map.
let throughLinear engine map isAdjoint weights lost rows =
    let roundings =
        roundings engine map isAdjoint weights lost rows.Output rows.Count rows.Coefficients

    let carried = image engine map isAdjoint rows.Count rows.Coefficients

    { rows with
        Width = carried.Length / rows.Count
        Coefficients = carried
        Offsets = Array.map2 Rounding.addUp rows.Offsets roundings
    }

/// `w₁ + w₂` of two branches; the offsets of the second are those of it alone.
let addRows (weights: float[]) a b =
    let width = a.Width
    let sum = Array.zeroCreate a.Coefficients.Length
    let factor = Rounding.mulUp Rounding.unitRoundoff (inflation width)

    let offsets =
        Array.init a.Count (fun r ->
            let mutable rounded = 0.0

            for i in 0 .. width - 1 do
                let at = r * width + i
                sum[at] <- a.Coefficients[at] + b.Coefficients[at]

                if sum[at] <> 0.0 then
                    rounded <- rounded + abs sum[at] * weights[a.Output * width + i]

            Rounding.mulUp factor rounded
            |> Rounding.addUp (float width * Double.Epsilon)
            |> Rounding.addUp b.Offsets[r]
            |> Rounding.addUp a.Offsets[r])

    { a with
        Coefficients = sum
        Offsets = offsets
    }
