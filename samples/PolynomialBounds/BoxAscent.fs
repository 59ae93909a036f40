/// Attacks: points of a ball in the maximum norm where another class comes closest, or wins.
module LipVerify.Samples.PolynomialBounds.BoxAscent

open System

/// The largest `f_rival − f_label` that is found over `‖x − center‖∞ ≤ radius` by steps along the signs of the gradient.
let maximum (random: Random) starts classifier label rival (center: float[]) radius =
    let ascend start =
        let mutable x: float[] = start
        let mutable best = Double.NegativeInfinity

        for k in 0..40 do
            let value, gradient = Classifier.margin classifier label rival x
            best <- max best value
            let step = radius / (1.0 + 0.5 * float k)

            x <-
                Array.map3
                    (fun c x g -> Math.Clamp(x + step * float (sign g), c - radius, c + radius))
                    center
                    x
                    gradient

        best

    Seq.init starts (fun k ->
        center
        |> Array.map (fun c ->
            if k = 0 then
                c
            else
                c + radius * (2.0 * random.NextDouble() - 1.0)))
    |> Seq.map ascend
    |> Seq.max
