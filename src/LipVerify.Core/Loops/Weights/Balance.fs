/// What the searches for the factors of channels share (METHODS section 14c): directions that a loop operator stretches most, and energies that are
/// balanced.
module internal LipVerify.Core.Loops.Weights.Balance

open System
open LipVerify.Core.Computation
open LipVerify.Core.Loops.Operator

/// Energies of channels, averaged over steps: those of one step are those of a few directions.
[<Sealed>]
type Averages(count: int) =
    let keep = 0.75
    let mutable isFirst = true

    member val Values = Array.zeroCreate<float> count

    member averages.Add(values: float[]) =
        let kept = if isFirst then 0.0 else keep
        isFirst <- false

        for j in 0 .. count - 1 do
            averages.Values[j] <- kept * averages.Values[j] + (1.0 - kept) * values[j]

/// A part of what each channel may take part in, so that those which take part in nothing stay where they are.
let least channels = 1e-4 / float (channels + 1)

/// What a factor is multiplied by to draw the energies behind it and before it together.
let change step into out =
    Math.Clamp(Math.Pow(out / into, step), 0.5, 2.0)

/// What the channels of each place have together.
let sumByPlace (loop: Loop) (values: float[]) =
    loop.Bends
    |> Array.collect (fun bend ->
        let count = Bend.channels bend
        Array.create count (Array.sub values bend.First count |> Array.sum))

/// Directions near the top one are balanced together with it, by this power of their singular values; so the top ones do not take turns.
let smoothing = 12.0

/// An estimate of `‖K‖`, mostly from below.
let norm (context: Context) directions (operator: LoopOperator) steps =
    let block = RitzBlock(context, LoopOperator.rows operator, directions)

    Seq.init steps (fun _ -> (block.Step operator).Sigma[0]) |> Seq.last
