/// The architectures known by name.
module LipVerify.Formats.KnownArchitectures

/// A square window.
let private square kernel stride padding =
    {
        Kernel = kernel, kernel
        Stride = stride, stride
        Padding = padding, padding
        Dilation = 1, 1
    }

let private conv name inputs outputs kernel stride padding =
    [
        Conv2d(name, inputs, outputs, square kernel stride padding, 1, true)
        LayerSpec.relu
    ]

let private maxPool kernel stride =
    [ MaxPool2d(square kernel stride 0, false) ]

let private dense name inputs outputs =
    [ Linear(name, inputs, outputs, true); LayerSpec.relu ]

/// The LeNet-like MNIST network of Avant & Morgansen.
let mnistNet =
    {
        Name = "mnist-net"
        Input = [ 1; 28; 28 ]
        Layers =
            List.concat
                [
                    conv "conv1" 1 6 5 1 0
                    maxPool 2 2
                    conv "conv2" 6 16 5 1 0
                    maxPool 2 2
                    [ Flatten ]
                    dense "fc1" 256 120
                    dense "fc2" 120 84
                    [ Linear("fc3", 84, 10, true) ]
                ]
    }

/// The eight-layer CIFAR-10 network of Avant & Morgansen.
let cifar10Net =
    {
        Name = "cifar10-net"
        Input = [ 3; 32; 32 ]
        Layers =
            List.concat
                [
                    conv "conv1" 3 32 3 1 0
                    conv "conv2" 32 32 3 1 0
                    maxPool 2 2
                    [ Dropout ]
                    conv "conv3" 32 64 3 1 0
                    conv "conv4" 64 64 3 1 0
                    maxPool 2 2
                    [ Dropout; Flatten ]
                    dense "fc1" 1600 512
                    [ Dropout; Linear("fc2", 512, 10, true) ]
                ]
    }

/// AlexNet with torchvision's layout and names.
let alexnet =
    {
        Name = "alexnet"
        Input = [ 3; 224; 224 ]
        Layers =
            List.concat
                [
                    conv "features.0" 3 64 11 4 2
                    maxPool 3 2
                    conv "features.3" 64 192 5 1 2
                    maxPool 3 2
                    conv "features.6" 192 384 3 1 1
                    conv "features.8" 384 256 3 1 1
                    conv "features.10" 256 256 3 1 1
                    maxPool 3 2
                    [ AdaptiveAvgPool2d(6, 6); Flatten; Dropout ]
                    dense "classifier.1" 9216 4096
                    [ Dropout ]
                    dense "classifier.4" 4096 4096
                    [ Linear("classifier.6", 4096, 1000, true) ]
                ]
    }

/// VGG-16 with torchvision's layout and names.
let vgg16 =
    let block first channels =
        channels
        |> List.mapi (fun i (inputs, outputs) -> conv $"features.{first + 2 * i}" inputs outputs 3 1 1)
        |> List.concat
        |> fun layers -> layers @ maxPool 2 2

    {
        Name = "vgg16"
        Input = [ 3; 224; 224 ]
        Layers =
            List.concat
                [
                    block 0 [ 3, 64; 64, 64 ]
                    block 5 [ 64, 128; 128, 128 ]
                    block 10 [ 128, 256; 256, 256; 256, 256 ]
                    block 17 [ 256, 512; 512, 512; 512, 512 ]
                    block 24 [ 512, 512; 512, 512; 512, 512 ]
                    [ AdaptiveAvgPool2d(7, 7); Flatten ]
                    dense "classifier.0" 25088 4096
                    [ Dropout ]
                    dense "classifier.3" 4096 4096
                    [ Dropout; Linear("classifier.6", 4096, 1000, true) ]
                ]
    }

/// All of them.
let all = [ mnistNet; cifar10Net; alexnet; vgg16 ]

/// The architecture of this name.
let tryFind name =
    all |> List.tryFind (fun architecture -> architecture.Name = name)

/// Their names for messages: `mnist-net|cifar10-net|alexnet|vgg16`.
let names = all |> List.map _.Name |> String.concat "|"
