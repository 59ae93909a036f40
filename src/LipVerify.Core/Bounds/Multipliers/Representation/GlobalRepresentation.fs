/// Differences of outputs over all pairs of inputs as a linear fractional representation: every slope may be anything that
/// its activation has, and no range is known (METHODS sections 7 and 13).
module internal LipVerify.Core.Bounds.Multipliers.Representation.GlobalRepresentation

open System
open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.Activations
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds

let private bend (slopes: UncertainSlopes) (activations: EntryActivations) forms =
    Signal.bend
        slopes
        (Array.init forms.Size (fun i -> activations[i].Global))
        (Array.create forms.Size Double.PositiveInfinity)
        forms

let private relus = EntryActivations.all Relu.activation

/// `max(a, b) = a + relu(b − a)` for pairs of entries.
let private larger slopes (pairs: struct (int * int)[]) forms =
    let difference =
        pairs
        |> Array.map (fun struct (a, b) ->
            // A member without an opponent is taken as it is.
            let factor = if a = b then 0.0 else 1.0
            struct (b, factor, a, -factor))
        |> AffineForms.combine forms

    let first =
        pairs
        |> Array.map (fun struct (a, _) -> struct (a, 1.0, a, 0.0))
        |> AffineForms.combine forms

    AffineForms.add first (bend slopes relus difference)

/// The maxima of windows: in each round the members that are left meet in pairs.
let rec private tournament slopes (windows: int[][]) forms =
    if windows |> Array.forall (fun window -> window.Length = 1) then
        windows
        |> Array.map (fun window -> struct (window[0], 1.0, window[0], 0.0))
        |> AffineForms.combine forms
    else
        let pairs =
            windows
            |> Array.map (
                Array.chunkBySize 2
                >> Array.map (fun pair -> struct (pair[0], pair[pair.Length - 1]))
            )

        let winners =
            (0, pairs)
            ||> Array.mapFold (fun first window -> Array.init window.Length (fun k -> first + k), first + window.Length)
            |> fst

        larger slopes (Array.concat pairs) forms |> tournament slopes winners

let private maxPooling slopes (geometry: PoolingGeometry) forms =
    let windows = Array.zeroCreate<int[]> geometry.OutputSize
    PoolingWindows.iterate geometry (fun output members -> windows[output] <- members.ToArray())
    tournament slopes windows forms

let rec private stage context slopes forms stage =
    Context.check context

    match stage with
    | AffineStage(_, map, activations) ->
        let applied = AffineForms.apply context map forms

        match activations with
        | Some activations -> bend slopes activations applied
        | None -> applied
    | ActivationStage(_, activations) -> bend slopes activations forms
    | MaxPoolingStage(_, geometry) -> maxPooling slopes geometry forms
    | SumStage branches ->
        branches
        |> List.map (series context slopes forms)
        |> List.reduce AffineForms.add

and private series context slopes forms stages =
    match stages with
    | [] -> forms
    | AffineStage(_, map, Some activations) :: MaxPoolingStage(_, geometry) :: rest when
        EntryActivations.passMaxima activations
        ->
        // With the maximum first, a window takes one activation instead of one a member.
        let after =
            AffineForms.apply context map forms
            |> maxPooling slopes geometry
            |> bend slopes activations

        series context slopes after rest
    | next :: rest -> series context slopes (stage context slopes forms next) rest

/// The representation of a series of stages over tensors of `inputs` entries, and for each slope the number of the layer that it
/// belongs to; each round of a tournament counts as a layer. Raises `TooLargeException` beyond what multipliers are sought for.
let ofStages (context: Context) inputs (stages: Stage list) : struct (LinearFractional * int[]) =
    let slopes = UncertainSlopes(inputs, Double.PositiveInfinity)
    let start = AffineForms.identity (Array.init inputs id) inputs
    let lfr = slopes.Represent(series context slopes start stages)

    let layers =
        slopes.Bends
        |> Seq.mapi (fun layer bent -> Array.create bent.Length layer)
        |> Array.concat

    struct (lfr, layers)
