namespace LipVerify.Formats.OnnxGraph

open System.Collections.Generic
open LipVerify.Core.Computation
open LipVerify.Formats

/// A problem at a place inside the model: a node, a tensor, or "" for the model.
type internal Problem = { Place: string; Text: string }

/// What a graph takes, gives and stores.
module internal Interface =

    /// A problem at a place.
    let problem place text = Error { Place = place; Text = text }

    /// The only graph input that is no initialiser.
    let onlyInput (graph: GraphProto) (stored: Dictionary<string, TensorProto>) =
        match
            graph.Inputs
            |> Seq.filter (fun input -> not (stored.ContainsKey input.Name))
            |> List.ofSeq
        with
        | [ input ] -> Ok input
        | [] -> problem "" "the graph has no input"
        | several ->
            let names =
                several
                |> List.truncate 5
                |> List.map (fun input -> $"'{input.Name}'")
                |> String.concat ", "

            problem "" $"the graph has {several.Length} inputs ({names}); exactly one is supported"

    /// The only graph output.
    let onlyOutput (graph: GraphProto) =
        if graph.Outputs.Count = 1 then
            Ok graph.Outputs[0]
        else
            problem "" $"the graph has {graph.Outputs.Count} outputs; exactly one is supported"

    // A batch dimension, which may be of any size, is taken to be 1.
    let private inputExtent (input: ValueInfo) rank (axis, extent) =
        match extent with
        | Fixed size when size > 0L -> Ok size
        | Fixed _
        | Symbolic _ when axis = 0 && rank > 1 -> Ok 1L
        | Fixed size -> problem $"input '{input.Name}'" $"dimension {axis} is {size}; it must be positive"
        | Symbolic name ->
            problem
                $"input '{input.Name}'"
                $"dimension {axis} is symbolic ('{name}'); export the model with a fixed extent"

    /// The shape of the input, batch included.
    let inputShape (input: ValueInfo) : Result<Shape, Problem> =
        let where = $"input '{input.Name}'"

        match input.Shape with
        | None when input.ElementType = 0 -> problem where "is no tensor"
        | None -> problem where "has no shape; export the model with the shape of its input"
        | Some _ when (Constants.realType input.ElementType).IsNone ->
            problem where $"has elements of type {Constants.typeName input.ElementType}; real numbers are needed"
        | Some extents ->
            extents
            |> List.indexed
            |> traverse (inputExtent input extents.Length)
            |> Result.bind (fun extents ->
                Extents.shape (List.ofArray extents)
                |> Result.mapError (fun text -> { Place = where; Text = text }))

    /// The stored tensors by name.
    let initializers (graph: GraphProto) =
        let stored = Dictionary<string, TensorProto>()

        let twice =
            graph.Initializers
            |> Seq.tryFind (fun tensor -> not (stored.TryAdd(tensor.Name, tensor)))

        match twice with
        | Some tensor -> problem $"tensor '{tensor.Name}'" "is stored twice"
        | None -> Ok stored
