namespace LipVerify.Formats.OnnxGraph

/// Nodes and tensors of onnx.proto, as far as the reader uses them, with limits on what a short file can ask for.
module internal NodeSchema =

    /// The most entries of any list of a message but nodes and dimensions.
    let maximalEntries = 1 <<< 16

    /// A list with one more item, of at most so many.
    let add (what: string) limit (list: ResizeArray<'a>) (item: 'a) =
        if list.Count >= limit then
            raise (Malformed $"more than {limit} {what}")

        list.Add item
        list

    /// What a message has at most once.
    let once what (previous: 'a option) (value: 'a) =
        if previous.IsSome then
            raise (Malformed $"{what} is stored twice")

        Some value

    /// A tensor.
    let tensor message : TensorProto =
        let start =
            {
                Name = ""
                Dims = ResizeArray()
                DataType = 0
                Raw = ValueNone
                Singles = ResizeArray()
                Doubles = ResizeArray()
                Int32s = ResizeArray()
                Int64s = ResizeArray()
                External = false
                Segmented = false
            }

        let step (tensor: TensorProto) field =
            match field.Number with
            | 1 ->
                { tensor with
                    Dims = Wire.addIntegers tensor.Dims field
                }
            | 2 ->
                { tensor with
                    DataType = Wire.integer32 field
                }
            | 3 -> { tensor with Segmented = true }
            | 4 ->
                { tensor with
                    Singles = Wire.addNumbers tensor.Singles field
                }
            | 5 ->
                { tensor with
                    Int32s = Wire.addIntegers tensor.Int32s field
                }
            | 7 ->
                { tensor with
                    Int64s = Wire.addIntegers tensor.Int64s field
                }
            | 8 -> { tensor with Name = Wire.text field }
            | 9 ->
                { tensor with
                    Raw = ValueSome(Wire.bytes field)
                }
            | 10 ->
                { tensor with
                    Doubles = Wire.addNumbers tensor.Doubles field
                }
            | 13 -> { tensor with External = true }
            | 14 ->
                { tensor with
                    External = tensor.External || Wire.integer field <> 0L
                }
            | _ -> tensor

        Wire.fold step start message

    let private attribute message : AttributeProto =
        let start =
            {
                Name = ""
                Kind = 0
                Single = ValueNone
                Integer = ValueNone
                Text = ValueNone
                Tensor = None
                Singles = ResizeArray()
                Integers = ResizeArray()
                Other = false
            }

        let step (attribute: AttributeProto) field =
            match field.Number with
            | 1 ->
                { attribute with
                    Name = Wire.text field
                }
            | 2 ->
                { attribute with
                    Single = ValueSome(Wire.single field)
                }
            | 3 ->
                { attribute with
                    Integer = ValueSome(Wire.integer field)
                }
            | 4 ->
                { attribute with
                    Text = ValueSome(Wire.text field)
                }
            | 5 ->
                { attribute with
                    Tensor = once "the tensor of an attribute" attribute.Tensor (tensor (Wire.bytes field))
                }
            | 7 ->
                { attribute with
                    Singles = Wire.addNumbers attribute.Singles field
                }
            | 8 ->
                { attribute with
                    Integers = Wire.addIntegers attribute.Integers field
                }
            | 20 ->
                { attribute with
                    Kind = Wire.integer32 field
                }
            | 6
            | 9
            | 10
            | 11
            | 14
            | 15
            | 21
            | 22
            | 23 -> { attribute with Other = true }
            | _ -> attribute

        Wire.fold step start message

    // More than any operator has: an empty one takes two bytes of the file and a hundred times as many in memory.
    let private maximalAttributes = 64

    /// A node.
    let node message : NodeProto =
        let start =
            {
                Name = ""
                Operator = ""
                Domain = ""
                Inputs = ResizeArray()
                Outputs = ResizeArray()
                Attributes = ResizeArray()
            }

        let step (node: NodeProto) field =
            match field.Number with
            | 1 ->
                { node with
                    Inputs = add "inputs of a node" maximalEntries node.Inputs (Wire.text field)
                }
            | 2 ->
                { node with
                    Outputs = add "outputs of a node" maximalEntries node.Outputs (Wire.text field)
                }
            | 3 -> { node with Name = Wire.text field }
            | 4 -> { node with Operator = Wire.text field }
            | 5 ->
                { node with
                    Attributes =
                        add "attributes of a node" maximalAttributes node.Attributes (attribute (Wire.bytes field))
                }
            | 7 -> { node with Domain = Wire.text field }
            | _ -> node

        Wire.fold step start message
