namespace LipVerify.Cli

open Argu

/// `lipverify info MODEL`
type InfoArguments =
    | [<MainCommand; ExactlyOnce>] Model of MODEL: string

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Model _ -> "an .onnx, .pt, .pth, .ckpt or .safetensors file, or zoo:NAME[?seed=N]."

/// `lipverify bound MODEL …`
type BoundArguments =
    | [<MainCommand; ExactlyOnce>] Model of MODEL: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-r")>] Radius of R: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-m")>] Method of M: string
    | [<Unique; EqualsAssignmentOrSpaced>] Class of K: string
    | [<Unique; EqualsAssignmentOrSpaced>] Certificate of F: string

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Model _ -> "an .onnx, .pt, .pth, .ckpt or .safetensors file, or zoo:NAME[?seed=N]."
            | Radius _ ->
                "radius of the ball around the input, in the norm of the (preprocessed) input; not needed for global bounds."
            | Method _ ->
                "analytic (Algorithm 1 of Avant & Morgansen, the default), local-lipsdp (multipliers for the slopes that are not known: tight, for networks up to a few thousand units), structured (the norm of the whole network as an operator that is never formed, with a weight for each such slope: tight at small radii, for networks of any size; over all inputs without --radius), lipsdp-neuron or lipsdp-layer (multipliers for all inputs, one multiplier a neuron or a layer), exact (branch and bound from there on, with both ends; for small chains of affine maps and ReLUs; also with --norm inf), fastlip (entries of the Jacobian, also with --norm inf and 1), recurjac (the same by a recursion, tighter), global (product of the layers' spectral norms), seqlip (SeqLip of Scaman & Virmaux, which takes maps in pairs; an upper bound), seqlip-exact (all vertices of its maxima, for layers of few ReLUs) or seqlip-greedy (an estimate, no bound); or for one output of a small network of dense layers shor, hr2, lasserre2, lipopt3 or lipopt4 (polynomial optimisation; global without --radius)."
            | Class _ -> "the output that the methods for one output bound, counted from 0."
            | Certificate _ ->
                "write a certificate to this file, for lipverify check: of the methods analytic (with --enclosure ball), global, local-lipsdp and structured."

/// `lipverify enclose MODEL …`
type EncloseArguments =
    | [<MainCommand; ExactlyOnce>] Model of MODEL: string
    | [<Mandatory; Unique; EqualsAssignmentOrSpaced; AltCommandLine("-r")>] Radius of R: string

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Model _ -> "an .onnx, .pt, .pth, .ckpt or .safetensors file, or zoo:NAME[?seed=N]."
            | Radius _ -> "radius of the ball around the input, in the 2-norm of the (preprocessed) input."

/// `lipverify compare MODEL …`
type CompareArguments =
    | [<MainCommand; ExactlyOnce>] Model of MODEL: string
    | [<Mandatory; Unique; EqualsAssignmentOrSpaced; AltCommandLine("-r")>] Radius of R: string
    | [<Unique; EqualsAssignmentOrSpaced>] Csv of F: string
    | [<Unique; EqualsAssignmentOrSpaced>] Plot of F: string

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Model _ -> "an .onnx, .pt, .pth, .ckpt or .safetensors file, or zoo:NAME[?seed=N]."
            | Radius _ -> "radius of the ball around the (preprocessed) input, in the norm of each row."
            | Csv _ -> "write one line a method to this file."
            | Plot _ -> "write the bounds as dots on a logarithmic axis to this file, an SVG picture."

/// `lipverify certify MODEL …`
type CertifyArguments =
    | [<MainCommand; ExactlyOnce>] Model of MODEL: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-m")>] Method of M: string
    | [<Unique>] Attacks
    | [<Unique; EqualsAssignmentOrSpaced>] Clip of RANGE: string
    | [<Unique; EqualsAssignmentOrSpaced>] Csv of F: string

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Model _ -> "an .onnx, .pt, .pth, .ckpt or .safetensors file, or zoo:NAME[?seed=N]."
            | Method _ ->
                "what is behind the radius: a Lipschitz bound, analytic (default) or global; or bounds on the margins between outputs: structured (the norm of the whole network; minutes), crown (linear functions) or local-lipsdp (these and multipliers; minutes)."
            | Attacks -> "attack the input too: the gap between what is certified and what is broken."
            | Clip _ -> "with --attacks: keep pixels in the range LOW,HIGH, before normalisation (no limit)."
            | Csv _ -> "write one line an input to this file."

/// `lipverify curve MODEL …`
type CurveArguments =
    | [<MainCommand; ExactlyOnce>] Model of MODEL: string
    | [<Mandatory; Unique; EqualsAssignmentOrSpaced; AltCommandLine("-r")>] Radii of LIST: string
    | [<Unique; EqualsAssignmentOrSpaced; AltCommandLine("-m")>] Methods of LIST: string
    | [<Unique; EqualsAssignmentOrSpaced>] Csv of F: string
    | [<Unique; EqualsAssignmentOrSpaced>] Plot of F: string
    | [<Unique; EqualsAssignmentOrSpaced>] Html of F: string
    | [<Unique; EqualsAssignmentOrSpaced>] Title of TEXT: string
    | [<Unique; EqualsAssignmentOrSpaced>] Samples of N: string
    | [<Unique; EqualsAssignmentOrSpaced>] Starts of N: string
    | [<Unique>] Restart

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Model _ -> "an .onnx, .pt, .pth, .ckpt or .safetensors file, or zoo:NAME[?seed=N]."
            | Radii _ -> "A:B:N for N radii from A to B, A:B:N:log for logarithmic steps, or radii separated by commas."
            | Methods _ ->
                "upper bounds global, analytic, crown-analytic (slopes of --enclosure crown), local-lipsdp, structured and lower bounds gradient, sampling, separated by commas (global,analytic,gradient,sampling)."
            | Csv _ -> "write one row a point to this file as it is finished; a rerun goes on from there."
            | Plot _ -> "write the curves to this file as an SVG picture."
            | Html _ -> "write them to this file as an interactive page."
            | Title _ -> "a title for the plot."
            | Samples _ -> "points that sampling draws for each radius (1000)."
            | Starts _ ->
                "searches of gradient ascent side by side (as many as suit the size of the network, 72 at most)."
            | Restart -> "begin anew where the CSV file exists."

/// `lipverify check CERTIFICATE --model MODEL …`
type CheckArguments =
    | [<MainCommand; ExactlyOnce>] Certificate of CERTIFICATE: string
    | [<Mandatory; Unique; EqualsAssignmentOrSpaced>] Model of MODEL: string

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Certificate _ -> "a certificate that lipverify bound --certificate wrote."
            | Model _ ->
                "the network that it is about: an .onnx, .pt, .pth, .ckpt or .safetensors file, or zoo:NAME[?seed=N]."

/// `lipverify attack MODEL …`
type AttackArguments =
    | [<MainCommand; ExactlyOnce>] Model of MODEL: string
    | [<Unique; EqualsAssignmentOrSpaced>] Attack of A: string
    | [<Unique; EqualsAssignmentOrSpaced>] Clip of RANGE: string

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Model _ -> "an .onnx, .pt, .pth, .ckpt or .safetensors file, or zoo:NAME[?seed=N]."
            | Attack _ ->
                "fgsm, ifgsm (fast gradient sign, once or iterated), gradient (ascent towards each class), pgd (projected descent, DDN), cw (Carlini & Wagner) or all (default). With --output F.npy or F.png the nearest adversarial input is saved."
            | Clip _ -> "keep pixels in the range LOW,HIGH, before normalisation: 0,1 for pictures (no limit)."

/// `lipverify bench [NAME]`
type BenchArguments =
    | [<MainCommand; Unique>] Name of NAME: string

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Name _ ->
                "what to measure: kernels, spectral, bounds, baseline (the published procedure beside ours), growth, the name of a network, or a single workload; without it all but the longest."

/// `lipverify demo`
type DemoArguments =
    | [<Unique; EqualsAssignmentOrSpaced>] Folder of F: string

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Folder _ -> "where the curve goes (a new folder among the system's temporary ones)."

/// The command line. Options marked as inherited may follow any command.
type Arguments =
    | [<CliPrefix(CliPrefix.None)>] Info of ParseResults<InfoArguments>
    | [<CliPrefix(CliPrefix.None)>] Bound of ParseResults<BoundArguments>
    | [<CliPrefix(CliPrefix.None)>] Enclose of ParseResults<EncloseArguments>
    | [<CliPrefix(CliPrefix.None)>] Compare of ParseResults<CompareArguments>
    | [<CliPrefix(CliPrefix.None)>] Certify of ParseResults<CertifyArguments>
    | [<CliPrefix(CliPrefix.None)>] Curve of ParseResults<CurveArguments>
    | [<CliPrefix(CliPrefix.None)>] Check of ParseResults<CheckArguments>
    | [<CliPrefix(CliPrefix.None)>] Attack of ParseResults<AttackArguments>
    | [<CliPrefix(CliPrefix.None)>] Bench of ParseResults<BenchArguments>
    | [<CliPrefix(CliPrefix.None)>] Demo of ParseResults<DemoArguments>
    | [<Inherit; Unique; EqualsAssignmentOrSpaced; AltCommandLine("-a")>] Architecture of A: string
    | [<Inherit; Unique; EqualsAssignmentOrSpaced; AltCommandLine("-i")>] Input of X: string
    | [<Inherit; Unique; EqualsAssignmentOrSpaced>] Preprocess of P: string
    | [<Inherit; Unique; EqualsAssignmentOrSpaced>] Mean of LIST: string
    | [<Inherit; Unique; EqualsAssignmentOrSpaced>] Std of LIST: string
    | [<Inherit; Unique; EqualsAssignmentOrSpaced>] Definition of D: string
    | [<Inherit; Unique; EqualsAssignmentOrSpaced>] Enclosure of E: string
    | [<Inherit; Unique; EqualsAssignmentOrSpaced>] Time_Limit of S: string
    | [<Inherit; Unique; EqualsAssignmentOrSpaced>] Norm of NORM: string
    | [<Inherit; Unique; EqualsAssignmentOrSpaced>] Failure_Probability of D: string
    | [<Inherit; Unique; EqualsAssignmentOrSpaced>] Tolerance of T: string
    | [<Inherit; Unique; EqualsAssignmentOrSpaced>] Rigor of RIGOR: string
    | [<Inherit; Unique; EqualsAssignmentOrSpaced>] Seed of N: string
    | [<Inherit; Unique; EqualsAssignmentOrSpaced>] Engine of E: string
    | [<Inherit; Unique; EqualsAssignmentOrSpaced>] Threads of N: string
    | [<Inherit; Unique>] Json
    | [<Inherit; Unique; EqualsAssignmentOrSpaced; AltCommandLine("-o")>] Output of F: string
    | [<Unique>] Version

    interface IArgParserTemplate with
        member argument.Usage =
            match argument with
            | Info _ -> "list the layers of a network."
            | Bound _ -> "an upper bound on a Lipschitz constant, layer by layer."
            | Enclose _ ->
                "bounds on the values inside a network over a ball: how many ReLUs are stable, layer by layer."
            | Compare _ -> "upper bounds by every method, in both definitions, beside the best lower bounds."
            | Certify _ -> "the largest radius within which the class of an input surely holds."
            | Curve _ -> "upper and lower bounds against the radius, as a table and a plot."
            | Check _ -> "check a certificate with a program that shares no code with the one that wrote it."
            | Attack _ -> "adversarial inputs: upper bounds on the least perturbation that changes the class."
            | Bench _ -> "speed of kernels, spectral norms and bounds, as ratios to the engine's own matrix product."
            | Demo _ -> "bounds, certified radius and curve of the bundled network."
            | Architecture _ -> "architecture of a state dict: mnist-net, cifar10-net, alexnet, vgg16 or FILE.json."
            | Input _ ->
                "nominal input: a .png, .npy, .npz or .csv file, or zeros, or random[?seed=N]; for certify also a folder or a batch."
            | Preprocess _ ->
                "normalisation of the input: mnist, cifar10, imagenet or none (default); pixels are divided by 255 first."
            | Mean _ -> "means, one a channel, separated by commas (with --std, instead of --preprocess)."
            | Std _ -> "standard deviations, one a channel, separated by commas."
            | Definition _ ->
                "nominal (against the nominal input, default) or uniform (between any two inputs of the ball)."
            | Time_Limit _ ->
                "seconds after which a method gives the best that it has proved: bound (no limit; 300 for exact), enclose (no limit), certify (an input: no limit; 120 for crown, local-lipsdp, structured and enclosures by probes), compare (60 a row), and local-lipsdp and structured in a curve (no limit)."
            | Enclosure _ ->
                "bounds on pre-activations: ball (Algorithm 1's own, the default of bound, certify and curve), interval, crown (linear functions carried to the input, certified, and the default of enclose), or probes (reaches that random vectors prove over the whole network, for networks of any size)."
            | Norm _ ->
                "2 (default); for bound, inf with the methods exact, fastlip, recurjac and those for one output, 1 with fastlip and recurjac."
            | Failure_Probability _ ->
                "probability with which all random certificates together may fail (1e-9); layers with a small side need none."
            | Tolerance _ ->
                "relative looseness aimed at in the spectral norm of a large layer (1e-3; 1e-2 above 100 000 inputs)."
            | Rigor _ -> "certified insists on certificates without random draws; probabilistic (default) allows them."
            | Seed _ -> "seed of random draws (0)."
            | Engine _ -> "auto (default: the fastest here), openblas or managed."
            | Threads _ -> "threads of the engine (all cores)."
            | Json -> "print one JSON document and nothing else on standard output."
            | Output _ -> "write the result to this file instead of standard output."
            | Version -> "print the version."
