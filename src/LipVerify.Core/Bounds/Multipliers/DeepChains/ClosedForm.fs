namespace LipVerify.Core.Bounds.Multipliers.DeepChains

open System
open System.Numerics.Tensors
open LipVerify.Core.Numbers
open LipVerify.Core.Computation

/// A chain in its units with the weights of the closed form.
[<ReferenceEquality>]
type internal Started =
    {
        /// With one slope interval a neuron, and without neurons that turned out to stand still.
        Chain: MultiplierChain
        /// `d = 1/λ`, one a neuron.
        Weights: float[]
        /// The constant of the network that they prove, if they do.
        Proved: Bound option
    }

/// Multipliers in closed form, layer by layer, after ECLipsE-Fast (Xu & Sivaranjani 2024): `λ = 2/‖A‖` where slopes lie between 0 and 1. For slopes
/// in `r ± c` it is `1/λ = ‖A‖ c (|r| + c)`, with the norm of the part of `A` whose slopes are not known; where that is all of it, it leaves
/// `P⁺ ⪯ ‖A‖ (|r| + c)²`, and the product of norms is never less. `S` keeps `|r|/(|r| + c)` then,
/// which is none for slopes around 0: there `1/λ` is a little larger.
///
/// What is proved of the layers before says how far each neuron can move, so that slopes may be asked for on the way.
module internal ClosedForm =

    /// Steps of power iteration: closed forms leave room for what is missing.
    let private powerSteps = 30

    /// `1/λ` is no less than this times `‖A‖ c²`.
    let private leastWeight = 1.25

    /// Neurons smaller than the largest of their layer by more than this power of two start as if they were no smaller.
    let private mostSpread = 4

    /// About the largest eigenvalue of a positive semidefinite matrix.
    let private largestEigenvalue n (a: float[]) =
        let rec iterate steps (x: float[]) size =
            if steps = 0 || not (size > 0.0) then
                size
            else
                let unit = x |> Array.map (fun x -> x / size)

                let next =
                    Array.init n (fun i -> TensorPrimitives.Dot(ReadOnlySpan(a, i * n, n), ReadOnlySpan unit))

                iterate (steps - 1) next (float (TensorPrimitives.Norm(ReadOnlySpan next)))

        // Signs without a pattern: what is orthogonal to all ones is common.
        let start =
            Array.init n (fun i -> sqrt (max 0.0 a[i * n + i]) * cos (1.0 + 1.7 * float i * float i))

        let diagonal = Seq.fold max 0.0 (seq { for i in 0 .. n - 1 -> a[i * n + i] })

        iterate powerSteps start (TensorPrimitives.Norm(ReadOnlySpan start))
        |> max diagonal

    /// Some rows of a symmetric matrix and the same columns.
    let private select (a: float[]) n (rows: int[]) =
        if rows.Length = n then
            a
        else
            Array.init (rows.Length * rows.Length) (fun k -> a[rows[k / rows.Length] * n + rows[k % rows.Length]])

    /// Weights of a layer, and what the recursion makes of them. Neurons whose sizes are not too far apart count as alike, and those with one slope
    /// not at all.
    let private weights engine (a: float[]) (slopes: ChainSlope[]) (exponents: int[]) =
        let n = slopes.Length
        let opened = [| 0 .. n - 1 |] |> Array.filter (fun i -> slopes[i].IsOpen)
        let least = Array.min exponents

        let size i =
            Math.ScaleB(1.0, min (exponents[i] - least) mostSpread)

        let among =
            ChainStep.scaleBoth (select a n opened) (opened |> Array.map (fun i -> 1.0 / size i))
            |> largestEigenvalue opened.Length

        let d =
            Array.init n (fun i ->
                let width = slopes[i].Width
                among * size i * size i * width * max slopes[i].Steepest (leastWeight * width))

        ChainStep.tryBend engine 0.0 a slopes d
        |> Option.map (fun bent -> struct (d, bent.After))

    /// What is known of what comes behind a layer.
    [<ReferenceEquality>]
    type private Behind =
        {
            /// Which rows of the layer's map are still there.
            Kept: int[]
            /// The exponents of their units.
            Exponents: int[]
            /// A claim, or what the recursion gives where there is none that was proved; none before the first layer.
            Matrix: float[] option
            IsProved: bool
        }

    /// A layer in its units, before its activation.
    [<ReferenceEquality>]
    type private Layer =
        {
            Rows: int[]
            Units: int[]
            Image: ChainImage
        }

    let private hasEntry (map: ChainMatrix) i =
        TensorPrimitives.MaxMagnitude(ReadOnlySpan(map.Values, i * map.Columns, map.Columns))
        <> 0.0

    /// The rows of a map that take something, in units.
    let private layer engine units (map: ChainMatrix) (behind: Behind) : Layer =
        let whole = MultiplierChain.restrict map [| 0 .. map.Rows - 1 |] behind.Kept
        let rows = [| 0 .. map.Rows - 1 |] |> Array.filter (hasEntry whole)
        let taking = MultiplierChain.restrict whole rows [| 0 .. whole.Columns - 1 |]
        let columns = behind.Exponents |> Array.map (~-)

        if rows.Length = 0 then
            {
                Rows = rows
                Units = [||]
                Image = ChainImage.create engine taking None
            }
        else
            let coarse = ChainUnits.ofEntries units taking columns

            let image =
                ChainImage.create engine (ChainUnits.scale taking coarse columns) behind.Matrix

            let fine = ChainUnits.ofImage units image.Values rows.Length

            {
                Rows = rows
                Units = Array.map2 (+) coarse fine
                Image =
                    { image with
                        Map = ChainUnits.scale image.Map fine (Array.zeroCreate taking.Columns)
                        Values = ChainUnits.scaleImage image.Values fine
                    }
            }

    /// How far the rows can move in the units of the network.
    let private reaches (behind: Behind) (layer: Layer) =
        if behind.IsProved then
            Array.map2 (fun reach unit -> Rounding.scaleUp reach -unit) (ChainImage.reaches layer.Image) layer.Units
        else
            Array.create layer.Rows.Length Double.PositiveInfinity

    /// A layer without the rows that do not move behind its activation.
    let private moving (layer: Layer) (slopes: ChainSlope[]) =
        let live =
            [| 0 .. slopes.Length - 1 |]
            |> Array.filter (fun i -> slopes[i].Center <> 0.0 || slopes[i].IsOpen)

        let pick values =
            live |> Array.map (fun i -> Array.item i values)

        let map = layer.Image.Map

        struct ({
                    Rows = pick layer.Rows
                    Units = pick layer.Units
                    Image =
                        { layer.Image with
                            Map = MultiplierChain.restrict map live [| 0 .. map.Columns - 1 |]
                            Values = select layer.Image.Values slopes.Length live
                        }
                },
                pick slopes)

    /// The weights of all layers in these units, and what they prove. `slopes` are asked for layer by layer, with the rows of its map that
    /// take something and how far each can move for an input that moves by 1, before its activation. An outcome without maps is a constant
    /// network; none is found where numbers leave the range of doubles.
    let run
        (context: Context)
        (units: ChainUnits.Units)
        (maps: ChainMatrix[])
        (slopes: int -> int[] -> float[] -> ChainSlope[])
        : Started option =
        let engine = context.Engine
        let last = maps.Length - 1

        let constant =
            {
                Chain =
                    {
                        Maps = [||]
                        Slopes = [||]
                        Exponent = 0
                    }
                Weights = [||]
                Proved = Some Bound.zero
            }

        let outputs (behind: Behind) before =
            let rest = layer engine ChainUnits.OfLayers maps[last] behind

            if rest.Rows.Length = 0 then
                Some constant
            else
                let exponent = -rest.Units[0]

                let proved =
                    if behind.IsProved then
                        ChainProof.tryOutputs context rest.Image
                        |> Option.map (fun squared ->
                            Rounding.scaleUp (Rounding.sqrtUp squared) exponent |> Bound.certified)
                    else
                        None

                let chosen = List.rev before

                Some
                    {
                        Chain =
                            {
                                Maps = Array.append [| for struct (map, _, _) in chosen -> map |] [| rest.Image.Map |]
                                Slopes = [| for struct (_, slopes, _) in chosen -> slopes |]
                                Exponent = exponent
                            }
                        Weights = chosen |> List.map (fun struct (_, _, d) -> d) |> Array.concat
                        Proved = proved
                    }

        let rec next k (behind: Behind) before =
            Context.check context

            if k = last then
                outputs behind before
            else
                let whole = layer engine units maps[k] behind

                let struct (layer, own) = slopes k whole.Rows (reaches behind whole) |> moving whole

                if layer.Rows.Length = 0 then
                    Some constant
                else
                    match weights engine layer.Image.Values own layer.Units with
                    | None -> None
                    | Some(struct (d, after)) ->
                        let claim =
                            if behind.IsProved then
                                ChainProof.tryClaim context layer.Image own d
                            else
                                None

                        next
                            (k + 1)
                            {
                                Kept = layer.Rows
                                Exponents = layer.Units
                                Matrix = claim |> Option.defaultValue after |> Some
                                IsProved = claim.IsSome
                            }
                            (struct (layer.Image.Map, own, d) :: before)

        next
            0
            {
                Kept = [| 0 .. maps[0].Columns - 1 |]
                Exponents = Array.zeroCreate maps[0].Columns
                Matrix = None
                IsProved = true
            }
            []
