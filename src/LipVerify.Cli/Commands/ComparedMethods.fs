namespace LipVerify.Cli

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures
open LipVerify.Core.Methods
open LipVerify.Solvers

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
    let private declinesOutputs (method: BoundMethod) (network: Network) =
        match Shape.size network.OutputShape with
        | outputs when BoundMethod.isOfOneOutput method && outputs > 1 ->
            Some $"bounds one output, and the network has {outputs}: see bound --method {method.Name} --class K"
        | _ -> None

    let private row enclosure name (method: BoundMethod) norm (isLocal, definition) =
        let run context network input radius =
            let query =
                {
                    Context = context
                    Network = network
                    Norm = norm
                    Definition = definition
                    Enclosure = enclosure
                    NeedsWitness = false
                    Solvers = InstalledSolvers.all
                }

            let ball = if isLocal then Some(input, radius) else None

            match
                method.Declines context network radius
                |> Option.orElse (declinesOutputs method network)
            with
            | Some reason -> Error reason
            | None -> BoundMethod.run method query ball (Some 0)
            |> Result.bind BoundFound.requireFinite

        {
            Name = name
            Definition = definition
            Norm = norm
            Scope = if isLocal then "local" else "global"
            Run = run
        }

    /// The rows of a method: whether each is over the ball, and the definition.
    let private places (method: BoundMethod) =
        let over isLocal definitions =
            definitions |> List.map (fun definition -> isLocal, definition)

        match method.Scope with
        | ForAllInputs _ -> over false method.Compared
        | InBall _
        | OfOneOutput _ -> over true method.Compared
        | InBallOrForAll _ -> over true method.Compared @ over false [ Uniform ]

    let private rows norm (method: BoundMethod) =
        let named enclosure name =
            places method |> List.map (row enclosure name method norm)

        if not (List.contains norm method.Norms) then
            []
        elif method.TakesEnclosure then
            named Ball method.Name @ named Crown $"crown-{method.Name}"
        else
            named Ball method.Name

    /// All of them; in each norm those over all inputs first.
    let all: ComparedMethod list =
        Norm.all
        |> List.collect (fun norm ->
            BoundMethods.all
            |> List.collect (rows norm)
            |> List.sortBy (fun row -> row.Scope <> "global"))
