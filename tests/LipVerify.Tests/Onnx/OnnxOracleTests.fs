/// The reader against ONNX Runtime: what it loads has the values that the runtime computes, up to the roundings of both, and what it
/// refuses the runtime refuses too, or the message says that it is not supported.
module LipVerify.Tests.OnnxOracleTests

open System
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Formats
open LipVerify.Propositions.Generators
open LipVerify.Tests.OnnxWriter

let private drawInput (graph: DrawnGraph) =
    graph.Draw.Gaussians(Shape.size graph.Input) |> Array.map graph.Round

/// `(1 + u)^k − 1 ≤ 2ku` for these `k`.
let private share (graph: DrawnGraph) =
    let u =
        if graph.IsDouble then
            Rounding.unitRoundoff
        else
            Math.ScaleB(1.0, -24)

    2.0 * float graph.Roundings * u

/// What a rounding near zero may lose beyond its share, through all factors of a graph: values are nowhere near this small.
let private lostNearZero = Math.ScaleB(1.0, -100)

/// What the runtime makes of a model that the reader loads.
let private evaluated (graph: DrawnGraph) model x =
    match RuntimeOracle.run graph.IsDouble model graph.Input x with
    | RuntimeOracle.Evaluated values -> values
    | RuntimeOracle.NoKernel problem
    | RuntimeOracle.Invalid problem ->
        failwith $"the runtime does not load what the reader loads: {problem}\n{graph.Text}"

let private enclose (network: Network) x =
    EnclosedTensor.evaluate context network (Tensor.ofArray network.InputShape x)

/// Holds the values of a network against those of the runtime.
let private agrees (graph: DrawnGraph) (network: Network) =
    let x = drawInput graph
    let runtime = evaluated graph (graph.Model()) x

    // Sums of non-negative numbers: they are right up to their own roundings.
    let sizes =
        evaluated graph (graph.SizeModel()) (Array.map abs x)
        |> Array.map (fun size -> size * (1.0 + 2.0 * share graph))

    let ours = enclose network x
    let values, errors = Tensor.values ours.Value, Tensor.values ours.Error
    Expect.equal values.Length runtime.Length graph.Text

    for i in 0 .. values.Length - 1 do
        let allowed = errors[i] + share graph * sizes[i] + lostNearZero
        Expect.isWithin allowed runtime[i] (values[i]) $"output {i}\n{graph.Text}"

/// Runtimes approximate the exponential, to a few units of single precision; another axis is off by far more.
let private exponentials = 1e-5

/// The reader's verdict on a model, which must be the runtime's.
let private judge name (graph: DrawnGraph) =
    let file = graph.Model()

    match parse file, RuntimeOracle.run graph.IsDouble file graph.Input (drawInput graph) with
    | Ok model, RuntimeOracle.Evaluated _ -> agrees graph model.Network
    | Error error, RuntimeOracle.Evaluated _ ->
        Expect.stringContains (LoadError.text error) "support" $"{name}: the runtime evaluates it; {graph.Text}"
    | Ok _, RuntimeOracle.Invalid problem ->
        failtest $"{name}: the reader loads what the runtime refuses: {problem}; {graph.Text}"
    | Ok _, RuntimeOracle.NoKernel _
    | Error _, _ -> ()

[<Tests>]
let tests =
    testList
        "OnnxOracle"
        [
            testCase "random graphs have the values that ONNX Runtime computes" (fun () ->
                RuntimeOracle.require ()

                check 600 DrawnNodes.grow (fun graph ->
                    match parse (graph.Model()) with
                    | Ok model -> agrees graph model.Network
                    | Error error -> failtest $"{LoadError.text error}\n{graph.Text}"))

            testCase "a Softmax that is left out gives the outputs of the file" (fun () ->
                RuntimeOracle.require ()

                check 100 DrawnNodes.grow (fun graph ->
                    let rank = graph.Shape.Length

                    let attributes =
                        // The axis 1, the default of old versions, is none of a vector.
                        if rank > 1 && graph.Draw.Chance 0.3 then
                            []
                        else
                            let axis = graph.Draw.Int(0, rank - 1)
                            [ int "axis" (if graph.Draw.Chance 0.5 then axis - rank else axis) ]

                    let file = graph.ModelEndingIn("Softmax", attributes)
                    let model = read file
                    let x = drawInput graph
                    let runtime = evaluated graph file x
                    let logits = (enclose model.Network x).Value |> Tensor.values
                    let shown = Softmax.apply model.Softmax.Value logits
                    let sizes = evaluated graph (graph.SizeModel()) (Array.map abs x)
                    // The entries of its Jacobian add up to at most 1/2 in each row, so errors of logits grow no larger.
                    let allowed = share graph * Array.max sizes + exponentials
                    Expect.equal runtime.Length shown.Length graph.Text
                    Array.iter2 (fun a b -> Expect.isWithin allowed a b graph.Text) runtime shown))

            testTheory
                "what the reader refuses ONNX Runtime refuses too, or the message says that it is not supported"
                OddNodes.Cases.Names
                (fun name ->
                    RuntimeOracle.require ()

                    for opset in [ 9; 11; 13; 15; 18; 21 ] do
                        judge name (OddNodes.Cases.Draw(name, opset)))

            testCase "a batch of two is refused with what would do" (fun () ->
                let w = doubles "w" [ 4; 3 ] (draw 1 12)
                let line = refusal (model [ 2; 4 ] [ node "Gemm" [ "x"; "w" ] "y" [] ] [ w ])
                Expect.stringContains line "batch of 1" "line"
                Expect.stringContains line "x[:1]" "line")
        ]
