namespace LipVerify.Core.LowerBounds

open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Activations
open LipVerify.Core.Networks

/// A network at a batch of points: its values there, and the products with its Jacobians, one Jacobian a row of the batch.
/// At a kink the Jacobian is that of one adjacent piece: a ReLU at 0 is inactive, a tie in a pooling window goes to the first.
[<NoEquality; NoComparison>]
type Linearization =
    {
        /// `f(x)`, one row a point.
        Value: Storage
        /// `v ↦ J(x) v`, row by row.
        Pushforward: Storage -> Storage
        /// `w ↦ J(x)ᵀ w`, row by row.
        Pullback: Storage -> Storage
    }

module Linearization =

    let private identity x =
        {
            Value = x
            Pushforward = id
            Pullback = id
        }

    /// First `inner`, then `outer` at the value of `inner`.
    let private compose inner (outer: Linearization) =
        {
            Value = outer.Value
            Pushforward = inner.Pushforward >> outer.Pushforward
            Pullback = outer.Pullback >> inner.Pullback
        }

    let private affine (engine: IEngine) layer map batch x =
        let push v =
            let y = engine.Allocate(batch * LinearMap.outputs map)
            LinearMap.apply engine map batch v y
            y

        let pull w =
            let v = engine.Allocate(batch * LinearMap.inputs map)
            LinearMap.adjoint engine map batch w v
            v

        {
            Value = Layer.apply engine layer batch x
            Pushforward = push
            Pullback = pull
        }

    let private activation (engine: IEngine) (activations: EntryActivations) batch (x: Storage) =
        let inputs = Tensor.values (Tensor.ofStorage [ x.Length ] x)
        let size = inputs.Length / batch

        let slopes =
            Array.Parallel.init inputs.Length (fun i -> activations[i % size].Slope inputs[i])
            |> Tensor.vector

        let scale (v: Storage) =
            let scaled = engine.Allocate v.Length
            engine.MultiplyRows(v, 1, slopes.Storage, scaled)
            scaled

        {
            Value = Layer.apply engine (Activation activations) batch x
            Pushforward = scale
            Pullback = scale
        }

    let private maxPooling (engine: IEngine) (geometry: PoolingGeometry) batch x =
        let winners = Array.zeroCreate<int>(batch * geometry.OutputSize)
        let y = engine.Allocate winners.Length
        engine.MaxPool(&geometry, x, batch, y, winners)

        let push v =
            let picked = engine.Allocate winners.Length
            engine.Gather(v, geometry.InputSize, winners, geometry.OutputSize, batch, picked)
            picked

        let pull w =
            let spread = engine.Allocate(batch * geometry.InputSize)
            engine.ScatterAdd(w, geometry.InputSize, winners, geometry.OutputSize, batch, spread)
            spread

        {
            Value = y
            Pushforward = push
            Pullback = pull
        }

    let private layer engine batch x layer =
        match layer with
        | Affine(map, _) -> affine engine layer map batch x
        | Activation activations -> activation engine activations batch x
        | MaxPooling geometry -> maxPooling engine geometry batch x
        | Reshape _
        | Identity -> identity x

    let private add (engine: IEngine) (terms: Storage list) =
        let sum = engine.Allocate terms.Head.Length

        for term in terms do
            engine.AddScaled(1.0, term, 0, sum, 0, sum.Length)

        sum

    let rec private node (context: Context) batch x node =
        Context.check context

        match node with
        | Leaf placed -> layer context.Engine batch x placed.Layer
        | Chain nodes ->
            (identity x, nodes)
            ||> List.fold (fun before next -> compose before (nodeAt context batch before next))
        | Branches nodes ->
            let branches = nodes |> List.map (nodeAt context batch (identity x))

            {
                Value = branches |> List.map _.Value |> add context.Engine
                Pushforward = fun v -> branches |> List.map (fun branch -> branch.Pushforward v) |> add context.Engine
                Pullback = fun w -> branches |> List.map (fun branch -> branch.Pullback w) |> add context.Engine
            }

    and private nodeAt context batch (before: Linearization) next = node context batch before.Value next

    /// The network at each row of a batch of inputs.
    let at (context: Context) (network: Network) batch (inputs: Storage) = node context batch inputs network.Node
