namespace LipVerify.Cli

open System
open System.Globalization
open Argu
open Microsoft.FSharp.Reflection
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures
open LipVerify.Formats

/// The options that commands share, checked; those that a command does not have are at their defaults.
[<ReferenceEquality>]
type Settings =
    {
        Architecture: string option
        Input: string option
        Preprocessing: Preprocessing
        Definition: Definition
        /// The norm of the inputs.
        Norm: Norm
        /// For each command its own where none is given.
        Enclosure: EnclosureKind option
        TimeLimit: TimeSpan option
        Certification: Certification
        Seed: int
        Engine: string
        Threads: int
        Json: bool
        Output: string option
        /// The options that were given, by name.
        Given: string list
    }

/// Checks of option values. An error is one line that says which option, what is wrong and what would be right.
module Settings =

    let private integer option minimum (text: string) =
        match Int32.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture) with
        | true, number when number >= minimum -> Ok number
        | _ -> Error $"{option} must be an integer of at least {minimum}, not \"{text}\""

    let private number option (text: string) =
        DecimalText.parse text
        |> Result.mapError (fun right -> $"{option} must be {right}, not \"{text}\"")

    /// A number in a range, or what is right.
    let private numberIn option right isRight text =
        match number option text with
        | Ok number when isRight number -> Ok number
        | Ok _ -> Error $"{option} must be {right}, not \"{text}\""
        | Error problem -> Error problem

    let private numbers option (text: string) =
        let add text rest =
            match number option text, rest with
            | Ok number, Ok numbers -> Ok(number :: numbers)
            | Error problem, _
            | _, Error problem -> Error problem

        List.foldBack add (List.ofArray (text.Split ',')) (Ok [])

    /// A radius given on the command line.
    let radius (text: string) =
        let right = "a finite number that is not negative"

        numberIn "--radius" right (fun radius -> Double.IsFinite radius && radius >= 0.0) text
        |> Result.bind Radius.create

    /// The least and the largest pixel value of `--clip`.
    let clip (text: string) =
        match numbers "--clip" text with
        | Ok [ low; high ] when Double.IsFinite low && Double.IsFinite high && low < high -> Ok(low, high)
        | Error problem -> Error problem
        | Ok _ -> Error $"--clip must be two numbers LOW,HIGH with LOW below HIGH, not \"{text}\""

    let private definition text =
        match text with
        | "nominal" -> Ok Nominal
        | "uniform" -> Ok Uniform
        | _ -> Error $"--definition must be nominal or uniform, not \"{text}\""

    let private enclosure text =
        match EnclosureKind.tryFind text with
        | Some kind -> Ok(Some kind)
        | None -> Error $"--enclosure must be ball, interval, crown or probes, not \"{text}\""

    /// Refuses enclosures that rest on draws where these are not allowed.
    let private requireDraws enclosure deterministic =
        if enclosure = Some Probes && deterministic then
            Error "--rigor certified is out of reach: --enclosure probes rests on random draws"
        else
            Ok()

    /// Why enclosures and a method other than analytic exclude each other.
    let enclosureWithoutSlopes =
        "--enclosure gives the method analytic its slopes; no other method has a use for it"

    let private timeLimit text =
        let right = "a number of seconds that is not negative, at most 1e9"

        // To whole ticks upward: a limit that is positive does not become 0.
        numberIn "--time-limit" right (fun seconds -> seconds >= 0.0 && seconds <= 1e9) text
        |> Result.map (fun seconds -> Some(TimeSpan.FromTicks(int64 (ceil (seconds * float TimeSpan.TicksPerSecond)))))

    let private norm text =
        match Norm.all |> List.tryFind (fun norm -> Norm.label norm = text) with
        | Some norm -> Ok norm
        | None -> Error $"--norm must be 1, 2 or inf, not \"{text}\""

    let private failureProbability text =
        numberIn
            "--failure-probability"
            "a number between 0 and 1, 1e-250 at the least"
            (fun probability -> probability >= Certification.leastFailureProbability && probability < 1.0)
            text

    let private tolerance text =
        numberIn
            "--tolerance"
            "a number above 0 and at most 1"
            (fun tolerance -> tolerance > 0.0 && tolerance <= 1.0)
            text
        |> Result.map Some

    /// True when certificates without random draws are insisted on.
    let private rigor text =
        match text with
        | "certified" -> Ok true
        | "probabilistic" -> Ok false
        | _ -> Error $"--rigor must be certified or probabilistic, not \"{text}\""

    let private engine name =
        if LipVerify.Compute.Engines.IsKnown name then
            Ok name
        else
            let names = String.concat ", " LipVerify.Compute.Engines.Names
            Error $"--engine must be one of {names}, not \"{name}\""

    let private preprocessing name mean deviation =
        match name, mean, deviation with
        | Some name, None, None -> Preprocessing.find name
        | None, Some mean, Some deviation ->
            match numbers "--mean" mean, numbers "--std" deviation with
            | Ok mean, Ok deviation -> Preprocessing.create mean deviation
            | Error problem, _
            | _, Error problem -> Error problem
        | None, None, None -> Ok Preprocessing.none
        | Some _, _, _ -> Error "--preprocess and --mean/--std exclude each other"
        | None, _, _ -> Error "--mean and --std go together"

    /// Whether an option was given, rather than left to its default.
    let isGiven option settings = List.contains option settings.Given

    /// Refuses the first of some options that was given, with the reason for it.
    let refuse (reason: string -> string) (options: string list) settings =
        match options |> List.tryFind (fun option -> isGiven option settings) with
        | Some option -> Error(reason option)
        | None -> Ok()

    /// Refuses the nominal definition where only the uniform constant is bounded, if it was asked for.
    let refuseNominal subject settings =
        if settings.Definition = Nominal && isGiven "--definition" settings then
            Error
                $"--definition nominal: {subject} bounds the uniform constant, which is never less; leave --definition out"
        else
            Ok()

    /// Refuses a preprocessing where there is no input from a file that it would apply to. `isInputNeeded` where a missing input is
    /// told anyway.
    let requirePreprocessed isInputNeeded settings =
        let option =
            [ "--preprocess"; "--resize" ]
            |> List.tryFind (fun option -> isGiven option settings)
            |> Option.defaultValue "--mean"

        match settings.Input with
        | _ when settings.Preprocessing = Preprocessing.none -> Ok()
        | None when isInputNeeded -> Ok()
        | None -> Error $"--input is missing: without it {option} has nothing to apply to"
        | Some input when InputSource.isMade input ->
            Error $"--input {input} has no use for {option}: it is taken as it is; leave {option} out"
        | Some _ -> Ok()

    /// The options of a command line with their values, by name.
    let private given (arguments: ParseResults<'arguments>) =
        arguments.GetAllResults()
        |> List.choose (fun argument ->
            let case = arguments.Parser.GetArgumentCaseInfo argument

            if case.IsMainCommand then
                None
            else
                let _, values = FSharpValue.GetUnionFields(argument, typeof<'arguments>)
                Some(case.CommandLineNames.Value.Head, values |> Array.tryHead |> Option.map string))

    /// The value of an option through its check, or the default.
    let private checkedOr fallback check option =
        match option with
        | Some text -> check text
        | None -> Ok fallback

    /// The checked options of a command line.
    let ofArguments (arguments: ParseResults<'arguments>) : Result<Settings, string> =
        let given = given arguments
        let isGiven option = List.exists (fst >> (=) option) given

        let valueOf option =
            given
            |> List.tryPick (fun (name, value) -> if name = option then value else None)

        result {
            let! preprocessing =
                preprocessing (valueOf "--preprocess") (valueOf "--mean") (valueOf "--std")

            let! resize =
                valueOf "--resize" |> checkedOr None (integer "--resize" 1 >> Result.map Some)

            let! definition = valueOf "--definition" |> checkedOr Nominal definition

            let! enclosure = valueOf "--enclosure" |> checkedOr None enclosure

            let! timeLimit = valueOf "--time-limit" |> checkedOr None timeLimit

            let! norm = valueOf "--norm" |> checkedOr Euclidean norm

            let! failureProbability =
                valueOf "--failure-probability" |> checkedOr 1e-9 failureProbability

            let! tolerance = valueOf "--tolerance" |> checkedOr None tolerance

            let! deterministic = valueOf "--rigor" |> checkedOr false rigor
            do! requireDraws enclosure deterministic
            let! seed = valueOf "--seed" |> checkedOr 0 (integer "--seed" 0)
            let! engine = valueOf "--engine" |> checkedOr "auto" engine

            let! threads = valueOf "--threads" |> checkedOr 0 (integer "--threads" 1)

            return
                {
                    Architecture = valueOf "--architecture"
                    Input = valueOf "--input"
                    Preprocessing = { preprocessing with Resize = resize }
                    Definition = definition
                    Norm = norm
                    Enclosure = enclosure
                    TimeLimit = timeLimit
                    Certification =
                        {
                            FailureProbability = failureProbability
                            Tolerance = tolerance
                            Deterministic = deterministic
                        }
                    Seed = seed
                    Engine = engine
                    Threads = threads
                    Json = isGiven "--json"
                    Output = valueOf "--output"
                    Given = List.map fst given
                }
        }
