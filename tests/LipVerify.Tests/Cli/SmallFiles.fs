/// The files of a network that a command line takes a moment for.
module LipVerify.Tests.SmallFiles

open System.IO
open LipVerify.Core.Computation
open LipVerify.Formats

/// Writes a network 2-2-2 as a state dict with its architecture, and an input; gives the path of each by its name.
let write folder =
    let path name = Path.Combine(folder, name)

    let matrix (values: float list) =
        Tensor.ofArray [ 2; 2 ] (Array.ofList values)

    let bytes =
        Safetensors.write
            []
            [
                "fc1.weight", matrix [ 1.0; 0.5; -0.25; 1.0 ]
                "fc1.bias", Tensor.vector [| 0.0; 0.125 |]
                "fc2.weight", matrix [ 1.0; -1.0; 0.5; 2.0 ]
                "fc2.bias", Tensor.vector [| 0.25; 0.0 |]
            ]

    File.WriteAllBytes(path "small.safetensors", bytes)

    File.WriteAllText(
        path "small.json",
        """{ "input": [2], "layers": [ { "type": "linear", "name": "fc1", "in": 2, "out": 2 }, { "type": "relu" },
             { "type": "linear", "name": "fc2", "in": 2, "out": 2 } ] }"""
    )

    File.WriteAllText(path "x.csv", "0.5,-0.25\n")

    // One for pictures of 1 × 2 pixels, and a picture.
    File.WriteAllText(
        path "picture.json",
        """{ "input": [1, 1, 2], "layers": [ { "type": "flatten" }, { "type": "linear", "name": "fc1", "in": 2, "out": 2 }, { "type": "relu" },
             { "type": "linear", "name": "fc2", "in": 2, "out": 2 } ] }"""
    )

    File.WriteAllBytes(
        path "x.png",
        Png.write
            {
                Width = 4
                Height = 2
                Channels = 1
                Pixels = Array.init 8 (fun i -> byte (20 * i))
            }
    )

    path
