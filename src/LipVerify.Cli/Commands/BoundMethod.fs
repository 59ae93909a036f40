namespace LipVerify.Cli

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
        Context: Context
        Network: Network
        Norm: Norm
        Definition: Definition
        Enclosure: EnclosureKind
        /// Whether a certificate will be written.
        NeedsWitness: bool
    }

/// What proves a bound, where its layers do not.
[<NoComparison; NoEquality>]
type BoundWitness =
    | OfMultipliers of MultiplierWitness
    | OfLoop of StructuredWitness

/// What a method found.
[<NoComparison; NoEquality>]
type BoundFound =
    {
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

/// A method of `lipverify bound`, with the options that it takes.
[<NoComparison; NoEquality>]
type BoundMethod =
    {
        /// Its name on the command line.
        Name: string
        Norms: Norm list
        Scope: BoundScope
        /// The definitions under which `compare` lists it. A bound for all inputs holds for both, and is listed under the
        /// stronger, uniform one.
        Compared: Definition list
        /// Why `compare` leaves it out at a network before it runs, where it does.
        Declines: Context -> Network -> Radius -> string option
        /// Whether `--enclosure` gives it its slopes.
        TakesEnclosure: bool
        /// What its search may take where no time limit is given; none for as long as it needs.
        Patience: TimeSpan option
        /// Whether `--certificate` can write down what proves its bound.
        HasCertificate: bool
        /// Whether it proves spectral norms, or may: `--failure-probability`, `--tolerance` and `--seed` are about these.
        ProvesNorms: bool
        /// Why `--rigor certified` is out of reach, where it is.
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

    /// Options that not every method has a use for, with the methods that do.
    let private users: (string * (BoundMethod -> bool)) list =
        [
            "--enclosure", _.TakesEnclosure
            "--radius", takesBall
            "--class", isOfOneOutput
            "--certificate", _.HasCertificate
            "--failure-probability", _.ProvesNorms
            "--tolerance", _.ProvesNorms
            "--seed", _.ProvesNorms
        ]

    /// Refuses options that a method has no use for; `all` are those that may have one.
    let checkOptions all method (given: string list) : Result<unit, string> =
        match
            users
            |> List.tryFind (fun (option, uses) -> List.contains option given && not (uses method))
        with
        | None -> Ok()
        | Some(option, uses) ->
            let takers =
                match all |> List.filter uses |> List.map _.Name with
                | [ only ] -> $"the method {only}"
                | several -> $"the methods {CommandOptions.enumerate several}"

            let why =
                if option = "--certificate" then
                    "; bounds of other methods have no certificate format yet"
                else
                    ""

            Error $"--method {method.Name} has no use for {option}, which is there for {takers}{why}"
