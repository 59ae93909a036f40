/// Relaxations of the gradient problem by moments (METHODS section 9): the point is replaced by a matrix of products of its
/// coordinates, of which only `⪰ 0` and linear relations are kept. Shor: Chen, Lasserre, Magron & Pauwels 2020, and d'Aspremont &
/// Boyd; HR-2 and order 2: Chen et al.
module LipVerify.Core.MomentRelaxation

open System.Collections.Generic

/// A problem whose variables are numbered in the first-order matrix: 0 is the constant, then bits and signs, then inputs.
[<ReferenceEquality>]
type private Numbering =
    {
        Problem: GradientProblem
        /// The variables that matter, in the order of the matrix.
        Variables: int[]
        /// Row of a variable.
        Rows: Dictionary<int, int>
        /// The coordinates of `ξ` that matter.
        Coordinates: int[]
    }

    member numbering.Side = 1 + numbering.Variables.Length + numbering.Coordinates.Length

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

    let tied = problem.Signs |> List.filter (fun sign -> rows.ContainsKey sign.Variable)

    let coordinates =
        match tied with
        | [] -> [||]
        | first :: _ ->
            [| 0 .. first.Row.Length - 1 |]
            |> Array.filter (fun j -> tied |> List.exists (fun sign -> sign.Row[j] <> 0.0))

    {
        Problem = { problem with Signs = tied }
        Variables = used
        Rows = rows
        Coordinates = coordinates
    }

/// `value·M_ij` as an entry, where `⟨A, M⟩` counts what is off the diagonal twice.
let private entry block i j value =
    {
        Block = block
        Row = min i j
        Column = max i j
        Value = if i = j then value else 0.5 * value
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

let private equals right entries =
    {
        Entries = entries
        Right = right
        AtMost = false
    }

let private atMost right entries =
    {
        Entries = entries
        Right = right
        AtMost = true
    }

/// `M_00 = 1`, `u² = u` and `t² = 1`.
let private binary (numbering: Numbering) =
    [
        equals 1.0 [ entry 0 0 0 1.0 ]

        for variable in numbering.Variables do
            let row = numbering.Rows[variable]

            match numbering.Problem.Kinds[variable] with
            | Bit -> equals 0.0 [ entry 0 row row 1.0; entry 0 0 row -1.0 ]
            | Sign -> equals 1.0 [ entry 0 row row 1.0 ]
    ]

/// `ξ` is in the unit ball, and slopes belong to signs of pre-activations.
let private local (numbering: Numbering) =
    let row k = 1 + numbering.Variables.Length + k

    [
        match numbering.Problem.Norm with
        | Maximum ->
            for k in 0 .. numbering.Coordinates.Length - 1 do
                atMost 1.0 [ entry 0 (row k) (row k) 1.0 ]
        | Euclidean when numbering.Coordinates.Length > 0 ->
            atMost
                1.0
                [
                    for k in 0 .. numbering.Coordinates.Length - 1 -> entry 0 (row k) (row k) 1.0
                ]
        | Euclidean -> ()

        for sign in numbering.Problem.Signs do
            let u = numbering.Rows[sign.Variable]

            atMost
                0.0
                [
                    entry 0 0 u -sign.Offset
                    entry 0 0 0 (0.5 * sign.Offset)

                    for k in 0 .. numbering.Coordinates.Length - 1 do
                        let a = sign.Row[numbering.Coordinates[k]]

                        if a <> 0.0 then
                            entry 0 u (row k) -a
                            entry 0 0 (row k) (0.5 * a)
                ]
    ]

let private trace (numbering: Numbering) =
    let inputs =
        match numbering.Problem.Norm with
        | Maximum -> float numbering.Coordinates.Length
        | Euclidean -> min 1.0 (float numbering.Coordinates.Length)

    1.0 + float numbering.Variables.Length + inputs

/// The first-order relaxation with more constraints on the same matrix.
let private firstOrder (numbering: Numbering) more =
    {
        Sides = [| numbering.Side |]
        Traces = [| trace numbering |]
        Objective = quadratic numbering numbering.Problem.Objective
        Constraints = Array.ofList (binary numbering @ local numbering @ more)
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
    let all =
        [
            for KeyValue(monomial, value) in objective do
                match monomial with
                | [ i; j ] -> (i, j), abs value
                | _ -> ()
        ]

    if all.Length <= mostPairs then
        List.map fst all
    else
        all
        |> List.collect (fun ((i, j), size) -> [ i, ((i, j), size); j, ((i, j), size) ])
        |> List.groupBy fst
        |> List.collect (fun (_, candidates) ->
            candidates |> List.map snd |> List.sortByDescending snd |> List.truncate 2)
        |> List.map fst
        |> List.distinct

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
