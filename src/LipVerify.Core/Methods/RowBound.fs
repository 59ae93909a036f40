namespace LipVerify.Core

open System

/// A bound on `Σ_k |J_jk|` for one row of the Jacobians in a part of a box.
[<ReferenceEquality>]
type internal RowBound =
    {
        /// No row has a larger sum.
        Value: float
        /// How large the coefficients before the ReLUs can be, layer by layer.
        Weights: float[][]
    }

/// Rows of Jacobians backward through a network whose ReLUs have slopes 0, 1 or anything between: entry by entry as intervals, and
/// as affine functions of the open slopes, `λ = (1 + e)/2`, `|e| ≤ 1`, so that what comes back together cancels. The smaller holds.
[<Sealed>]
type internal RowBounds(chain: ReluChain) =
    let rounding =
        let terms =
            chain.Steps |> Array.sumBy (fun step -> step.Rows.Length + step.Rows[0].Length)

        4.0 * Rounding.gamma (terms + 16 * chain.Steps.Length)

    /// `J_j` between `low` and `high`, and within `rest` of `middle + Σ symbols·e`; `size` bounds what was added up.
    let backward row (slopes: int[][]) (weights: float[][]) =
        let last = chain.Steps.Length - 1
        let mutable low = Array.copy chain.Steps[last].Rows[row]
        let mutable high = Array.copy low
        let mutable middle = Array.copy low
        let mutable size = Array.map abs low
        let mutable rest = Array.zeroCreate<float> low.Length
        let mutable symbols = ResizeArray<float[]>()

        for layer in last - 1 .. -1 .. 0 do
            let width = low.Length
            let rows = chain.Steps[layer].Rows
            let fresh = ResizeArray<float[]>()

            for i in 0 .. width - 1 do
                weights[layer][i] <- max (abs low[i]) (abs high[i])

                match slopes[layer][i] with
                | 1 -> ()
                | 0 ->
                    low[i] <- 0.0
                    high[i] <- 0.0
                    middle[i] <- 0.0
                    size[i] <- 0.0
                    rest[i] <- 0.0

                    for symbol in symbols do
                        symbol[i] <- 0.0
                | _ ->
                    low[i] <- min low[i] 0.0
                    high[i] <- max high[i] 0.0
                    // `(1 + e)/2·(m + D) = m/2 + D/2 + e m/2 + e D/2`
                    middle[i] <- 0.5 * middle[i]
                    let mutable reach = rest[i]

                    for symbol in symbols do
                        reach <- reach + abs symbol[i]
                        symbol[i] <- 0.5 * symbol[i]

                    rest[i] <- 0.5 * rest[i] + 0.5 * reach

                    if middle[i] <> 0.0 then
                        fresh.Add(rows[i] |> Array.map (fun w -> middle[i] * w))

            let columns = rows[0].Length

            let nextLow, nextHigh =
                Array.zeroCreate<float> columns, Array.zeroCreate<float> columns

            let nextSize, nextRest =
                Array.zeroCreate<float> columns, Array.zeroCreate<float> columns

            for i in 0 .. width - 1 do
                if size[i] <> 0.0 then
                    let weights = rows[i]

                    for k in 0 .. columns - 1 do
                        let w = weights[k]
                        nextLow[k] <- nextLow[k] + w * (if w >= 0.0 then low[i] else high[i])
                        nextHigh[k] <- nextHigh[k] + w * (if w >= 0.0 then high[i] else low[i])
                        nextSize[k] <- nextSize[k] + abs w * size[i]
                        nextRest[k] <- nextRest[k] + abs w * rest[i]

            let next = ResizeArray<float[]>(symbols.Count + fresh.Count)

            for symbol in symbols do
                if Array.exists (fun x -> x <> 0.0) symbol then
                    next.Add(ReluChain.combination symbol rows)

            next.AddRange fresh
            middle <- ReluChain.combination middle rows

            for k in 0 .. columns - 1 do
                let mutable reach = nextRest[k] + rounding * nextSize[k]

                for symbol in next do
                    reach <- reach + abs symbol[k]

                nextLow[k] <- max nextLow[k] (middle[k] - reach)
                nextHigh[k] <- min nextHigh[k] (middle[k] + reach)

            low <- nextLow
            high <- nextHigh
            size <- nextSize
            rest <- nextRest
            symbols <- next

        struct (low, high, size)

    /// The bound for row `row` of the Jacobians with these slopes.
    member _.Of row (slopes: int[][]) : RowBound =
        let weights =
            slopes |> Array.map (fun layer -> Array.zeroCreate<float> layer.Length)

        let struct (low, high, size) = backward row slopes weights
        let mutable value = 0.0
        let mutable total = 0.0

        for k in 0 .. low.Length - 1 do
            value <- value + max (abs low[k]) (abs high[k])
            total <- total + size[k]

        let value = value + rounding * total

        {
            Value =
                if Double.IsNaN value then
                    Double.PositiveInfinity
                else
                    value
            Weights = weights
        }
