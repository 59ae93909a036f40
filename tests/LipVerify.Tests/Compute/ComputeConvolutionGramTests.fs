module LipVerify.Tests.ComputeConvolutionGramTests

open FsCheck.FSharp
open LipVerify.Compute
open LipVerify.Tests.ComputeReference
open Expecto

/// The rows of the matrix of a convolution, one an output.
let private matrixOf (g: ConvolutionGeometry) (w: float[]) =
    let matrix = Array.init g.OutputSize (fun _ -> Array.zeroCreate<float> g.InputSize)

    for input in 0 .. g.InputSize - 1 do
        let basis = Array.init g.InputSize (fun i -> if i = input then 1.0 else 0.0)

        convolve g w basis 1
        |> Array.iteri (fun output entry -> matrix[output][input] <- entry.Value)

    matrix

let private suiteOfConvolutionGram (engine: IEngine) =

    let case =
        convolution
        |> Gen.filter (fun (g, _, _) ->
            float g.InputSize * float g.OutputSize * float (max g.InputSize g.OutputSize)
            <= 2e6)

    [
        testCase "a Gram matrix of a convolution is within its rounding of the definition, on both sides" (fun () ->
            check 60 case (fun (g, _, seed) ->
                let w = randomValues seed g.WeightSize
                let matrix = matrixOf g w
                let random = System.Random seed

                let rows =
                    Array.init g.OutputSize (fun _ -> if random.Next 3 = 0 then 0.0 else random.NextDouble())

                let columns = Array.init g.InputSize (fun _ -> float (random.Next 2))

                let masked =
                    Array.init g.OutputSize (fun i ->
                        Array.init g.InputSize (fun j -> rows[i] * matrix[i][j] * columns[j]))

                for overOutputs in [ true; false ] do
                    let vectors = if overOutputs then masked else Array.transpose masked
                    let isLive = if overOutputs then rows else columns

                    // Live coordinates from the last to the first.
                    let places = Array.create vectors.Length -1

                    let live =
                        [|
                            for i in vectors.Length - 1 .. -1 .. 0 do
                                if isLive[i] <> 0.0 then
                                    i
                        |]

                    live |> Array.iteri (fun place coordinate -> places[coordinate] <- place)
                    let envelope = SymmetricEnvelope.Full live.Length
                    let gram = Array.create (int envelope.Length) nan
                    let mutable geometry = g

                    engine.ConvolutionGram(
                        &geometry,
                        host w,
                        host rows,
                        host columns,
                        overOutputs,
                        places,
                        envelope,
                        host gram
                    )

                    for i in 0 .. live.Length - 1 do
                        for j in 0..i do
                            let terms = Array.map2 (*) vectors[live[i]] vectors[live[j]]

                            assertWithinRounding
                                $"{g} over outputs: {overOutputs}, ({i}, {j})"
                                (terms.Length + 4)
                                [|
                                    {
                                        Value = Array.sum terms
                                        Absolute = Array.sumBy abs terms
                                    }
                                |]
                                [| gram[int (envelope.Index(i, j))] |]))
    ]

[<Tests>]
let tests =
    testList
        "ComputeConvolutionGram"
        [
            onEngine "managed" 2 suiteOfConvolutionGram
            onEngine "ilgpu:cpu" 2 suiteOfConvolutionGram
            onEngine "cuda" 2 suiteOfConvolutionGram
        ]
