/// Architectures, the zoo, and inputs.
module LipVerify.Tests.ModelsTests

open System
open System.IO
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Formats

let private context = Context.create (Engines.Create("managed", 1))

let private valueOf result =
    match result with
    | Ok value -> value
    | Error error -> failwith (LoadError.text error)

let private problemOf result =
    match result with
    | Ok _ -> failwith "expected an error"
    | Error error -> LoadError.text error

let private zoo spec =
    (ModelSource.load spec None |> valueOf).Network

let private inFile extension (text: string) action =
    let path =
        Path.Combine(Path.GetTempPath(), $"lipverify-{Guid.NewGuid()}{extension}")

    try
        File.WriteAllText(path, text)
        action path
    finally
        File.Delete path

let private contains (part: string) (text: string) = Expect.stringContains text part "text"

/// Shapes after each layer of a network, reading from the input.
let private shapes network =
    Network.layers network |> List.map _.Output

let private description =
    """{ "input": [2, 8, 8], "layers": [
        { "type": "conv2d", "name": "c", "in": 2, "out": 4, "kernel": [3, 2], "stride": 2, "padding": [1, 0], "groups": 2, "bias": false },
        { "type": "batchnorm2d", "name": "b", "channels": 4 },
        { "type": "relu" }, { "type": "maxpool2d", "kernel": 2, "stride": 1 }, { "type": "avgpool2d", "kernel": 3, "stride": 1 },
        { "type": "adaptiveavgpool2d", "output": 1 }, { "type": "flatten" }, { "type": "dropout" },
        { "type": "linear", "name": "l", "in": 4, "out": 3 } ] }"""

/// Parameters that are all ones.
let private ones: ParameterSource = fun _ shape -> Ok(Tensor.create shape 1.0)

let private load shape preprocessing source =
    InputSource.load shape preprocessing source

[<Tests>]
let tests =
    testList
        "Models"
        [
            testCase "mnist-net has the layers of the published network at their positions" (fun () ->
                let network = zoo "zoo:mnist-net"

                let weighted =
                    Network.layers network
                    |> List.filter (fun layer -> Layer.parameterCount layer.Layer > 0)
                    |> List.map (fun layer -> layer.Index, layer.Name, layer.Output)

                let expected: (int * string * Shape) list =
                    [
                        0, "conv1", [ 6; 24; 24 ]
                        3, "conv2", [ 16; 8; 8 ]
                        7, "fc1", [ 120 ]
                        9, "fc2", [ 84 ]
                        11, "fc3", [ 10 ]
                    ]

                Expect.isTrue (weighted = expected) "weighted = expected"
                Expect.equal (Network.parameterCount network) 44426 "Network.parameterCount network")

            testCase "cifar10-net flattens to 1600 values" (fun () ->
                let network = zoo "zoo:cifar10-net"
                Expect.isTrue (shapes network |> List.contains [ 1600 ]) "shapes network |> List.contains [ 1600 ]"
                Expect.isTrue (network.OutputShape = [ 10 ]) "network.OutputShape = [ 10 ]")

            testTheory
                "large architectures have torchvision's parameters"
                [ "alexnet", 61100840; "vgg16", 138357544 ]
                (fun (name: string, count: int) ->
                    // From the description alone, so that the test does not draw 138 million weights.
                    let parameters layer =
                        match layer with
                        | Conv2d(_, inputs, outputs, window, groups, _) ->
                            outputs * inputs / groups * fst window.Kernel * snd window.Kernel + outputs
                        | Linear(_, inputs, outputs, _) -> inputs * outputs + outputs
                        | _ -> 0

                    let architecture = KnownArchitectures.tryFind name |> Option.get

                    Expect.equal
                        (architecture.Layers |> List.sumBy parameters)
                        count
                        "architecture.Layers |> List.sumBy parameters")

            testCase "equal seeds give equal networks, others do not" (fun () ->
                let weights spec =
                    match (Network.layers (zoo spec)).Head.Layer with
                    | Affine(Convolution convolution, _) -> Tensor.values convolution.Weights
                    | _ -> failwith "a convolution comes first"

                Expect.isTrue
                    (weights "zoo:mnist-net?seed=3" = weights "zoo:mnist-net?seed=3")
                    "weights \"zoo:mnist-net?seed=3\" = weights \"zoo:mnist-net?seed=3\""

                Expect.isTrue
                    (weights "zoo:mnist-net?seed=3" <> weights "zoo:mnist-net?seed=4")
                    "weights \"zoo:mnist-net?seed=3\" <> weights \"zoo:mnist-net?seed=4\"")

            testCase "He weights have variance 2/fan_in" (fun () ->
                match
                    (Network.layers (zoo "zoo:mnist-net"))
                    |> List.find (fun layer -> layer.Name = "fc1")
                with
                | { Layer = Affine(Dense dense, bias) } ->
                    let values = Tensor.values dense.Weights
                    let variance = values |> Array.averageBy (fun w -> w * w)
                    // 30720 samples: the standard error of a variance estimate is √(2/30720) = 0.8 % of it.
                    Expect.isWithin (0.05 * 2.0 / 256.0) variance (2.0 / 256.0) "variance"
                    Expect.equal (Tensor.countNonZero bias) 0 "Tensor.countNonZero bias"
                | _ -> failwith "fc1 is dense")

            testTheory
                "a wrong name of the zoo is explained"
                [
                    "zoo:lenet", "mnist-net|cifar10-net|alexnet|vgg16"
                    "zoo:mnist-net?seed=x", "integer"
                    "zoo:mnist-net?sed=1", "seed=N"
                    "zoo:mnist-net?seed=-1", "not negative"
                ]
                (fun (spec: string, part: string) -> ModelSource.load spec None |> problemOf |> contains part)

            testCase "the zoo refuses an architecture" (fun () ->
                ModelSource.load "zoo:mnist-net" (Some "vgg16")
                |> problemOf
                |> contains "--architecture")

            testCase "an architecture file gives the network it describes" (fun () ->
                inFile ".json" description (fun path ->
                    let network =
                        ArchitectureFile.load path
                        |> valueOf
                        |> Architecture.build ones
                        |> Result.toOption
                        |> Option.get

                    let expected: Shape list =
                        [
                            [ 4; 4; 4 ]
                            [ 4; 4; 4 ]
                            [ 4; 4; 4 ]
                            [ 4; 3; 3 ]
                            [ 4; 1; 1 ]
                            [ 4; 1; 1 ]
                            [ 4 ]
                            [ 4 ]
                            [ 3 ]
                        ]

                    Expect.isTrue (shapes network = expected) "shapes network = expected"

                    // With ones everywhere: 6 or 4 inside the convolution, then (x − 1)/√(1 + 1e-5) + 1, pooled to the value of
                    // full windows, summed over 4 channels, plus the bias 1.
                    let output =
                        Network.evaluate context network (Tensor.create [ 2; 8; 8 ] 1.0)
                        |> Tensor.values

                    let normalised = 5.0 / sqrt (1.0 + 1e-5) + 1.0
                    Expect.isWithin 1e-12 output[0] (4.0 * normalised + 1.0) "output[0]"))

            testTheory
                "a wrong architecture file is explained"
                [
                    """{ "input": [1], "layers": [] }""", "at least one layer"
                    """{ "input": [1], "layers": [ { "type": "maxpool2d", "kernel": 2, "strides": 2 } ] }""",
                    "\"strides\" is not known"
                    """{ "input": [1], "layer": [ { "type": "relu" } ] }""", "\"layer\" is not known"
                    """{ "input": [1], "layers": [ { "type": "lstm" } ] }""", "layers[0]"
                    """{ "input": [1], "layers": [ { "type": "relu" }, { "type": "linear", "name": "a", "in": 1 } ] }""",
                    "\"out\" is missing"
                    """{ "input": [0], "layers": [] }""", "positive"
                    """{ "input": [1] }""", "layers"
                    """{ "input": 3, "layers": [] }""", "array of integers"
                    """{ "input": [1], "layers": [ 3 ] }""", "object"
                    """[""", "JSON"
                    """{ "input": [1], "layers": [ { "type": "conv2d", "name": "c", "in": 3, "out": 2, "kernel": 1, "groups": 2 } ] }""",
                    "divide"
                    """{ "input": [1,4,4], "layers": [ { "type": "maxpool2d", "kernel": 2, "stride": -2147483648 } ] }""",
                    "layers[0]: \"stride\" must be from 1 to 65536, not -2147483648"
                    """{ "input": [1,4,4], "layers": [ { "type": "conv2d", "name": "c", "in": 1, "out": 1, "kernel": 1, "padding": 1000000000 } ] }""",
                    "layers[0]: \"padding\" must be from 0"
                    """{ "input": [1,4,4], "layers": [ { "type": "relu" }, { "type": "adaptiveavgpool2d", "output": [2, 0] } ] }""",
                    "layers[1]: \"output\" must be from 1 to 65536, not 0"
                    """{ "input": [100000,100000], "layers": [ { "type": "relu" } ] }""",
                    "input: an input of 100000×100000 is too large"
                ]
                (fun (text: string, part: string) ->
                    inFile ".json" text (fun path -> ArchitectureFile.load path |> problemOf |> contains part))

            testTheory
                "an architecture that cannot be built is explained"
                [
                    """{ "input": [1,4,4], "layers": [ { "type": "maxpool2d", "kernel": 9 } ] }""", "layer 0 (maxpool1)"
                    """{ "input": [1,4,4], "layers": [ { "type": "conv2d", "name": "c", "in": 2, "out": 1, "kernel": 1 } ] }""",
                    "2×4×4"
                    """{ "input": [4], "layers": [ { "type": "conv2d", "name": "c", "in": 2, "out": 1, "kernel": 1 } ] }""",
                    "channels × height × width"
                    """{ "input": [1,4,4], "layers": [ { "type": "conv2d", "name": "c", "in": 1, "out": 1, "kernel": 1, "padding": 16384 } ] }""",
                    "layer 0 (c): the convolution is too large: a tensor would hold more than 2^28 values"
                    """{ "input": [1,16384,16384], "layers": [ { "type": "relu" }, { "type": "avgpool2d", "kernel": 1 } ] }""",
                    "layer 1 (avgpool1): with its output of 268435456 values the layers have more than 268435456 together"
                ]
                (fun (text: string, part: string) ->
                    inFile ".json" text (fun path ->
                        match ArchitectureFile.load path |> valueOf |> Architecture.build ones with
                        | Ok _ -> failtest "expected an error"
                        | Error problem -> contains part problem))

            testPropertyWithConfig
                { FsCheckConfig.defaultConfig with
                    maxTest = 200
                }
                "no text in an architecture file makes the reader throw"
                (fun (position: int) (replacement: char) ->
                    let index = abs (position % description.Length)
                    let text = description.Remove(index, 1).Insert(index, string replacement)

                    inFile ".json" text (fun path ->
                        match ArchitectureFile.load path with
                        | Ok architecture -> Architecture.build ones architecture |> ignore
                        | Error error -> Expect.stringLacks (LoadError.text error) "\n" "LoadError.text error"))

            testCase "a state dict with tensors that the architecture does not use is refused" (fun () ->
                let folder = Path.Combine(Path.GetTempPath(), $"lipverify-{Guid.NewGuid()}")
                Directory.CreateDirectory folder |> ignore

                try
                    let architecture = Path.Combine(folder, "net.json")
                    let shipped = AppContext.BaseDirectory

                    let rec above (folder: DirectoryInfo | null) =
                        match folder with
                        | null -> failwith "no samples above the tests"
                        | folder ->
                            let file =
                                Path.Combine(folder.FullName, "samples", "mnist", "mnist-net.safetensors")

                            if File.Exists file then file else above folder.Parent

                    File.WriteAllText(
                        architecture,
                        """{ "input": [1,28,28], "layers": [ { "type": "conv2d", "name": "conv1", "in": 1, "out": 6, "kernel": 5 } ] }"""
                    )

                    let problem =
                        ModelSource.load (above (DirectoryInfo shipped)) (Some architecture)
                        |> problemOf

                    contains "conv2" problem
                    contains "does not use" problem
                finally
                    Directory.Delete(folder, true))

            testCase "zeros and random inputs have the network's shape" (fun () ->
                let zeros = load [ 2; 3 ] Preprocessing.none "zeros" |> valueOf
                let first = load [ 2; 3 ] Preprocessing.none "random?seed=1" |> valueOf
                let again = load [ 2; 3 ] Preprocessing.none "random?seed=1" |> valueOf
                Expect.equal (Tensor.countNonZero zeros) 0 "Tensor.countNonZero zeros"
                Expect.isTrue (Tensor.values first = Tensor.values again) "Tensor.values first = Tensor.values again"
                Expect.isTrue (first.Shape = [ 2; 3 ]) "first.Shape = [ 2; 3 ]")

            testCase "a file is normalised channel by channel" (fun () ->
                let preprocessing =
                    Preprocessing.create [ 1.0; 2.0 ] [ 2.0; 4.0 ] |> Result.toOption |> Option.get

                inFile ".npy" "" (fun path ->
                    File.WriteAllBytes(path, Npy.write (Tensor.ofArray [ 2; 1; 2 ] [| 1.0; 3.0; 2.0; 6.0 |]))
                    let input = load [ 2; 1; 2 ] preprocessing path |> valueOf

                    Expect.isTrue
                        (Tensor.values input = [| 0.0; 1.0; 0.0; 1.0 |])
                        "Tensor.values input = [| 0.0; 1.0; 0.0; 1.0 |]"))

            testCase "pixels are divided by 255 before they are normalised" (fun () ->
                let image =
                    {
                        Width = 2
                        Height = 1
                        Channels = 1
                        Pixels = [| 0uy; 255uy |]
                    }

                inFile ".png" "" (fun path ->
                    File.WriteAllBytes(path, Png.write image)
                    let input = load [ 1; 1; 2 ] Preprocessing.mnist path |> valueOf
                    Expect.isTrue (Tensor.values input = [| (0.0 - 0.1307) / 0.3081; (1.0 - 0.1307) / 0.3081 |]) ""))

            testCase "an input of another shape is refused with both shapes" (fun () ->
                inFile ".csv" "1,2,3\n4,5,6\n" (fun path ->
                    let problem = load [ 3; 2 ] Preprocessing.none path |> problemOf
                    contains "3×2" problem
                    contains "2×3" problem))

            testTheory
                "a flat list of values, or extents of 1, fit the network's shape"
                [ "1,2,3,4", true; "1,2\n3,4", true; "1,2,3", false ]
                (fun (text: string, fits: bool) ->
                    inFile ".csv" text (fun path ->
                        Expect.equal
                            (load [ 1; 2; 2 ] Preprocessing.none path |> Result.isOk)
                            fits
                            "load [ 1; 2; 2 ] Preprocessing.none path |> Result.isOk"))

            testTheory
                "a wrong input is explained"
                [
                    "nothing.txt", "random[?seed=N]"
                    "nothing.npy", "no such file"
                    "random?sed=1", "only ?seed=N"
                ]
                (fun (source: string, part: string) ->
                    load [ 1 ] Preprocessing.none source |> problemOf |> contains part)

            testCase "statistics must fit the channels" (fun () ->
                inFile ".csv" "1,2,3,4" (fun path ->
                    let cifar = Preprocessing.find "cifar10" |> Result.toOption |> Option.get
                    load [ 4 ] cifar path |> problemOf |> contains "3 means"))
        ]
