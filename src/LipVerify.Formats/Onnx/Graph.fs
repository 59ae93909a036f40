namespace LipVerify.Formats.OnnxGraph

open System
open System.Collections.Generic
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Formats

/// What a graph computes: the blocks from its input to its output.
[<ReferenceEquality>]
type internal Reading =
    {
        Input: Shape
        Block: Block
        /// The softmax that was left out at the end.
        Softmax: Softmax option
        Notices: string list
    }

/// Walks the nodes of a graph in order and builds the network.
module internal Graph =

    let private operators: Map<string, NodeContext -> Result<Value, string>> =
        Map.ofList
            [
                "Add", ArithmeticOperators.add
                "AveragePool", WindowOperators.averagePool
                "BatchNormalization", ElementwiseOperators.batchNormalization
                "Cast", ShapeOperators.cast
                "Concat", ConstantOperators.concat
                "Constant", ConstantOperators.constant
                "Conv", WindowOperators.conv
                "Div", ArithmeticOperators.div
                "Dropout", ShapeOperators.dropout
                "Flatten", ShapeOperators.flatten
                "Gather", ConstantOperators.gather
                "Gemm", GemmOperator.gemm
                "GlobalAveragePool", WindowOperators.globalAveragePool
                "GlobalMaxPool", WindowOperators.globalMaxPool
                "Identity", ShapeOperators.copy
                "LogSoftmax", ElementwiseOperators.logSoftmax
                "MatMul", MatMulOperator.matMul
                "MaxPool", WindowOperators.maxPool
                "Mul", ArithmeticOperators.mul
                "Neg", ArithmeticOperators.neg
                "Pad", WindowOperators.pad
                "Relu", ElementwiseOperators.relu
                "Reshape", ShapeOperators.reshape
                "Shape", ConstantOperators.shape
                "Softmax", ElementwiseOperators.softmax
                "Sqrt", ArithmeticOperators.sqrt
                "Squeeze", ShapeOperators.squeeze
                "Sub", ArithmeticOperators.sub
                "Sum", ArithmeticOperators.sum
                "Transpose", ShapeOperators.transpose
                "Unsqueeze", ShapeOperators.unsqueeze
            ]

    let private place position (node: NodeProto) =
        if node.Name = "" then
            $"node {position} ({node.Operator})"
        else
            $"node {position} ({node.Operator} '{node.Name}')"

    /// Which nodes the output needs. Nodes stand in order of computation, so one pass from the end tells.
    let private neededNodes (graph: GraphProto) (output: string) =
        let wanted = HashSet [ output ]
        let needed = Array.zeroCreate<bool> graph.Nodes.Count

        for position in graph.Nodes.Count - 1 .. -1 .. 0 do
            let node = graph.Nodes[position]

            if node.Outputs |> Seq.exists wanted.Contains then
                needed[position] <- true
                wanted.UnionWith node.Inputs

        needed

    let private usesOf (uses: Dictionary<string, int>) name =
        match uses.TryGetValue name with
        | true, count -> count
        | _ -> 0

    let private countUses (graph: GraphProto) (needed: bool[]) (output: string) =
        let uses = Dictionary<string, int>()
        let count name = uses[name] <- 1 + usesOf uses name
        count output

        for position in 0 .. graph.Nodes.Count - 1 do
            if needed[position] then
                Seq.iter count graph.Nodes[position].Inputs

        uses

    let private printable (name: string) =
        let name = name |> String.map (fun c -> if Char.IsControl c then '?' else c)
        if name.Length > 200 then name.Substring(0, 200) else name

    // `conv1` of `conv1.weight`.
    let private weightPrefix (node: NodeProto) (stored: Dictionary<string, TensorProto>) =
        let prefix (name: string) =
            match name.LastIndexOf '.' with
            | dot when dot > 0 && stored.ContainsKey name -> Some(name.Substring(0, dot))
            | _ -> None

        Seq.tryPick prefix node.Inputs

    // The weights' name (`fc1` of `fc1.weight`) is the one that the model's author chose; exporters name nodes.
    let private layerName position (node: NodeProto) stored =
        weightPrefix node stored
        |> Option.defaultWith (fun () ->
            if node.Name <> "" then
                node.Name
            else
                $"{node.Operator}_{position}")
        |> printable

    // Core reports a broken rule of a layer as an exception.
    let private guard (operator: NodeContext -> Result<Value, string>) context =
        try
            operator context
        with
        | :? ArgumentException as failure -> Error(failure.Message.Split(" (Parameter", 2)[0])
        | :? OverflowException -> Error "makes a tensor that is too large"

    let private run (node: NodeProto) context =
        if node.Domain <> "" && node.Domain <> "ai.onnx" then
            Error $"belongs to the operator set '{node.Domain}', which is not supported"
        else
            match Map.tryFind node.Operator operators with
            | Some operator -> guard operator context
            | None -> Error $"operator {node.Operator} is not supported"

    /// The state of a walk over the nodes.
    type private Walk
        (graph: GraphProto, opset: int64, stored: Dictionary<string, TensorProto>, output: string, budget: int64) =
        let values = Dictionary<string, Value>()
        let needed = neededNodes graph output
        let uses = countUses graph needed output
        let notices = ResizeArray<string>()
        let mutable softmax = None
        let mutable left = budget

        let charge count =
            if count <= left then
                left <- left - count
                Ok()
            else
                Error $"makes the model hold more than {budget} values in tensors that its file does not store"

        let decode name =
            match stored.TryGetValue name with
            | true, proto ->
                Constants.decode proto
                |> Result.map (fun constant ->
                    values[name] <- Constant constant
                    Some(Constant constant))
            | _ ->
                match graph.Nodes |> Seq.tryFindIndex (fun node -> node.Outputs.Contains name) with
                | Some position ->
                    Error
                        $"takes '{name}', which only node {position}, behind it, makes; ONNX asks for nodes in order of computation, and others are not supported"
                | None -> Error $"takes '{name}', which no node before it makes"

        let lookUp name =
            match values.TryGetValue name with
            | _ when name = "" -> Ok None
            | true, value -> Ok(Some value)
            | _ -> decode name

        let define name value =
            if values.TryAdd(name, value) && not (stored.ContainsKey name) then
                Ok()
            else
                Error $"makes '{name}', which exists already"

        let defineOutputs (node: NodeProto) value =
            let further (name: string) =
                if name = "" then
                    Ok()
                else
                    define name (Unavailable $"'{name}' is a further output of {node.Operator}, which is not supported")

            result {
                do! define node.Outputs[0] value
                let! _ = node.Outputs |> Seq.skip 1 |> traverse further
                return ()
            }

        let step position (node: NodeProto) =
            result {
                let! inputs = node.Inputs |> traverse lookUp
                let name = node.Outputs[0]

                let context =
                    {
                        Node = node
                        Layer = layerName position node stored
                        Inputs = inputs
                        OutputShared = usesOf uses name > 1
                        IsLast = (name = output && uses[name] = 1)
                        Opset = opset
                        Charge = charge
                        Notice = notices.Add
                        LeaveOut = fun left -> softmax <- Some left
                    }

                let! value = run node context
                do! defineOutputs node value
            }

        /// The value of the output.
        member _.Run(input: ValueInfo, shape: Shape) : Result<Value option, Problem> =
            values[input.Name] <- Computed(Chain.start shape (usesOf uses input.Name > 1))

            let visit position =
                let node = graph.Nodes[position]

                if needed[position] then
                    step position node
                    |> Result.mapError (fun text ->
                        {
                            Place = place position node
                            Text = text
                        })
                else
                    Ok()

            result {
                let! _ = [| 0 .. graph.Nodes.Count - 1 |] |> traverse visit

                return
                    match values.TryGetValue output with
                    | true, value -> Some value
                    | _ -> None
            }

        /// The softmax that was left out at the end.
        member _.Softmax = softmax

        /// What the user should know.
        member _.Notices = List.ofSeq notices

    let private finish (output: ValueInfo) value =
        let where = $"output '{output.Name}'"

        match value with
        | Some(Computed computed) -> Ok(Chain.reshape where (Chain.extents computed.Shape) computed)
        | Some(Unavailable reason) -> Interface.problem where reason
        | Some(Constant _)
        | None -> Interface.problem where "does not depend on the input"

    /// The network of a graph of operators of this version, which may hold `budget` values in tensors that the file does not store.
    let read budget opset (graph: GraphProto) : Result<Reading, Problem> =
        result {
            do!
                if graph.SparseInitializers = 0 then
                    Ok()
                else
                    Interface.problem "" "sparse initialisers are not supported"

            let! stored = Interface.initializers graph
            let! input = Interface.onlyInput graph stored
            let! output = Interface.onlyOutput graph
            let! shape = Interface.inputShape input
            let walk = Walk(graph, opset, stored, output.Name, budget)
            let! value = walk.Run(input, shape)
            let! computed = finish output value

            return
                {
                    Input = Chain.extents shape
                    Block = Chain.series computed
                    Softmax = walk.Softmax
                    Notices = walk.Notices
                }
        }
