namespace LipVerify.Core.Loops.Operator

open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps

/// A step of a network whose slopes are fixed.
[<NoEquality; NoComparison>]
type internal LoopStep =
    /// A linear map, under the position of its layer.
    | Mapped of layer: int * LinearMap
    /// The bend of this number, counted in the order of the walk.
    | Bent of bend: int
    /// The sum of branches that share their input.
    | Added of LoopStep list list

/// The increments of a network as a linear map of `(dx, δ)`, strictly triangular from bend to bend (METHODS section 14a).
[<NoEquality; NoComparison>]
type internal Loop =
    {
        Steps: LoopStep list
        Bends: Bend[]
        /// Length of `dx`.
        Inputs: int
        /// Length of `df`.
        Outputs: int
        /// Channels of all bends.
        Channels: int
    }

/// The operator `K: (dx, u) ↦ (Scale·df, v)` of a loop with gains on its channels. It holds `‖df‖ ≤ ‖dx‖/Scale` where `‖K‖ ≤ 1`.
[<NoEquality; NoComparison>]
type internal LoopOperator =
    {
        Loop: Loop
        /// The gains of each bend.
        Gains: Gains[]
        /// The factor of the outputs, a bound on `1/L`; 0 for the channels alone.
        Scale: float
    }

/// A place on the way through a loop: before a linear map, under the position of its layer, or before a bend, by its number.
[<Struct>]
type internal LoopPoint =
    | BeforeMap of layer: int
    | BeforeBend of bend: int

module internal LoopOperator =

    /// The operator with factors `a` from `u` to the residuals.
    let create (loop: Loop) (a: float[]) scale =
        {
            Loop = loop
            Gains = loop.Bends |> Array.map (Bend.gains a)
            Scale = scale
        }

    /// One pass over a batch.
    [<NoEquality; NoComparison>]
    type private Pass =
        {
            Context: Context
            Operator: LoopOperator
            Batch: int
            U: Storage
            V: Storage
            /// Sees the increments before each map and bend: on the way forward themselves, on the way back what belongs to them.
            Visit: LoopPoint -> Storage -> unit
        }

    let private add (engine: IEngine) (terms: Storage list) =
        let sum = engine.Allocate terms.Head.Length

        for term in terms do
            engine.AddScaled(1.0, term, 0, sum, 0, sum.Length)

        sum

    let rec private pushStep (pass: Pass) (x: Storage) step =
        let engine = pass.Context.Engine
        Context.check pass.Context

        match step with
        | Mapped(layer, map) ->
            pass.Visit (BeforeMap layer) x
            let y = engine.Allocate(Checked.(*) pass.Batch (LinearMap.outputs map))
            LinearMap.apply engine map pass.Batch x y
            y
        | Bent bend ->
            pass.Visit (BeforeBend bend) x
            let loop = pass.Operator.Loop
            Bend.push engine loop.Bends[bend] pass.Operator.Gains[bend] pass.Batch x loop.Channels pass.U pass.V
        | Added branches -> branches |> List.map (List.fold (pushStep pass) x) |> add engine

    let rec private pullStep (pass: Pass) step (y: Storage) =
        let engine = pass.Context.Engine
        Context.check pass.Context

        match step with
        | Mapped(layer, map) ->
            let x = engine.Allocate(Checked.(*) pass.Batch (LinearMap.inputs map))
            LinearMap.adjoint engine map pass.Batch y x
            pass.Visit (BeforeMap layer) x
            x
        | Bent bend ->
            let loop = pass.Operator.Loop

            let x =
                Bend.pull engine loop.Bends[bend] pass.Operator.Gains[bend] pass.Batch y loop.Channels pass.V pass.U

            pass.Visit (BeforeBend bend) x
            x
        | Added branches ->
            branches
            |> List.map (fun steps -> List.foldBack (pullStep pass) steps y)
            |> add engine

    /// The first and second part of each row of `x`, of lengths `a` and `b`.
    let private split (engine: IEngine) batch a b (x: Storage) =
        let first, second = engine.Allocate(batch * a), engine.Allocate(batch * b)

        for i in 0 .. batch - 1 do
            engine.Copy(x, i * (a + b), first, i * a, a)
            engine.Copy(x, i * (a + b) + a, second, i * b, b)

        struct (first, second)

    let private join (engine: IEngine) batch a b (first: Storage) (second: Storage) (x: Storage) =
        for i in 0 .. batch - 1 do
            engine.Copy(first, i * a, x, i * (a + b), a)
            engine.Copy(second, i * b, x, i * (a + b) + a, b)

    /// Length of `(dx, u)`.
    let columns (operator: LoopOperator) =
        operator.Loop.Inputs + operator.Loop.Channels

    /// Length of `(df, v)`.
    let rows (operator: LoopOperator) =
        operator.Loop.Outputs + operator.Loop.Channels

    /// Looks at nothing.
    let unseen (_: LoopPoint) (_: Storage) = ()

    /// `y ← K x` for each row of a batch; `visit` sees the increments on the way.
    let push (context: Context) (operator: LoopOperator) visit batch (x: Storage) (y: Storage) =
        let engine = context.Engine
        let loop = operator.Loop
        let struct (dx, u) = split engine batch loop.Inputs loop.Channels x

        let pass =
            {
                Context = context
                Operator = operator
                Batch = batch
                U = u
                V = engine.Allocate(batch * loop.Channels)
                Visit = visit
            }

        let df = List.fold (pushStep pass) dx loop.Steps
        join engine batch loop.Outputs loop.Channels df pass.V y

        for i in 0 .. batch - 1 do
            engine.Scale(operator.Scale, y, i * (loop.Outputs + loop.Channels), loop.Outputs)

    /// `x ← Kᵀ y` for each row of a batch; `visit` may add to what it sees, as if increments there were outputs.
    let pull (context: Context) (operator: LoopOperator) visit batch (y: Storage) (x: Storage) =
        let engine = context.Engine
        let loop = operator.Loop
        let struct (df, v) = split engine batch loop.Outputs loop.Channels y
        engine.Scale(operator.Scale, df, 0, df.Length)

        let pass =
            {
                Context = context
                Operator = operator
                Batch = batch
                U = engine.Allocate(batch * loop.Channels)
                V = v
                Visit = visit
            }

        let dx = List.foldBack (pullStep pass) loop.Steps df
        join engine batch loop.Inputs loop.Channels dx pass.U x
