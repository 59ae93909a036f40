/// Networks without a file: known architectures with seeded random weights.
module LipVerify.Formats.Zoo

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks

/// Weights from `N(0, 2/fan_in)` (He et al. 2015) and zero biases; each parameter draws from a stream of its own.
let private heInitialisation seed : ParameterSource =
    let mutable stream = 0

    fun _ shape ->
        match shape with
        | [ _ ] -> Ok(Tensor.create shape 0.0)
        | _ ->
            stream <- stream + 1
            let fanIn = Shape.size shape.Tail
            let deviation = sqrt (2.0 / float fanIn)
            let values = Gaussian.draw seed stream (Shape.size shape)

            for i in 0 .. values.Length - 1 do
                values[i] <- deviation * values[i]

            Ok(Tensor.ofArray shape values)

/// The known architecture of this name with He-initialised weights; equal seeds give equal networks.
let create (name: string) (seed: int) : Result<Network, string> =
    match KnownArchitectures.tryFind name with
    | Some architecture -> Architecture.build (heInitialisation seed) architecture
    | None -> Error $"the zoo has no \"{name}\"; it has {KnownArchitectures.names}"
