/// The increments of a network with fixed slopes as a linear operator `K: (dx, u) ↦ (Scale·df, v)`, given by passes forward and backward.
///
/// At each place where the network bends the increments `dz` before it and `dy` behind it obey `dy = r∘dz + δ`, with one residual a channel,
/// `|δ_j| ≤ Width_j|d_j|`, where `d_j` is an increment or the difference of two. With `δ_j = In_j u_j` and `v_j = Out_j d_j` that is `|u_j| ≤ |v_j|`.
module LipVerify.Checker.Loop

open LipVerify.Checker.Directed
open LipVerify.Checker.LiveMatrix
open LipVerify.Checker.Twofold

/// `diag(f) A` with row factors `f`, of which the exact ones differ by at most the relative `Spread`.
[<NoEquality; NoComparison>]
type Map =
    {
        Rows: Matrix
        /// The transposed matrix.
        Columns: Matrix
        /// Empty where all are 1.
        Factors: float[]
        Spread: float
    }

/// One time that the network bends, with one entry of each array an output.
[<NoEquality; NoComparison>]
type Bend =
    {
        Inputs: int
        /// The entry of `dz` that the output follows, and the factor with which it does.
        Leaders: int[]
        Slopes: float[]
        /// The channel of the output among those of the network; −1 where it has none.
        Channels: int[]
        /// `d = dz_Plus − dz_Minus`, where −1 stands for nothing.
        Plus: int[]
        Minus: int[]
        /// The output takes `Mean·d` beside what it follows.
        Means: float[]
    }

[<NoEquality; NoComparison>]
type Step =
    | Mapped of Map
    | Bent of place: int * Bend
    | Added of Step list list

[<NoEquality; NoComparison>]
type Loop =
    {
        Steps: Step list
        Inputs: int
        Outputs: int
        /// Of each channel.
        Widths: float[]
    }

[<NoEquality; NoComparison>]
type Operator =
    {
        Loop: Loop
        In: float[]
        Out: float[]
        /// 0 for the channels alone.
        Scale: float
    }

/// The operator with factors `a`, one a channel.
let withFactors (a: float[]) scale (loop: Loop) =
    {
        Loop = loop
        In = a
        Out = Array.map2 divUp loop.Widths a
        Scale = scale
    }

/// Looks at nothing.
let unseen (_: int) (_: Twofold[]) = ()

let private minus x = scaled -1.0 x

let private difference (bend: Bend) k (z: Twofold[]) =
    let first = z[bend.Plus[k]]

    if bend.Minus[k] < 0 then
        first
    else
        plus first (minus z[bend.Minus[k]])

let private applyFactors (map: Map) (y: Twofold[]) =
    if map.Factors.Length > 0 then
        for i in 0 .. y.Length - 1 do
            y[i] <- scaled map.Factors[i] y[i]

let private pushBend (operator: Operator) (bend: Bend) (z: Twofold[]) (u: Twofold[]) (v: Twofold[]) =
    Array.init bend.Leaders.Length (fun k ->
        let followed = scaled bend.Slopes[k] z[bend.Leaders[k]]
        let channel = bend.Channels[k]

        if channel < 0 then
            followed
        else
            let d = difference bend k z
            v[channel] <- scaled operator.Out[channel] d
            plus (plus followed (scaled bend.Means[k] d)) (scaled operator.In[channel] u[channel]))

let private pullBend (operator: Operator) (bend: Bend) (y: Twofold[]) (v: Twofold[]) (u: Twofold[]) =
    let z = Array.create bend.Inputs zero

    for k in 0 .. y.Length - 1 do
        let leader = bend.Leaders[k]
        z[leader] <- plus z[leader] (scaled bend.Slopes[k] y[k])
        let channel = bend.Channels[k]

        if channel >= 0 then
            let d = plus (scaled bend.Means[k] y[k]) (scaled operator.Out[channel] v[channel])
            z[bend.Plus[k]] <- plus z[bend.Plus[k]] d

            if bend.Minus[k] >= 0 then
                z[bend.Minus[k]] <- plus z[bend.Minus[k]] (minus d)

            u[channel] <- scaled operator.In[channel] y[k]

    z

/// `(Scale·df, v)` from `(dx, u)`; `visit` sees the increments before each place.
let push (operator: Operator) visit (x: Twofold[]) : Twofold[] =
    let loop = operator.Loop
    let u = Array.sub x loop.Inputs loop.Widths.Length
    let v = Array.create loop.Widths.Length zero

    let rec step (z: Twofold[]) step' =
        match step' with
        | Mapped map ->
            let y = Array.zeroCreate map.Rows.RowCount
            multiply map.Rows z y
            applyFactors map y
            y
        | Bent(place, bend) ->
            visit place z
            pushBend operator bend z u v
        | Added branches ->
            branches
            |> List.map (List.fold step z)
            |> List.reduce (Array.map2 (fun a b -> plus a b))

    let df = List.fold step (Array.sub x 0 loop.Inputs) loop.Steps
    Array.append (Array.map (fun y -> scaled operator.Scale y) df) v

/// `(dx, u)` from `(df, v)`, by the adjoint.
let pull (operator: Operator) (y: Twofold[]) : Twofold[] =
    let loop = operator.Loop
    let u = Array.create loop.Widths.Length zero
    let v = Array.sub y loop.Outputs loop.Widths.Length

    let rec step step' (y: Twofold[]) =
        match step' with
        | Mapped map ->
            let y = Array.copy y
            applyFactors map y
            let x = Array.zeroCreate map.Columns.RowCount
            multiply map.Columns y x
            x
        | Bent(_, bend) -> pullBend operator bend y v u
        | Added branches ->
            branches
            |> List.map (fun steps -> List.foldBack step steps y)
            |> List.reduce (Array.map2 (fun a b -> plus a b))

    let df = Array.sub y 0 loop.Outputs |> Array.map (fun y -> scaled operator.Scale y)
    Array.append (List.foldBack step loop.Steps df) u
