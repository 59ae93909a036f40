/// The local Lipschitz constant as Avant & Morgansen compute it (*Analytical bounds on the local Lipschitz constants of ReLU
/// networks*: Algorithm 1 with its two "computational insights"), on the kernels of this engine: what `lipverify bench baseline`
/// holds our own bounds against. The rows of a convolution come one by one from transposed convolutions of batches of basis
/// vectors, and `‖R A D‖` from power iteration, here 100 steps. That approaches the norm from below, so the result is an
/// estimate and proves nothing.
module LipVerify.Cli.PaperProcedure

open System.Diagnostics
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.Bounds

/// Steps of power iteration for each layer.
let private steps = 100

/// Doubles in the work space of one batch of basis vectors.
let private batchBudget = 1 <<< 22

/// Basis vectors that go through the transposed convolution together, at most.
let private largestBatch = 64

/// What the procedure found, and where its time went.
type PaperEstimate =
    {
        /// Always an estimate.
        Value: Bound
        /// Its constant for each affine or pooling layer.
        Layers: float list
        RowNormSeconds: float
        PowerIterationSeconds: float
    }

/// Where the walk is.
[<ReferenceEquality>]
type private State =
    {
        Center: Tensor
        Radius: float
        Mask: Tensor
        /// Last first.
        Constants: float list
        RowNorms: Stopwatch
        PowerIteration: Stopwatch
    }

let private timed (clock: Stopwatch) work =
    clock.Start()
    let result = work ()
    clock.Stop()
    result

/// `‖D a_i‖` of rows that lie in memory as they are.
let private denseRowNorms (dense: Dense) (mask: Tensor) =
    let weights, mask = Tensor.values dense.Weights, Tensor.values mask

    let norm row =
        let mutable sum = 0.0

        for j in 0 .. dense.Inputs - 1 do
            let entry = weights[row * dense.Inputs + j] * mask[j]
            sum <- sum + entry * entry

        sqrt sum

    Array.init dense.Outputs norm

/// `‖D a_i‖` from `Aᵀ e_i` for every output `i`.
let private rowNormsByBasis (context: Context) map (mask: Tensor) =
    let engine = context.Engine
    let inputs, outputs = LinearMap.inputs map, LinearMap.outputs map

    let batch =
        batchBudget / (inputs + outputs) |> max 1 |> min largestBatch |> min outputs

    let basis = HostStorage(Array.zeroCreate (batch * outputs))
    let rows = engine.Allocate(batch * inputs)

    [|
        for first in 0..batch .. outputs - 1 do
            Context.check context
            let count = min batch (outputs - first)

            for i in 0 .. count - 1 do
                basis.Values[i * outputs + first + i] <- 1.0

            LinearMap.adjoint engine map count basis rows
            engine.MultiplyRows(rows, count, mask.Storage, rows)

            for i in 0 .. count - 1 do
                basis.Values[i * outputs + first + i] <- 0.0
                sqrt (engine.Dot(rows, i * inputs, rows, i * inputs, inputs))
    |]

let private rowNorms context map mask =
    match map with
    | Dense dense -> denseRowNorms dense mask
    | _ -> rowNormsByBasis context map mask

/// `‖M v‖` after the steps, for the unit vector `v` that they lead to.
let private powerIteration (context: Context) (masked: MaskedMap) =
    let engine = context.Engine
    let inputs = LinearMap.inputs masked.Map
    let v = HostStorage(Gaussian.draw context.Seed 0 inputs)
    let image = engine.Allocate(LinearMap.outputs masked.Map)

    /// False where the vector is zero, and so the operator.
    let normalise () =
        let norm = sqrt (engine.Dot(v, 0, v, 0, inputs))

        if norm > 0.0 then
            engine.Scale(1.0 / norm, v, 0, inputs)

        norm > 0.0

    let rec go left =
        Context.check context

        if not (normalise ()) then
            0.0
        else
            MaskedMap.apply engine masked 1 v image

            if left = 0 then
                sqrt (engine.Dot(image, 0, image, 0, image.Length))
            else
                MaskedMap.adjoint engine masked 1 image v
                go (left - 1)

    go steps

let private affineStep context (state: State) map (nominal: Tensor) rectified =
    let preActivations: Propositions.PreActivations option =
        if rectified then
            let norms = timed state.RowNorms (fun () -> rowNorms context map state.Mask)

            Some
                {
                    Nominal = nominal
                    Reach = norms |> Array.map ((*) state.Radius) |> Tensor.ofArray nominal.Shape
                }
        else
            None

    let masked =
        { MaskedMap.whole map with
            Columns = state.Mask
        }

    let rows, center, mask =
        match preActivations with
        | Some y -> Propositions.slopes Nominal y, Tensor.map (max 0.0) nominal, Propositions.zerosAfterRelu y
        | None -> masked.Rows, nominal, Propositions.zerosAfterAffine nominal.Shape

    let constant =
        timed state.PowerIteration (fun () -> powerIteration context { masked with Rows = rows })

    { state with
        Center = center
        Radius = state.Radius * constant
        Mask = mask
        Constants = constant :: state.Constants
    }

let private poolingStep (context: Context) (state: State) (layer: PlacedLayer) (geometry: PoolingGeometry) =
    let constant = (Propositions.maxPooling geometry.MaxOverlap).Value

    { state with
        Center =
            Layer.apply context.Engine layer.Layer 1 state.Center.Storage
            |> Tensor.ofStorage layer.Output
        Radius = state.Radius * constant
        Mask = Propositions.zerosAfterMaxPooling context.Engine geometry state.Mask
        Constants = constant :: state.Constants
    }

let private step (context: Context) state stage =
    Context.check context

    match stage with
    | AffineStage(_, _, Some activations)
    | ActivationStage(_, activations) when not activations.IsRelu ->
        invalidArg (nameof stage) "the published procedure is there for ReLU alone"
    | AffineStage(layers, map, activations) ->
        let nominal =
            (state.Center.Storage, layers)
            ||> List.fold (fun x placed -> Layer.apply context.Engine placed.Layer 1 x)
            |> Tensor.ofStorage (LinearMap.outputShape map)

        affineStep context state map nominal activations.IsSome
    | ActivationStage _ ->
        let identity = Diagonal(Tensor.create state.Center.Shape 1.0)
        affineStep context state identity state.Center true
    | MaxPoolingStage(layer, geometry) -> poolingStep context state layer geometry
    | SumStage _ -> invalidArg (nameof stage) "the published procedure walks a chain of layers"

/// Walks the layers of a chain from the ball of the given radius around `input`.
let estimate context (network: Network) (input: Tensor) (radius: Radius) : PaperEstimate =
    let start =
        {
            Center = input
            Radius = radius.Value
            Mask = Tensor.create input.Shape 1.0
            Constants = []
            RowNorms = Stopwatch()
            PowerIteration = Stopwatch()
        }

    let last = (start, Stage.ofNetwork network) ||> List.fold (step context)
    let layers = List.rev last.Constants

    {
        Value =
            {
                Value = List.fold (*) 1.0 layers
                Rigor = Estimate
            }
        Layers = layers
        RowNormSeconds = last.RowNorms.Elapsed.TotalSeconds
        PowerIterationSeconds = last.PowerIteration.Elapsed.TotalSeconds
    }
