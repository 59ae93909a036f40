namespace LipVerify.Core.Attacks

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.LowerBounds

/// What an attack is up against.
[<ReferenceEquality>]
type AttackProblem =
    private
        {
            Network: Network
            Center: Tensor
            Box: Box option
            Outputs: float[]
            Label: int
            /// Whether the class of the nominal input is that label in real arithmetic too.
            IsDecided: bool
        }

/// The steps that attacks share. Points are rows of one array, as in `Points`.
module AttackProblem =

    let private argmax (outputs: float[]) =
        outputs |> Array.indexed |> Array.maxBy snd |> fst

    let private contains box (x: Tensor) =
        let inside low high value = low <= value && value <= high

        Array.forall2
            (fun (low, high) value -> inside low high value)
            (Array.zip (Tensor.values box.Lower) (Tensor.values box.Upper))
            (Tensor.values x)

    /// The problem of changing the class that the network gives an input. A box must contain the input.
    let create (context: Context) (network: Network) (input: Tensor) (box: Box option) : AttackProblem =
        let center = Tensor.reshape network.InputShape input

        match box with
        | Some box when box.Lower.Length <> center.Length || box.Upper.Length <> center.Length ->
            invalidArg (nameof box) $"a box for inputs of {Shape.text network.InputShape} needs as many bounds"
        | Some box when not (contains box center) -> invalidArg (nameof box) "the box must contain the nominal input"
        | _ -> ()

        let outputs = Points.outputs context network (Tensor.values center)
        let enclosed = EnclosedTensor.evaluate context network center
        let label = argmax outputs

        {
            Network = network
            Center = center
            Box = box
            Outputs = outputs
            Label = label
            IsDecided =
                argmax (Tensor.values enclosed.Value) = label
                && Propositions.topTwoGap enclosed > 0.0
        }

    /// The nominal input.
    let center problem = Tensor.values problem.Center

    /// The class of the nominal input.
    let label problem = problem.Label

    /// Whether there is another class at all.
    let hasOtherClass problem = problem.Outputs.Length > 1

    /// Draws points into the box, in place.
    let clip problem (points: float[]) =
        match problem.Box with
        | None -> ()
        | Some box ->
            let lower, upper = Tensor.values box.Lower, Tensor.values box.Upper

            for i in 0 .. points.Length - 1 do
                let k = i % lower.Length
                points[i] <- min upper[k] (max lower[k] points[i])

    /// The largest output of another class less that of the original one: positive for adversarial inputs.
    let private marginOf problem (outputs: ReadOnlySpan<float>) =
        let mutable best = Double.NegativeInfinity

        for j in 0 .. outputs.Length - 1 do
            if j <> problem.Label && outputs[j] > best then
                best <- outputs[j]

        best - outputs[problem.Label]

    let private marginsOf problem (outputs: float[]) =
        let m = problem.Outputs.Length
        Array.init (outputs.Length / m) (fun row -> marginOf problem (ReadOnlySpan(outputs, row * m, m)))

    /// The margins at many points.
    let margins context problem (points: float[]) =
        Points.outputs context problem.Network points |> marginsOf problem

    /// The other class with the largest output at a point.
    let strongest context problem (point: float[]) =
        Points.outputs context problem.Network point
        |> Array.indexed
        |> Array.filter (fun (j, _) -> j <> problem.Label)
        |> Array.maxBy snd
        |> fst

    /// The margins at many points, and for the class `j` that each row is steered to, `f_j − f_c` and its gradient.
    let steer context problem (targets: int[]) (points: float[]) =
        let m = problem.Outputs.Length

        let weigh first (outputs: float[]) =
            let weights = Array.zeroCreate outputs.Length

            for row in 0 .. outputs.Length / m - 1 do
                weights[row * m + targets[first + row]] <- 1.0
                weights[row * m + problem.Label] <- -1.0

            weights

        let struct (outputs, gradients) = Points.pull context problem.Network 1 points weigh

        let leads =
            targets
            |> Array.mapi (fun row target -> outputs[row * m + target] - outputs[row * m + problem.Label])

        struct (marginsOf problem outputs, leads, gradients)

    /// The margins, and the gradient of `log Σ_{j≠c} exp f_j − f_c` at each point: that of the cross-entropy loss up to a positive
    /// factor, which vanishes in rounding where the network is sure of its class.
    let crossEntropyGradient context problem (points: float[]) =
        let m = problem.Outputs.Length

        let weigh _ (outputs: float[]) =
            let weights = Array.zeroCreate outputs.Length

            for row in 0 .. outputs.Length / m - 1 do
                let lead = marginOf problem (ReadOnlySpan(outputs, row * m, m))
                let largest = lead + outputs[row * m + problem.Label]
                let mutable total = 0.0

                for j in 0 .. m - 1 do
                    if j <> problem.Label then
                        weights[row * m + j] <- exp (outputs[row * m + j] - largest)
                        total <- total + weights[row * m + j]

                for j in 0 .. m - 1 do
                    weights[row * m + j] <- weights[row * m + j] / total

                weights[row * m + problem.Label] <- -1.0

            weights

        let struct (outputs, gradients) = Points.pull context problem.Network 1 points weigh
        struct (marginsOf problem outputs, gradients)

    /// A class with what the linearised network says of it.
    [<Struct>]
    type Target =
        {
            /// The class.
            Class: int
            /// Distance at which its output reaches that of the original class.
            Distance: float
            /// Norm of the gradient of the difference of the two outputs.
            Slope: float
        }

    /// The classes whose outputs reach that of the original one soonest in the linearised network, nearest first.
    let targets context problem count : Target[] =
        let n = problem.Center.Length

        let candidates =
            [| 0 .. problem.Outputs.Length - 1 |]
            |> Array.filter (fun j -> j <> problem.Label)
            |> Array.sortByDescending (fun j -> problem.Outputs[j])
            |> Array.truncate (4 * count)

        let points = candidates |> Array.collect (fun _ -> center problem)
        let struct (_, leads, gradients) = steer context problem candidates points

        candidates
        |> Array.mapi (fun row j ->
            let slope = Vectors.norm (ReadOnlySpan(gradients, row * n, n))

            {
                Class = j
                Distance = -leads[row] / slope
                Slope = slope
            })
        |> Array.filter (fun target -> target.Slope > 0.0 && Double.IsFinite target.Distance)
        |> Array.sortBy _.Distance
        |> Array.truncate count

    /// The adversarial example at a point of the box; none where the class is that of the nominal input.
    let confirm context problem attack (point: float[]) : AdversarialExample option =
        let point = Array.copy point
        clip problem point
        let input = Tensor.ofArray problem.Network.InputShape point
        let output = EnclosedTensor.evaluate context problem.Network input
        let values, errors = Tensor.values output.Value, Tensor.values output.Error
        let original = Rounding.addUp values[problem.Label] errors[problem.Label]

        let surelyExceeds j =
            j <> problem.Label && Math.BitDecrement(values[j] - errors[j]) > original

        let isCertain = Seq.exists surelyExceeds (seq { 0 .. values.Length - 1 })

        if isCertain || marginOf problem (ReadOnlySpan values) > 0.0 then
            Some
                {
                    Input = input
                    Distance = NormedVectors.distanceUp Euclidean input problem.Center
                    Rigor =
                        if isCertain && problem.IsDecided then
                            Certified
                        else
                            Numerical
                    Label = argmax values
                    OriginalLabel = problem.Label
                    Attack = attack
                }
        else
            None
