/// A classifier with one hidden layer, trained by gradient descent on clusters of points.
module LipVerify.Samples.PolynomialBounds.Classifier

open System

/// `x ↦ C·relu(A x + b) + d`.
type Classifier =
    {
        Hidden: float[,]
        Bias: float[]
        Output: float[,]
        Offset: float[]
    }

/// A point and its class.
type Example = { Point: float[]; Label: int }

let private affine (matrix: float[,]) (offset: float[]) (x: float[]) =
    Array.init offset.Length (fun i ->
        let mutable sum = offset[i]

        for j in 0 .. x.Length - 1 do
            sum <- sum + matrix[i, j] * x[j]

        sum)

/// Pre-activations and outputs.
let private forward classifier x =
    let before = affine classifier.Hidden classifier.Bias x
    before, affine classifier.Output classifier.Offset (before |> Array.map (max 0.0))

/// The outputs.
let logits classifier x = forward classifier x |> snd

/// The class of the largest output.
let predict classifier x =
    let values = logits classifier x
    Array.IndexOf(values, Array.max values)

/// `f_rival − f_label` and its gradient.
let margin classifier label rival (x: float[]) =
    let before, values = forward classifier x
    let gradient = Array.zeroCreate x.Length

    for i in 0 .. before.Length - 1 do
        if before[i] > 0.0 then
            let c = classifier.Output[rival, i] - classifier.Output[label, i]

            for j in 0 .. x.Length - 1 do
                gradient[j] <- gradient[j] + c * classifier.Hidden[i, j]

    values[rival] - values[label], gradient

/// Points around one centre a class, normal in each coordinate. Centres are `distance` away from 0 in each coordinate, on average.
let clusters (random: Random) inputs classes distance =
    let centers =
        Array.init classes (fun _ -> Array.init inputs (fun _ -> distance * RandomNetwork.gaussian random))

    fun count ->
        Array.init count (fun _ ->
            let label = random.Next classes

            {
                Point = centers[label] |> Array.map (fun x -> x + RandomNetwork.gaussian random)
                Label = label
            })

/// One step against the gradient of the cross-entropy of an example, with weights decaying.
let private step rate decay classifier example =
    let before, values = forward classifier example.Point
    let largest = Array.max values
    let weights = values |> Array.map (fun value -> exp (value - largest))
    let total = Array.sum weights

    let error =
        weights
        |> Array.mapi (fun k weight -> weight / total - (if k = example.Label then 1.0 else 0.0))

    for i in 0 .. before.Length - 1 do
        let mutable back = 0.0

        for k in 0 .. error.Length - 1 do
            back <- back + error[k] * classifier.Output[k, i]

            classifier.Output[k, i] <-
                (1.0 - rate * decay) * classifier.Output[k, i]
                - rate * error[k] * max 0.0 before[i]

        let back = if before[i] > 0.0 then back else 0.0
        classifier.Bias[i] <- classifier.Bias[i] - rate * back

        for j in 0 .. example.Point.Length - 1 do
            classifier.Hidden[i, j] <- (1.0 - rate * decay) * classifier.Hidden[i, j] - rate * back * example.Point[j]

    for k in 0 .. error.Length - 1 do
        classifier.Offset[k] <- classifier.Offset[k] - rate * error[k]

/// Trains a classifier with `hidden` units by passes over the examples.
let train (random: Random) hidden classes passes rate decay (examples: Example[]) =
    let inputs = examples[0].Point.Length

    let normal rows columns =
        Array2D.init rows columns (fun _ _ -> RandomNetwork.gaussian random / sqrt (float columns))

    let classifier =
        {
            Hidden = normal hidden inputs
            Bias = Array.zeroCreate hidden
            Output = normal classes hidden
            Offset = Array.zeroCreate classes
        }

    for _ in 1..passes do
        examples |> Array.iter (step rate decay classifier)

    classifier
