/// LipOpt-k (Latorre, Rolland & Cevher 2020): Krivine's certificate of degree `k` that a polynomial `f` is at most `λ` on bits and
/// signs, `λ − f = Σ c_p·p` with `c ≥ 0` and `p` products of at most `k` of the factors `u, 1 − u, (1 + t)/2, (1 − t)/2`.
module LipVerify.Core.Bounds.Polynomials.Krivine

open System
open System.Collections.Generic
open LipVerify.Core.Numbers
open LipVerify.Core.Computation

/// No program has more products.
let mostProducts = 60_000

/// The subsets of `size` elements.
let rec private subsets size (elements: int list) =
    match size, elements with
    | 0, _ -> [ [] ]
    | _, [] -> []
    | size, first :: rest ->
        (subsets (size - 1) rest |> List.map (fun subset -> first :: subset))
        @ subsets size rest

let private binomial n k =
    (1.0, seq { 1..k })
    ||> Seq.fold (fun product i -> product * float (n - k + i) / float i)

/// The sets of `degree` variables inside a clique, each once. A product of fewer factors, or of one factor twice, is a sum of
/// products of distinct factors of such a set, so nothing is lost.
let private sets degree (cliques: int list list) =
    let count clique =
        let size = min degree (List.length clique)
        binomial clique.Length size * Math.ScaleB(1.0, size)

    if List.sumBy count cliques > 4.0 * float mostProducts then
        Error()
    else
        let sets =
            cliques
            |> List.collect (fun clique -> subsets (min degree clique.Length) clique)
            |> List.distinct

        if sets |> List.sumBy (fun set -> 1 <<< set.Length) > mostProducts then
            Error()
        else
            Ok sets

/// True where the products on these sets are not too many.
let fits degree cliques = sets degree cliques |> Result.isOk

/// `f_0 + Σ c_p·p_0 + Σ_{m ≠ 1} |r_m|` for the residual `r = λ − f − Σ c_p·p`: an upper bound on `f` for any `c`, whose negative entries
/// are cut off, since no monomial exceeds 1 in size.
let upperBound (objective: MultilinearPolynomial) (products: MultilinearPolynomial[]) (coefficients: float[]) =
    let sums = Dictionary<int list, float>()
    let sizes = Dictionary<int list, float>()

    let add (monomial: int list) value =
        sums[monomial] <- sums.GetValueOrDefault(monomial, 0.0) + value
        sizes[monomial] <- sizes.GetValueOrDefault(monomial, 0.0) + abs value

    objective |> Map.iter add

    (products, coefficients)
    ||> Array.iter2 (fun product c ->
        if c > 0.0 then
            product |> Map.iter (fun monomial value -> add monomial (c * value)))

    // Of a coefficient one term a product, and the sum of their magnitudes.
    let rounding =
        Rounding.gamma (products.Length + sums.Count + 8) * Seq.sum sizes.Values

    let residual =
        sums |> Seq.sumBy (fun term -> if term.Key.IsEmpty then 0.0 else abs term.Value)

    sums.GetValueOrDefault([], 0.0) + residual + rounding

let private program (objective: MultilinearPolynomial) (products: MultilinearPolynomial[]) =
    let rows = Dictionary<int list, int>()

    let rowOf monomial =
        match rows.TryGetValue monomial with
        | true, row -> row
        | _ ->
            rows[monomial] <- rows.Count
            rows.Count - 1

    let columns =
        products
        |> Array.map (fun product ->
            [|
                for KeyValue(monomial, value) in product do
                    if not monomial.IsEmpty then
                        rowOf monomial, value
            |])

    let right = Array.zeroCreate rows.Count

    for KeyValue(monomial, value) in objective do
        if not monomial.IsEmpty then
            right[rows[monomial]] <- -value

    {
        Costs = products |> Array.map (MultilinearPolynomial.coefficient [])
        Right = right
        Columns = columns
    }

/// The bound of degree `degree`, with products of variables inside a clique; what the products that were found in the time of the context prove.
let maximise (context: Context) (solver: LinearSolver) degree cliques (problem: GradientProblem) =
    let objective = problem.Objective

    if MultilinearPolynomial.degree objective > degree then
        Error $"the polynomial of this network has degree {MultilinearPolynomial.degree objective}, above {degree}"
    else
        match sets degree cliques with
        | Error() -> Error $"a certificate of degree {degree} has more than {mostProducts} products for this network"
        | Ok sets ->
            let products =
                sets
                |> Seq.collect (MultilinearPolynomial.indicators problem.Kinds)
                |> Array.ofSeq

            let linear = program objective products
            context.Report $"linear program: {products.Length} products, {linear.Right.Length} monomials"

            // Any coefficients prove a bound, those of an unfinished run as well.
            match Deadline.left context.Deadline with
            | Some left when left = TimeSpan.Zero -> Ok(Array.zeroCreate products.Length)
            | limit -> solver context.Cancellation limit linear
            |> Result.bind (fun coefficients ->
                if
                    coefficients.Length = products.Length
                    && Array.forall Double.IsFinite coefficients
                then
                    // Without products it is the sum of magnitudes, which unfinished ones may exceed.
                    Ok(min (upperBound objective products coefficients) (upperBound objective [||] [||]))
                else
                    Error "the solver of linear programs returned no usable solution")
