namespace LipVerify.Formats.OnnxGraph

open System
open System.Collections.Generic
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks

/// Making a network would take more memory than its file may ask for.
type internal OverBudgetException(text: string) =
    inherit Exception(text)

/// Graphs in which tensors are taken several times on the way: walked node by node, with all tensors that are still wanted side by side as one state, so
/// that none is computed twice.
module internal States =

    /// Tensors side by side.
    [<ReferenceEquality>]
    type private State =
        {
            /// The tensors, and where their values begin.
            Held: struct (Link * int) list
            Extents: Shape
        }

    let private isSame (a: Link) (b: Link) = obj.ReferenceEquals(a, b)

    let private sizeOf (link: Link) = Shape.size link.Extents

    let private inputsOf root link =
        if isSame root link then
            []
        else
            match link.Operands with
            | [] -> [ fst link.Previous.Value ]
            | operands -> operands |> List.map _.From

    /// The tensors between `root` and operands, each behind those that it is made of.
    let private between root (operands: Operand list) =
        let found = HashSet<Link>(HashIdentity.Reference)
        let waiting = Stack<Link>(operands |> List.map _.From)

        while waiting.Count > 0 do
            let link = waiting.Pop()

            if not (isSame root link) && found.Add link then
                List.iter waiting.Push (inputsOf root link)

        found |> Seq.sortBy _.Depth |> List.ofSeq

    let private charged (context: NodeContext) count =
        match context.Charge count with
        | Ok() -> ()
        | Error text -> raise (OverBudgetException text)

    let private linear map = Layer.linear (LinearMap.Sparse map)

    let private select context input output source =
        charged context (4L * int64 (Shape.size output))
        linear (Sparse.selection input output source)

    let private offset state link =
        state.Held
        |> List.pick (fun struct (held, offset) -> if isSame held link then Some offset else None)

    /// The sum of what operands place in a tensor of `extents`, from where they are in the state.
    let private joined context state (extents: Shape) (operands: Operand list) =
        let rows =
            Array.init (Shape.size extents) (fun _ -> ResizeArray<struct (int * float)>(1))

        charged context (4L * int64 rows.Length * int64 operands.Length)

        for operand in operands do
            let first = offset state operand.From

            match operand.Embedding with
            | None ->
                for i in 0 .. rows.Length - 1 do
                    rows[i].Add(struct (first + i, 1.0))
            | Some embedding ->
                let starts, places, values =
                    embedding.RowStarts, embedding.Columns, Tensor.values embedding.Values

                for i in 0 .. rows.Length - 1 do
                    for k in starts[i] .. starts[i + 1] - 1 do
                        rows[i].Add(struct (first + places[k], values[k]))

        /// A tensor that is joined with itself counts twice.
        let merged (row: ResizeArray<struct (int * float)>) =
            if row.Count < 2 then
                row.ToArray()
            else
                row
                |> Seq.groupBy (fun struct (column, _) -> column)
                |> Seq.map (fun (column, terms) -> struct (column, terms |> Seq.sumBy (fun struct (_, value) -> value)))
                |> Seq.toArray

        Sparse.create state.Extents extents (fun i -> merged rows[i]) |> linear

    /// What makes `link` of the state.
    let private made (context: NodeContext) state (link: Link) =
        match link.Operands with
        | [] ->
            let input = fst link.Previous.Value

            let selected =
                match state.Held with
                | [ struct (held, _) ] when isSame held input -> []
                | _ ->
                    let first = offset state input

                    [
                        Step($"{context.Layer} (take)", select context state.Extents input.Extents (fun i -> first + i))
                    ]

            selected @ [ link.Block.Value ]
        | operands -> [ Step($"{context.Layer} (join)", joined context state link.Extents operands) ]

    /// The step to the state that has `link`, too, and no longer what nobody wants.
    let private step context (wanted: Dictionary<Link, int>) (struct (blocks, state)) (link: Link) root =
        let made = made context state link

        for input in inputsOf root link do
            wanted[input] <- wanted[input] - 1

        let kept = state.Held |> List.filter (fun struct (held, _) -> wanted[held] > 0)

        if kept.IsEmpty then
            struct (blocks @ made,
                    {
                        Held = [ struct (link, 0) ]
                        Extents = link.Extents
                    })
        else
            let size = sizeOf link

            let held, total =
                (size, kept)
                ||> List.mapFold (fun offset (struct (held, _)) -> struct (held, offset), offset + sizeOf held)

            let extents = [ total ]

            let sources =
                (kept, held)
                ||> List.map2 (fun (struct (tensor, before)) (struct (_, now)) ->
                    struct (now, now + sizeOf tensor, before))

            let source i =
                sources
                |> List.tryPick (fun struct (first, last, before) ->
                    if first <= i && i < last then
                        Some(before + i - first)
                    else
                        None)
                |> Option.defaultValue -1

            let next =
                Sum
                    [
                        Series(
                            made
                            @ [
                                Step(
                                    $"{context.Layer} (place)",
                                    select context link.Extents extents (fun i -> if i < size then i else -1)
                                )
                            ]
                        )
                        Series [ Step($"{context.Layer} (keep)", select context state.Extents extents source) ]
                    ]

            struct (blocks @ [ next ],
                    {
                        Held = struct (link, 0) :: held
                        Extents = extents
                    })

    /// The block from `root` to what operands are joined to.
    let block (context: NodeContext) root (operands: Operand list) (extents: Shape) : Block =
        let links = between root operands
        let wanted = Dictionary<Link, int>(HashIdentity.Reference)

        let want link =
            wanted[link] <-
                1
                + (match wanted.TryGetValue link with
                   | true, count -> count
                   | _ -> 0)

        wanted[root] <- 0

        for link in links do
            wanted[link] <-
                (match wanted.TryGetValue link with
                 | true, count -> count
                 | _ -> 0)

            List.iter want (inputsOf root link)

        operands |> List.iter (fun operand -> want operand.From)

        let start =
            {
                Held = [ struct (root, 0) ]
                Extents = root.Extents
            }

        let struct (blocks, state) =
            (struct ([], start), links)
            ||> List.fold (fun walked link -> step context wanted walked link root)

        Series(blocks @ [ Step(context.Layer, joined context state extents operands) ])
