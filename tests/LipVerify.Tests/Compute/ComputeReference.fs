/// What the engines must compute, written down as plain loops, with the rounding that separates two correct results.
module LipVerify.Tests.ComputeReference

open FsCheck
open FsCheck.FSharp
open LipVerify.Compute
open Expecto
open LipVerify.Propositions.Expectations

/// The engine of that name, or a visibly skipped test where it cannot be had.
let engineOrSkip name threads : IEngine =
    match name with
    | "openblas" ->
        let mutable engine = Unchecked.defaultof<OpenBlasEngine>
        let mutable reason = ""

        if not (OpenBlasEngine.TryCreate(threads, &engine, &reason)) then
            skiptest reason

        engine
    | "managed" -> ManagedEngine threads
    | _ ->
        try
            Engines.Create(name, threads)
        with :? EngineUnavailableException as missing ->
            skiptest missing.Message

/// The tests of an engine with so many threads, or a visibly skipped one where the engine cannot be had.
let onEngine name threads (tests: IEngine -> Test list) =
    let listName = $"{name}, {threads} threads"

    try
        testList listName (tests (engineOrSkip name threads))
    with error ->
        testCase listName (fun () -> raise error)

/// An engine of the same kind with one thread.
let singleThreaded (engine: IEngine) =
    match engine with
    | :? OpenBlasEngine -> engineOrSkip "openblas" 1
    | :? ManagedEngine -> engineOrSkip "managed" 1
    | other -> engineOrSkip other.Name 1

let host (values: float[]) : Storage = HostStorage values

let randomValues (seed: int) count =
    let random = System.Random seed
    Array.init count (fun _ -> 2.0 * random.NextDouble() - 1.0)

/// Values of which about two thirds are zero, in runs: tiles without content occur.
let sparseValues (seed: int) count =
    let random = System.Random seed

    Array.init count (fun i ->
        if (i / 40 + seed) % 3 = 0 then
            2.0 * random.NextDouble() - 1.0
        else
            0.0)

/// γ_k = k·u / (1 − k·u): a sum of k products, in any order, with or without fused operations, errs by at most γ_k·Σ|terms|.
let gamma k =
    let ku = float k * System.Math.ScaleB(1.0, -53)
    ku / (1.0 - ku)

/// A value with the sum of the absolute values of its terms.
[<Struct>]
type Summed = { Value: float; Absolute: float }

/// Two results that each err by at most γ_terms·Σ|terms| differ by at most twice that; a sum without terms is exactly zero.
let assertWithinRounding (what: string) terms (expected: Summed[]) (actual: float[]) =
    for i in 0 .. expected.Length - 1 do
        let difference = abs (expected[i].Value - actual[i])

        if not (difference <= 2.0 * gamma terms * expected[i].Absolute) then
            failwith
                $"{what}: value {i} is {actual[i]:R}, not {expected[i].Value:R} (sum of absolute terms {expected[i].Absolute:R})"

/// Equal to the last bit.
let assertSameBits (expected: float[]) (actual: float[]) =
    for i in 0 .. expected.Length - 1 do
        if
            System.BitConverter.DoubleToInt64Bits expected[i]
            <> System.BitConverter.DoubleToInt64Bits actual[i]
        then
            failwith $"value {i} is {actual[i]:R}, not {expected[i]:R}"

/// The message with which a call refuses its arguments.
let refusal (call: unit -> unit) =
    (Expect.thrown<System.ArgumentException> call).Message

/// Runs a property on random cases; a failure names the shrunk case and the seed that replays it.
let check count (generator: Gen<'a>) (property: 'a -> unit) =
    LipVerify.Propositions.Generators.checkCases count generator property

let private term (state: Summed) a b =
    {
        Value = state.Value + a * b
        Absolute = state.Absolute + abs (a * b)
    }

let private zero = { Value = 0.0; Absolute = 0.0 }

/// α·op(A)·op(B) + β·C for matrices given as functions of their indices.
let multiply m n k alpha (a: int -> int -> float) (b: int -> int -> float) beta (c: int -> int -> float) =
    [|
        for i in 0 .. m - 1 do
            for j in 0 .. n - 1 do
                let mutable sum = zero

                for q in 0 .. k - 1 do
                    sum <- term sum (a i q) (b q j)

                let kept = if beta = 0.0 then 0.0 else beta * c i j

                {
                    Value = alpha * sum.Value + kept
                    Absolute = abs alpha * sum.Absolute + abs kept
                }
    |]

/// Calls `visit weight input output` with the three positions of every product in a convolution of one image.
let private eachProduct (g: ConvolutionGeometry) visit =
    let inGroup, outGroup = g.InChannels / g.Groups, g.OutChannels / g.Groups

    for o in 0 .. g.OutChannels - 1 do
        for row in 0 .. g.Rows.Output - 1 do
            for column in 0 .. g.Columns.Output - 1 do
                for c in 0 .. inGroup - 1 do
                    for kr in 0 .. g.Rows.Kernel - 1 do
                        for kc in 0 .. g.Columns.Kernel - 1 do
                            let r, q = g.Rows.Position(row, kr), g.Columns.Position(column, kc)

                            if r >= 0 && r < g.Rows.Input && q >= 0 && q < g.Columns.Input then
                                let channel = o / outGroup * inGroup + c

                                visit
                                    (((o * inGroup + c) * g.Rows.Kernel + kr) * g.Columns.Kernel + kc)
                                    ((channel * g.Rows.Input + r) * g.Columns.Input + q)
                                    ((o * g.Rows.Output + row) * g.Columns.Output + column)

let convolve (g: ConvolutionGeometry) (w: float[]) (x: float[]) batch =
    let y = Array.create (batch * g.OutputSize) zero

    for image in 0 .. batch - 1 do
        eachProduct g (fun weight input output ->
            let at = image * g.OutputSize + output
            y[at] <- term y[at] w[weight] x[image * g.InputSize + input])

    y

let convolveAdjoint (g: ConvolutionGeometry) (w: float[]) (y: float[]) batch =
    let x = Array.create (batch * g.InputSize) zero

    for image in 0 .. batch - 1 do
        eachProduct g (fun weight input output ->
            let at = image * g.InputSize + input
            x[at] <- term x[at] w[weight] y[image * g.OutputSize + output])

    x

/// For each output of a pooling layer on one image: the positions of its taps inside the input, in order, and the number of
/// its taps inside the padded input.
let poolingWindows (g: PoolingGeometry) =
    [|
        for channel in 0 .. g.Channels - 1 do
            for row in 0 .. g.Rows.Output - 1 do
                for column in 0 .. g.Columns.Output - 1 do
                    let taps =
                        [|
                            for kr in 0 .. g.Rows.Kernel - 1 do
                                for kc in 0 .. g.Columns.Kernel - 1 ->
                                    g.Rows.Position(row, kr), g.Columns.Position(column, kc)
                        |]

                    let inside =
                        taps
                        |> Array.filter (fun (r, c) -> r >= 0 && r < g.Rows.Input && c >= 0 && c < g.Columns.Input)
                        |> Array.map (fun (r, c) -> (channel * g.Rows.Input + r) * g.Columns.Input + c)

                    let padded =
                        taps
                        |> Array.filter (fun (r, c) ->
                            r < g.Rows.Input + g.Rows.PadAfter && c < g.Columns.Input + g.Columns.PadAfter)

                    inside, padded.Length
    |]

/// Mostly small axes of every kind: stride beyond the kernel, dilation, lopsided padding, inputs of one element.
let axis maxInput : Gen<WindowAxis> =
    gen {
        let! input = Gen.frequency [ 1, Gen.constant 1; 8, Gen.choose (1, maxInput) ]
        let! kernel = Gen.choose (1, 4)
        let! stride = Gen.frequency [ 3, Gen.constant 1; 3, Gen.choose (1, 6) ]
        let! dilation = Gen.frequency [ 3, Gen.constant 1; 1, Gen.choose (2, 3) ]
        let! before = Gen.choose (0, 3)
        let! after = Gen.choose (0, 3)
        return WindowAxis(input, kernel, stride, before, after, dilation)
    }
    |> Gen.filter (fun a -> a.Output >= 1)

/// A convolution with a batch and a seed; depthwise, grouped, pointwise and ordinary ones.
let convolution: Gen<ConvolutionGeometry * int * int> =
    gen {
        let! big = Gen.frequency [ 4, Gen.constant false; 1, Gen.constant true ]
        let! rows = axis (if big then 20 else 9)
        let! columns = axis (if big then 24 else 12)
        let! groups = Gen.frequency [ 3, Gen.constant 1; 1, Gen.choose (2, 4) ]

        let! inGroup =
            Gen.frequency [ 2, Gen.constant 1; 6, Gen.choose (1, (if big then 20 else 6)) ]

        let! outGroup =
            Gen.frequency [ 2, Gen.constant 1; 6, Gen.choose (1, (if big then 24 else 12)) ]

        let! batch = Gen.choose (1, (if big then 2 else 5))
        let! seed = Gen.choose (0, 1000000)
        return ConvolutionGeometry(groups * inGroup, groups * outGroup, rows, columns, groups), batch, seed
    }
