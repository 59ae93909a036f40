namespace LipVerify.Formats.OnnxGraph

open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Formats

/// Operators that put values in other places: Concat, Split, Slice, Gather, Transpose, Expand.
module internal SelectionOperators =

    let private axisOf name fallback (rank: int) (context: NodeContext) =
        Attributes.integer name fallback context
        |> Result.bind (fun axis ->
            let place = if axis < 0 then axis + rank else axis

            if place >= 0 && place < rank then
                Ok place
            else
                Error $"attribute '{name}' is {axis} for {rank} axes")

    let private withExtent axis extent (shape: Shape) = List.updateAt axis extent shape

    /// The index with one of its places changed.
    let private moved axis (change: int -> int) (index: int[]) =
        Array.updateAt axis (change index[axis]) index

    /// Transpose.
    let transpose (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "perm" ] context
            do! Attributes.atMost 1 context
            let! x = Attributes.input 0 context
            let! shape = Attributes.shapeOf x
            let! given = Attributes.integers "perm" context
            let axes = given |> Option.defaultValue (List.rev [ 0 .. shape.Length - 1 ])

            do!
                require (List.sort axes = [ 0 .. shape.Length - 1 ]) (fun () ->
                    "attribute 'perm' is no permutation of the axes")

            let extents, order = Array.ofList shape, Array.ofList axes

            let source (index: int[]) =
                let before = Array.zeroCreate index.Length
                order |> Array.iteri (fun k axis -> before[axis] <- index[k])
                Selections.positionOf extents before

            return! Selections.select context (axes |> List.map (fun axis -> shape[axis])) x source
        }

    /// Slice, by constant ends: attributes before operator set 10, inputs since.
    let slice (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "axes"; "ends"; "starts" ] context
            do! Attributes.atMost 5 context
            let! x = Attributes.input 0 context
            let! shape = Attributes.shapeOf x

            let numbers index name =
                result {
                    let! stored = Attributes.optionalIntegers index context
                    let! attribute = Attributes.integers name context

                    return
                        stored
                        |> Option.orElse (attribute |> Option.map (List.map int64 >> Array.ofList))
                }

            let! starts = numbers 1 "starts"
            let! ends = numbers 2 "ends"
            let! steps = Attributes.optionalIntegers 4 context
            let! axes = Attributes.axes 3 shape.Length context

            match starts, ends with
            | Some starts, Some ends when starts.Length = ends.Length ->
                let axes = axes |> Option.defaultValue [ 0 .. starts.Length - 1 ] |> Array.ofList

                let steps = steps |> Option.defaultValue (Array.replicate starts.Length 1L)

                do!
                    require (axes.Length = starts.Length && steps.Length = starts.Length) (fun () ->
                        "has lists of different lengths")

                do! require (Array.forall (fun step -> step <> 0L) steps) (fun () -> "has a step of 0")

                /// The first index along an axis, the step, and how many there are (numpy's rule).
                let range k =
                    let extent, step = int64 shape[axes[k]], steps[k]

                    let counted value =
                        if value < 0L then value + extent else value

                    let first, last =
                        if step > 0L then
                            min extent (max 0L (counted starts[k])), min extent (max 0L (counted ends[k]))
                        else
                            min (extent - 1L) (max -1L (counted starts[k])),
                            min (extent - 1L) (max -1L (counted ends[k]))

                    let count =
                        if step > 0L then
                            (last - first + step - 1L) / step
                        else
                            (first - last - step - 1L) / -step

                    struct (axes[k], int first, int step, int (max 0L count))

                let ranges = Array.init axes.Length range

                let target =
                    (shape, ranges)
                    ||> Array.fold (fun shape (struct (axis, _, _, count)) -> withExtent axis count shape)

                do! require (List.forall (fun extent -> extent > 0) target) (fun () -> "leaves nothing")
                let extents = Array.ofList shape

                let source index =
                    (index, ranges)
                    ||> Array.fold (fun index (struct (axis, first, step, _)) ->
                        moved axis (fun i -> first + step * i) index)
                    |> Selections.positionOf extents

                return! Selections.select context target x source
            | _ -> return! Error "needs as many ends as starts"
        }

    /// Gather of constant indices along an axis.
    let gather (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "axis" ] context
            do! Attributes.atMost 2 context
            let! x = Attributes.input 0 context
            let! shape = Attributes.shapeOf x
            let! axis = axisOf "axis" 0 shape.Length context
            let! indices = Attributes.input 1 context

            match indices with
            | Constant(Integers(_, target, indices)) ->
                let place index =
                    let place = if index < 0L then index + int64 shape[axis] else index

                    if place >= 0L && place < int64 shape[axis] then
                        Ok(int place)
                    else
                        Error $"index {index} is out of range"

                let! places = indices |> traverse place
                let before, behind = List.splitAt axis shape
                let extents = Array.ofList shape
                let chosen = Array.ofList target

                let source (index: int[]) =
                    let middle = index[axis .. axis + chosen.Length - 1]
                    let place = places[Selections.positionOf chosen middle]

                    Array.concat [ index[.. axis - 1]; [| place |]; index[axis + chosen.Length ..] ]
                    |> Selections.positionOf extents

                return! Selections.select context (before @ target @ behind.Tail) x source
            | Unavailable reason -> return! Error reason
            | _ -> return! Error "takes indices that are no constant integers"
        }

    /// Where the outputs of Split begin along the axis, and how long they are.
    let private pieces (context: NodeContext) extent =
        result {
            let outputs = context.Node.Outputs.Count
            let! stored = Attributes.optionalIntegers 1 context
            let! attribute = Attributes.integers "split" context
            let! count = Attributes.integer "num_outputs" outputs context

            let! lengths =
                match stored, attribute with
                | Some lengths, _ -> lengths |> traverse (Attributes.toInt "length")
                | None, Some lengths -> Ok(Array.ofList lengths)
                | None, None when count > 0 ->
                    // Equal parts, of which the last may be shorter.
                    let length = (extent + count - 1) / count
                    Ok(Array.init count (fun k -> min length (extent - k * length)))
                | None, None -> Error $"attribute 'num_outputs' is {count}"

            do!
                require
                    (Array.sum lengths = extent
                     && Array.forall (fun length -> length > 0) lengths
                     && lengths.Length = outputs)
                    (fun () -> $"splits an extent of {extent} into {List.ofArray lengths} for {outputs} outputs")

            return lengths
        }

    /// Output `number` of Split.
    let split number (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "axis"; "num_outputs"; "split" ] context
            do! Attributes.atMost 2 context
            let! x = Attributes.input 0 context
            let! shape = Attributes.shapeOf x
            let! axis = axisOf "axis" 0 shape.Length context
            let! lengths = pieces context shape[axis]
            let first = Array.sum lengths[.. number - 1]
            let extents = Array.ofList shape

            return!
                Selections.select context (withExtent axis lengths[number] shape) x (fun index ->
                    moved axis (fun i -> first + i) index |> Selections.positionOf extents)
        }

    /// Expand to a constant shape, by repetition.
    let expand (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [] context
            do! Attributes.atMost 2 context
            let! x = Attributes.input 0 context
            let! shape = Attributes.shapeOf x
            let! asked = Attributes.optionalIntegers 1 context

            match asked with
            | None -> return! Error "has no shape"
            | Some asked ->
                let! asked = asked |> traverse (Attributes.toInt "extent")

                match Constants.broadcastShape shape (List.ofArray asked) with
                | None ->
                    return!
                        Error
                            $"expands {Shape.text shape} to {Shape.text (List.ofArray asked)}, which does not broadcast"
                | Some target ->
                    let skipped = target.Length - shape.Length
                    let extents = Array.ofList shape

                    return!
                        Selections.select context target x (fun index ->
                            index[skipped..]
                            |> Array.mapi (fun axis i -> if extents[axis] = 1 then 0 else i)
                            |> Selections.positionOf extents)
        }

    /// Concatenations of the same beginning: what they have in common is taken as one tensor, so that networks that add to what they have stay chains.
    let private shortened (context: NodeContext) axis (parts: Computed list) =
        let isPrefix (struct (known, operands: Computed list, _)) =
            known = axis
            && operands.Length < parts.Length
            && List.forall2
                (fun (a: Computed) (b: Computed) -> obj.ReferenceEquals(a.Link, b.Link))
                operands
                (List.truncate operands.Length parts)

        match
            context.Concatenations
            |> Seq.filter isPrefix
            |> Seq.sortByDescending (fun (struct (_, operands, _)) -> operands.Length)
            |> Seq.tryHead
        with
        | Some(struct (_, operands, whole)) -> whole :: List.skip operands.Length parts
        | None -> parts

    let private concatenated (context: NodeContext) axis (shape: Shape) (parts: Value list) =
        let target = Array.ofList shape
        let extents = Chain.extents shape
        let size = Shape.size shape

        let lengths =
            parts
            |> List.map (fun part ->
                (match part with
                 | Constant c -> Constants.shape c
                 | Computed x -> x.Shape
                 | Unavailable _ -> shape)[axis])

        let firsts = lengths |> List.scan (+) 0

        /// For each entry of the outcome the position in a part that begins at `first`, or −1.
        let sources (partShape: Shape) first =
            let own = Array.ofList partShape

            Array.init size (fun position ->
                let index = Selections.indexOf target position
                let place = index[axis] - first

                if place >= 0 && place < own[axis] then
                    Selections.positionOf own (Array.updateAt axis place index)
                else
                    -1)

        result {
            do! context.Charge(4L * int64 size * int64 parts.Length)

            let computed =
                List.zip parts (List.truncate parts.Length firsts)
                |> List.choose (fun (part, first) ->
                    match part with
                    | Computed x ->
                        let source = sources x.Shape first
                        let x = Chain.reshape context.Layer (Chain.extents x.Shape) x
                        Some(Chain.operand (Some(Sparse.selection x.Link.Extents extents (fun i -> source[i]))) x)
                    | _ -> None)

            let constants = Array.zeroCreate<float> size

            let place (part, first) =
                match part with
                | Constant(Reals(_, tensor)) ->
                    let values = Tensor.values tensor

                    sources tensor.Shape first
                    |> Array.iteri (fun i source ->
                        if source >= 0 then
                            constants[i] <- values[source])
                | _ -> ()

            List.zip parts (List.truncate parts.Length firsts) |> List.iter place

            let! joined =
                Chain.join
                    (if Array.forall ((=) 0.0) constants then
                         context
                     else
                         Attributes.inside context)
                    extents
                    shape
                    computed

            if Array.forall ((=) 0.0) constants then
                return joined
            else
                return! Chain.addBias context shape joined constants
        }

    /// Concat of computed tensors and constants along an axis.
    let concat (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "axis" ] context

            let! parts =
                [ 0 .. context.Inputs.Length - 1 ]
                |> traverse (fun index -> Attributes.input index context)

            let parts = List.ofArray parts

            let isInteger part =
                match part with
                | Constant(Integers _) -> true
                | _ -> false

            if parts |> List.forall isInteger then
                return! ConstantOperators.concat context
            else
                let! shapes = parts |> traverse Attributes.shapeOf
                let! axis = axisOf "axis" 1 shapes[0].Length context

                let fits (shape: Shape) =
                    shape.Length = shapes[0].Length
                    && withExtent axis 1 shape = withExtent axis 1 shapes[0]

                do! require (Array.forall fits shapes) (fun () -> "joins tensors of shapes that do not fit")
                do! require (not (List.exists isInteger parts)) (fun () -> "joins integers with real numbers")
                let shape = withExtent axis (shapes |> Array.sumBy (List.item axis)) shapes[0]

                let computed =
                    parts
                    |> List.choose (fun part ->
                        match part with
                        | Computed x -> Some x
                        | _ -> None)

                match parts with
                | [ only ] ->
                    return
                        (match only with
                         | Computed x -> Computed(Chain.view context shape x)
                         | other -> other)
                | _ when computed.IsEmpty ->
                    let element =
                        parts
                        |> List.pick (fun part ->
                            match part with
                            | Constant c -> Some(Constants.element c)
                            | _ -> None)

                    let firsts = shapes |> Array.scan (fun first shape -> first + shape[axis]) 0

                    let values =
                        parts
                        |> List.map (fun part ->
                            match part with
                            | Constant(Reals(_, tensor)) -> Tensor.values tensor
                            | _ -> [||])
                        |> Array.ofList

                    let target = Array.ofList shape
                    do! context.Charge(int64 (Shape.size shape))

                    let at position =
                        let index = Selections.indexOf target position
                        let part = firsts |> Array.findIndexBack (fun first -> first <= index[axis])
                        let own = Array.ofList shapes[part]
                        values[part][Selections.positionOf own (Array.updateAt axis (index[axis] - firsts[part]) index)]

                    return Constant(Reals(element, Tensor.ofArray shape (Array.init (Shape.size shape) at)))
                | _ when computed.Length = parts.Length ->
                    let! joined =
                        shortened context axis computed
                        |> List.map Computed
                        |> concatenated context axis shape

                    context.Concatenations.Add(struct (axis, computed, joined))
                    return Computed joined
                | _ -> return! concatenated context axis shape parts |> Result.map Computed
        }
