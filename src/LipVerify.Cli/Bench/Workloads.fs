/// What is measured, by `lipverify bench` and by the benchmarks among the tests.
module LipVerify.Cli.Workloads

open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Analytic
open LipVerify.Formats

/// A linear map with weights that are drawn when it is made.
[<NoComparison; NoEquality>]
type Operator =
    {
        Name: string
        Make: unit -> LinearMap
    }

/// Which way a linear map is applied.
type Operation =
    | Apply
    | Adjoint

/// Normal weights of the size that He et al. (2015) start from.
let private weights fanIn (shape: Shape) =
    let deviation = sqrt (2.0 / float fanIn)
    let values = Gaussian.draw 0 1 (Shape.size shape)

    for i in 0 .. values.Length - 1 do
        values[i] <- deviation * values[i]

    Tensor.ofArray shape values

/// A convolution of square images with a square kernel.
let convolution inputs outputs kernel stride padding size =
    let axis = WindowAxis(size, kernel, stride, padding, padding)

    Convolution(
        Convolution.create
            (ConvolutionGeometry(inputs, outputs, axis, axis))
            (weights (inputs * kernel * kernel) [ outputs; inputs; kernel; kernel ])
    )

let private convolutionOperator (inputs: int) (outputs: int) (kernel: int) stride padding (size: int) =
    {
        Name = $"conv{kernel}-{inputs}-{outputs}-{size}"
        Make = fun () -> convolution inputs outputs kernel stride padding size
    }

let private denseOperator (inputs: int) (outputs: int) =
    {
        Name = $"dense-{inputs}-{outputs}"
        Make = fun () -> Dense(Dense.create (weights inputs [ outputs; inputs ]))
    }

/// The different ones among the 13 convolutions of VGG-16.
let vgg16Convolutions =
    [
        3, 64, 224
        64, 64, 224
        64, 128, 112
        128, 128, 112
        128, 256, 56
        256, 256, 56
        256, 512, 28
        512, 512, 28
        512, 512, 14
    ]
    |> List.map (fun (inputs, outputs, size) -> convolutionOperator inputs outputs 3 1 1 size)

/// The five convolutions of AlexNet.
let alexnetConvolutions =
    [
        convolutionOperator 3 64 11 4 2 224
        convolutionOperator 64 192 5 1 2 27
        convolutionOperator 192 384 3 1 1 13
        convolutionOperator 384 256 3 1 1 13
        convolutionOperator 256 256 3 1 1 13
    ]

/// The first fully connected layers of AlexNet and VGG-16: the largest matrices of all.
let denseMaps = [ denseOperator 9216 4096; denseOperator 25088 4096 ]

/// A network of the zoo by its name, weights from seed 0.
let network name : Network =
    match Zoo.create name 0 with
    | Ok network -> network
    | Error problem -> invalidArg (nameof name) problem

/// The input of every whole bound: standard normal values.
let input (network: Network) =
    Gaussian.draw 0 0 (Shape.size network.InputShape)
    |> Tensor.ofArray network.InputShape

/// The radius of every whole bound.
let radius =
    match Radius.create 0.001 with
    | Ok radius -> radius
    | Error problem -> invalidOp problem

/// The affine layers of cifar10-net: small enough for a factorisation, and not.
let private cifar10Layers =
    let layers = lazy (Network.layers (network "cifar10-net"))

    [ "conv1"; "conv2"; "conv3"; "conv4"; "fc1"; "fc2" ]
    |> List.map (fun name ->
        {
            Name = $"cifar10-net-{name}"
            Make =
                fun () ->
                    layers.Value
                    |> List.pick (fun placed ->
                        match placed.Layer with
                        | Affine(map, _) when placed.Name = name -> Some map
                        | _ -> None)
        })

/// Operators whose spectral norm is measured. The first has no gap in its spectrum.
let spectralOperators = convolutionOperator 64 64 3 1 1 56 :: cifar10Layers

/// The networks of the zoo, small ones first.
let networks = KnownArchitectures.all |> List.map _.Name

/// An operator, or its adjoint, on so many random vectors. The vectors are drawn beforehand.
let kernelWork map operation vectors : Context -> unit =
    let random length =
        HostStorage(Gaussian.draw 0 2 (vectors * length))

    let x, y = random (LinearMap.inputs map), random (LinearMap.outputs map)

    fun context ->
        match operation with
        | Apply -> LinearMap.apply context.Engine map vectors x y
        | Adjoint -> LinearMap.adjoint context.Engine map vectors y x

/// The spectral norm of an operator without masks.
let spectralWork map context =
    Spectral.norm context (MaskedMap.whole map)

/// The local bound of a network at its input.
let boundWork network : Context -> Bound =
    let input = input network
    fun context -> (Analytic.bound context Nominal network input radius).Bound
