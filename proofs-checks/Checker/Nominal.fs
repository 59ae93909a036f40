/// Nominal values behind an affine map, enclosed with their rounding.
module LipVerify.Checker.Nominal

open LipVerify.Checker.Directed
open LipVerify.Checker.Json
open LipVerify.Checker.Network

/// `s·y` for the lower and the upper end of `y`.
let private timesBoth s (low, high) =
    if s = 1.0 then low, high
    elif s > 0.0 then Sum.times s low, Sum.times s high
    else Sum.times s high, Sum.times s low

/// `A x + b`, after the row factors and scalings.
let apply (operator: Operator) scales (bias: float[]) (x: Interval[]) =
    if x.Length <> operator.Inputs then
        refuse "a layer of the network does not fit the one before"

    let factored i (low, high) =
        let factor = operator.Factor i

        if factor.Lo = factor.Hi then
            timesBoth factor.Lo (low, high)
        else
            let product =
                multiply
                    factor
                    {
                        Lo = Sum.lower low
                        Hi = Sum.upper high
                    }

            Sum.add 1.0 product.Lo Sum.zero, Sum.add 1.0 product.Hi Sum.zero

    Array.Parallel.init bias.Length (fun i ->
        let row = operator.Row i

        let ends atPositive atNegative =
            (Sum.zero, row)
            ||> Array.fold (fun sum struct (j, a) -> Sum.add a ((if a > 0.0 then atPositive else atNegative) x[j]) sum)

        let low, high =
            (factored i (ends _.Lo _.Hi, ends _.Hi _.Lo), scales)
            ||> List.fold (fun y (s: float[]) -> timesBoth s[i] y)

        {
            Lo = Sum.add 1.0 bias[i] low |> Sum.lower
            Hi = Sum.add 1.0 bias[i] high |> Sum.upper
        })
