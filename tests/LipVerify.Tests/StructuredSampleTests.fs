/// The structured bound on the sample networks.
module LipVerify.Tests.StructuredSampleTests

open System.IO
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Structured
open LipVerify.Formats
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks

let private valueOf result =
    Result.defaultWith (LoadError.text >> failwith) result

[<Tests>]
let tests =
    testList
        "StructuredSample"
        [
            // 2.15 against 19.1, and 6.61 against 191, where it was first computed.
            testTheory
                "the structured bound of a sample network lies far below Algorithm 1, and above what is attained"
                [
                    "mnist", "mnist-net", "mnist", "digits/8.png", 0.003
                    "pictures", "cifar10-net", "cifar10", "pictures/3.png", 0.003
                ]
                (fun (folder: string, architecture: string, preprocessing: string, picture: string, at: float) ->
                    let folder = Path.Combine(Path.GetDirectoryName CliRun.samples |> nonNull, folder)

                    let network =
                        ModelSource.load (Path.Combine(folder, architecture + ".safetensors")) (Some architecture)
                        |> valueOf
                        |> _.Network

                    let input =
                        let preprocessing = Preprocessing.find preprocessing |> Result.defaultWith failwith

                        InputSource.load network.InputShape preprocessing (Path.Combine(folder, picture))
                        |> valueOf

                    let analytic = Analytic.bound context Nominal network input (radius at)
                    let found = Structured.bound context Nominal network input (radius at)

                    let attained =
                        LowerBounds.gradientAscent
                            context
                            Euclidean
                            Nominal
                            network
                            (RestrictedBall.whole (Tensor.reshape network.InputShape input) (radius at))
                            (Effort.fitting network)

                    let value = found.Result.Bound.Value
                    Expect.isLessThan value (analytic.Bound.Value / 4.0) "value"
                    Expect.isGreaterThanOrEqual value attained.Value "value"
                    // The tighter of the two is within a tenth of what is attained; four times leaves room.
                    Expect.isLessThan value (4.0 * attained.Value) "value"
                    Expect.isGreaterThan found.Uncertain 0 "uncertain"

                    Expect.isGreaterThan
                        (Rigor.failureProbability found.Result.Bound.Rigor)
                        (0.0)
                        "Rigor.failureProbability found.Result.Bound.Rigor"

                    Expect.isLessThanOrEqual
                        (Rigor.failureProbability found.Result.Bound.Rigor)
                        1e-9
                        "Rigor.failureProbability found.Result.Bound.Rigor")
        ]
