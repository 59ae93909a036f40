namespace LipVerify.Formats

open System
open System.Runtime.InteropServices
open LipVerify.Core.Networks
open LipVerify.Formats.OnnxGraph

/// A network read from an ONNX file.
[<ReferenceEquality>]
type OnnxModel =
    {
        /// The network. A leading batch dimension of its input and output is left out.
        Network: Network
        /// The softmax at the end, which the network leaves out.
        Softmax: Softmax option
        /// What of the file is not in the network: one line each.
        Notices: string list
    }

/// ONNX models: feed-forward ReLU networks with constant weights, as the usual exporters write them.
///
/// Weights are the exact doubles of the stored values. The network is the real function that the graph defines on a batch
/// of one: operators on what depends on the input mean their formulas in real numbers, and factors that no double is equal to
/// (batch normalisation, reciprocals of divisors) are known to a few roundings (`Quotients`). Operators between constants are
/// computed as a runtime does it, rounded in their element type (`ConstantArithmetic`). Everything that is not supported is
/// refused with the node, its operator and its position.
module Onnx =

    // Activation-sized tensors (biases and factors of convolutions and normalisations) are not bounded by the file: this
    // many of their values, half a gigabyte, serve every file, and large files may ask for more.
    let private budget (bytes: int) = (1L <<< 26) + 16L * int64 bytes

    let private segment (bytes: ReadOnlyMemory<byte>) =
        match MemoryMarshal.TryGetArray bytes with
        | true, segment -> segment
        | _ -> ArraySegment(bytes.ToArray())

    let private network (reading: Reading) : Result<OnnxModel, string> =
        Network.create reading.Input reading.Block
        |> Result.map (fun network ->
            {
                Network = network
                Softmax = reading.Softmax
                Notices = reading.Notices
            })

    /// Reads a model from the bytes of a file; `source` names them in messages.
    let parse (source: string) (bytes: ReadOnlyMemory<byte>) : Result<OnnxModel, LoadError> =
        let whole outcome =
            outcome |> Result.mapError (LoadError.file source)

        let checkModel (model: ModelProto) =
            if model.Functions > 0 then
                Error(LoadError.file source "functions inside the model are not supported")
            else
                match model.Graph with
                | Some graph -> Ok graph
                | None -> Error(LoadError.file source "no readable ONNX model: it has no graph")

        result {
            let! model = whole (Schema.read (segment bytes))
            let! graph = checkModel model

            let! reading =
                Graph.read (budget bytes.Length) model.Opset graph
                |> Result.mapError (fun problem -> LoadError.at source problem.Place problem.Text)

            return! whole (network reading)
        }

    /// Reads a model from a file.
    let load (path: string) : Result<OnnxModel, LoadError> = Files.parse parse path
