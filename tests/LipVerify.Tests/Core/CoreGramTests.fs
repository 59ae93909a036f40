/// Gram matrices with explicit entries, against the definition.
module LipVerify.Tests.CoreGramTests

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Propositions.Generators
open LipVerify.Tests.CoreSpectralTests
open Expecto
open LipVerify.Propositions.Expectations

/// Entries of `MMᵀ` (or `MᵀM`) over all coordinates, with the sums of the absolute values of their terms.
let private expected side (rows: float[][]) =
    let vectors =
        match side with
        | Gram.Rows -> rows
        | Gram.Columns -> Array.transpose rows

    fun i j ->
        let terms = Array.map2 (*) vectors[i] vectors[j]
        struct (Array.sum terms, Array.sumBy abs terms)

let private assertGram side (m: MaskedMap) =
    // What the certificate is about: no row scaling, and dense maps without dead coordinates.
    let m = MaskedMap.compress (MaskedMap.mergeScales m)
    let layout = GramLayout.ofSide side m

    if
        // An operator that is zero needs no Gram matrix.
        Tensor.countNonZero m.Rows > 0
        && Tensor.countNonZero m.Columns > 0
        && Seq.forall Double.IsNormal (Seq.filter ((<>) 0.0) (Tensor.values m.Rows))
    then
        let matrix = GramMatrix.form context m layout |> GramMatrix.whole layout
        let exact = expected side (explicit m)
        let n = layout.Live.Length
        let gamma = Rounding.gamma (Gram.roundingsPerEntry side m)

        Expect.equal (layout.Live |> Array.sort) (MaskedMap.live (Gram.support side m)) "layout.Live |> Array.sort"

        for i in 0 .. n - 1 do
            for j in 0 .. n - 1 do
                let struct (value, absolute) = exact layout.Live[i] layout.Live[j]
                // The sum in this check errs by as much again; products may underflow.
                let allowed = 2.0 * gamma * absolute + 1e-290
                Expect.isLessThanOrEqual (abs (matrix[i * n + j] - value)) allowed $"{side} {i} {j}"

/// A convolution large enough for several strips, blocks and threads, with dead coordinates and channels.
let private largeConvolution () =
    let draw = Draw 3
    let rows, columns = WindowAxis(17, 3, 1, 1, 1), WindowAxis(9, 3, 2, 1, 0, 2)
    let geometry = ConvolutionGeometry(6, 8, rows, columns, 2)

    let map =
        Convolution(Convolution.create geometry (Tensor.ofArray [ 8; 3; 3; 3 ] (draw.Gaussians 216)))

    {
        Map = map
        Rows = Tensor.vector (Array.init geometry.OutputSize (fun i -> if i % 5 < 2 then 0.0 else draw.Real(0.0, 1.0)))
        Columns = Tensor.vector (Array.init geometry.InputSize (fun i -> if i % 3 = 0 then 0.0 else 1.0))
    }

[<Tests>]
let tests =
    testList
        "CoreGram"
        [
            statement
                "a Gram matrix is within its rounding of the definition, on both sides"
                500
                operator
                (fun (_, m) ->
                    assertGram Gram.Rows m
                    assertGram Gram.Columns m)

            testCase
                "a Gram matrix of a large convolution is within its rounding, and the same for every number of threads"
                (fun () ->
                    let m = largeConvolution ()

                    for side in [ Gram.Rows; Gram.Columns ] do
                        assertGram side m
                        let layout = GramLayout.ofSide side m

                        let matrix threads =
                            let context = Context.create (ManagedEngine threads)
                            GramMatrix.form context m layout |> GramMatrix.whole layout

                        Expect.equal (matrix 1) (matrix 3) "matrix 1")

            testCase "positions of a convolution lie close together in its Gram matrix" (fun () ->
                let axis = WindowAxis(40, 3, 1, 1, 1)

                let map =
                    Convolution(
                        Convolution.create (ConvolutionGeometry(2, 3, axis, axis)) (Tensor.create [ 3; 2; 3; 3 ] 1.0)
                    )

                // Two rows and two columns further: 82 positions apart, and those between, with all channels.
                for side, channels in [ Gram.Columns, 2; Gram.Rows, 3 ] do
                    let layout = GramLayout.ofSide side (MaskedMap.whole map)
                    Expect.equal layout.Envelope.LongestRow (82 * channels + channels) "longest row")
        ]
