/// Files written by torch 2, numpy and Pillow, with what these libraries read from them.
module LipVerify.Tests.FormatsGoldenTests

open System.IO
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Tests.FormatsWriters

/// The nearest folder above the tests that holds this path.
let private above (path: string) =
    let rec search (folder: DirectoryInfo | null) =
        match folder with
        | null -> None
        | folder when Path.Exists(Path.Combine(folder.FullName, path)) -> Some(Path.Combine(folder.FullName, path))
        | folder -> search folder.Parent

    search (DirectoryInfo System.AppContext.BaseDirectory)

let private fixture name =
    match above (Path.Combine("fixtures", name)) with
    | Some path -> path
    | None -> failwith $"no file fixtures/{name} above the tests"

let private checkTensor (label: string) (tensor: Tensor) shape (sum: float) (first: float list) =
    let values = Tensor.values tensor
    Expect.isTrue (tensor.Shape = shape) $"{label} has shape {Shape.text tensor.Shape}"
    shouldEqual (label, first) (label, List.ofArray (Array.truncate 3 values))
    // The sums were taken in another order: n additions err by at most n ulp of the sum of absolute values.
    let tolerance = float values.Length * 2.3e-16 * Array.sumBy abs values
    Expect.isWithin (max tolerance 1e-300) (Array.sum values) sum label

let private stateDicts =
    [
        "small.pt",
        "0.weight",
        [ 5; 6 ],
        0.4959234860725701,
        [ 0.03733830899000168; -0.2277919203042984; 0.16032452881336212 ]
        "small.pt", "1.num_batches_tracked", [], 3.0, [ 3.0 ]
        "small.pt",
        "3.bias",
        [ 3 ],
        0.30312761664390564,
        [ -0.20493800938129425; 0.1714637130498886; 0.3366019129753113 ]
        "small-legacy.pt",
        "0.weight",
        [ 5; 6 ],
        0.4959234860725701,
        [ 0.03733830899000168; -0.2277919203042984; 0.16032452881336212 ]
        "small-legacy.pt", "1.num_batches_tracked", [], 3.0, [ 3.0 ]
        "small-legacy.pt",
        "3.bias",
        [ 3 ],
        0.30312761664390564,
        [ -0.20493800938129425; 0.1714637130498886; 0.3366019129753113 ]
        "nested.pt",
        "0.weight",
        [ 5; 6 ],
        0.4959234860725701,
        [ 0.03733830899000168; -0.2277919203042984; 0.16032452881336212 ]
        "checkpoint-legacy.pt",
        "0.weight",
        [ 5; 6 ],
        0.4959234860725701,
        [ 0.03733830899000168; -0.2277919203042984; 0.16032452881336212 ]
        "checkpoint-legacy.pt",
        "3.bias",
        [ 3 ],
        0.30312761664390564,
        [ -0.20493800938129425; 0.1714637130498886; 0.3366019129753113 ]
        "views.pt", "transposed", [ 5; 4 ], -410.0, [ -30.0; -25.0; -20.0 ]
        "views.pt", "permuted", [ 5; 3; 4 ], -30.0, [ -30.0; -25.0; -20.0 ]
        "views.pt",
        "shared_a",
        [ 3; 4 ],
        16.285714268684387,
        [ 0.5714285969734192; 0.7142857313156128; 0.8571428656578064 ]
        "views.pt",
        "shared_b",
        [ 10 ],
        33.571428179740906,
        [ 1.4285714626312256; 1.8571428060531616; 2.2857143878936768 ]
        "views.pt",
        "every_other",
        [ 3; 4 ],
        46.28571438789368,
        [ 1.1428571939468384; 1.4285714626312256; 1.7142857313156128 ]
        "views.pt", "expanded", [ 2; 3 ], 12.0, [ 1.5; 1.5; 1.5 ]
        "views.pt", "whole", [ 48 ], 161.14285714924335, [ 0.0; 0.1428571492433548; 0.2857142984867096 ]
        "views.pt", "scalar", [], 1.2857142686843872, [ 1.2857142686843872 ]
        "views-legacy.pt", "transposed", [ 5; 4 ], -410.0, [ -30.0; -25.0; -20.0 ]
        "views-legacy.pt", "permuted", [ 5; 3; 4 ], -30.0, [ -30.0; -25.0; -20.0 ]
        "views-legacy.pt",
        "shared_a",
        [ 3; 4 ],
        16.285714268684387,
        [ 0.5714285969734192; 0.7142857313156128; 0.8571428656578064 ]
        "views-legacy.pt",
        "shared_b",
        [ 10 ],
        33.571428179740906,
        [ 1.4285714626312256; 1.8571428060531616; 2.2857143878936768 ]
        "views-legacy.pt",
        "every_other",
        [ 3; 4 ],
        46.28571438789368,
        [ 1.1428571939468384; 1.4285714626312256; 1.7142857313156128 ]
        "views-legacy.pt", "expanded", [ 2; 3 ], 12.0, [ 1.5; 1.5; 1.5 ]
        "views-legacy.pt", "whole", [ 48 ], 161.14285714924335, [ 0.0; 0.1428571492433548; 0.2857142984867096 ]
        "views-legacy.pt", "scalar", [], 1.2857142686843872, [ 1.2857142686843872 ]
        "bfloat16.pt", "0.weight", [ 5; 6 ], 0.496246337890625, [ 0.037353515625; -0.2275390625; 0.16015625 ]
        "bfloat16.pt", "special", [ 6 ], 3.00405527047391e+38, [ 0.0; -0.0; 9.183549615799121e-41 ]
        "float16-legacy.pt",
        "0.weight",
        [ 5; 6 ],
        0.4952735900878906,
        [ 0.037353515625; -0.227783203125; 0.1602783203125 ]
        "float16-legacy.pt", "special", [ 6 ], 65504.33319097757, [ 0.0; -0.0; 5.960464477539063e-08 ]
        "parameters.pt",
        "0.weight",
        [ 5; 6 ],
        0.4959234860725701,
        [ 0.03733830899000168; -0.2277919203042984; 0.16032452881336212 ]
        "stored.npz",
        "fc1.weight",
        [ 5; 4 ],
        -3.86025607585907,
        [ 0.23730184137821198; 0.10143398493528366; 0.2525777220726013 ]
        "stored.npz",
        "fc1.bias",
        [ 5 ],
        2.5548382848501205,
        [ -0.28263524174690247; 0.1086483746767044; 1.438239574432373 ]
        "stored.npz",
        "fc2.weight",
        [ 3; 5 ],
        3.0952682234748945,
        [ 0.3319742154884982; 0.7350265843773598; -0.1928554603497804 ]
        "stored.npz", "steps", [], 17.0, [ 17.0 ]
        "stored.npz", "be", [ 2 ], -0.75, [ 1.5; -2.25 ]
        "compressed.npz",
        "fc1.weight",
        [ 5; 4 ],
        -3.86025607585907,
        [ 0.23730184137821198; 0.10143398493528366; 0.2525777220726013 ]
        "compressed.npz",
        "fc1.bias",
        [ 5 ],
        2.5548382848501205,
        [ -0.28263524174690247; 0.1086483746767044; 1.438239574432373 ]
        "compressed.npz",
        "fc2.weight",
        [ 3; 5 ],
        3.0952682234748945,
        [ 0.3319742154884982; 0.7350265843773598; -0.1928554603497804 ]
        "compressed.npz", "steps", [], 17.0, [ 17.0 ]
        "compressed.npz", "be", [ 2 ], -0.75, [ 1.5; -2.25 ]
        // Every number of this archive is in a zip64 field.
        "zip64.npz",
        "f8",
        [ 3; 4 ],
        -0.05636808156796536,
        [ 1.690525703800356; -0.4659373705408328; 0.0328201636785844 ]
    ]

let private arrays =
    [
        "fortran-f8.npy",
        [ 3; 4; 2 ],
        -1.4515472815348784,
        [ 1.6506996911864755; 0.15433553545635803; -0.3871399432863881 ]
        "big-endian-f4.npy",
        [ 3; 4 ],
        -0.05636813543969765,
        [ 1.6905256509780884; -0.46593737602233887; 0.032820165157318115 ]
        "version2.npy", [ 3; 4 ], -0.05636808156796536, [ 1.690525703800356; -0.4659373705408328; 0.0328201636785844 ]
        "f2.npy", [ 3; 4 ], -0.0567164421081543, [ 1.6904296875; -0.4658203125; 0.032806396484375 ]
        "scalar.npy", [], 2.75, [ 2.75 ]
    ]

let private pictures =
    [
        "grey-filter-1-sub.png", 1, 14754, [ 0uy; 17uy; 34uy ]
        "grey-filter-2-up.png", 1, 14754, [ 0uy; 17uy; 34uy ]
        "grey-filter-3-average.png", 1, 14754, [ 0uy; 17uy; 34uy ]
        "grey-filter-4-paeth.png", 1, 14754, [ 0uy; 17uy; 34uy ]
        "rgb-all-filters-split-idat.png", 3, 44811, [ 0uy; 0uy; 255uy ]
        "palette.png", 3, 44760, [ 10uy; 0uy; 251uy ]
        "rgba.png", 4, 59173, [ 76uy; 109uy; 164uy ]
        "grey-alpha.png", 2, 29468, [ 76uy; 109uy; 85uy ]
    ]

[<Tests>]
let tests =
    testList
        "FormatsGolden"
        [
            testCase "state dicts of torch and numpy hold what these read from them" (fun () ->
                for file, name, shape, sum, first in stateDicts do
                    let state = StateDict.load (fixture file) |> valueOf

                    match state.TryFind name with
                    | Some tensor -> checkTensor $"{file} {name}" tensor shape sum first
                    | None -> failtest $"{file} has no {name}")

            testCase "arrays of numpy hold what numpy reads from them" (fun () ->
                for file, shape, sum, first in arrays do
                    checkTensor file (Npy.load (fixture file) |> valueOf) shape sum first)

            testCase "pictures of Pillow hold what it reads from them" (fun () ->
                for file, channels, sum, first in pictures do
                    let picture = Png.load (fixture file) |> valueOf
                    Expect.isTrue ((picture.Width, picture.Height, picture.Channels) = (13, 9, channels)) file
                    Expect.equal (Array.sumBy int picture.Pixels) sum file
                    shouldEqual (file, first) (file, List.ofArray (Array.truncate first.Length picture.Pixels)))

            testCase "files that must be refused are refused with the reason" (fun () ->
                StateDict.load (fixture "whole-module.pt")
                |> shouldFail [ "whole-module.pt: data.pkl at byte 2"; "torch.nn.modules.linear.Linear" ]

                StateDict.load (fixture "integers.pt")
                |> shouldFail [ "i64"; "-4611686018427387903 at position 3" ]

                Npy.load (fixture "object.npy") |> shouldFail [ "Python objects" ]
                Npy.load (fixture "structured.npy") |> shouldFail [ "records" ]
                Png.load (fixture "16bit.png") |> shouldFail [ "bit depth 16" ]
                Png.load (fixture "interlaced.png") |> shouldFail [ "interlaced" ]

                Png.load (fixture "bad-crc.png")
                |> shouldFail [ "chunk IDAT at byte 33"; "checksum" ]

                (Png.load (fixture "rgba.png") |> Result.bind (Image.toTensor "rgba.png"))
                |> shouldFail [ "transparent" ])

            testCase "the published MNIST network and its input load" (fun () ->
                match above (Path.Combine("shared", "data", "mnist-net")) with
                | None -> skiptest "shared/data/mnist-net is not here"
                | Some folder ->
                    let state = StateDict.load (Path.Combine(folder, "mnist-net.ckpt")) |> valueOf

                    let shapes = [ for name, tensor in state.Tensors -> name, tensor.Shape ]

                    shouldEqual
                        [
                            "conv1.weight", [ 6; 1; 5; 5 ]
                            "conv1.bias", [ 6 ]
                            "conv2.weight", [ 16; 6; 5; 5 ]
                            "conv2.bias", [ 16 ]
                            "fc1.weight", [ 120; 256 ]
                            "fc1.bias", [ 120 ]
                            "fc2.weight", [ 84; 120 ]
                            "fc2.bias", [ 84 ]
                            "fc3.weight", [ 10; 84 ]
                            "fc3.bias", [ 10 ]
                        ]
                        shapes

                    let picture =
                        (Png.load (Path.Combine(folder, "8.png")) |> Result.bind (Image.toTensor "8.png"))
                        |> valueOf

                    Expect.isTrue (picture.Shape = [ 1; 28; 28 ]) "picture.Shape = [ 1; 28; 28 ]"
                    Expect.equal (Array.sum (Tensor.values picture)) 36888.0 "Array.sum (Tensor.values picture)")
        ]
