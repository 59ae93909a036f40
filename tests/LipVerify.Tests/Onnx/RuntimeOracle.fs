/// ONNX Runtime, which shares no code with the reader: what it makes of a model.
module LipVerify.Tests.RuntimeOracle

open System
open Microsoft.ML.OnnxRuntime
open Expecto

/// What the runtime made of a model and an input.
type Evaluation =
    /// The values of the output `y`.
    | Evaluated of float[]
    /// The model is no valid one, or its nodes do not fit each other.
    | Invalid of string
    /// The model may be valid, but the runtime has no kernel for a node of it.
    | NoKernel of string

let private options =
    lazy
        (let options = new SessionOptions()
         // Each node is computed as it stands, so that its roundings can be counted.
         options.GraphOptimizationLevel <- GraphOptimizationLevel.ORT_DISABLE_ALL
         options.IntraOpNumThreads <- 1
         options.LogSeverityLevel <- OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL
         options)

/// Skips a test where the native library is not to be had.
let require () =
    try
        options.Force() |> ignore
    with
    | :? TypeInitializationException
    | :? DllNotFoundException as failure ->
        skiptest $"ONNX Runtime cannot be loaded on this machine: {failure.GetBaseException().Message}"

let private tensor isDouble (dims: int list) (values: float[]) =
    let shape = dims |> List.map int64 |> Array.ofList

    if isDouble then
        OrtValue.CreateTensorValueFromMemory<float>(values, shape)
    else
        OrtValue.CreateTensorValueFromMemory<float32>(Array.map float32 values, shape)

let private values isDouble (output: OrtValue) =
    if isDouble then
        output.GetTensorDataAsSpan<float>().ToArray()
    else
        output.GetTensorDataAsSpan<float32>().ToArray() |> Array.map float

/// Runs a model with input `x` and output `y`, both of doubles or both of singles.
let run isDouble (model: byte[]) (dims: int list) (input: float[]) =
    try
        use session = new InferenceSession(model, options.Value)
        use x = tensor isDouble dims input
        use runOptions = new RunOptions()
        use outputs = session.Run(runOptions, [| "x" |], [| x |], [| "y" |])
        Evaluated(values isDouble outputs[0])
    with :? OnnxRuntimeException as failure ->
        if
            failure.Message.Contains "NOT_IMPLEMENTED"
            || failure.Message.Contains "NotImplemented"
        then
            NoKernel failure.Message
        else
            Invalid failure.Message
