namespace LipVerify.Core.Bounds.Exact.Maximum

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Chains

/// What is known of one row `J_j` of the Jacobians in a part of a box.
[<ReferenceEquality>]
type internal RowBound =
    {
        /// `J_j = Σ_l e_l Symbols_l` for some `|e| ≤ 1`, up to rounding.
        Symbols: float[][]
        /// What is rounded there, at most, summed over the entries.
        Error: float
        /// No row has a larger `Σ_k |J_jk|`: entries bounded one by one.
        Entries: float
        /// How large the coefficients before the ReLUs can be, layer by layer.
        Weights: float[][]
    }

    /// A bound on `Σ_k |J_jk|` that takes the entries together (`SignForm`).
    member row.Together = SignForm.bound row.Symbols + row.Error

/// Rows of Jacobians backward through a network whose ReLUs have slopes 0, 1 or anything between. An entry `v` of the row times an
/// open slope is `v/2 + e·max|v|/2` with `|e| ≤ 1`, so that what comes back together cancels; the interval of `v` is carried along
/// too, and the smaller holds.
[<Sealed>]
type internal RowBounds(chain: ReluChain) =
    let last = chain.Steps.Length - 1

    let rounding =
        let terms =
            chain.Steps |> Array.sumBy (fun step -> step.Rows.Length + step.Rows[0].Length)

        4.0 * Rounding.gamma (terms + 16 * chain.Steps.Length)

    /// `weights·rows` for weights between `low` and `high`.
    let intervals (rows: float[][]) (low: float[]) (high: float[]) =
        let nextLow = Array.zeroCreate<float> rows[0].Length
        let nextHigh = Array.zeroCreate<float> nextLow.Length

        for i in 0 .. rows.Length - 1 do
            if low[i] <> 0.0 || high[i] <> 0.0 then
                let row = rows[i]

                for k in 0 .. row.Length - 1 do
                    let w = row[k]
                    nextLow[k] <- nextLow[k] + w * (if w >= 0.0 then low[i] else high[i])
                    nextHigh[k] <- nextHigh[k] + w * (if w >= 0.0 then high[i] else low[i])

        struct (nextLow, nextHigh)

    let magnitudes (rows: float[][]) (size: float[]) =
        let sum = Array.zeroCreate<float> rows[0].Length

        for i in 0 .. rows.Length - 1 do
            if size[i] <> 0.0 then
                let row = rows[i]

                for k in 0 .. row.Length - 1 do
                    sum[k] <- sum[k] + abs row[k] * size[i]

        sum

    /// What row `row` of the Jacobians with these slopes can be.
    member _.Of row (slopes: int[][]) : RowBound =
        let weights =
            slopes |> Array.map (fun layer -> Array.zeroCreate<float> layer.Length)

        let mutable low = Array.copy chain.Steps[last].Rows[row]
        let mutable high = Array.copy low
        let mutable size = Array.map abs low
        // The first is the middle.
        let mutable symbols = [| Array.copy low |]

        for layer in last - 1 .. -1 .. 0 do
            let rows = chain.Steps[layer].Rows
            let fresh = ResizeArray<float[]>()

            for i in 0 .. low.Length - 1 do
                let largest = max (abs low[i]) (abs high[i])
                weights[layer][i] <- largest

                match slopes[layer][i] with
                | 1 -> ()
                | 0 ->
                    low[i] <- 0.0
                    high[i] <- 0.0
                    size[i] <- 0.0

                    for symbol in symbols do
                        symbol[i] <- 0.0
                | _ ->
                    low[i] <- min low[i] 0.0
                    high[i] <- max high[i] 0.0

                    for symbol in symbols do
                        symbol[i] <- 0.5 * symbol[i]

                    if largest > 0.0 then
                        fresh.Add(rows[i] |> Array.map (fun w -> 0.5 * largest * w))

            let struct (nextLow, nextHigh) = intervals rows low high
            low <- nextLow
            high <- nextHigh
            size <- magnitudes rows size

            symbols <-
                Array.append (symbols |> Array.map (fun symbol -> ReluChain.combination symbol rows)) (fresh.ToArray())

            for k in 0 .. low.Length - 1 do
                let mutable reach = rounding * size[k]

                for l in 1 .. symbols.Length - 1 do
                    reach <- reach + abs (symbols[l][k])

                low[k] <- max low[k] (symbols[0][k] - reach)
                high[k] <- min high[k] (symbols[0][k] + reach)

        let error = rounding * Array.sum size

        let entries =
            Array.fold2 (fun sum low high -> sum + max (abs low) (abs high)) error low high

        {
            Symbols = symbols
            Error = error
            Entries =
                if Double.IsNaN entries then
                    Double.PositiveInfinity
                else
                    entries
            Weights = weights
        }
