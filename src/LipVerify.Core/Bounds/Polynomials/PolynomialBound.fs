namespace LipVerify.Core.Bounds.Polynomials

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Chains

/// How the polynomial of a gradient is bounded.
type PolynomialMethod =
    /// The first-order moment relaxation.
    | Shor
    /// Order 2 on pairs of variables.
    | Hr2
    /// Order 2 on all slopes and one sign each.
    | Lasserre2
    /// Krivine's certificate of this degree.
    | LipOpt of degree: int

/// The programs that search for certificates. Nothing they return is trusted.
[<NoComparison; NoEquality>]
type PolynomialSolvers =
    {
        /// For LipOpt.
        Linear: LinearSolver
        /// For the moment relaxations.
        Semidefinite: SemidefiniteSolver
    }

/// Upper bounds on the uniform Lipschitz constant of one output, `|f_k(x) − f_k(x′)| ≤ L·‖x − x′‖`, by polynomial optimisation.
module PolynomialBound =

    let private named =
        [
            "shor", Shor
            "hr2", Hr2
            "lasserre2", Lasserre2
            "lipopt3", LipOpt 3
            "lipopt4", LipOpt 4
        ]

    /// The words for the methods on the command line.
    let names = named |> List.map fst

    /// The method of this name.
    let tryFind name =
        named |> List.tryFind (fun (known, _) -> known = name) |> Option.map snd

    /// What a method does, in a few words.
    let summary method =
        match method with
        | Shor -> "Shor's relaxation (order 1)"
        | Hr2 -> "HR-2 of Chen et al.: order 2 on inputs and on pairs"
        | Lasserre2 -> "order 2 on all slopes with one sign each (one hidden layer)"
        | LipOpt degree -> $"LipOpt of Latorre et al., degree {degree}"

    /// The problem with its largest coefficient near 1, which solvers' tolerances suit, and the power of two that was taken out. A constant
    /// may be larger, but not by more than what it leaves of a double.
    let private normalised (problem: GradientProblem) =
        let largest =
            (0.0, problem.Objective)
            ||> Map.fold (fun largest monomial value ->
                if monomial.IsEmpty then
                    max largest (Math.ScaleB(abs value, -60))
                else
                    max largest (abs value))

        let exponent = Math.ILogB largest

        Math.ScaleB(1.0, exponent),
        { problem with
            Objective = problem.Objective |> Map.map (fun _ value -> Math.ScaleB(value, -exponent))
        }

    /// The sets for LipOpt: all slopes with a sign, or those that meet it in a term where these are too many.
    let private productSets degree problem =
        let wide = MomentRelaxation.cliques problem

        if Krivine.fits degree wide then
            wide
        else
            MomentRelaxation.neighbourhoods problem

    let private maximise context solvers method (problem: GradientProblem) =
        if MultilinearPolynomial.degree problem.Objective = 0 then
            Ok(MultilinearPolynomial.coefficient [] problem.Objective)
        else
            let factor, problem = normalised problem

            let semidefinite relaxation =
                relaxation
                |> Result.bind (SemidefiniteProgram.maximise context solvers.Semidefinite)

            match method with
            | Shor -> semidefinite (MomentRelaxation.shor problem)
            | Hr2 -> semidefinite (MomentRelaxation.hr2 problem)
            | Lasserre2 -> semidefinite (MomentRelaxation.lasserre2 problem)
            | LipOpt degree -> Krivine.maximise context solvers.Linear degree (productSets degree problem) problem
            |> Result.map (fun maximum -> factor * maximum)

    /// One hidden layer, or a method that takes the polynomial as it is.
    let private direct context solvers method norm chain output region =
        GradientProblem.create norm chain output region
        |> Result.bind (maximise context solvers method)

    /// Several hidden layers, with variables for products of slopes.
    let private lifted context solvers norm chain output region isPaired =
        let lifted = LiftedGradient.create norm chain output region isPaired

        if lifted.Program.Objective.IsEmpty then
            Ok 0.0
        else
            SemidefiniteProgram.maximise context solvers.Semidefinite lifted.Program
            |> Result.map (fun maximum -> lifted.Factor * maximum)

    /// A bound with what rounding may do to the coefficients of its polynomial: they are sums of products, which magnitudes bound, and are
    /// squared in the 2-norm. Both are of the gradient without its power of two, whose magnitudes are near 1, so that no square is lost.
    let private withRounding norm (chain: DenseChain) (factors: GradientFactors) value =
        let size = GradientFactors.size norm factors
        let terms = chain.Hidden |> List.sumBy (fun layer -> layer.Bias.Length + 8)
        let error = 4.0 * Rounding.gamma terms

        match norm with
        | Maximum -> value + error * size
        | Euclidean
        | Taxicab -> sqrt (value * value + error * size * size) * (1.0 + error) + error * size

    /// The chain and the region in units in which no product of weights leaves the range of doubles.
    let private inUnits (context: Context) (network: Network) region =
        let center, radius =
            match region with
            | Everywhere -> Array.zeroCreate (Shape.size network.InputShape), Double.PositiveInfinity
            | BallAround(center, radius) -> center, radius.Value

        ExactChain.ofNetwork context network
        |> Result.mapError DenseChain.because
        |> Result.bind (ReluUnits.around center radius)
        |> Result.bind (fun ball ->
            DenseChain.ofUnits ball.Chain
            |> Result.bind (fun chain ->
                match region with
                | Everywhere -> Ok(ball, chain, Everywhere)
                | BallAround _ ->
                    Radius.create ball.Radius
                    |> Result.map (fun radius -> ball, chain, BallAround(ball.Center, radius))))

    /// The bound for output `output` over a region, or one line that says why there is none. It is an upper bound in exact
    /// arithmetic (`Numerical`), whatever the solver returned.
    let compute context solvers method norm (network: Network) output region =
        if output < 0 || output >= Shape.size network.OutputShape then
            Error $"there is no output {output}: the network has {Shape.size network.OutputShape}"
        else
            GradientProblem.checkNorm norm
            |> Result.bind (fun () -> inUnits context network region)
            |> Result.bind (fun (ball, chain, region) ->
                match method, chain.Hidden with
                | Shor, _ :: _ :: _ -> lifted context solvers norm chain output region false
                | Hr2, _ :: _ :: _ -> lifted context solvers norm chain output region true
                | _ -> direct context solvers method norm chain output region
                |> Result.map (fun maximum ->
                    let factors = GradientFactors.create norm chain output region
                    let value = GradientProblem.dualNorm norm maximum |> withRounding norm chain factors
                    ball.Upward(value, factors.Exponent)))
            |> Result.map (fun value ->
                {
                    // Where numbers overflow there is no bound.
                    Value =
                        if Double.IsNaN value then
                            Double.PositiveInfinity
                        else
                            value
                    Rigor = Numerical
                })
