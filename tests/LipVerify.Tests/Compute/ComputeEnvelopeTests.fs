namespace LipVerify.Tests

open System
open FsCheck.FSharp
open LipVerify.Compute
open LipVerify.Tests.ComputeReference
open NUnit.Framework

[<TestFixture("managed")>]
[<TestFixture("openblas")>]
type ComputeEnvelopeTests(name: string) =
    let mutable engine = Unchecked.defaultof<IEngine>

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
        Assert.That(engine.TryCholesky(shift, envelope, host a, host l))
        assertSameBits before a
        Assert.That(engine.TryCholesky(shift, envelope, host a, null))
        l

    [<OneTimeSetUp>]
    member _.Choose() = engine <- engineOrSkip name 2

    [<Test>]
    member _.``an envelope knows its longest row and its most coupled one``() =
        check 100 firsts (fun firsts ->
            let n = firsts.Length
            let envelope = envelopeOf firsts
            let isKept i j = j >= firsts[i] && j <= i

            let lengths =
                [| for i in 0 .. n - 1 -> Seq.length (Seq.filter (isKept i) [ 0 .. n - 1 ]) |]

            let coupled i =
                Seq.length (Seq.filter (fun j -> isKept i j || isKept j i) [ 0 .. n - 1 ])

            Assert.That(envelope.LongestRow, Is.EqualTo(Array.max lengths))
            Assert.That(envelope.MostCoupled, Is.EqualTo(Seq.max (Seq.init n coupled)))
            Assert.That(envelope.Operations, Is.EqualTo(lengths |> Array.sumBy (fun l -> float l * float l))))

    [<Test>]
    member _.``entries of an envelope have places of their own``() =
        check 100 firsts (fun firsts ->
            let envelope = envelopeOf firsts

            let places =
                [|
                    for i in 0 .. firsts.Length - 1 do
                        for j in firsts[i] .. i do
                            envelope.Index(i, j)
                |]

            Assert.That(Array.distinct places, Has.Length.EqualTo places.Length)
            Assert.That(places, Is.All.InRange(0L, envelope.Length - 1L)))

    [<Test>]
    member _.``in an envelope, L·Lᵀ is A within γ_(k+1)·|L||Lᵀ| for the longest row k``() =
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
                    Assert.That(abs (Array.sum terms - entry i j), Is.LessThanOrEqualTo allowed)

        check 30 (Gen.zip firsts (Gen.choose (0, 1000000))) holds
        // Several blocks in long rows, the last one unfinished.
        holds (Array.init 700 (fun i -> max 0 (i - 600)), 3)

    [<Test>]
    member _.``a factor in an envelope has the same bits with one thread and with two``() =
        let envelope, _, a = definite (Array.init 500 (fun i -> max 0 (i - 300))) 1
        let one, two = factored (engineOrSkip name 1) envelope a, factored engine envelope a

        for i in 0..499 do
            for j in max 0 (i - 300) .. i do
                let place = int (envelope.Index(i, j))
                assertSameBits [| one[place] |] [| two[place] |]

    [<Test>]
    member _.``a bad pivot is found anywhere in an envelope``() =
        check 60 (Gen.zip firsts (Gen.elements [ 1.0; 0.0; nan; infinity; -infinity ])) (fun (firsts, pivot) ->
            let envelope, _, a = definite firsts 5
            let i = firsts.Length * 7 / 11
            a[int (envelope.Index(i, i))] <- pivot
            Assert.That(engine.TryCholesky(0.0, envelope, host a, null), Is.False))

    [<Test>]
    member _.``rows that start beyond their diagonal are refused``() =
        for firsts in [ [| 1 |]; [| 0; 2 |]; [| -1 |] ] do
            Assert.That(refusal (fun () -> envelopeOf firsts |> ignore), Does.Contain "row")
