/// Files that others wrote, against outputs that others computed.
module LipVerify.Tests.OnnxGoldenTests

open System
open System.IO
open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Formats
open LipVerify.Tests.OnnxWriter

let private root =
    let rec climb (folder: DirectoryInfo | null) =
        match folder with
        | null -> failwith "the tests do not run inside the repository"
        | folder when File.Exists(Path.Combine(folder.FullName, "LipVerify.sln")) -> folder.FullName
        | folder -> climb folder.Parent

    climb (DirectoryInfo AppContext.BaseDirectory)

let private shared = Path.GetFullPath(Path.Combine(root, "..", "shared"))

let private load path =
    match Onnx.load path with
    | Ok model -> model.Network
    | Error error -> failwith (LoadError.text error)

let private numbers (element: JsonElement) =
    element.EnumerateArray() |> Seq.map _.GetDouble() |> Array.ofSeq

let private largest (values: float[]) = values |> Array.map abs |> Array.max

let private agree relative (expected: float[]) (actual: float[]) =
    Expect.equal actual.Length expected.Length "length"
    let error = Array.map2 (fun (a: float) b -> a - b) expected actual |> largest
    Expect.isLessThanOrEqual error (relative * max 1.0 (largest expected)) "error"

let private sample (name: string) =
    Path.Combine(root, "samples", "mnist", name)

[<Tests>]
let tests =
    testList
        "OnnxGolden"
        [
            testCase "the reference files give the reference outputs" (fun () ->
                let reference = Path.Combine(shared, "reference", "onnx-forward.json")

                if not (File.Exists reference) then
                    skiptest $"{reference} is not there"

                use document = JsonDocument.Parse(File.ReadAllText reference)

                for entry in document.RootElement.EnumerateObject() do
                    let network = load (Path.Combine(shared, "data", "onnx", entry.Name))

                    let input =
                        Array.init (Shape.size network.InputShape) (fun k -> float ((7 * k) % 11) / 10.0 - 0.5)
                    // Both sides sum in double precision, in different orders: a few thousand roundings of 1e-16.
                    agree 1e-9 (numbers (entry.Value.GetProperty "output")) (evaluate network input))

            testCase "the sample network reproduces the logits of its digits" (fun () ->
                let network = load (sample "mnist-net.onnx")
                use document = JsonDocument.Parse(File.ReadAllText(sample "logits.json"))

                for entry in document.RootElement.EnumerateObject() do
                    match Png.load (sample entry.Name) with
                    | Error error -> failwith (LoadError.text error)
                    | Ok image ->
                        let input =
                            image.Pixels |> Array.map (fun pixel -> (float pixel / 255.0 - 0.1307) / 0.3081)
                        // Sums of at most 256 terms through five layers: a few hundred roundings of 1e-16.
                        agree 1e-12 (numbers entry.Value) (evaluate network input))

            testCase "the sample network for pictures reproduces their logits" (fun () ->
                let folder = Path.Combine(root, "samples", "pictures")

                let valueOf result =
                    Result.defaultWith (LoadError.text >> failwith) result

                let network =
                    ModelSource.load (Path.Combine(folder, "cifar10-net.safetensors")) (Some "cifar10-net")
                    |> valueOf
                    |> _.Network

                let preprocessing = Preprocessing.find "cifar10" |> Result.defaultWith failwith

                use document =
                    JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "logits.json")))

                let entries = document.RootElement.EnumerateObject() |> List.ofSeq
                Expect.equal entries.Length 2 "length"

                for entry in entries do
                    let input =
                        InputSource.load network.InputShape preprocessing (Path.Combine(folder, entry.Name))
                        |> valueOf

                    let logits = evaluate network (Tensor.values input)
                    // Sums of at most 1600 terms through six layers: a few hundred roundings of 1e-16.
                    agree 1e-12 (numbers entry.Value) logits
                    let label = Array.IndexOf(logits, Array.max logits)
                    Expect.equal $"pictures/{label}.png" entry.Name "$\"pictures/{label}.png\"")

            testCase "the sample network has the layers of its description" (fun () ->
                let network = load (sample "mnist-net.onnx")

                let affine =
                    Network.layers network
                    |> List.filter (fun placed -> Layer.kind placed.Layer <> "relu")

                Expect.isGreaterThanOrEqual
                    (affine
                     |> List.map _.Name
                     |> List.filter (fun name -> name.Contains "fc" || name.Contains "conv")
                     |> List.length)
                    5
                    ""

                Expect.equal network.InputShape [ 1; 28; 28 ] "input shape"
                Expect.equal network.OutputShape [ 10 ] "output shape")
        ]
