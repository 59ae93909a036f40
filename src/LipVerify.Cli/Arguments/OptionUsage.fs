/// What `--help` says of options that several commands have.
module internal LipVerify.Cli.OptionUsage

let model = "an .onnx, .pt, .pth, .ckpt or .safetensors file, or zoo:NAME[?seed=N]."

let architecture =
    "architecture of a state dict: mnist-net, cifar10-net, alexnet, vgg16 or FILE.json."

let input =
    $"nominal input: a {LipVerify.Formats.InputSource.kinds}, or zeros, or random[?seed=N]."

let resize =
    "scale a picture to this many pixels on its shorter side, and cut out its middle as large as the network takes it."

let preprocess =
    "normalisation of the input: mnist, cifar10, imagenet or none (default); pixels are divided by 255 first."

let mean =
    "means, one a channel, separated by commas (with --std, instead of --preprocess)."

let std = "standard deviations, one a channel, separated by commas."

let definition =
    "nominal (against the nominal input, default) or uniform (between any two inputs of the ball)."

/// With the kind that is there where none is given.
let enclosure standard =
    [
        "ball", "Algorithm 1's own"
        "interval", ""
        "crown", "linear functions carried to the input, certified"
        "probes", "reaches that random vectors prove over the whole network, for networks of any size"
    ]
    |> List.map (fun (kind, what) ->
        match what, kind = standard with
        | "", _ -> kind
        | what, true -> $"{kind} ({what}; the default)"
        | what, false -> $"{kind} ({what})")
    |> fun kinds -> $"""bounds on pre-activations: {String.concat ", " (List.take 3 kinds)}, or {List.last kinds}."""

let failureProbability =
    "probability with which all random certificates together may fail (1e-9); layers with a small side need none."

let tolerance =
    "relative looseness aimed at in the spectral norm of a large layer (1e-3; 1e-2 above 100 000 inputs)."

let rigor =
    "certified insists on certificates without random draws; probabilistic (default) allows them."

let seed = "seed of random draws (0)."

let engine =
    "auto (default: a CUDA card where there is one and the network is large, else the fastest on the processor), openblas, managed, cuda[:N], ilgpu:cpu (its kernels on the processor, slow) or torch[:cpu|:cuda[:N]]."

let threads = "threads of the engine (all cores)."

let json = "print one JSON document and nothing else on standard output."

let output = "write the result to this file instead of standard output."
