namespace LipVerify.Core.Bounds.Exact.Maximum

open System.Collections.Generic
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Chains
open LipVerify.Core.Bounds.Exact.Euclidean

/// Branch and bound for the constant in the maximum norm (METHODS section 11): the largest `Σ_k |J_jk|` over the rows `j` and the
/// activation patterns of a box. Each row is searched by itself; a part of the box is bounded by elementwise bounds on the row,
/// the part with the largest bound is split along a pre-activation of any layer, and parts of which a proof says that they
/// are empty are dropped. It may end at any time.
module internal ExactBoxSearch =

    /// A part with the row that is bounded in it.
    [<ReferenceEquality>]
    type private Node =
        {
            Row: int
            Part: BoxPart
            /// Bounds the row in the part.
            Value: float
            /// The ReLU to branch on; none where every slope is known.
            Next: struct (int * int) option
            /// A point of the box, where the slopes chosen last hold if any is known.
            Point: float[]
        }

    [<NoComparison; NoEquality>]
    type private Search =
        {
            Context: Context
            Forms: BoxForms
            Rows: RowBounds
            Points: BoxPoints
            Inputs: int
            /// Parts left, the largest bound first.
            Open: PriorityQueue<Node, float>
            Tolerance: float
            IsOver: unit -> bool
            mutable Lower: float
            /// The largest bound of parts that are finished.
            mutable Closed: float
            mutable Parts: int
            /// Rows that the time did not suffice for.
            mutable Skipped: int
        }

    /// What branch and bound found.
    [<NoComparison; NoEquality>]
    type Outcome =
        {
            /// The upper end for the uniform constant.
            Upper: float
            /// The largest norm of a Jacobian in the box that was met, or the end known before.
            Lower: float
            /// Parts that were bounded.
            Parts: int
            /// Parts that were not finished.
            Left: int
        }

    /// The open ReLU whose slope moves the row most; one without influence only once there is no other.
    let private choose (part: BoxPart) (bound: RowBound) =
        let mutable best = None
        let mutable top = -1.0

        for layer in 0 .. part.Slopes.Length - 1 do
            for i in 0 .. part.Slopes[layer].Length - 1 do
                if part.Slopes[layer][i] < 0 then
                    let score = bound.Weights[layer][i] * part.Speeds[layer][i]

                    if score > top then
                        top <- score
                        best <- Some(struct (layer, i))

        best

    let private meet (search: Search) point =
        search.Lower <- max search.Lower (search.Points.Jacobian point)

    let private isOpen (search: Search) value =
        value > search.Lower * (1.0 + search.Tolerance)

    let private close (search: Search) value =
        search.Closed <- max search.Closed value

    /// The half-spaces of a part in the box of inputs.
    let private meeting (search: Search) (part: BoxPart) =
        part.Cuts
        |> Array.choose (BoxCuts.project search.Inputs)
        |> ExactRegion.decide UnitBox

    /// Bounds a row in a settled part and puts it where it belongs. A point of the part is sought where `point` is `isOutside`.
    let private place (search: Search) row above point isOutside (part: BoxPart) =
        search.Parts <- search.Parts + 1
        let bound = search.Rows.Of row part.Slopes
        let entries = min above bound.Entries

        let value =
            if isOpen search entries then
                min entries bound.Together
            else
                entries

        if not (isOpen search value) then
            close search value
        else
            let next = choose part bound

            // Where every slope is known the half-spaces are those of a region: its Jacobian counts only if it has a point.
            let meeting =
                if isOutside || next.IsNone then
                    meeting search part
                else
                    Unknown

            let point =
                match meeting with
                | At inside when inside.Length = search.Inputs ->
                    meet search inside
                    inside
                | At _
                | Apart
                | Unknown -> point

            match meeting, next with
            | Apart, _ -> ()
            | _, None -> close search value
            | _, next ->
                let node =
                    {
                        Row = row
                        // What is settled anew in each half is not kept: there may be many parts.
                        Part = { part with Cuts = [||]; Speeds = [||] }
                        Value = value
                        Next = next
                        Point = point
                    }

                search.Open.Enqueue(node, -value)

    /// The part with one slope more chosen.
    let private decided (part: BoxPart) layer i slope =
        let put value (layers: 'a[][]) =
            layers
            |> Array.mapi (fun k values ->
                if k = layer then
                    values |> Array.mapi (fun l old -> if l = i then value else old)
                else
                    values)

        { part with
            Slopes = put slope part.Slopes
            Chosen = put true part.Chosen
        }

    let private split (search: Search) (node: Node) =
        match node.Next with
        | None -> ()
        | Some(struct (layer, i)) ->
            let here =
                if search.Points.PreActivation node.Point layer i > 0.0 then
                    1
                else
                    0

            for slope in [ 1; 0 ] do
                decided node.Part layer i slope
                |> search.Forms.Settle
                |> Option.iter (place search node.Row node.Value node.Point (slope <> here))

    let private upper (search: Search) =
        let left =
            match search.Open.TryPeek() with
            | true, node, _ -> node.Value
            | _ -> 0.0

        max left (max search.Closed search.Lower)

    let rec private run (search: Search) =
        Context.check search.Context
        let top = upper search

        if search.Parts % 64 < 2 then
            search.Context.Report
                $"{search.Parts} parts: between {Figure.downward search.Lower} and {Figure.upward top}"

        if isOpen search top && search.Open.Count > 0 && not (search.IsOver()) then
            split search (search.Open.Dequeue())
            run search

    /// Searches the box from ends `below` and `above` that are known for it, until the ends are within `tolerance` or `isOver` says so;
    /// all ends are in the units of the chain.
    let uniform context (ball: ReluBall) below above tolerance isOver =
        let chain, inputs = ball.Chain, ball.Center.Length
        let points = BoxPoints ball

        let search =
            {
                Context = context
                Forms = BoxForms ball
                Rows = RowBounds chain
                Points = points
                Inputs = inputs
                Open = PriorityQueue()
                Tolerance = tolerance
                IsOver = isOver
                Lower = points.Ascend context isOver points.Jacobian |> max below
                Closed = 0.0
                Parts = 0
                Skipped = 0
            }

        search.Forms.Whole
        |> search.Forms.Settle
        |> Option.iter (fun whole ->
            for row in 0 .. (Array.last chain.Steps).Rows.Length - 1 do
                if isOver () then
                    search.Skipped <- search.Skipped + 1
                    close search above
                else
                    place search row above (Array.zeroCreate inputs) false whole)

        run search

        {
            Upper = upper search
            Lower = search.Lower
            Parts = search.Parts
            Left = search.Open.Count + search.Skipped
        }
