// How far can the answer of a digit classifier move when its input moves a little?
// Run it with: dotnet run --project samples/QuickStart.FSharp

open System
open System.IO
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Analytic
open LipVerify.Formats

let samples = Path.Combine(AppContext.BaseDirectory, "mnist")

/// The network, and a picture of an eight in the shape that it takes.
let load () : Result<Network * Tensor, LoadError> =
    ModelSource.load (Path.Combine(samples, "mnist-net.onnx")) None
    |> Result.bind (fun model ->
        Path.Combine(samples, "digits", "8.png")
        |> InputSource.load model.Network.InputShape Preprocessing.mnist
        |> Result.map (fun digit -> model.Network, digit))

let print subject (bound: Bound) =
    printfn $"{subject}: Lipschitz constant ≤ {Figure.upwardTo 8 bound.Value} ({Rigor.label bound.Rigor})"

let printLayer (layer: LayerBound) =
    printfn
        $"    {layer.Name, -12} ≤ {Figure.upward layer.Lipschitz.Value, -8} {layer.Active, 4} of {layer.Size, 4} outputs active"

let report (network: Network, digit: Tensor) =
    let context = Context.create (Engines.Create("auto", 0))
    let logits = Network.evaluate context network digit |> Tensor.values
    printfn $"the network reads an {Array.IndexOf(logits, Array.max logits)}"

    for radius in [ 0.01; 0.1 ] |> List.choose (Radius.create >> Result.toOption) do
        let result = Analytic.bound context Nominal network digit radius
        print $"within radius {Figure.exact radius.Value}" result.Bound
        List.iter printLayer result.Layers

    print "anywhere" (Global.bound context network).Bound

match load () with
| Ok loaded -> report loaded
| Error problem ->
    eprintfn $"{LoadError.text problem}"
    exit 2
