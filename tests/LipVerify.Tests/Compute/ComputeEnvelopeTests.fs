module LipVerify.Tests.ComputeEnvelopeTests

open System
open FsCheck.FSharp
open LipVerify.Compute
open LipVerify.Tests.ComputeReference
open Expecto
open LipVerify.Propositions.Expectations

let private suiteOfComputeEnvelope (engine: IEngine) =

    /// First columns of rows: bands, full rows and single entries by turns, so that envelopes are ragged.
    let firsts =
        gen {
            let! n = Gen.frequency [ 4, Gen.choose (1, 40); 2, Gen.choose (60, 200) ]
            let! width = Gen.choose (0, n)
            let! seed = Gen.choose (0, 1000000)
            let random = Random seed

            return
                Array.init n (fun i ->
                    match random.Next 4 with
                    | 0 -> i
                    | 1 -> max 0 (i - width)
                    | 2 -> random.Next(i + 1)
                    | _ -> max 0 (i - width / 2))
        }

    let envelopeOf (firsts: int[]) =
        SymmetricEnvelope(Span.op_Implicit (firsts.AsSpan()))

    let shift = 0.375

    /// What to subtract from the shifted identity for a diagonally dominant matrix, hence positive definite, in its envelope. What no
    /// entry lies in is NaN above the diagonal, where it is unspecified, and 0 left of a row's first column.
    let definite (firsts: int[]) seed =
        let n = firsts.Length
        let envelope = envelopeOf firsts
        let values = randomValues seed (n * n)

        let entry i j =
            if i = j then
                // More than the shift, which is then subtracted without rounding.
                float n + 1.0 + values[i * n + i]
            elif j < firsts[i] then
                0.0
            else
                values[i * n + j]

        let a = Array.create (int envelope.Length) nan

        for i in 0 .. n - 1 do
            for j in envelope.FirstColumn(i / SymmetricEnvelope.BlockRows) .. i do
                a[int (envelope.Index(i, j))] <- (if i = j then shift else 0.0) - entry i j

        envelope, entry, a

    let factored (engine: IEngine) (envelope: SymmetricEnvelope) (a: float[]) =
        let l, before = Array.zeroCreate a.Length, Array.copy a

        Expect.isTrue
            (engine.TryCholesky(shift, envelope, host a, host l))
            "engine.TryCholesky(shift, envelope, host a, host l)"

        assertSameBits before a

        Expect.isTrue
            (engine.TryCholesky(shift, envelope, host a, null))
            "engine.TryCholesky(shift, envelope, host a, null)"

        l

    [
        testCase "an envelope knows its longest row and its most coupled one" (fun () ->
            check 100 firsts (fun firsts ->
                let n = firsts.Length
                let envelope = envelopeOf firsts
                let isKept i j = j >= firsts[i] && j <= i

                let lengths =
                    [| for i in 0 .. n - 1 -> Seq.length (Seq.filter (isKept i) [ 0 .. n - 1 ]) |]

                let coupled i =
                    Seq.length (Seq.filter (fun j -> isKept i j || isKept j i) [ 0 .. n - 1 ])

                Expect.equal envelope.LongestRow (Array.max lengths) "longest row"
                Expect.equal envelope.MostCoupled (Seq.max (Seq.init n coupled)) "most coupled"
                Expect.equal envelope.Operations (lengths |> Array.sumBy (fun l -> float l * float l)) "operations"))

        testCase "entries of an envelope have places of their own" (fun () ->
            check 100 firsts (fun firsts ->
                let envelope = envelopeOf firsts

                let places =
                    [|
                        for i in 0 .. firsts.Length - 1 do
                            for j in firsts[i] .. i do
                                envelope.Index(i, j)
                    |]

                Expect.hasLength (Array.distinct places) places.Length "Array.distinct places"
                Expect.all places (fun place -> 0L <= place && place < envelope.Length) "places lie inside"))

        testCase "in an envelope, L·Lᵀ is A within γ_(k+1)·|L||Lᵀ| for the longest row k" (fun () ->
            let holds (firsts: int[], seed) =
                let envelope, entry, a = definite firsts seed
                let l = factored engine envelope a

                let factor i j =
                    if j < envelope.FirstColumn(i / SymmetricEnvelope.BlockRows) then
                        0.0
                    else
                        l[int (envelope.Index(i, j))]

                for i in 0 .. firsts.Length - 1 do
                    for j in 0..i do
                        let terms = [| for k in 0..j -> factor i k * factor j k |]
                        // Higham, Theorem 10.3; the product in this check adds as much again.
                        let allowed = 2.0 * gamma (envelope.LongestRow + 1) * Array.sumBy abs terms

                        Expect.isLessThanOrEqual
                            (abs (Array.sum terms - entry i j))
                            allowed
                            "abs (Array.sum terms - entry i j)"

            check 30 (Gen.zip firsts (Gen.choose (0, 1000000))) holds
            // Several blocks in long rows, the last one unfinished.
            holds (Array.init 700 (fun i -> max 0 (i - 600)), 3))

        testCase "a factor in an envelope has the same bits with one thread and with two" (fun () ->
            let envelope, _, a = definite (Array.init 500 (fun i -> max 0 (i - 300))) 1

            let one, two =
                factored (singleThreaded engine) envelope a, factored engine envelope a

            for i in 0..499 do
                for j in max 0 (i - 300) .. i do
                    let place = int (envelope.Index(i, j))
                    assertSameBits [| one[place] |] [| two[place] |])

        testCase "a bad pivot is found anywhere in an envelope" (fun () ->
            check 60 (Gen.zip firsts (Gen.elements [ 1.0; 0.0; nan; infinity; -infinity ])) (fun (firsts, pivot) ->
                let envelope, _, a = definite firsts 5
                let i = firsts.Length * 7 / 11
                a[int (envelope.Index(i, i))] <- pivot

                Expect.isFalse
                    (engine.TryCholesky(0.0, envelope, host a, null))
                    "engine.TryCholesky(0.0, envelope, host a, null)"))

        testCase "rows that start beyond their diagonal are refused" (fun () ->
            for firsts in [ [| 1 |]; [| 0; 2 |]; [| -1 |] ] do
                Expect.stringContains
                    (refusal (fun () -> envelopeOf firsts |> ignore))
                    "row"
                    "refusal (fun () -> envelopeOf firsts |> ignore)")

    ]

[<Tests>]
let tests =
    testList
        "ComputeEnvelope"
        [
            onEngine "managed" 2 suiteOfComputeEnvelope
            onEngine "openblas" 2 suiteOfComputeEnvelope
            onEngine "torch:cpu" 2 suiteOfComputeEnvelope
            onEngine "ilgpu:cpu" 2 suiteOfComputeEnvelope
            onEngine "cuda" 2 suiteOfComputeEnvelope
        ]
