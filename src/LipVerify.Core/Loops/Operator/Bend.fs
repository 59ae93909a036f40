namespace LipVerify.Core.Loops.Operator

open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation

/// One time that a network bends, over a set of inputs (METHODS section 14a): its increments are `dy = B dz + Σ δ_j e_into(j)` with a fixed
/// linear `B` and residuals `|δ_j| ≤ Width_j |d_j|`, where `d_j` is one increment or the difference of two. Each residual has a channel.
[<NoEquality; NoComparison>]
type internal Bend =
    {
        /// Length of `dz`.
        Inputs: int
        /// Length of `dy`.
        Outputs: int
        /// The entry of `dz` that each output follows; none where outputs follow the entries of their own positions.
        Leaders: int[] option
        /// The factor with which it does.
        Slopes: Tensor
        /// Position of its first channel among those of the network.
        First: int
        /// The output that takes `δ_j`.
        Into: int[]
        /// `d_j` is the increment of this entry,
        Plus: int[]
        /// less that of this one; empty where nothing is subtracted.
        Minus: int[]
        /// Centres that differ from 0: the outputs take `Mean_j d_j` beside what they follow. Empty where there are none.
        Mean: float[]
        /// `Width_j`, not negative.
        Width: float[]
    }

/// What channels are multiplied by: `δ_j = In_j u_j` and `v_j = Out_j d_j`, with `In_j·Out_j ≥ Width_j`, so that `|u_j| ≤ |v_j|`.
[<NoEquality; NoComparison>]
type internal Gains = { In: Tensor; Out: Tensor }

module internal Bend =

    /// Channels of the bend.
    let channels (bend: Bend) = bend.Into.Length

    /// The gains of the bend's channels for factors `a`, one a channel of the network.
    let gains (a: float[]) (bend: Bend) =
        let own = Array.sub a bend.First (channels bend)

        {
            In = Tensor.vector own
            Out = Tensor.vector (Array.map2 Rounding.divUp bend.Width own)
        }

    let private gather (engine: IEngine) (x: Storage) inputSize (indices: int[]) batch =
        let y = engine.Allocate(batch * indices.Length)
        engine.Gather(x, inputSize, indices, indices.Length, batch, y)
        y

    let private scatter (engine: IEngine) (y: Storage) inputSize (indices: int[]) batch (x: Storage) =
        engine.ScatterAdd(y, inputSize, indices, indices.Length, batch, x)

    let private places (bend: Bend) =
        Array.init (channels bend) (fun j -> bend.First + j)

    /// `d_j` for each row of a batch of `dz`.
    let differences (engine: IEngine) (bend: Bend) batch (x: Storage) =
        let d = gather engine x bend.Inputs bend.Plus batch

        if bend.Minus.Length > 0 then
            let subtracted = gather engine x bend.Inputs bend.Minus batch
            engine.AddScaled(-1.0, subtracted, 0, d, 0, d.Length)

        d

    /// Adds `Mean ∘ x` to `y`.
    let private addMeans (engine: IEngine) (bend: Bend) batch (x: Storage) (y: Storage) =
        if bend.Mean.Length > 0 then
            let means = engine.Allocate x.Length
            engine.MultiplyRows(x, batch, HostStorage bend.Mean, means)
            engine.AddScaled(1.0, means, 0, y, 0, y.Length)

    /// `dy` for each row of a batch of `dz`, with `u` from all channels of the network, of which there are `count`; sets the bend's part of `v`.
    let push (engine: IEngine) (bend: Bend) (gains: Gains) batch (x: Storage) count (u: Storage) (v: Storage) =
        let y =
            match bend.Leaders with
            | Some leaders -> gather engine x bend.Inputs leaders batch
            | None -> engine.Allocate(batch * bend.Outputs)

        engine.MultiplyRows((if bend.Leaders.IsSome then y else x), batch, bend.Slopes.Storage, y)

        if channels bend > 0 then
            let places = places bend
            let d = differences engine bend batch x
            let delta = gather engine u count places batch
            engine.MultiplyRows(delta, batch, gains.In.Storage, delta)
            addMeans engine bend batch d delta
            scatter engine delta bend.Outputs bend.Into batch y
            engine.MultiplyRows(d, batch, gains.Out.Storage, d)
            scatter engine d count places batch v

        y

    /// The adjoint of `push`: from `y` and the bend's part of `v`, gives `x` and sets the bend's part of `u`.
    let pull (engine: IEngine) (bend: Bend) (gains: Gains) batch (y: Storage) count (v: Storage) (u: Storage) =
        let scaled = engine.Allocate(batch * bend.Outputs)
        engine.MultiplyRows(y, batch, bend.Slopes.Storage, scaled)

        let x =
            match bend.Leaders with
            | None -> scaled
            | Some leaders ->
                let x = engine.Allocate(batch * bend.Inputs)
                scatter engine scaled bend.Inputs leaders batch x
                x

        if channels bend > 0 then
            let places = places bend
            let delta = gather engine y bend.Outputs bend.Into batch
            let d = gather engine v count places batch
            engine.MultiplyRows(d, batch, gains.Out.Storage, d)
            addMeans engine bend batch delta d
            scatter engine d bend.Inputs bend.Plus batch x

            if bend.Minus.Length > 0 then
                engine.Scale(-1.0, d, 0, d.Length)
                scatter engine d bend.Inputs bend.Minus batch x

            engine.MultiplyRows(delta, batch, gains.In.Storage, delta)
            scatter engine delta count places batch u

        x
