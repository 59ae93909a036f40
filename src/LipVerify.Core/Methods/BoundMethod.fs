namespace LipVerify.Core.Methods

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Structured
open LipVerify.Core.Bounds.Multipliers
open LipVerify.Core.Bounds.Polynomials

/// What a method is asked for, besides where. The context says when it has to end.
[<NoComparison; NoEquality>]
type BoundQuery =
    {
        /// Engine, certification, deadline and progress.
        Context: Context
        /// The network.
        Network: Network
        /// The norm of inputs and outputs, one that the method takes.
        Norm: Norm
        /// The constant over a ball; over all inputs it is the uniform one.
        Definition: Definition
        /// Where slopes come from, for methods that take an enclosure.
        Enclosure: EnclosureKind
        /// Whether what proves the bound is wanted too.
        NeedsWitness: bool
        /// For bounds of one output, which ask solvers for multipliers.
        Solvers: PolynomialSolvers
    }

/// What proves a bound, where its layers do not.
[<NoComparison; NoEquality>]
type BoundWitness =
    /// Multipliers of a matrix inequality.
    | OfMultipliers of MultiplierWitness
    /// Factors of the channels of a loop.
    | OfLoop of StructuredWitness

/// What a search attained below the bound that it proved.
[<NoComparison; NoEquality>]
type LowerEnd =
    {
        /// What is attained.
        Bound: Bound
        /// `upper/lower − 1`; 0 where both are 0.
        Gap: float
        /// Regions that were bounded; 0 where the search could not begin.
        Regions: int
    }

/// What a method found.
[<NoComparison; NoEquality>]
type BoundFound =
    {
        /// The bound, with those of layers where it has them.
        Result: NetworkBound
        /// What was bounded how, where the layers do not tell.
        Explanation: string option
        /// Whether the method ended before the time was over because the rest would not have sufficed.
        IsCut: bool
        /// The other end, for methods that have one.
        Lower: LowerEnd option
        /// What proves the bound, where that was asked for and the layers do not tell.
        Witness: BoundWitness option
    }

module BoundFound =

    /// The bound, which must be a finite number, or where it leaves the range of double precision.
    let requireFinite (found: BoundFound) : Result<BoundFound, string> =
        let isBeyond (bound: Bound) = not (Double.IsFinite bound.Value)

        if not (isBeyond found.Result.Bound) then
            Ok found
        else
            match found.Result.Layers |> List.tryFind (fun layer -> isBeyond layer.Lipschitz) with
            | Some layer ->
                Error $"layer {layer.Index} ({layer.Name}): its constant is beyond the range of double precision"
            | None ->
                let products =
                    found.Result.Layers
                    |> List.scan (fun product layer -> product * layer.Lipschitz.Value) 1.0
                    |> List.tail

                match
                    List.zip found.Result.Layers products
                    |> List.tryFind (snd >> Double.IsFinite >> not)
                with
                | Some(layer, _) ->
                    Error
                        $"layer {layer.Index} ({layer.Name}): the constants up to it multiply beyond the range of double precision"
                | None -> Error "the bound is beyond the range of double precision"

/// Over which pairs of inputs, and for which outputs, a method bounds.
[<NoComparison; NoEquality>]
type BoundScope =
    /// Those of a ball around the nominal input.
    | InBall of (BoundQuery -> Tensor -> Radius -> Result<BoundFound, string>)
    /// All.
    | ForAllInputs of (BoundQuery -> Result<BoundFound, string>)
    /// Those of a ball where one is given, and all where none is.
    | InBallOrForAll of (BoundQuery -> (Tensor * Radius) option -> Result<BoundFound, string>)
    /// One output at a time, in a ball or for all inputs.
    | OfOneOutput of (BoundQuery -> int -> InputRegion -> Result<BoundFound, string>)

/// A method that bounds a Lipschitz constant from above: what it bounds, in which norms, what it takes and how it runs. Command line and
/// façade know methods by these values alone.
[<NoComparison; NoEquality>]
type BoundMethod =
    {
        /// Its name on the command line.
        Name: string
        /// What it does, in one line.
        Summary: string
        /// The norms of inputs and outputs that it takes.
        Norms: Norm list
        /// Over which pairs of inputs it bounds, and how it runs.
        Scope: BoundScope
        /// The definitions under which comparisons list it. A bound for all inputs holds for both, and is listed under the
        /// stronger, uniform one.
        Compared: Definition list
        /// Why comparisons leave it out at a network before it runs, where it does.
        Declines: Context -> Network -> Radius -> string option
        /// Whether the enclosure of a query gives it its slopes.
        TakesEnclosure: bool
        /// Whether more time may give less: it searches, and ends with the best that it has proved.
        IsAnyTime: bool
        /// What its search may take where no time limit is given; none for as long as it needs.
        Patience: TimeSpan option
        /// Whether a certificate can write down what proves its bound.
        HasCertificate: bool
        /// Whether it proves spectral norms, or may: failure probability, tolerance and seed are about these.
        ProvesNorms: bool
        /// Why bounds without random draws are out of reach, where they are.
        Uncertified: string option
    }

module BoundMethod =

    /// Whether a method bounds a ball if it is given one.
    let takesBall method =
        match method.Scope with
        | ForAllInputs _ -> false
        | InBall _
        | InBallOrForAll _
        | OfOneOutput _ -> true

    /// Whether a method bounds one output.
    let isOfOneOutput method =
        match method.Scope with
        | OfOneOutput _ -> true
        | InBall _
        | InBallOrForAll _
        | ForAllInputs _ -> false

    /// Whether a method bounds a ball alone.
    let needsBall method =
        match method.Scope with
        | InBall _ -> true
        | InBallOrForAll _
        | ForAllInputs _
        | OfOneOutput _ -> false

    /// The definition that a method bounds where this one is asked for. The two are two bounds over a ball alone; bounds for one output are of the
    /// uniform constant there, too.
    let definitionOf (asked: Definition) hasBall method =
        match method.Scope with
        | InBall _ -> asked
        | InBallOrForAll _ when hasBall -> asked
        | InBallOrForAll _
        | ForAllInputs _
        | OfOneOutput _ -> Uniform

    /// Runs a method over a ball where one is given and it bounds one, else over all inputs, for one output where it bounds one; or says what it
    /// needs.
    let run method query (ball: (Tensor * Radius) option) (output: int option) : Result<BoundFound, string> =
        match method.Scope, ball, output with
        | ForAllInputs run, _, _ -> run query
        | InBall run, Some(input, radius), _ -> run query input radius
        | InBall _, None, _ -> Error $"the method {method.Name} needs an input and a radius"
        | InBallOrForAll run, ball, _ -> run query ball
        | OfOneOutput run, Some(input, radius), Some output ->
            run query output (BallAround(Tensor.values input, radius))
        | OfOneOutput run, None, Some output -> run query output Everywhere
        | OfOneOutput _, _, None -> Error $"the method {method.Name} needs an output"
