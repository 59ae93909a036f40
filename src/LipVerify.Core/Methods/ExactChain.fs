namespace LipVerify.Core

open LipVerify.Compute

/// Networks as chains of dense affine maps and ReLUs (METHODS section 11).
module internal ExactChain =

    /// The most weights of one step that are written out.
    let private most = 20_000_000L

    /// The matrix of an affine stage, column by column, and its value at 0.
    let private write (context: Context) (layers: PlacedLayer list) map =
        let inputs, outputs = LinearMap.inputs map, LinearMap.outputs map
        let basis = Array.zeroCreate<float>(inputs * inputs)

        for i in 0 .. inputs - 1 do
            basis[i * inputs + i] <- 1.0

        let columns = Array.zeroCreate<float>(inputs * outputs)
        LinearMap.apply context.Engine map inputs (HostStorage basis) (HostStorage columns)

        let origin =
            (HostStorage(Array.zeroCreate inputs) :> Storage, layers)
            ||> List.fold (fun x layer -> Layer.apply context.Engine layer.Layer 1 x)

        struct (Array.init outputs (fun i -> Array.init inputs (fun j -> columns[j * outputs + i])),
                Tensor.values (Tensor.ofStorage [ outputs ] origin))

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
            | AffineStage(layers, map, rectified) ->
                let struct (rows, bias) = write context layers map

                ReluUnits.inUnits growing.Units rows bias
                |> Result.bind (fun step ->
                    match growing.Pending with
                    | Some first -> ReluUnits.compose first step
                    | None -> Ok step)
                |> Result.map (fun step ->
                    if rectified then
                        rectify step
                    else
                        { growing with Pending = Some step })
            | ReluStage _ -> pending growing |> Result.map rectify
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
