/// Directions in which Jacobians stretch most.
module internal LipVerify.Core.LowerBounds.StretchDirections

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks

let private restricted (mask: float[]) (rows: float[]) =
    rows |> Array.mapi (fun i v -> v * mask[i % mask.Length])

/// `change` of each row of the given size.
let private ofRows size (change: float[] -> float[]) (rows: float[]) =
    rows |> Array.chunkBySize size |> Array.collect change

/// The power method: `v ↦ JᵀJ v` in the 2-norm, and in any norm `v` the furthest point of its ball in the direction `Jᵀw`, where `w` is the
/// furthest of the dual ball in that of `J v`, so that `‖J v‖` never falls (Boyd 1974).
let private byPower context norm (linear: Linearization) mask iterations (start: float[]) =
    let back w =
        Points.host (linear.Pullback(HostStorage w))

    let unit rows =
        let rows = restricted mask rows

        match norm with
        | Euclidean ->
            Points.normalise mask.Length rows
            rows
        | Maximum
        | Taxicab -> ofRows mask.Length (NormedVectors.furthest norm) rows

    let step v _ =
        Context.check context
        let image = linear.Pushforward(HostStorage v)

        match norm with
        | Euclidean -> linear.Pullback image |> Points.host |> unit
        | Maximum
        | Taxicab ->
            let outputs = image.Length * mask.Length / v.Length

            Points.host image
            |> ofRows outputs (NormedVectors.furthest (Norm.conjugate norm))
            |> back
            |> unit

    (unit start, seq { 1..iterations }) ||> Seq.fold step

/// From all rows of the Jacobians: the signs of the row with the largest sum of magnitudes, or the unit vector of the column with the largest.
let private byRows context norm (linear: Linearization) mask count =
    let size, outputs = Array.length mask, linear.Value.Length / count
    let sums, best = Array.zeroCreate (count * size), Array.zeroCreate count

    for output in 0 .. outputs - 1 do
        Context.check context

        let unit =
            Array.init (count * outputs) (fun i -> if i % outputs = output then 1.0 else 0.0)

        let rows = linear.Pullback(HostStorage unit) |> Points.host |> restricted mask

        for point in 0 .. count - 1 do
            let row = ReadOnlySpan(rows, point * size, size)

            match norm with
            | Taxicab ->
                for i in 0 .. size - 1 do
                    sums[point * size + i] <- sums[point * size + i] + abs row[i]
            | Maximum
            | Euclidean ->
                let reach = NormedVectors.size Taxicab row

                if reach > best[point] then
                    best[point] <- reach
                    row.CopyTo(Span(sums, point * size, size))

    ofRows size (NormedVectors.furthest norm) sums

/// Unit vectors `v` with `‖J(x) D v‖` large, for each point: in the 2-norm close to the top right singular vectors, by power iteration from random
/// vectors. In the other norms the largest where the network has no more than four outputs an iteration, else what the power method reaches.
let at (context: Context) norm (network: Network) (mask: float[]) iterations (points: float[]) : float[] =
    let size = mask.Length
    let vectors = Array.zeroCreate points.Length

    Points.inBatches network 1 points (fun first count part ->
        let linear = Linearization.at context network count part

        let found =
            if norm <> Euclidean && Shape.size network.OutputShape <= 4 * iterations then
                byRows context norm linear mask count
            else
                Gaussian.draw context.Seed (1_000_000 + first) (count * size)
                |> byPower context norm linear mask iterations

        Array.blit found 0 vectors (first * size) found.Length)

    vectors
