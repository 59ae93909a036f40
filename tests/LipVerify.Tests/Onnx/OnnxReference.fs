/// Naive computations that the operators are held against. Inputs and weights are multiples of 1/8, so that every sum is
/// exact and values must agree to the bit; where an operator divides or takes a root, the tolerance is a few roundings.
module LipVerify.Tests.OnnxReference

open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Networks
open LipVerify.Tests.OnnxWriter

let same (expected: float[]) (actual: float[]) = Expect.equal actual expected "actual"

let close (expected: float[]) (actual: float[]) =
    Expect.equal actual.Length expected.Length "length"
    Array.iter2 (fun a b -> Expect.isWithin 1e-14 a b "value") actual expected

// W x for W outputs × inputs.
let times (w: float[]) (x: float[]) =
    Array.init (w.Length / x.Length) (fun i ->
        Seq.sum (seq { for j in 0 .. x.Length - 1 -> w[i * x.Length + j] * x[j] }))

let kinds network =
    Network.layers network |> List.map (fun placed -> Layer.kind placed.Layer)

type Window =
    {
        Kernel: int * int
        Stride: int * int
        Dilation: int * int
        Pads: int * int * int * int
    }

let plain kernel =
    {
        Kernel = kernel
        Stride = 1, 1
        Dilation = 1, 1
        Pads = 0, 0, 0, 0
    }

let attributesOf window =
    let top, left, bottom, right = window.Pads

    [
        ints "kernel_shape" [ fst window.Kernel; snd window.Kernel ]
        ints "strides" [ fst window.Stride; snd window.Stride ]
        ints "dilations" [ fst window.Dilation; snd window.Dilation ]
        ints "pads" [ top; left; bottom; right ]
    ]

let extentsOf window (height, width) =
    let top, left, bottom, right = window.Pads

    let extent input pads kernel stride dilation =
        (input + pads - dilation * (kernel - 1) - 1) / stride + 1

    extent height (top + bottom) (fst window.Kernel) (fst window.Stride) (fst window.Dilation),
    extent width (left + right) (snd window.Kernel) (snd window.Stride) (snd window.Dilation)

/// The taps of window (i, j): their place in the kernel, and the value of the image there, None in the padding.
let taps window (height, width) (image: int -> int -> float) i j =
    let top, left, _, _ = window.Pads

    [|
        for a in 0 .. fst window.Kernel - 1 do
            for b in 0 .. snd window.Kernel - 1 do
                let row = i * fst window.Stride - top + a * fst window.Dilation
                let column = j * snd window.Stride - left + b * snd window.Dilation
                let inside = row >= 0 && row < height && column >= 0 && column < width
                (a, b), (if inside then Some(image row column) else None)
    |]

let slide
    window
    channels
    (height, width)
    (x: float[])
    (reduce: int -> (int -> ((int * int) * float option)[]) -> float)
    =
    let rows, columns = extentsOf window (height, width)

    [|
        for channel in 0 .. channels - 1 do
            for i in 0 .. rows - 1 do
                for j in 0 .. columns - 1 do
                    let tapsOf source =
                        taps window (height, width) (fun r c -> x[(source * height + r) * width + c]) i j

                    reduce channel tapsOf
    |]

let convolved window groups inputs outputs size (w: float[]) (bias: float[]) x =
    let perGroup = inputs / groups

    slide window outputs size x (fun channel tapsOf ->
        let group = channel / (outputs / groups)
        let kernelSize = fst window.Kernel * snd window.Kernel

        bias[channel]
        + Seq.sum (
            seq {
                for c in 0 .. perGroup - 1 do
                    for (a, b), value in tapsOf (group * perGroup + c) do
                        w[(channel * perGroup + c) * kernelSize + a * snd window.Kernel + b]
                        * Option.defaultValue 0.0 value
            }
        ))
