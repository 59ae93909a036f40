/// Small networks with one output asked for, and what the polynomial bounds are compared to.
module LipVerify.Tests.PolynomialCases

open Expecto
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Polynomials
open LipVerify.Propositions.Generators
open LipVerify.Solvers

/// Skips visibly where the solver of semidefinite programs is missing; that of linear ones comes with the build.
let requireSolvers () =
    if not (Csdp.isInstalled ()) then
        skiptest "CSDP (coinor-csdp) is not installed"

/// A network of dense layers by its matrices.
[<ReferenceEquality; StructuredFormatDisplay("{Text}")>]
type DenseCase =
    {
        Seed: int
        /// Weights, row-major, with their rows, and biases.
        Layers: (int * float[] * float[]) list
        Inputs: int
        Network: Network
        Output: int
        Input: float[]
    }

    /// One line for a failing property.
    member case.Text =
        let sizes = case.Layers |> List.map (fun (rows, _, _) -> string rows)
        $"seed {case.Seed}, {case.Inputs} → " + String.concat " → " sizes

let private build inputs layers =
    let last = List.length layers - 1

    let blocks =
        layers
        |> List.mapi (fun i (rows, weights: float[], bias) ->
            let matrix = Tensor.ofArray [ rows; weights.Length / rows ] weights

            [
                Step($"fc{i}", Layer.dense matrix (Tensor.vector bias))
                if i < last then
                    Step($"relu{i}", Layer.relu)
            ])
        |> List.concat

    match Network.create [ inputs ] (Series blocks) with
    | Ok network -> network
    | Error problem -> failwith problem

/// A network by its layers, each of them rows of weights with a bias, around an input.
let dense (input: float[]) (layers: (float[] * float) list list) =
    let layers =
        layers
        |> List.map (fun rows ->
            rows.Length, rows |> List.map fst |> Array.concat, rows |> List.map snd |> Array.ofList)

    {
        Seed = 0
        Layers = layers
        Inputs = input.Length
        Network = build input.Length layers
        Output = 0
        Input = input
    }

/// A network with these numbers of inputs, hidden units and outputs; weights may be of any scale, with ties, zero rows and
/// layers that are never active.
let grow (sizes: Draw -> int list) seed =
    let draw = Draw seed
    let sizes = sizes draw
    let factor = draw.Pick [ 1.0; 1.0; 1.0; draw.Power(-30.0, 30.0) ]

    let layers =
        List.pairwise sizes
        |> List.map (fun (columns, rows) ->
            let weights = weightMatrix draw rows columns |> Array.map (fun w -> factor * w)

            let bias =
                match draw.Int(0, 5) with
                | 0 -> Array.zeroCreate rows
                | 1 -> Array.create rows (-100.0 * factor)
                | _ -> draw.Gaussians rows |> Array.map (fun b -> factor * b)

            rows, weights, bias)

    {
        Seed = seed
        Layers = layers
        Inputs = sizes.Head
        Network = build sizes.Head layers
        Output = draw.Int(0, List.last sizes - 1)
        Input = draw.Gaussians sizes.Head
    }

/// One hidden layer.
let oneHidden hidden =
    grow (fun draw -> [ draw.Int(1, 6); draw.Int(1, hidden); draw.Int(1, 3) ])

/// Two hidden layers.
let twoHidden seed =
    grow (fun draw -> [ draw.Int(1, 3); draw.Int(1, 4); draw.Int(1, 4); 2 ]) seed

/// The dual norm, without overflow.
let dualNorm norm (gradient: float[]) =
    let largest = gradient |> Array.fold (fun largest g -> max largest (abs g)) 0.0

    match norm with
    | Maximum -> Array.sumBy abs gradient
    | Taxicab -> largest
    | Euclidean when largest = 0.0 -> 0.0
    | Euclidean -> largest * sqrt (gradient |> Array.sumBy (fun g -> (g / largest) ** 2.0))

/// The gradient of the output for given slopes, one array a hidden layer.
let gradient case (slopes: float[] list) =
    let rows, weights, _ = List.last case.Layers
    let columns = weights.Length / rows
    let last = weights[case.Output * columns .. (case.Output + 1) * columns - 1]

    (List.zip (List.take (case.Layers.Length - 1) case.Layers) slopes, last)
    ||> List.foldBack (fun ((rows, weights, _), slopes) behind ->
        let columns = weights.Length / rows

        Array.init columns (fun j ->
            Seq.sum (seq { for i in 0 .. rows - 1 -> weights[i * columns + j] * slopes[i] * behind[i] })))

/// The slopes of the ReLUs at a point.
let slopesAt case (x: float[]) =
    (([], x), List.take (case.Layers.Length - 1) case.Layers)
    ||> List.fold (fun (slopes, x) (rows, weights, bias) ->
        let columns = x.Length

        let y =
            Array.init rows (fun i ->
                bias[i]
                + Seq.sum (seq { for j in 0 .. columns - 1 -> weights[i * columns + j] * x[j] }))

        (y |> Array.map (fun y -> if y > 0.0 then 1.0 else 0.0)) :: slopes, Array.map (max 0.0) y)
    |> fst
    |> List.rev

/// The maximum of the dual norm over all slopes in {0, 1}, one by one.
let enumerate norm case =
    let counts =
        List.take (case.Layers.Length - 1) case.Layers
        |> List.map (fun (rows, _, _) -> rows)

    let total = List.sum counts

    Seq.init (1 <<< total) (fun pattern ->
        let bits = List.init total (fun i -> float ((pattern >>> i) &&& 1))

        let slopes, _ =
            (([], bits), counts)
            ||> List.fold (fun (slopes, rest) count ->
                Array.ofList (List.take count rest) :: slopes, List.skip count rest)

        gradient case (List.rev slopes) |> dualNorm norm)
    |> Seq.max

/// The bound, which must exist.
let bound method norm case region =
    match PolynomialBound.compute context InstalledSolvers.all method norm case.Network case.Output region with
    | Ok bound ->
        Expect.equal bound.Rigor Numerical "rigor"
        bound.Value
    | Error problem ->
        failtest problem
        nan

/// The product of the norms of the layers, of the last one the row of the output alone.
let product case =
    let rowsOf (rows, weights: float[], _) =
        weights |> Array.chunkBySize (weights.Length / rows)

    let last = rowsOf (List.last case.Layers)

    (LipVerify.Propositions.Oracles.spectralNorm [| last[case.Output] |], List.take (case.Layers.Length - 1) case.Layers)
    ||> List.fold (fun product layer -> product * LipVerify.Propositions.Oracles.spectralNorm (rowsOf layer))

/// A ball around the input of the case.
let ball case radius =
    match Radius.create radius with
    | Ok radius -> BallAround(case.Input, radius)
    | Error problem -> failwith problem

/// `a ≤ b` up to a relative slack.
let assertAtMost slack what (a: float) (b: float) =
    if not (a <= b * (1.0 + slack)) then
        failtest $"{what}: {a:R} > {b:R}"

/// Rounding of references that are sums of a few hundred products.
let rounding = 1e-12
