namespace LipVerify.Formats.OnnxGraph

open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Formats

/// Sums and means over axes.
module internal ReductionOperators =

    /// The shape with the reduced axes of extent 1, and how many values each sum has.
    let private summed (context: NodeContext) (x: Computed) axes =
        let shape = x.Shape

        let kept =
            shape
            |> List.mapi (fun axis extent -> if List.contains axis axes then 1 else extent)

        let extents, target = Array.ofList shape, Array.ofList kept

        let reduced =
            shape
            |> List.mapi (fun axis extent -> if List.contains axis axes then extent else 1)
            |> Array.ofList

        let count = Array.fold (*) 1 reduced

        let row i =
            let index = Selections.indexOf target i

            Array.init count (fun k ->
                let offset = Selections.indexOf reduced k
                struct (Selections.positionOf extents (Array.map2 (+) index offset), 1.0))

        Selections.linear context kept x count row
        |> Result.map (fun sum -> struct (sum, kept, count))

    let private reduce isMean (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "axes"; "keepdims"; "noop_with_empty_axes" ] context
            do! Attributes.atMost 2 context
            let! x = Attributes.computed 0 context
            let! given = Attributes.axes 1 x.Shape.Length context
            let! keep = Attributes.integer "keepdims" 1 context
            let! noop = Attributes.integer "noop_with_empty_axes" 0 context

            let axes =
                match given with
                | None
                | Some [] when noop <> 0 -> []
                | None
                | Some [] -> [ 0 .. x.Shape.Length - 1 ]
                | Some axes -> axes

            if axes.IsEmpty then
                return Computed(Chain.view context x.Shape x)
            else
                let! struct (sum, kept, count) = summed (Attributes.inside context) x axes

                let! mean =
                    if isMean && count > 1 then
                        context.Charge(int64 (Shape.size kept))
                        |> Result.map (fun () ->
                            Layer.linear (
                                Quotients.reciprocals sum.Link.Extents (Array.create (Shape.size kept) (float count))
                            )
                            |> Chain.append context sum.Link.Extents kept sum)
                    else
                        Ok sum

                let shape =
                    if keep <> 0 then
                        kept
                    else
                        kept
                        |> List.indexed
                        |> List.filter (fun (axis, _) -> not (List.contains axis axes))
                        |> List.map snd

                return Computed(Chain.view context shape mean)
        }

    let sum = reduce false
    let mean = reduce true
