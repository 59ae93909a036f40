namespace LipVerify.Formats

open System

/// The softmax at the end of a model, which its network leaves out: over the middle one of three extents, for each index of the
/// others.
type Softmax =
    {
        /// Extent before.
        Outer: int
        /// Extent over which the values add up to 1.
        Classes: int
        /// Extent behind.
        Inner: int
    }

module Softmax =

    /// Whether the values of several groups add up to 1 each: the largest of all of them need not be the largest of the logits.
    let isOverPart (softmax: Softmax) = softmax.Outer > 1 || softmax.Inner > 1

    /// `exp xᵢ / Σ exp xⱼ` along the classes.
    let apply (softmax: Softmax) (values: float[]) : float[] =
        let place outer k inner =
            (outer * softmax.Classes + k) * softmax.Inner + inner

        let result = Array.zeroCreate values.Length

        for outer in 0 .. softmax.Outer - 1 do
            for inner in 0 .. softmax.Inner - 1 do
                let along = Array.init softmax.Classes (fun k -> values[place outer k inner])
                let largest = Array.max along
                let powers = along |> Array.map (fun x -> Math.Exp(x - largest))
                let sum = Array.sum powers

                powers
                |> Array.iteri (fun k power -> result[place outer k inner] <- power / sum)

        result
