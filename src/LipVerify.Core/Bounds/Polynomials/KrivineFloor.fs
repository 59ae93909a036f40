/// What LipOpt-3 cannot go below, without its linear program, which has too many products for dense networks.
///
/// On bits and signs Krivine's certificates of degree 3 are dual to the relaxation of Sherali and Adams of level 3: numbers that
/// on any three of the variables are moments of a distribution. Write `u = (1 + σ)/2` and give weights `w_e` to the pairs `e` of
/// a sign `t_j` with `1` or a `σ_i`, so that the polynomial is `f_0 + Σ w_e y_e` for the moments `y_e` of these pairs. Then
/// `y_e = sign(w_e)/2`, with 0 for all pairs of two signs or of two of `1, σ_1, …`, is such a point: docs/methods.md, section 9,
/// names the distributions. Hence `λ ≥ f_0 + ½ Σ |w_e|`.
module LipVerify.Core.Bounds.Polynomials.KrivineFloor

open System.Collections.Generic
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks

/// The terms as weights of pairs of a sign with `σ_i`, or with 1 (no slope); none for polynomials of another form.
let private pairs (problem: GradientProblem) =
    let weights = Dictionary<int option * int, float>()

    let add pair value =
        weights[pair] <- weights.GetValueOrDefault(pair, 0.0) + value

    let isSlope variable = problem.Kinds[variable] = Bit
    let mutable isBipartite = true

    for KeyValue(monomial, value) in problem.Objective do
        match monomial with
        | [] -> ()
        | [ t ] when not (isSlope t) -> add (None, t) value
        | [ u; t ] when isSlope u && not (isSlope t) ->
            add (None, t) (0.5 * value)
            add (Some u, t) (0.5 * value)
        | _ -> isBipartite <- false

    if isBipartite then Some weights else None

/// A number that no certificate of degree 3 of the polynomial is below (one hidden layer and the maximum norm), lowered by an
/// allowance for rounding.
let degree3 (problem: GradientProblem) =
    pairs problem
    |> Option.map (fun weights ->
        let constant = MultilinearPolynomial.coefficient [] problem.Objective
        let half = 0.5 * Seq.sumBy abs weights.Values

        let sizes =
            problem.Objective
            |> Map.fold (fun sum _ value -> sum + abs value) (abs constant)

        constant + half - Rounding.gamma (2 * problem.Objective.Count + 4) * sizes)

/// What `PolynomialBound` with LipOpt-3 is at least, in the maximum norm, or why that is not known.
let lipOpt3 (context: Context) (network: Network) output region =
    DenseChain.ofNetwork context network
    |> Result.bind (fun chain -> GradientProblem.create Maximum chain output region)
    |> Result.bind (fun problem ->
        match degree3 problem with
        | Some floor -> Ok(Rounding.scaleDown (max 0.0 floor) problem.Exponent)
        | None -> Error "a lower bound on LipOpt-3 is known for one hidden layer only")
