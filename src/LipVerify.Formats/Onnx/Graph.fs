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
                "Abs", ActivationOperators.absolute
                "Add", ArithmeticOperators.add
                "AveragePool", WindowOperators.averagePool
                "BatchNormalization", ElementwiseOperators.batchNormalization
                "Cast", ShapeOperators.cast
                "Ceil", ActivationOperators.discontinuous
                "Celu", ActivationOperators.celu
                "Clip", ActivationOperators.clip
                "Concat", SelectionOperators.concat
                "Constant", ConstantOperators.constant
                "Conv", WindowOperators.conv
                "ConvTranspose", ConvTransposeOperator.convTranspose
                "Div", ArithmeticOperators.div
                "Dropout", ShapeOperators.dropout
                "Elu", ActivationOperators.elu
                "Erf", ActivationOperators.erf
                "Expand", SelectionOperators.expand
                "Flatten", ShapeOperators.flatten
                "Floor", ActivationOperators.discontinuous
                "Gather", SelectionOperators.gather
                "Gelu", ActivationOperators.gelu
                "Gemm", GemmOperator.gemm
                "GlobalAveragePool", WindowOperators.globalAveragePool
                "GlobalMaxPool", WindowOperators.globalMaxPool
                "HardSigmoid", ActivationOperators.hardSigmoid
                "HardSwish", ActivationOperators.hardSwish
                "Identity", ShapeOperators.copy
                "LeakyRelu", ActivationOperators.leakyRelu
                "LogSoftmax", ElementwiseOperators.logSoftmax
                "MatMul", MatMulOperator.matMul
                "MaxPool", WindowOperators.maxPool
                "Mish", ActivationOperators.mish
                "Mul", ArithmeticOperators.mul
                "Neg", ArithmeticOperators.neg
                "Pad", WindowOperators.pad
                "PRelu", ActivationOperators.prelu
                "ReduceMean", ReductionOperators.mean
                "ReduceSum", ReductionOperators.sum
                "Relu", ActivationOperators.relu
                "Reshape", ShapeOperators.reshape
                "Resize", ResizeOperators.resize'
                "Round", ActivationOperators.discontinuous
                "Selu", ActivationOperators.selu
                "Shape", ConstantOperators.shape
                "Sigmoid", ActivationOperators.sigmoid
                "Sign", ActivationOperators.discontinuous
                "Slice", SelectionOperators.slice
                "Softmax", ElementwiseOperators.softmax
                "Softplus", ActivationOperators.softplus
                "Softsign", ActivationOperators.softsign
                "Sqrt", ArithmeticOperators.sqrt
                "Squeeze", ShapeOperators.squeeze
                "Sub", ArithmeticOperators.sub
                "Sum", ArithmeticOperators.sum
                "Swish", ActivationOperators.swish
                "Tanh", ActivationOperators.tanh
                "ThresholdedRelu", ActivationOperators.discontinuous
                "Transpose", SelectionOperators.transpose
                "Unsqueeze", ShapeOperators.unsqueeze
                "Upsample", ResizeOperators.upsample
            ]

    let private place position (node: NodeProto) =
        if node.Name = "" then
            $"node {position} ({node.Operator})"
        else
            $"node {position} ({node.Operator} '{node.Name}')"

    /// Which node makes each name, or the node that makes one again.
    let private producers (graph: GraphProto) =
        let producers = Dictionary<string, int>()

        let again position =
            graph.Nodes[position].Outputs
            |> Seq.tryFind (fun name -> name <> "" && not (producers.TryAdd(name, position)))
            |> Option.map (fun name -> position, name)

        match Seq.init graph.Nodes.Count again |> Seq.tryPick id with
        | None -> Ok producers
        | Some(position, name) ->
            Error
                {
                    Place = place position graph.Nodes[position]
                    Text = $"makes '{name}', which exists already"
                }

    /// Which nodes the output needs.
    let private neededNodes (graph: GraphProto) (producers: Dictionary<string, int>) (output: string) =
        let needed = Array.zeroCreate<bool> graph.Nodes.Count
        let wanted = Stack [ output ]

        while wanted.Count > 0 do
            match producers.TryGetValue(wanted.Pop()) with
            | true, position when not needed[position] ->
                needed[position] <- true
                graph.Nodes[position].Inputs |> Seq.iter wanted.Push
            | _ -> ()

        needed

    /// The needed nodes in an order of computation, that of the file where it is one. Nodes that wait for each other are left out.
    let private ordered (graph: GraphProto) (producers: Dictionary<string, int>) (needed: bool[]) =
        let waitsFor position =
            graph.Nodes[position].Inputs
            |> Seq.choose (fun name ->
                match producers.TryGetValue name with
                | true, producer when needed[producer] -> Some producer
                | _ -> None)
            |> Seq.distinct
            |> Array.ofSeq

        let left = Array.zeroCreate<int> needed.Length
        let followers = Array.init needed.Length (fun _ -> ResizeArray<int>())
        let ready = PriorityQueue<int, int>()

        for position in 0 .. needed.Length - 1 do
            if needed[position] then
                let before = waitsFor position
                left[position] <- before.Length
                before |> Array.iter (fun producer -> followers[producer].Add position)

                if before.Length = 0 then
                    ready.Enqueue(position, position)

        let order = ResizeArray<int>()

        while ready.Count > 0 do
            let position = ready.Dequeue()
            order.Add position

            for follower in followers[position] do
                left[follower] <- left[follower] - 1

                if left[follower] = 0 then
                    ready.Enqueue(follower, follower)

        order.ToArray()

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

    /// The output of a node with this number; all but Split have one.
    let private run (node: NodeProto) number context =
        if node.Domain <> "" && node.Domain <> "ai.onnx" then
            Error $"belongs to the operator set '{node.Domain}', which is not supported"
        else
            match Map.tryFind node.Operator operators with
            | Some operator -> guard operator context
            | None when node.Operator = "Split" -> guard (SelectionOperators.split number) context
            | None -> Error $"operator {node.Operator} is not supported"

    /// The state of a walk over the nodes.
    type private Walk
        (
            graph: GraphProto,
            producers: Dictionary<string, int>,
            opset: int64,
            stored: Dictionary<string, TensorProto>,
            output: string,
            budget: int64
        ) =
        let values = Dictionary<string, Value>()
        let needed = neededNodes graph producers output
        let order = ordered graph producers needed
        let uses = countUses graph needed output
        let notices = ResizeArray<string>()
        let concatenations = ResizeArray()
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
                match producers.TryGetValue name with
                | true, position -> Error $"takes '{name}' of node {position}, which was not computed"
                | _ -> Error $"takes '{name}', which no node makes"

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

        let step position (node: NodeProto) =
            result {
                let! inputs = node.Inputs |> traverse lookUp

                let contextOf name =
                    {
                        Node = node
                        Layer = layerName position node stored
                        Inputs = inputs
                        OutputShared = usesOf uses name > 1
                        IsLast = (name = output && usesOf uses name = 1)
                        Opset = opset
                        Charge = charge
                        Notice = notices.Add
                        Concatenations = concatenations
                        LeaveOut = fun left -> softmax <- Some left
                    }

                let value number (name: string) =
                    if number = 0 || node.Operator = "Split" then
                        run node number (contextOf name) |> Result.bind (define name)
                    elif name = "" then
                        Ok()
                    else
                        define
                            name
                            (Unavailable $"'{name}' is a further output of {node.Operator}, which is not supported")

                let! _ =
                    node.Outputs
                    |> Seq.indexed
                    |> traverse (fun (number, name) -> value number name)

                return ()
            }

        /// The value of the output.
        member _.Run(input: ValueInfo, shape: Shape) : Result<Value option, Problem> =
            values[input.Name] <- Computed(Chain.start shape (usesOf uses input.Name > 1))

            let visit position =
                let node = graph.Nodes[position]

                step position node
                |> Result.mapError (fun text ->
                    {
                        Place = place position node
                        Text = text
                    })

            let reached = HashSet<int> order

            let waiting =
                Seq.init needed.Length id
                |> Seq.tryFind (fun position -> needed[position] && not (reached.Contains position))

            result {
                do!
                    match waiting with
                    | None -> Ok()
                    | Some position ->
                        Error
                            {
                                Place = place position graph.Nodes[position]
                                Text = "waits for its own output: the graph has a cycle"
                            }

                let! _ = order |> traverse visit

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
            let! producers = producers graph
            let walk = Walk(graph, producers, opset, stored, output.Name, budget)
            let! value = walk.Run(input, shape)
            let! computed = finish output value

            let! block =
                try
                    Ok(Chain.series computed)
                with :? OverBudgetException as failure ->
                    Interface.problem "" failure.Message

            return
                {
                    Input = Chain.extents shape
                    Block = block
                    Softmax = walk.Softmax
                    Notices = walk.Notices
                }
        }
