/// The engine on torch devices, besides what all engines are held to: skipped where libtorch does not load.
module LipVerify.Tests.TorchEngineTests

open System
open Expecto
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Core.Bounds.Analytic
open LipVerify.Propositions.Expectations
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Tests.ComputeReference
open LipVerify.TorchSharp
open LipVerify.Formats

let private torch () =
    match engineOrSkip "torch:cpu" 2 with
    | :? TorchEngine as engine -> engine
    | other -> failtest $"torch:cpu made {other.Name}"

/// Too large for a factorisation that is affordable: its norm is proved by Lanczos steps.
let private wide =
    let draw = Draw 5

    let geometry =
        ConvolutionGeometry(16, 16, WindowAxis(64, 5, 1, 2, 2), WindowAxis(64, 5, 1, 2, 2))

    Convolution(Convolution.create geometry (Tensor.ofArray [ 16; 16; 5; 5 ] (draw.Gaussians 6400)))

[<Tests>]
let tests =
    testList
        "TorchEngine"
        [
            testCase "bounds are those of the engines on the processor, up to rounding" (fun () ->
                let engine = torch ()
                let torch, host = Context.create engine, Context.create (ManagedEngine 2)

                for seed in 1..40 do
                    let case = network seed

                    let bound context =
                        (Analytic.bound context Uniform case.Network case.Input case.Radius).Bound

                    let expected, found = bound host, bound torch
                    Expect.equal found.Rigor expected.Rigor case.Text

                    if Double.IsFinite expected.Value then
                        Expect.isWithin (1e-6 * expected.Value) found.Value expected.Value case.Text)

            testTheory
                "Algorithm 1 on trained networks: the same bounds as on the processor's engines, at every radius"
                [
                    "mnist/mnist-net.onnx", None, 30
                    "pictures/cifar10-net.safetensors", Some "cifar10-net", 3
                ]
                (fun (model, architecture, count) ->
                    let engine = torch ()
                    let folder = IO.Path.GetDirectoryName CliRun.samples |> string

                    let network =
                        match ModelSource.load (IO.Path.Combine(folder, model)) architecture with
                        | Ok loaded -> loaded.Network
                        | Error error -> failtest (LoadError.text error)

                    let input =
                        Tensor.ofArray network.InputShape (Gaussian.draw 3 0 (Shape.size network.InputShape))

                    for k in 0 .. count - 1 do
                        let radius =
                            Radius.create (1e-3 * 10.0 ** (4.0 * float k / float count))
                            |> Result.toOption
                            |> Option.get

                        let bound engine =
                            (Analytic.bound (Context.create engine) Nominal network input radius).Bound

                        let expected, found = bound (Engines.Create("auto", 2)), bound engine
                        Expect.equal (Rigor.label found.Rigor) (Rigor.label expected.Rigor) "rigor"
                        Expect.isWithin (2e-3 * expected.Value) found.Value expected.Value $"radius {radius.Value}")

            testCase "vectors stay on the device: the transfers of a norm do not grow with its steps" (fun () ->
                let engine = torch ()

                let transfers tolerance =
                    let context =
                        { Context.create engine with
                            Certification =
                                {
                                    FailureProbability = 1e-9
                                    Tolerance = Some tolerance
                                    Deterministic = false
                                }
                        }

                    let before = engine.Transfers
                    let steps = ref 0

                    let counted =
                        { context with
                            Report = fun _ -> steps.Value <- steps.Value + 1
                        }

                    Spectral.norm counted (MaskedMap.whole wide) |> ignore
                    engine.Transfers - before, steps.Value

                let _ = transfers 0.5
                let few, fewSteps = transfers 0.3
                let many, manySteps = transfers 0.01
                Expect.isGreaterThan manySteps fewSteps "steps"
                Expect.isLessThanOrEqual (many - few) 4 $"{few} transfers in {fewSteps} steps, {many} in {manySteps}")

            testCase "a constant goes to the device once, other host memory each time" (fun () ->
                let engine = torch ()
                let target = (engine :> IEngine).Allocate 3

                let add storage =
                    (engine :> IEngine).AddScaled(1.0, storage, 0, target, 0, 3)

                let constant, open' =
                    HostStorage.Constant [| 1.0; 2.0; 3.0 |], HostStorage [| 1.0; 2.0; 3.0 |]

                let before = engine.Transfers
                add constant
                add constant
                Expect.equal (engine.Transfers - before) 1 "of a constant"
                add open'
                open'.Values[0] <- 10.0
                add open'
                Expect.equal (engine.Transfers - before) 3 "of the other, too"
                let values = Array.zeroCreate<float> 3
                target.CopyTo(0, Span values)
                Expect.equal values [| 13.0; 8.0; 12.0 |] "sums")

            testCase "a device that is not there, and a name that is none, are one line" (fun () ->
                torch () |> ignore

                for name, part in
                    [
                        "torch:cuda:77", "CUDA devices"
                        "torch:tpu", "use torch, torch:cpu, torch:cuda"
                    ] do
                    let missing =
                        Expect.thrown<EngineUnavailableException>(fun () -> Engines.Create(name, 1) |> ignore)

                    Expect.stringContains missing.Message part name
                    Expect.stringLacks missing.Message "\n" name)
        ]
