namespace LipVerify.Core.Bounds.Polynomials

open System.Collections.Generic

/// What values a variable of a polynomial problem takes.
type BinaryVariable =
    /// `u ∈ {0, 1}`: the slope of a ReLU.
    | Bit
    /// `t ∈ {−1, 1}`: a coordinate of a vertex of the cube.
    | Sign

/// A polynomial on points whose coordinates are bits and signs, by coefficients: a monomial is the ascending list of its
/// variables, each once, since `u² = u` and `t² = 1`. Every monomial has values in `[−1, 1]`.
type MultilinearPolynomial = Map<int list, float>

module MultilinearPolynomial =

    /// The polynomial without terms.
    let zero: MultilinearPolynomial = Map.empty

    /// A constant.
    let constant (value: float) : MultilinearPolynomial =
        if value = 0.0 then zero else Map [ [], value ]

    /// The coefficient of a monomial.
    let coefficient monomial (polynomial: MultilinearPolynomial) =
        polynomial |> Map.tryFind monomial |> Option.defaultValue 0.0

    /// The product of two monomials on bits and signs.
    let rec monomialProduct (kinds: BinaryVariable[]) (a: int list) (b: int list) =
        match a, b with
        | [], rest
        | rest, [] -> rest
        | x :: xs, y :: _ when x < y -> x :: monomialProduct kinds xs b
        | x :: _, y :: ys when y < x -> y :: monomialProduct kinds a ys
        | x :: xs, _ :: ys ->
            match kinds[x] with
            | Bit -> x :: monomialProduct kinds xs ys
            | Sign -> monomialProduct kinds xs ys

    /// `Σ_k weights_k·polynomials_k·factors_k`.
    let sumOfProducts
        kinds
        (terms: (float * MultilinearPolynomial * MultilinearPolynomial) seq)
        : MultilinearPolynomial =
        let sums = Dictionary<int list, float>()

        for weight, a, b in terms do
            if weight <> 0.0 then
                for KeyValue(m, x) in a do
                    for KeyValue(n, y) in b do
                        let monomial = monomialProduct kinds m n
                        let before = sums.GetValueOrDefault(monomial, 0.0)
                        sums[monomial] <- before + weight * x * y

        sums
        |> Seq.filter (fun term -> term.Value <> 0.0)
        |> Seq.map (fun term -> term.Key, term.Value)
        |> Map.ofSeq

    /// The most variables in one monomial.
    let degree (polynomial: MultilinearPolynomial) =
        polynomial |> Map.fold (fun degree monomial _ -> max degree monomial.Length) 0

    /// The value at a point.
    let evaluate (point: float[]) (polynomial: MultilinearPolynomial) =
        polynomial
        |> Map.fold
            (fun sum monomial c -> sum + List.fold (fun product variable -> product * point[variable]) c monomial)
            0.0

    /// The polynomial that is 1 where a variable has its larger value (`high`) or its smaller one, and 0 otherwise.
    let indicator (kinds: BinaryVariable[]) variable high : MultilinearPolynomial =
        match kinds[variable], high with
        | Bit, true -> Map [ [ variable ], 1.0 ]
        | Bit, false -> Map [ [], 1.0; [ variable ], -1.0 ]
        | Sign, true -> Map [ [], 0.5; [ variable ], 0.5 ]
        | Sign, false -> Map [ [], 0.5; [ variable ], -0.5 ]

    /// The 2^k indicators of the values of k variables together: they are not negative, and their sum is 1.
    let indicators kinds (variables: int list) =
        List.foldBack
            (fun variable products ->
                [
                    for high in [ true; false ] do
                        for product in products do
                            sumOfProducts kinds [ 1.0, indicator kinds variable high, product ]
                ])
            variables
            [ constant 1.0 ]
