namespace LipVerify.Core.Chains

open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks

/// Networks as chains of dense affine maps and ReLUs (METHODS section 11).
module internal ExactChain =

    /// The most weights of one step that are written out.
    let private most = 20_000_000L

    let private isRounded = "its layers do not fold into one without rounding"

    /// `true` where the matrix of a map is that of its numbers, not a rounded one.
    let rec private hasExactEntries map =
        match map with
        | Dense _
        | Convolution _
        | Sparse _
        | Diagonal _ -> true
        | AveragePooling _
        | Rounded _
        | Scaled _ -> false

    /// The matrix of a map whose entries are its own, column by column.
    let private matrix (context: Context) map =
        let inputs, outputs = LinearMap.inputs map, LinearMap.outputs map
        let basis = Array.zeroCreate<float>(inputs * inputs)

        for i in 0 .. inputs - 1 do
            basis[i * inputs + i] <- 1.0

        let columns = Array.zeroCreate<float>(inputs * outputs)
        LinearMap.apply context.Engine map inputs (HostStorage basis) (HostStorage columns)
        Array.init outputs (fun i -> Array.init inputs (fun j -> columns[j * outputs + i]))

    /// `a·b` where no rounding is needed.
    let private tryMultiply (a: float) (b: float) =
        let product = a * b

        if Dyadic.isFloat (Dyadic.multiply (Dyadic.ofFloat a) (Dyadic.ofFloat b)) product then
            Some product
        else
            None

    let private allOf (values: 'a option[]) =
        if Array.forall Option.isSome values then
            Some(Array.choose id values)
        else
            None

    /// The matrix of a map, if it takes no rounding.
    let rec private tryMatrix context map : float[][] option =
        match map with
        | Scaled(scale, inner) ->
            tryMatrix context inner
            |> Option.bind (fun rows ->
                Array.map2 (fun s row -> row |> Array.map (tryMultiply s) |> allOf) (Tensor.values scale) rows
                |> allOf)
        | _ when hasExactEntries map -> Some(matrix context map)
        | _ -> None

    /// The value at 0 of affine layers behind each other, of which all but the first are diagonal, if it takes no rounding.
    let private tryOrigin (layers: PlacedLayer list) =
        let after (value: Dyadic[] option) (layer: PlacedLayer) =
            match layer.Layer, value with
            | Affine(_, bias), None -> Some(Tensor.values bias |> Array.map Dyadic.ofFloat)
            | Affine(Diagonal scale, bias), Some value ->
                Array.map3
                    (fun v s b -> Dyadic.add (Dyadic.multiply (Dyadic.ofFloat s) v) (Dyadic.ofFloat b))
                    value
                    (Tensor.values scale)
                    (Tensor.values bias)
                |> Some
            | _ -> value

        (None, layers)
        ||> List.fold after
        |> Option.bind (fun exact ->
            let values = exact |> Array.map Dyadic.toFloat

            if Array.forall2 Dyadic.isFloat exact values then
                Some values
            else
                None)

    /// An affine stage as it is, or that it would have to be rounded.
    let private write context layers map =
        match tryMatrix context map, tryOrigin layers with
        | Some rows, Some bias -> Ok(struct (rows, bias))
        | _ -> Error isRounded

    /// The steps so far, last first, and the affine map since the last ReLU where there is one.
    [<ReferenceEquality>]
    type private Growing =
        {
            Inputs: int
            Steps: ReluStep list
            Pending: ReluStep option
        }

        /// The units of the values so far.
        member growing.Units =
            match growing.Pending, growing.Steps with
            | Some step, _
            | None, step :: _ -> step.Exponents
            | None, [] -> Array.zeroCreate growing.Inputs

    let private identity size =
        struct (Array.init size (fun i -> Array.init size (fun j -> if i = j then 1.0 else 0.0)), Array.zeroCreate size)

    /// What is pending, or the identity.
    let private pending (growing: Growing) =
        match growing.Pending with
        | Some step -> Ok step
        | None ->
            let struct (rows, bias) = identity growing.Units.Length
            ReluUnits.inUnits growing.Units rows bias

    let private add context state stage =
        state
        |> Result.bind (fun (growing: Growing) ->
            let rectify step =
                { growing with
                    Steps = step :: growing.Steps
                    Pending = None
                }

            match stage with
            | AffineStage(_, map, _) when
                int64 (LinearMap.inputs map)
                * max (int64 (LinearMap.inputs map)) (int64 (LinearMap.outputs map))
                    >
                    most
                ->
                Error "a layer is too large to be written out as a matrix"
            | AffineStage(_, _, Some activations)
            | ActivationStage(_, activations) when not activations.IsRelu ->
                Error $"the network has an activation other than ReLU ({activations.Name})"
            | AffineStage(layers, map, activations) ->
                write context layers map
                |> Result.bind (fun (struct (rows, bias)) -> ReluUnits.inUnits growing.Units rows bias)
                |> Result.bind (fun step ->
                    match growing.Pending with
                    | Some first ->
                        ReluUnits.compose first step
                        |> Result.bind (function
                            | Some step -> Ok step
                            | None -> Error isRounded)
                    | None -> Ok step)
                |> Result.map (fun step ->
                    if activations.IsSome then
                        rectify step
                    else
                        { growing with Pending = Some step })
            | ActivationStage _ -> pending growing |> Result.map rectify
            | MaxPoolingStage _ -> Error "the network has max pooling"
            | SumStage _ -> Error "the network has sums of branches")

    /// The network as a chain, or why it is none.
    let ofNetwork context (network: Network) =
        let size = Shape.size network.InputShape

        if int64 size * int64 size > most then
            Error "the input is too large"
        else
            (Ok
                {
                    Inputs = size
                    Steps = []
                    Pending = None
                },
             Stage.ofNetwork network)
            ||> List.fold (add context)
            |> Result.bind (fun growing ->
                pending growing
                |> Result.bind ReluUnits.inOneUnit
                |> Result.map (fun last ->
                    {
                        Steps = Array.ofList (List.rev (last :: growing.Steps))
                    }))

    /// Beyond this the regions take too long to bound.
    let private mostNeurons = 2000

    /// The chain on whose slopes branch and bound branches, or why it does not.
    let branched context network (center: float[]) (radius: Radius) =
        ofNetwork context network
        |> Result.bind (fun chain ->
            if radius.Value = 0.0 then
                Error "the ball is a point"
            elif chain.Neurons > mostNeurons then
                Error $"it has more than {mostNeurons} ReLUs"
            else
                ReluUnits.around center radius.Value chain)
