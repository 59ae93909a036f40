/// Units for the neurons of a chain, powers of two in which the recursion starts near 1 at each of them, whatever the depth; and the start.
module internal LipVerify.Core.Bounds.Multipliers.DeepChains.ChainUnits

open System
open LipVerify.Core.Computation

/// A chain in its units, and `d` of the start for each neuron.
[<ReferenceEquality>]
type Scaled =
    {
        Chain: MultiplierChain
        Start: float[]
    }

/// Steps of power iteration: closed forms leave a factor of 2.
let private powerSteps = 30

/// Neurons smaller than the largest of their layer by more than this power of two start as if they were no smaller.
let private mostSpread = 4

/// About the largest eigenvalue of `S⁻¹ A S⁻¹` for a positive semidefinite `A` by its lower triangle and a diagonal `S`.
let private largestEigenvalue (a: float[]) (s: float[]) =
    let n = s.Length

    let at i j =
        a[max i j * n + min i j] / (s[i] * s[j])

    let image (x: float[]) =
        Array.init n (fun i ->
            let mutable sum = 0.0

            for j in 0 .. n - 1 do
                sum <- sum + at i j * x[j]

            sum)

    let length (x: float[]) = sqrt (Array.sumBy (fun x -> x * x) x)

    let rec iterate steps (x: float[]) =
        let y = image x
        let size = length y

        if steps = 0 || not (size > 0.0) then
            size
        else
            iterate (steps - 1) (y |> Array.map (fun y -> y / size))

    // Signs without a pattern: what is orthogonal to all ones is common.
    let start =
        Array.init n (fun i -> sqrt (at i i) * cos (1.0 + 1.7 * float i * float i))

    let size = length start
    let diagonal = Seq.max (seq { for i in 0 .. n - 1 -> at i i })

    if size > 0.0 then
        start |> Array.map (fun x -> x / size) |> iterate powerSteps |> max diagonal
    else
        diagonal

/// `⌊log₂|x|⌋`, far below all others for 0.
let private exponent (x: float) =
    if x = 0.0 then -1_000_000 else Math.ILogB(abs x)

/// `2^r_i·w_ij·2^c_j`.
let private scale (map: ChainMatrix) (rows: int[]) (columns: int[]) =
    { map with
        Values =
            map.Values
            |> Array.mapi (fun k w -> Math.ScaleB(w, rows[k / map.Columns] + columns[k % map.Columns]))
    }

/// Exponents that bring the largest entry of each row between 1 and 2, the columns having theirs.
let private ofEntries (map: ChainMatrix) (columns: int[]) =
    Array.init map.Rows (fun i ->
        let mutable largest = -1_000_000

        for j in 0 .. map.Columns - 1 do
            largest <- max largest (exponent map.Values[i * map.Columns + j] + columns[j])

        -largest)

/// One exponent for a layer: that of its largest row.
let private shared (exponents: int[]) =
    Array.create exponents.Length (Array.min exponents)

/// What is before a layer: the inputs, or `D^½` and `L⁻¹` of the layer before.
[<ReferenceEquality>]
type private Before =
    | Inputs
    | Layer of roots: float[] * inverse: float[]

/// `W Y`.
let private stretch engine (map: ChainMatrix) before =
    match before with
    | Inputs -> map.Values
    | Layer(roots, inverse) ->
        let scaled = ChainStep.scale map roots (Array.create map.Rows 1.0)
        ChainStep.timesInverse engine map.Rows map.Columns scaled inverse

/// A layer in its units: its map, the exponents of its rows, and the lower triangle of `A`.
let private ofLayer engine share (map: ChainMatrix) (columns: int[]) before =
    let coarse = ofEntries map columns |> share
    let scaled = scale map coarse columns
    let n = map.Rows
    let image = ChainStep.outer engine n map.Columns (stretch engine scaled before)

    let fine =
        Array.init n (fun i -> -(exponent (sqrt image[i * n + i])))
        |> Array.map (fun e -> if e > 10_000 then 0 else e)
        |> share

    let image =
        image
        |> Array.mapi (fun k a ->
            let i, j = k / n, k % n
            if j <= i then Math.ScaleB(a, fine[i] + fine[j]) else 0.0)

    struct (scale scaled fine (Array.zeroCreate map.Columns), Array.map2 (+) coarse fine, image)

/// The closed form of ECLipsE-Fast: one `λ = 2/‖A‖` for all neurons of a layer whose sizes are not too far apart.
let private closedForm (image: float[]) (rows: int[]) =
    let largest = Array.min rows

    let relative =
        rows |> Array.map (fun e -> Math.ScaleB(1.0, min (e - largest) mostSpread))

    let half = 0.5 * largestEigenvalue image relative
    relative |> Array.map (fun s -> half * s * s)

/// The chain in units, with `perLayer` one for all neurons of a layer; none where not even the start can be computed.
let choose (context: Context) perLayer (maps: ChainMatrix[]) : Scaled option =
    let engine = context.Engine
    let share = if perLayer then shared else id
    let last = maps.Length - 1

    let rec next k (columns: int[]) before scaled start =
        Context.check context

        if k = last then
            // Outputs have one unit.
            let coarse = ofEntries maps[k] columns |> shared
            let map = scale maps[k] coarse columns
            let size = Array.sumBy (fun x -> x * x) (stretch engine map before) |> sqrt
            let fine = -(exponent size)

            if Double.IsFinite size && size > 0.0 then
                Some
                    {
                        Chain =
                            {
                                Maps =
                                    scale map (Array.create map.Rows fine) (Array.zeroCreate map.Columns) :: scaled
                                    |> List.rev
                                    |> Array.ofList
                                Exponent = -(coarse[0] + fine)
                            }
                        Start = List.rev start |> Array.concat
                    }
            else
                None
        else
            let struct (map, rows, image) = ofLayer engine share maps[k] columns before
            let d = closedForm image rows

            let roots = Array.map sqrt d
            let n = d.Length

            let coupling =
                image |> Array.mapi (fun k a -> 0.25 * a / (roots[k / n] * roots[k % n]))

            match ChainStep.tryInvert engine n coupling with
            | None -> None
            | Some inverse -> next (k + 1) (Array.map (~-) rows) (Layer(roots, inverse)) (map :: scaled) (d :: start)

    next 0 (Array.zeroCreate maps[0].Columns) Inputs [] []
