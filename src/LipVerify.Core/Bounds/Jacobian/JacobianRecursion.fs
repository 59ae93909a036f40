/// The recursion of RecurJac (Zhang, Zhang & Hsieh 2019): bounds on the entries of a product of matrices, from the last factor to the
/// first. Each place before a factor gets bounds on the derivatives of all outputs there from rows that are carried through the
/// factors behind it, whose derivatives are known by then.
module internal LipVerify.Core.Bounds.Jacobian.JacobianRecursion

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Activations
open LipVerify.Core.Bounds.Jacobian.JacobianRows
open LipVerify.Core.Bounds.Jacobian.JacobianPaths

/// What is known from a place on.
[<ReferenceEquality>]
type private Behind =
    {
        /// The way to the outputs, the next link first.
        Links: Link list
        /// The length of the values here.
        Size: int
        /// Bounds on the sizes of the derivatives here, `outputs × size`.
        Weights: float[]
    }

/// Values of rows that are held at once: 64 MB.
let private budget = 1 <<< 23

/// Multiplications of a factor for one row.
let private multiplications factor =
    match factor with
    | AffineFactor(map, _) -> float (LinearMap.termsInRow map) * float (LinearMap.outputs map)
    | SlopeFactor slopes -> float slopes.Length
    | MeanFactor(contenders, _)
    | SpreadFactor(contenders, _) -> contenders |> Array.sumBy (fun members -> float members.Length)
    | SumFactor _ -> 0.0

/// Multiplications of all rows of the recursion, and of one row from the first factor on, where one takes `behind` from the end on.
let rec private workFrom size behind factors : struct (float * float) =
    let sizes =
        (size, factors)
        ||> List.scan (fun size factor -> JacobianFactor.outputs size [ factor ])

    List.zip factors (List.tail sizes)
    |> List.rev
    |> List.fold
        (fun struct (total, behind) (factor, size) ->
            match factor with
            // Behind the last bend no row is carried.
            | AffineFactor _ when behind = 0.0 -> struct (total, behind)
            | AffineFactor _ -> struct (total, behind + multiplications factor)
            | SumFactor branches ->
                let works = branches |> List.map (workFrom size behind)

                struct (total + (works |> List.sumBy (fun struct (total, _) -> total)),
                        behind + (works |> List.sumBy (fun struct (_, through) -> through - behind)))
            | bend -> struct (total + 2.0 * float size * behind, behind + multiplications bend))
        struct (0.0, behind)

/// Multiplications that the recursion takes, about.
let work inputs factors =
    let struct (total, behind) = workFrom inputs 0.0 factors

    float (JacobianFactor.outputs inputs factors)
    * (total + 2.0 * float inputs * behind)

/// `|A|ᵀ` of the sizes behind a linear map, rounded upward.
let private weightsBefore (engine: IEngine) map isAdjoint (weights: float[]) =
    if isAdjoint then
        let lost = float (LinearMap.termsInRow map) * Double.Epsilon

        RowNorms.absoluteRowSums engine map (Tensor.ofArray (LinearMap.inputShape map) weights)
        |> Tensor.values
        |> Array.map (fun sum -> Rounding.addUp sum lost)
    else
        let lost = float (LinearMap.termsInColumn map) * Double.Epsilon

        RowNorms.absoluteColumnSums engine map (Tensor.ofArray (LinearMap.outputShape map) weights)
        |> Tensor.values
        |> Array.map (fun sum -> Rounding.addUp sum lost)

/// What products that underflow may change behind a map whose results count with `weights`: each by the least double a product.
let rec private lostIn (engine: IEngine) map isAdjoint (weights: float[]) =
    let one = Rounding.mulUp (4.0 * Double.Epsilon) (1.0 + Array.sum weights)

    match map with
    | Rounded(_, inner) -> lostIn engine inner isAdjoint weights
    | Scaled(_, inner) when isAdjoint ->
        let before = weightsBefore engine inner true weights

        Rounding.addUp
            (lostIn engine inner true weights)
            (Rounding.mulUp (4.0 * Double.Epsilon) (1.0 + Array.sum before))
    | Scaled(scale, inner) ->
        let scaled =
            Array.map2 (fun s w -> Rounding.mulUp (abs s) w) (Tensor.values scale) weights

        Rounding.addUp (lostIn engine inner false scaled) one
    | _ ->
        let terms =
            if isAdjoint then
                LinearMap.termsInColumn map
            else
                LinearMap.termsInRow map

        Rounding.mulUp (float (terms + 1)) one

let private perOutput outputs size (weights: float[]) (change: float[] -> float[]) =
    Array.init outputs (fun j -> change (Array.sub weights (j * size) size))
    |> Array.concat

/// Bounds of which nothing is known.
let private unknown size : Derivatives =
    {
        Lower = Array.create size Double.NegativeInfinity
        Upper = Array.create size Double.PositiveInfinity
    }

/// Bounds on the derivatives of all outputs at a place: each from a unit vector that is carried to the outputs, and its negative.
/// Those that are not reached before `isOver` stay infinite.
let private derivatives (context: Context) isOver outputs widest (behind: Behind) : Derivatives =
    let n = behind.Size
    let known = unknown (outputs * n)
    let block = budget / (2 * widest) |> max 1 |> min n

    let bound first =
        let count = min block (n - first)
        let units = Array.zeroCreate (count * n)

        for r in 0 .. count - 1 do
            units[r * n + first + r] <- 1.0

        let coefficients, offsets, links =
            match behind.Links with
            | Linear(map, isAdjoint, weights, lost) :: links ->
                image context.Engine map isAdjoint count units,
                (fun j -> unitRoundings context.Engine map isAdjoint weights lost j first count),
                links
            | links -> units, (fun _ -> Array.zeroCreate count), links

        let both = Array.append coefficients (Array.map (~-) coefficients)

        let boundOutput j =
            let offsets = offsets j

            let bounds =
                upperBounds
                    context
                    isOver
                    links
                    {
                        Output = j
                        Count = 2 * count
                        Width = coefficients.Length / count
                        Coefficients = both
                        Offsets = Array.append offsets offsets
                    }

            for r in 0 .. count - 1 do
                known.Upper[j * n + first + r] <- bounds[r]
                known.Lower[j * n + first + r] <- -bounds[count + r]

        for j in 0 .. outputs - 1 do
            if not (isOver ()) then
                boundOutput j

    for first in 0..block .. n - 1 do
        if not (isOver ()) then
            bound first

    known

/// The sizes of derivatives before slopes or means.
let private weightsBeforeBend bend (weights: float[]) : float[] =
    match bend with
    | SlopeFactor slopes ->
        Array.map2
            (fun (slope: SlopeInterval) weight -> Rounding.mulUp (SlopeIntervals.size slope) weight)
            slopes
            weights
    | MeanFactor(contenders, inputs) ->
        let before = Array.zeroCreate inputs

        contenders
        |> Array.iteri (fun o members ->
            for i in members do
                before[i] <- Rounding.addUp before[i] weights[o])

        before
    | SpreadFactor(contenders, _) ->
        contenders
        |> Array.map (fun members -> members |> Seq.map (fun i -> weights[i]) |> Seq.max)
    | _ -> invalidArg (nameof bend) "no slopes and no means"

/// What is known before a factor; nothing where the time is over first.
let rec private before (context: Context) isOver outputs widest factor (behind: Behind) : Behind option =
    Context.check context

    match factor with
    | _ when isOver () -> None
    | AffineFactor(map, isAdjoint) ->
        let weights =
            perOutput outputs behind.Size behind.Weights (weightsBefore context.Engine map isAdjoint)

        let lost =
            Array.init outputs (fun j ->
                Array.sub behind.Weights (j * behind.Size) behind.Size
                |> lostIn context.Engine map isAdjoint)

        Some
            {
                Links = Linear(map, isAdjoint, weights, lost) :: behind.Links
                Size = weights.Length / outputs
                Weights = weights
            }
    | SumFactor branches ->
        let starts =
            branches |> List.choose (series context isOver outputs widest (Some behind))

        if starts.Length < branches.Length then
            None
        else
            let own =
                List.map2 (fun branch (start: Behind) -> List.take (List.length branch) start.Links) branches starts

            Some
                {
                    Links = Summed(own, behind.Weights) :: behind.Links
                    Size = starts.Head.Size
                    Weights = starts |> List.map _.Weights |> List.reduce (Array.map2 Rounding.addUp)
                }
    | bend ->
        context.Report $"{behind.Size} derivatives of {outputs} outputs"
        let known = derivatives context isOver outputs widest behind

        if isOver () then
            None
        else
            let weights =
                Array.map3
                    (fun lower upper weight -> min weight (max (abs lower) (abs upper)))
                    known.Lower
                    known.Upper
                    behind.Weights

            let weights = perOutput outputs behind.Size weights (weightsBeforeBend bend)

            Some
                {
                    Links = Bend(bend, known) :: behind.Links
                    Size = weights.Length / outputs
                    Weights = weights
                }

and private series context isOver outputs widest behind factors =
    (factors, behind)
    ||> List.foldBack (fun factor -> Option.bind (before context isOver outputs widest factor))

let rec private widestOf size factors =
    (size, List.scan (fun size factor -> JacobianFactor.outputs size [ factor ]) size factors)
    ||> List.fold max
    |> fun own ->
        (own, factors)
        ||> List.fold (fun widest factor ->
            match factor with
            | SumFactor branches -> branches |> List.map (widestOf widest) |> List.fold max widest
            | _ -> widest)

/// The values at all places together.
let rec sizes inputs factors =
    (inputs, factors)
    ||> List.scan (fun size factor -> JacobianFactor.outputs size [ factor ])
    |> List.sum
    |> fun own ->
        own
        + (factors
           |> List.sumBy (function
               | SumFactor branches -> branches |> List.sumBy (sizes inputs)
               | _ -> 0))

/// Bounds on the entries of the product of the factors, the first one first, which takes `inputs` values; rounding is enclosed. Entries
/// that are not reached before `isOver` have infinite bounds.
let bounds context isOver inputs factors : Derivatives =
    let outputs = JacobianFactor.outputs inputs factors
    let identity = Array.zeroCreate (Checked.(*) outputs outputs)

    for j in 0 .. outputs - 1 do
        identity[j * outputs + j] <- 1.0

    let widest = widestOf inputs factors

    let start =
        {
            Links = []
            Size = outputs
            Weights = identity
        }

    match series context isOver outputs widest (Some start) factors with
    | Some behind -> derivatives context isOver outputs widest behind
    | None -> unknown (outputs * inputs)
