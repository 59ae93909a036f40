namespace LipVerify.Cli

open System
open LipVerify.Core

/// A method whose upper bound `compare` sets beside others.
[<NoComparison; NoEquality>]
type ComparedMethod =
    {
        /// Its name on the command line.
        Name: string
        /// The constant that it bounds; a bound for all inputs holds for both, and is listed under the stronger, uniform one.
        Definition: Definition
        /// The norm of inputs and outputs.
        Norm: Norm
        /// Over which pairs of inputs the bound holds: `local` or `global`.
        Scope: string
        /// What the method finds, or why it does not apply.
        Run: Context -> Network -> Tensor -> Radius -> Result<BoundFound, string>
    }

/// The methods that `compare` runs, in the order of its rows.
module ComparedMethods =

    /// The constant of one output among several is another quantity than that of all.
    let private ofOneOutput run (query: BoundQuery) name input radius =
        match Shape.size query.Network.OutputShape with
        | 1 -> BallAround(Tensor.values input, radius) |> run query 0
        | outputs -> Error $"bounds one output, and the network has {outputs}: see bound --method {name} --class K"

    let private row enclosure name (method: BoundMethod) norm definition =
        let run context network input radius =
            let query =
                {
                    Context = context
                    Network = network
                    Norm = norm
                    Definition = definition
                    Enclosure = enclosure
                    NeedsWitness = false
                }

            match method.Declines context network radius, method.Scope with
            | Some reason, _ -> Error reason
            | None, ForAllInputs run -> run query
            | None, InBall run -> run query input radius
            | None, OfOneOutput run -> ofOneOutput run query method.Name input radius
            |> Result.bind BoundFound.requireFinite

        {
            Name = name
            Definition = definition
            Norm = norm
            Scope =
                match method.Scope with
                | ForAllInputs _ -> "global"
                | InBall _
                | OfOneOutput _ -> "local"
            Run = run
        }

    let private rows norm (method: BoundMethod) =
        let named enclosure name =
            method.Compared |> List.map (row enclosure name method norm)

        if not (List.contains norm method.Norms) then
            []
        elif method.TakesEnclosure then
            named Ball method.Name @ named Crown $"crown-{method.Name}"
        else
            named Ball method.Name

    /// All of them.
    let all: ComparedMethod list =
        Norm.all
        |> List.collect (fun norm -> BoundMethods.all |> List.collect (rows norm))
