/// Relaxations of the gradient problem by moments (METHODS section 9): the point is replaced by a matrix of products of its
/// coordinates, of which only `⪰ 0` and linear relations are kept. Shor: Chen, Lasserre, Magron & Pauwels 2020, and d'Aspremont &
/// Boyd; HR-2 and order 2: Chen et al.
module LipVerify.Core.Bounds.Polynomials.MomentRelaxation

open System.Collections.Generic
open LipVerify.Core.Numbers
open LipVerify.Core.Bounds.Polynomials.FirstOrderMatrix

/// A problem whose variables are numbered in the first-order matrix: 0 is the constant, then bits and signs, then inputs.
[<ReferenceEquality>]
type private Numbering =
    {
        Problem: GradientProblem
        /// The variables that matter, in the order of the matrix.
        Variables: int[]
        /// Row of a variable.
        Rows: Dictionary<int, int>
    }

let private numberingOf (problem: GradientProblem) =
    let used =
        problem.Objective
        |> Map.toSeq
        |> Seq.collect fst
        |> Seq.distinct
        |> Seq.sort
        |> Array.ofSeq

    let rows = Dictionary<int, int>()
    used |> Array.iteri (fun i variable -> rows[variable] <- i + 1)

    {
        Problem = problem
        Variables = used
        Rows = rows
    }

/// A polynomial of degree 2 as a functional of the first-order matrix.
let private quadratic (numbering: Numbering) (polynomial: MultilinearPolynomial) =
    [
        for KeyValue(monomial, value) in polynomial do
            match monomial with
            | [] -> entry 0 0 0 value
            | [ i ] -> entry 0 0 numbering.Rows[i] value
            | [ i; j ] -> entry 0 numbering.Rows[i] numbering.Rows[j] value
            | _ -> invalidArg (nameof polynomial) "the polynomial is not quadratic"
    ]

/// The first-order relaxation with more constraints on the same matrix.
let private firstOrder (numbering: Numbering) more =
    let problem = numbering.Problem

    let ball =
        problem.Signs
        |> List.choose (fun sign ->
            match numbering.Rows.TryGetValue sign.Variable with
            | true, row -> Some(row, sign)
            | _ -> None)
        |> ball problem.Norm (1 + numbering.Variables.Length)

    {
        Sides = [| 1 + numbering.Variables.Length + ball.Count |]
        Traces = [| 1.0 + float numbering.Variables.Length + ball.Trace |]
        Objective = quadratic numbering problem.Objective
        Constraints =
            [|
                normalised
                for variable in numbering.Variables do
                    squared problem.Kinds[variable] numbering.Rows[variable]
                yield! ball.Constraints
                yield! more
            |]
    }

let private requireQuadratic name (problem: GradientProblem) =
    if MultilinearPolynomial.degree problem.Objective > 2 then
        Error $"the method {name} bounds networks with one hidden layer whose slopes are unknown"
    else
        Ok(numberingOf problem)

/// Shor's relaxation: the matrix of all products of two of `1, u, t, ξ`.
let shor problem =
    requireQuadratic "shor" problem
    |> Result.map (fun numbering -> firstOrder numbering [])

/// HR-2 takes all pairs up to this many, then those of the largest coefficients.
let mostPairs = 400

/// The pairs of variables that share a term: all of them, or the two strongest of each variable.
let private pairs (objective: MultilinearPolynomial) =
    [
        for KeyValue(monomial, value) in objective do
            match monomial with
            | [ i; j ] -> (i, j), abs value
            | _ -> ()
    ]
    |> strongest mostPairs 2

/// HR-2: Shor's relaxation with a matrix of order 2 on pairs of variables that share a term. On two bits or signs that matrix says
/// no more and no less than that the four indicators of their values are not negative, and on one input `ξ_i` it says nothing
/// that the first order does not (docs/methods.md, section 9): linear inequalities take their place.
let hr2 problem =
    requireQuadratic "hr2" problem
    |> Result.map (fun numbering ->
        [
            for i, j in pairs problem.Objective do
                for indicator in MultilinearPolynomial.indicators problem.Kinds [ i; j ] do
                    indicator
                    |> Map.map (fun _ value -> -value)
                    |> quadratic numbering
                    |> atMost 0.0
        ]
        |> firstOrder numbering)

/// The sets of variables on which order 2 is complete: all slopes, and one sign where there are signs.
let cliques (problem: GradientProblem) =
    let used =
        problem.Objective
        |> Map.toSeq
        |> Seq.collect fst
        |> Seq.distinct
        |> Seq.sort
        |> List.ofSeq

    let slopes, signs =
        used |> List.partition (fun variable -> problem.Kinds[variable] = Bit)

    match signs with
    | [] -> [ slopes ]
    | _ -> signs |> List.map (fun sign -> slopes @ [ sign ])

/// Smaller sets, for sparse networks: each sign with the slopes that it shares a term with.
let neighbourhoods (problem: GradientProblem) =
    match problem.Norm with
    | Euclidean
    | Taxicab -> cliques problem
    | Maximum ->
        [
            for KeyValue(monomial, _) in problem.Objective do
                for variable in monomial do
                    if problem.Kinds[variable] = Sign then
                        variable, monomial
        ]
        |> List.groupBy fst
        |> List.map (fun (_, terms) -> terms |> List.collect snd |> List.distinct |> List.sort)

/// The monomials with at most two of the variables.
let private basis (clique: int list) =
    [|
        yield []
        yield! clique |> List.map List.singleton

        for i in clique do
            for j in clique do
                if i < j then
                    yield [ i; j ]
    |]

/// The sparse relaxation of order 2: a matrix of order 2 on each clique, tied to one first-order matrix, which keeps the
/// constraints of a ball.
let lasserre2 problem =
    requireQuadratic "lasserre2" problem
    |> Result.bind (fun numbering ->
        let bases = cliques problem |> List.map basis

        let entries =
            bases |> List.sumBy (fun basis -> basis.Length * (basis.Length + 1) / 2)

        if entries > SemidefiniteProgram.mostConstraints then
            Error
                $"the relaxation of order 2 has matrices with {entries} entries together, and at most {SemidefiniteProgram.mostConstraints} are taken"
        else
            // Where the value of each monomial stands first.
            let places = Dictionary<int list, MatrixEntry>()
            places[[]] <- entry 0 0 0 1.0

            for i in numbering.Variables do
                places[[ i ]] <- entry 0 0 numbering.Rows[i] 1.0

                for j in numbering.Variables do
                    if i < j then
                        places[[ i; j ]] <- entry 0 numbering.Rows[i] numbering.Rows[j] 1.0

            let ties =
                [
                    for block, basis in List.indexed bases do
                        for i in 0 .. basis.Length - 1 do
                            for j in i .. basis.Length - 1 do
                                let monomial = MultilinearPolynomial.monomialProduct problem.Kinds basis[i] basis[j]

                                let here = entry (block + 1) i j 1.0

                                match places.TryGetValue monomial with
                                | true, place -> equals 0.0 [ here; { place with Value = -place.Value } ]
                                | _ -> places[monomial] <- here
                ]

            let first = firstOrder numbering ties

            Ok
                { first with
                    Sides = Array.append first.Sides [| for basis in bases -> basis.Length |]
                    Traces = Array.append first.Traces [| for basis in bases -> float basis.Length |]
                })
