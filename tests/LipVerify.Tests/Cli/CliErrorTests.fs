/// Bad usage and bad input: exit code 2, one line on standard error that says what is wrong, nothing on standard output.
module LipVerify.Tests.CliErrorTests

open System
open System.IO
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Tests.CliRun

let private zoo arguments =
    [ "bound"; "zoo:mnist-net"; "--input"; "zeros"; "--radius"; "0.1" ] @ arguments

let private stateDict arguments = [ "info"; safetensors ] @ arguments

/// Command lines, each with parts of the line that it must give.
let private mistakes: (string list * string list) list =
    [
        // the command
        [ "--threads"; "2" ], [ "a command is needed"; "bound"; "compare" ]
        [ "--json" ], [ "a command is needed" ]
        [ "bond"; onnx ], [ "no command \"bond\""; "bound" ]
        [ "info" ], [ "MODEL"; "lipverify info --help" ]
        [ "bound"; "--radius"; "1" ], [ "MODEL"; "lipverify bound --help" ]
        [ "info"; onnx; onnx ], [ "unrecognized argument"; onnx ]
        [ "info"; onnx; "bound"; onnx ], [ "unrecognized argument" ]
        [ "info"; onnx; "--radius"; "1" ], [ "lipverify info has no use for --radius" ]
        zoo [ "--frobnicate" ], [ "--frobnicate" ]
        zoo [ "-x" ], [ "-x" ]
        zoo [ "--json"; "--json" ], [ "--json"; "more than once" ]
        zoo [ "--radius"; "2" ], [ "--radius"; "more than once" ]
        [ "bound"; onnx; "--radius" ], [ "--radius"; "must be followed by" ]
        // benchmarks
        [ "bench"; "kernel" ],
        [
            "no benchmark \"kernel\""
            "kernels"
            "growth"
            "mnist-net"
            "dense-9216-4096"
        ]
        [ "bench"; "" ], [ "no benchmark \"\""; "kernels" ]
        [ "bench"; "kernels"; "bounds" ], [ "unrecognized argument"; "bounds" ]
        [ "bench"; "kernels"; "--engine"; "abacus" ], [ "--engine"; "\"abacus\"" ]
        [ "bench"; "kernels"; "--output"; samples ], [ samples; "folder" ]
        // the radius
        [ "bound"; onnx; "--input"; "zeros" ], [ "--radius is missing" ]
        // methods and engines
        zoo [ "--method"; "magic" ], [ "--method"; "analytic"; "\"magic\"" ]
        zoo [ "--engine"; "abacus" ], [ "--engine"; "openblas"; "\"abacus\"" ]
        zoo [ "--engine"; "cuda" ], [ "cuda" ]
        zoo [ "--definition"; "global" ], [ "--definition"; "nominal or uniform"; "\"global\"" ]
        zoo [ "--enclosure"; "zonotope" ], [ "--enclosure must be ball, interval, crown or probes"; "\"zonotope\"" ]
        zoo [ "--enclosure"; "crown"; "--method"; "global" ], [ "--enclosure"; "analytic" ]
        zoo [ "--enclosure"; "crown"; "--certificate"; "c.json" ], [ "--certificate"; "--enclosure ball" ]
        [
            "certify"
            onnx
            "--input"
            "zeros"
            "--method"
            "crown"
            "--enclosure"
            "ball"
        ],
        [ "--enclosure"; "analytic" ]
        [ "enclose"; onnx; "--input"; "zeros" ], [ "--radius" ]
        [ "enclose"; onnx; "--radius"; "0.1" ], [ "--input is missing" ]
        [ "enclose"; onnx; "--input"; "zeros"; "--radius"; "-1" ], [ "--radius"; "\"-1\"" ]
        zoo [ "--norm"; "inf" ], [ "--norm inf is there for the methods"; "shor" ]
        [ "certify"; onnx; "--input"; "zeros"; "--norm"; "inf" ],
        [ "lipverify certify has no use for --norm, which is there for bound" ]
        zoo [ "--norm"; "1" ], [ "--norm 1 is there for the methods fastlip, recurjac only" ]
        [ "certify"; onnx; "--input"; "zeros"; "--norm"; "1" ], [ "lipverify certify has no use for --norm" ]
        zoo [ "--method"; "shor"; "--class"; "0"; "--norm"; "1" ], [ "--norm 1"; "fastlip, recurjac" ]
        zoo [ "--norm"; "3" ], [ "--norm must be 1, 2 or inf"; "\"3\"" ]
        zoo [ "--class"; "1" ], [ "--method analytic has no use for --class"; "shor" ]
        zoo [ "--method"; "shor" ], [ "--class is missing" ]
        zoo [ "--method"; "shor"; "--class"; "-1" ], [ "--class"; "counted from 0"; "\"-1\"" ]
        zoo [ "--method"; "shor"; "--class"; "10" ], [ "no output 10" ]
        zoo [ "--method"; "shor"; "--class"; "1"; "--rigor"; "certified" ], [ "--rigor certified"; "numerical" ]
        zoo [ "--method"; "hr2"; "--class"; "1" ], [ "--method hr2"; "affine layers with a ReLU between" ]
        zoo [ "--threads"; "0" ], [ "--threads"; "at least 1"; "\"0\"" ]
        zoo [ "--threads"; "-1" ], [ "--threads"; "at least 1"; "\"-1\"" ]
        zoo [ "--threads"; "many" ], [ "--threads"; "\"many\"" ]
        zoo [ "--seed"; "-1" ], [ "--seed"; "at least 0"; "\"-1\"" ]
        zoo [ "--seed"; "99999999999" ], [ "--seed" ]
        zoo [ "--failure-probability"; "0" ], [ "--failure-probability"; "between 0 and 1" ]
        zoo [ "--failure-probability"; "1e-300" ], [ "--failure-probability"; "1e-250 at the least" ]
        zoo [ "--failure-probability"; "NaN" ], [ "--failure-probability"; "\"NaN\"" ]
        // preprocessing
        zoo [ "--preprocess"; "lenet" ], [ "\"lenet\""; "mnist|cifar10|imagenet|none" ]
        zoo [ "--preprocess"; "mnist"; "--mean"; "0.5"; "--std"; "1" ], [ "exclude each other" ]
        zoo [ "--mean"; "0.5" ], [ "--mean and --std go together" ]
        zoo [ "--std"; "0.5" ], [ "--mean and --std go together" ]
        zoo [ "--mean"; "0.5"; "--std"; "0" ], [ "standard deviations must be positive" ]
        zoo [ "--mean"; "0.5"; "--std"; "-1" ], [ "standard deviations must be positive" ]
        zoo [ "--mean"; "nan"; "--std"; "1" ], [ "means must be finite" ]
        zoo [ "--mean"; "0.5,"; "--std"; "1,1" ], [ "--mean must be a number" ]
        zoo [ "--mean"; "0.5"; "--std"; "x" ], [ "--std must be a number"; "\"x\"" ]
        [
            "bound"
            onnx
            "--radius"
            "1"
            "--input"
            eight
            "--mean"
            "1,2,3"
            "--std"
            "1,1,1"
        ],
        [ eight; "3 means"; "1×28×28" ]
        // the input
        [ "bound"; onnx; "--radius"; "1" ], [ "--input is missing" ]
        [ "bound"; onnx; "--radius"; "1"; "--input"; "" ], [ "an input is a picture (.png, " ]
        [ "bound"; onnx; "--radius"; "1"; "--input"; "missing.png" ], [ "missing.png"; "no such file" ]
        [ "bound"; onnx; "--radius"; "1"; "--input"; onnx ], [ onnx; "an input is a picture (.png, " ]
        [ "bound"; onnx; "--radius"; "1"; "--input"; "random?seed=x" ], [ "random?seed=x" ]
        [ "bound"; "zoo:cifar10-net"; "--radius"; "1"; "--input"; eight ], [ eight; "3×32×32"; "1×28×28" ]
        // the model
        [ "info"; "missing.onnx" ], [ "missing.onnx"; "no such file" ]
        [ "info"; "missing.pt"; "--architecture"; "mnist-net" ], [ "missing.pt"; "no such file" ]
        [ "info"; "" ], [ "a file name is needed" ]
        [ "info"; samples ], [ samples; "folder" ]
        [ "info"; eight; "--architecture"; "mnist-net" ], [ eight ]
        [ "info"; "zoo:alexnett" ], [ "zoo:alexnett"; "mnist-net|cifar10-net|alexnet|vgg16" ]
        [ "info"; "zoo:" ], [ "zoo:"; "alexnet" ]
        [ "info"; "zoo:alexnet?seed=x" ], [ "zoo:alexnet?seed=x"; "integer" ]
        [ "info"; "zoo:alexnet?seed=-1" ], [ "zoo:alexnet?seed=-1"; "not negative" ]
        [ "info"; "zoo:alexnet?sed=1" ], [ "?sed=1"; "?seed=N" ]
        [ "info"; "zoo:mnist-net"; "--architecture"; "mnist-net" ], [ "leave out --architecture" ]
        [ "info"; onnx; "--architecture"; "mnist-net" ], [ onnx; "ONNX"; "leave out --architecture" ]
        // architectures
        stateDict [], [ safetensors; "--architecture"; "FILE.json" ]
        stateDict [ "--architecture"; "lenet" ], [ "lenet"; "mnist-net|cifar10-net|alexnet|vgg16"; "FILE.json" ]
        stateDict [ "--architecture"; "missing.json" ], [ "missing.json"; "no such file" ]
        stateDict [ "--architecture"; "cifar10-net" ],
        [ safetensors; "cifar10-net"; "conv1.weight"; "32×3×3×3"; "6×1×5×5" ]
        // the output
        stateDict [ "--architecture"; "mnist-net"; "--output"; samples ], [ samples; "folder" ]
        stateDict [ "--architecture"; "mnist-net"; "--output"; "" ], [ "a file name is needed" ]
        stateDict [ "--architecture"; "mnist-net"; "--output"; safetensors ], [ safetensors; "overwrite" ]
        stateDict [ "--architecture"; "mnist-net"; "--output"; "/nonexistent/folder/x" ], [ "/nonexistent/folder/x" ]
    ]

let private holdsOneLine (parts: string list) outcome =
    Expect.equal outcome.ExitCode 2 "exit code"
    Expect.isEmpty outcome.Output "output"
    Expect.hasLength (lines outcome.Error) 1 "lines outcome.Error"
    Expect.stringStarts outcome.Error "lipverify: " "error"
    Expect.stringLacks outcome.Error "   at " "error"

    for part in parts do
        Expect.stringContains outcome.Error part "error"

let private cases =
    [
        for arguments, parts in mistakes do
            let shown =
                arguments
                |> List.map (fun word -> if word.Contains '/' then Path.GetFileName word else word)

            let name = String.Join(" ", shown)
            testCase $"A mistake is one line: lipverify {name}" (fun () -> run arguments |> holdsOneLine parts)
    ]

/// A file of the given content that is deleted afterwards.
let private withFile (extension: string) (content: string) (action: string -> unit) =
    let path =
        Path.Combine(Path.GetTempPath(), $"lipverify-{Guid.NewGuid():N}{extension}")

    try
        File.WriteAllText(path, content)
        action path
    finally
        File.Delete path

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliError"
        [
            yield! cases

            testTheory
                "A radius must be finite and not negative"
                [ "-1"; "NaN"; "inf"; "-Infinity"; "1e400"; ""; "0x1"; "1,5"; "small" ]
                (fun (radius: string) ->
                    for arguments in [ [ "--radius"; radius ]; [ "--radius=" + radius ] ] do
                        if radius <> "" || arguments.Length = 2 then
                            bound arguments |> run |> holdsOneLine [ "--radius"; $"not \"{radius}\"" ])

            // What JSON lets pass as a string and no text is: half a surrogate pair, and a byte that is not UTF-8 (here ÿ).
            testTheory
                "A string of an architecture that is no text is one line"
                [
                    """{"input":[1,28,28],"layers":[{"type":"\ud800"}]}"""
                    """{"input":[1,28,28],"layers":[{"type":"linear","name":"\udc00","in":784,"out":9}]}"""
                    """{"\ud800":1,"input":[1,28,28],"layers":[{"type":"relu"}]}"""
                    """{"input":[1,28,28],"layers":[{"type":"relu","\ud800":1}]}"""
                    """{"input":[1,28,28],"layers":[{"type":"ÿ"}]}"""
                    """{"ÿ":1,"input":[1,28,28],"layers":[{"type":"relu"}]}"""
                ]
                (fun (content: string) ->
                    withFile ".json" "" (fun path ->
                        File.WriteAllBytes(path, Text.Encoding.Latin1.GetBytes content)

                        stateDict [ "--architecture"; path ]
                        |> run
                        |> holdsOneLine [ path; "not UTF-8" ]))

            testTheory "Engines that are named are those that there are" [ "gpu"; "opencl" ] (fun (name: string) ->
                zoo [ "--engine"; name ]
                |> run
                |> holdsOneLine
                    [
                        $"--engine must be one of auto, openblas, managed, cuda, ilgpu, torch, not \"{name}\""
                    ])

            testTheory
                "A bad architecture file is told with its place"
                [
                    "", "empty"
                    "{", "JSON"
                    "[]", "must be an object"
                    """{"input":[1,28,28]}""", "layers"
                    """{"input":[0],"layers":[]}""", "positive"
                    """{"input":[1,28,28],"layers":[{"type":"lstm"}]}""", "layers[0]: \"type\" is \"lstm\""
                    """{"input":[1,28,28],"layers":[{"type":"conv2d","name":"conv1","in":1,"out":6}]}""",
                    "\"kernel\" is missing"
                    """{"input":[1,28,28],"layers":[{"type":"linear","name":"fc9","in":784,"out":9}]}""", "fc9"
                ]
                (fun (content: string, part: string) ->
                    withFile ".json" content (fun path ->
                        stateDict [ "--architecture"; path ] |> run |> holdsOneLine [ part ]))

            testCase "The architecture file of the documentation's kind loads" (fun () ->
                let content =
                    """{ "input": [1, 28, 28], // as in docs/architecture-files.md
             "layers": [
               { "type": "conv2d", "name": "conv1", "in": 1, "out": 6, "kernel": 5 }, { "type": "relu" },
               { "type": "maxpool2d", "kernel": 2 },
               { "type": "conv2d", "name": "conv2", "in": 6, "out": 16, "kernel": [5, 5] }, { "type": "relu" },
               { "type": "maxpool2d", "kernel": 2 }, { "type": "flatten" },
               { "type": "linear", "name": "fc1", "in": 256, "out": 120 }, { "type": "relu" },
               { "type": "linear", "name": "fc2", "in": 120, "out": 84 }, { "type": "relu" },
               { "type": "linear", "name": "fc3", "in": 84, "out": 10 }, ] }"""

                withFile ".json" content (fun path ->
                    let outcome = stateDict [ "--architecture"; path ] |> run
                    Expect.isEmpty outcome.Error "error"
                    Expect.equal outcome.ExitCode 0 "exit code"
                    Expect.stringContains outcome.Output "44426" "output"))

            testCase "A link to nowhere is a missing file" (fun () ->
                let link = Path.Combine(Path.GetTempPath(), $"lipverify-{Guid.NewGuid():N}.pt")

                try
                    File.CreateSymbolicLink(link, "/nonexistent/model.pt") |> ignore

                    [ "info"; link; "--architecture"; "mnist-net" ]
                    |> run
                    |> holdsOneLine [ link; "no such file" ]
                finally
                    File.Delete link)

            testCase "Values of an input that are NaN are refused" (fun () ->
                let content = String.Join(",", Seq.init 784 (fun i -> if i = 3 then "nan" else "0"))

                withFile ".csv" content (fun path ->
                    [ "bound"; onnx; "--radius"; "1"; "--input"; path ]
                    |> run
                    |> holdsOneLine [ path ]))
        ]
