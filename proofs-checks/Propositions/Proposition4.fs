/// Proved in proofs-checks/coq/statements/Proposition4.v; here it is held against the program.
module LipVerify.Propositions.Proposition4

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

let private reach (case: MapCase) =
    let nominal = LinearMap.applyTo engine case.Map case.Ball.Center

    (Propositions.affineUpperBound engine case.Map nominal case.Ball).Reach
    |> Tensor.values

/// `D a_i` for each row.
let private maskedRows (case: MapCase) =
    let rows = matrix case.Map
    masked (Array.create rows.Length 1.0) rows (Tensor.values case.Ball.Mask)

let private dot (a: float[]) (b: float[]) =
    Array.fold2 (fun sum x y -> sum + x * y) 0.0 a b

[<Tests>]
let tests =
    testList
        "Proposition4"
        [
            statement "Proposition 4: no point of the ball rises above the bound" 250 linearMapCase (fun case ->
                let reach, rows = reach case, maskedRows case
                let mask, draw = Tensor.values case.Ball.Mask, Draw case.Seed

                // Displacements suffice, since y − y0 = A δ; centred at zero they are not rounded.
                for moved in samples draw 20 (Array.zeroCreate mask.Length) mask case.Ball.Radius.Value do
                    for i in 0 .. rows.Length - 1 do
                        let rounding =
                            Rounding.gamma (mask.Length + 2)
                            * dot (Array.map abs rows[i]) (Array.map abs moved)

                        Expect.isLessThanOrEqual (dot rows[i] moved) (reach[i] + rounding) $"row {i}")

            statement "Proposition 4: the displacement along D a_i attains the bound" 250 linearMapCase (fun case ->
                let reach, rows = reach case, maskedRows case

                for i in 0 .. rows.Length - 1 do
                    let size = norm rows[i]

                    if size > 0.0 && case.Ball.Radius.Value > 0.0 then
                        let attained =
                            dot rows[i] (rows[i] |> Array.map (fun a -> a / size * case.Ball.Radius.Value))
                        // The inner product, the norm and the bound each err by the roundings of a sum of n squares.
                        let allowed = 16.0 * float (rows[i].Length + 8) * Rounding.unitRoundoff
                        Expect.isLessThanOrEqual reach[i] (attained * (1.0 + allowed)) $"row {i}"
                        Expect.isGreaterThanOrEqual reach[i] (attained * (1.0 - allowed)) $"row {i}"
                    else
                        Expect.equal reach[i] 0 $"row {i}")

            statement "Proposition 4: switched-off inputs leave no trace in the bound" 100 linearMapCase (fun case ->
                let none =
                    { case with
                        Ball =
                            { case.Ball with
                                Mask = Tensor.map (fun _ -> 0.0) case.Ball.Mask
                            }
                    }

                Expect.all (reach none) ((=) 0.0) "reaches are 0")
        ]
