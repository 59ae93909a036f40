/// Writes ONNX models for tests: the protobuf fields that the reader knows, and the evaluation of what it reads.
module LipVerify.Tests.OnnxWriter

open System
open System.IO
open Google.Protobuf
open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Formats

/// A message from the functions that write its fields.
let message (fields: (CodedOutputStream -> unit) list) : byte[] =
    use stream = new MemoryStream()
    use output = new CodedOutputStream(stream)
    fields |> List.iter (fun write -> write output)
    output.Flush()
    stream.ToArray()

let integer number (value: int64) (output: CodedOutputStream) =
    output.WriteTag(number, WireFormat.WireType.Varint)
    output.WriteInt64 value

let bytes number (value: byte[]) (output: CodedOutputStream) =
    output.WriteTag(number, WireFormat.WireType.LengthDelimited)
    output.WriteBytes(ByteString.CopyFrom value)

let text number (value: string) (output: CodedOutputStream) =
    output.WriteTag(number, WireFormat.WireType.LengthDelimited)
    output.WriteString value

let single number (value: float32) (output: CodedOutputStream) =
    output.WriteTag(number, WireFormat.WireType.Fixed32)
    output.WriteFloat value

// Attributes

let attribute name kind fields =
    message ([ text 1 name; integer 20 kind ] @ fields)

let int name (value: int) =
    attribute name 2L [ integer 3 (int64 value) ]

let ints name (values: int list) =
    attribute name 7L (values |> List.map (fun value -> integer 8 (int64 value)))

let real name value = attribute name 1L [ single 2 value ]
let words name value = attribute name 3L [ text 4 value ]

// Tensors

let tensorOf name (dims: int64 list) (elementType: int64) fields =
    message ((dims |> List.map (integer 1)) @ [ integer 2 elementType; text 8 name ] @ fields)

let private raw (values: 'a[]) (encode: 'a -> byte[]) = bytes 9 (Array.collect encode values)

let doubles name dims (values: float[]) =
    tensorOf name (List.map int64 dims) 11L [ raw values BitConverter.GetBytes ]

let singles name dims (values: float[]) =
    tensorOf name (List.map int64 dims) 1L [ raw values (fun value -> BitConverter.GetBytes(float32 value)) ]

let longs name (values: int list) =
    tensorOf
        name
        [ int64 values.Length ]
        7L
        [ raw (Array.ofList values) (fun value -> BitConverter.GetBytes(int64 value)) ]

// Nodes, graphs and models

let nodeNamed name operator inputs outputs attributes =
    message (
        List.map (text 1) inputs
        @ List.map (text 2) outputs
        @ [ text 3 name; text 4 operator ]
        @ List.map (bytes 5) attributes
    )

let node operator inputs output attributes =
    nodeNamed "" operator inputs [ output ] attributes

type Dimension =
    | Size of int64
    | Name of string

let valueInfo name (dims: Dimension list) =
    let dimension extent =
        match extent with
        | Size size -> message [ integer 1 size ]
        | Name name -> message [ text 2 name ]

    let shape = message (dims |> List.map (dimension >> bytes 1))

    message
        [
            text 1 name
            bytes 2 (message [ bytes 1 (message [ integer 1 1L; bytes 2 shape ]) ])
        ]

let private modelOfOpset version (graph: (CodedOutputStream -> unit) list) =
    let opset = message [ text 1 ""; integer 2 version ]
    message [ integer 1 7L; bytes 8 opset; bytes 7 (message graph) ]

let modelOf graph = modelOfOpset 13L graph

/// A graph of operators of a version, with input `x` and output `y` of an element type; the shape of `y` is not declared.
let modelFor version (elementType: int64) (dims: int list) nodes tensors =
    let tensorType fields =
        message [ bytes 1 (message (integer 1 elementType :: fields)) ]

    let extents =
        message (dims |> List.map (fun extent -> bytes 1 (message [ integer 1 (int64 extent) ])))

    modelOfOpset
        version
        (List.map (bytes 1) nodes
         @ List.map (bytes 5) tensors
         @ [
             text 2 "drawn"
             bytes 11 (message [ text 1 "x"; bytes 2 (tensorType [ bytes 2 extents ]) ])
             bytes 12 (message [ text 1 "y"; bytes 2 (tensorType []) ])
         ])

/// A graph with input `x` and output `y`.
let modelWith (dims: Dimension list) nodes tensors =
    modelOf (
        List.map (bytes 1) nodes
        @ List.map (bytes 5) tensors
        @ [ bytes 11 (valueInfo "x" dims); bytes 12 (valueInfo "y" []) ]
    )

/// The same with fixed extents.
let model (dims: int list) nodes tensors =
    modelWith (dims |> List.map (int64 >> Size)) nodes tensors

let parse (file: byte[]) =
    Onnx.parse "model.onnx" (ReadOnlyMemory<byte> file)

let read file =
    match parse file with
    | Ok model -> model
    | Error error -> failwith (LoadError.text error)

/// The error line of a model that must be refused.
let refusal file =
    match parse file with
    | Ok _ -> failwith "the model was read"
    | Error error -> LoadError.text error

let evaluate (network: Network) (input: float[]) =
    let context = Context.create (Engines.Create("managed", 1))

    Network.evaluate context network (Tensor.ofArray network.InputShape input)
    |> Tensor.values

/// Multiples of 1/8 between −2 and 2, drawn from a seed: sums and products of few of them are exact.
let draw seed count =
    let random = Random(seed: int)
    Array.init count (fun _ -> float (random.Next(-16, 17)) / 8.0)

/// What the model makes of an input drawn from a seed, and that input.
let outcome seed file =
    let network = (read file).Network
    let input = draw seed (Shape.size network.InputShape)
    input, evaluate network input
