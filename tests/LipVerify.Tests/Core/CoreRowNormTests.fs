/// Proved in proofs-checks/coq/statements/RowNorms.v; here it is held against the program.
module LipVerify.Tests.CoreRowNormTests

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open LipVerify.Tests.CoreRoundingTests
open Expecto
open LipVerify.Propositions.Expectations

/// The square of the norm of `D a_i` in units of 2⁻²¹⁴⁸, in integers; for the entries that are stored as they are.
let private exactSquare (row: float[]) (mask: float[]) =
    Array.map2 (fun a d -> if d = 0.0 then 0I else units a * units a) row mask
    |> Array.sum

/// Rounding of the sum of squares, its root and the inflation that covers them.
let private loose terms =
    8.0 * float (terms + 8) * Rounding.unitRoundoff

/// Whether taps on padding may count among the entries of a row.
let rec private isPadded map =
    match map with
    | LinearMap.Convolution _
    | LinearMap.AveragePooling _ -> true
    | Scaled(_, map)
    | Rounded(_, map) -> isPadded map
    | LinearMap.Dense _
    | LinearMap.Sparse _
    | Diagonal _ -> false

[<Tests>]
let tests =
    testList
        "CoreRowNorm"
        [
            statement "row norms are never below the exact ones, and close above them" 400 linearMapCase (fun case ->
                let rows, mask = matrix case.Map, Tensor.values case.Ball.Mask
                let norms = RowNorms.rowNorms engine case.Map case.Ball.Mask |> Tensor.values
                let expected = masked (Array.create rows.Length 1.0) rows mask |> Array.map norm
                let slack = loose (LinearMap.termsInRow case.Map)

                for i in 0 .. rows.Length - 1 do
                    Expect.isLessThanOrEqual norms[i] (expected[i] * (1.0 + slack)) $"row {i}"

                    match case.Map with
                    | Dense _
                    | Convolution _
                    | Sparse _
                    | Diagonal _ ->
                        Expect.isTrue (units norms[i] * units norms[i] >= exactSquare rows[i] mask) $"row {i}"
                    | AveragePooling _
                    | Scaled _
                    | Rounded _ ->
                        // The explicit entries are rounded products and quotients themselves.
                        Expect.isGreaterThanOrEqual norms[i] (expected[i] * (1.0 - slack)) $"row {i}")

            statement
                "row norms of matrices with entries of every size are never below the exact ones"
                300
                Draw
                (fun draw ->
                    let rows, columns = draw.Int(1, 5), draw.Int(1, 6)
                    let spread = draw.Pick [ 0.0; 20.0; 150.0; 300.0 ]
                    let centre = draw.Pick [ 0.0; -150.0; 150.0; -310.0; 290.0 ]

                    let entry () =
                        if draw.Chance 0.2 then
                            0.0
                        else
                            let exponent = centre + draw.Real(-spread, spread) |> max -323.0 |> min 300.0
                            Math.Pow(10.0, exponent) * draw.Pick [ -1.0; 1.0 ]

                    let weights = Array.init (rows * columns) (fun _ -> entry ())
                    let mask = mask draw columns

                    let norms =
                        RowNorms.rowNorms
                            engine
                            (Dense(Dense.create (Tensor.ofArray [ rows; columns ] weights)))
                            (Tensor.vector mask)
                        |> Tensor.values

                    Array.chunkBySize columns weights
                    |> Array.iteri (fun i row ->
                        let exact = exactSquare row mask
                        Expect.isTrue (units norms[i] * units norms[i] >= exact) $"row {i}: {norms[i]:R} of {row}"

                        if exact = 0I then
                            Expect.equal norms[i] 0 "norms[i]"
                        else
                            // Where squares underflow beside larger rows the sum of absolute values serves: √n above at most.
                            let ceiling = Array.map2 (fun a d -> abs a * d) row mask |> Array.sum
                            Expect.isLessThanOrEqual norms[i] (ceiling * (1.0 + 1e-13) + Double.Epsilon) "norms[i]"))

            statement "average pooling's divisors are those of the engine" 300 (fun seed -> seed) (fun seed ->
                let draw = Draw seed
                let g = poolingGeometry draw (draw.Int(1, 2), draw.Int(1, 7), draw.Int(1, 7))

                for counted in [ true; false ] do
                    let pooling = AveragePooling.create g counted
                    let divisors = AveragePooling.divisors pooling

                    matrix (AveragePooling pooling)
                    |> Array.iteri (fun i row ->
                        for entry in row do
                            if entry <> 0.0 then
                                Expect.isWithin (1e-15) entry (1.0 / divisors[i]) $"window {i}"))

            statement
                "absolute sums of rows and columns are never below the explicit ones"
                200
                linearMapCase
                (fun case ->
                    let rows, mask = matrix case.Map, Tensor.values case.Ball.Mask
                    let draw = Draw case.Seed
                    let weights = Array.init rows.Length (fun _ -> draw.Real(0.0, 1.0))

                    let across = Tensor.values (RowNorms.absoluteRowSums engine case.Map case.Ball.Mask)

                    let down =
                        Tensor.values (RowNorms.absoluteColumnSums engine case.Map (Tensor.vector weights))

                    let slack = 1e-13

                    for i in 0 .. rows.Length - 1 do
                        let exact = Array.map2 (fun a d -> abs a * d) rows[i] mask |> Array.sum
                        Expect.isInRange across[i] (exact * (1.0 - slack), exact * (1.0 + slack)) "across[i]"

                    for j in 0 .. mask.Length - 1 do
                        let exact =
                            Array.map2 (fun (row: float[]) r -> abs row[j] * r) rows weights |> Array.sum

                        Expect.isInRange down[j] (exact * (1.0 - slack), exact * (1.0 + slack)) "down[j]")

            statement "the adjoint of a map is its transpose" 200 linearMapCase (fun case ->
                let rows = matrix case.Map

                let basis i =
                    Array.init rows.Length (fun k -> if k = i then 1.0 else 0.0)

                rows
                |> Array.iteri (fun i row ->
                    let column =
                        LinearMap.adjointTo engine case.Map (Tensor.vector (basis i)) |> Tensor.values

                    for j in 0 .. row.Length - 1 do
                        Expect.isWithin (4.0 * Rounding.unitRoundoff * abs row[j]) column[j] (row[j]) "column[j]"))

            statement "the terms of rows and columns are counted, never too few" 300 linearMapCase (fun case ->
                let rows = matrix case.Map

                let count (values: float seq) =
                    values |> Seq.filter (fun a -> a <> 0.0) |> Seq.length

                let longestRow = rows |> Array.map count |> Array.max

                let longestColumn =
                    Seq.init rows[0].Length (fun j -> count (rows |> Seq.map (fun row -> row[j])))
                    |> Seq.max

                Expect.isGreaterThanOrEqual (LinearMap.termsInRow case.Map) longestRow "LinearMap.termsInRow case.Map"

                Expect.isGreaterThanOrEqual
                    (LinearMap.termsInColumn case.Map)
                    longestColumn
                    "LinearMap.termsInColumn case.Map")

            statement
                "the dual norms of rows are never below the exact ones, and close above them"
                400
                linearMapCase
                (fun case ->
                    let rows = matrix case.Map
                    let slack = loose (LinearMap.termsInRow case.Map)

                    for norm in Norm.all do
                        let norms = RowNorms.dualNorms engine norm case.Map |> Tensor.values

                        rows
                        |> Array.iteri (fun i row ->
                            let exact = Norm.dual norm row
                            Expect.isGreaterThanOrEqual norms[i] (exact * (1.0 - slack)) $"{norm}, row {i}"

                            let ceiling =
                                if norm = Taxicab && isPadded case.Map then
                                    Norm.dual Euclidean row
                                else
                                    exact

                            Expect.isLessThanOrEqual norms[i] (ceiling * (1.0 + slack)) $"{norm}, row {i}"))
        ]
