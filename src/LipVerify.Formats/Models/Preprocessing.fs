namespace LipVerify.Formats

open LipVerify.Core.Computation

/// What is done to inputs: pictures may be scaled, and values are normalised channel by channel: `(x − mean) / deviation`.
type Preprocessing =
    {
        /// Means, one a channel, or one for all.
        Mean: float list
        /// Standard deviations, one a channel, or one for all.
        Deviation: float list
        /// The shorter side, in pixels, that pictures are scaled to, before their middle is cut out as large as the network takes it.
        Resize: int option
    }

module Preprocessing =

    /// Nothing is changed.
    let none =
        {
            Mean = [ 0.0 ]
            Deviation = [ 1.0 ]
            Resize = None
        }

    /// MNIST's mean and standard deviation on pixels in 0 … 1.
    let mnist =
        {
            Mean = [ 0.1307 ]
            Deviation = [ 0.3081 ]
            Resize = None
        }

    /// Statistics of the training sets, on pixels in 0 … 1.
    let private known =
        [
            "mnist", mnist
            "cifar10",
            {
                Mean = [ 0.4914; 0.4822; 0.4465 ]
                Deviation = [ 0.2470; 0.2435; 0.2616 ]
                Resize = None
            }
            "imagenet",
            {
                Mean = [ 0.485; 0.456; 0.406 ]
                Deviation = [ 0.229; 0.224; 0.225 ]
                Resize = None
            }
            "none", none
        ]

    /// The preprocessing of this name, or the names that there are.
    let find name =
        match List.tryFind (fun (key, _) -> key = name) known with
        | Some(_, preprocessing) -> Ok preprocessing
        | None ->
            let names = known |> List.map fst |> String.concat "|"
            Error $"no preprocessing is called \"{name}\"; use {names}, or --mean and --std"

    /// From means and standard deviations as numbers, or what is wrong with them.
    let create (mean: float list) (deviation: float list) =
        if mean.IsEmpty || not (List.forall System.Double.IsFinite mean) then
            Error "the means must be finite numbers"
        elif
            deviation.IsEmpty
            || not (List.forall (fun s -> System.Double.IsFinite s && s > 0.0) deviation)
        then
            Error "the standard deviations must be positive finite numbers"
        else
            Ok
                { none with
                    Mean = mean
                    Deviation = deviation
                }

    /// The tensor that `change mean deviation` makes of each value, or why the statistics do not fit its channels.
    let private channelwise
        (change: float -> float -> float -> float)
        preprocessing
        (input: Tensor)
        : Result<Tensor, string> =
        let channels = List.tryHead input.Shape |> Option.defaultValue 1

        let spread what (statistics: float list) =
            match statistics.Length with
            | 1 -> Ok(Array.create channels statistics.Head)
            | count when count = channels -> Ok(Array.ofList statistics)
            | count ->
                Error
                    $"the preprocessing has {count} {what}, but the input is {Shape.text input.Shape}: channels come first, and there are {channels}"

        if { preprocessing with Resize = None } = none then
            Ok input
        else
            result {
                let! mean = spread "means" preprocessing.Mean
                let! deviation = spread "standard deviations" preprocessing.Deviation
                let perChannel = max 1 (input.Length / channels)

                return
                    Tensor.values input
                    |> Array.mapi (fun i x -> change mean[i / perChannel] deviation[i / perChannel] x)
                    |> Tensor.ofArray input.Shape
            }

    /// The normalised tensor, or why the statistics do not fit its channels.
    let apply preprocessing (input: Tensor) : Result<Tensor, string> =
        channelwise (fun mean deviation x -> (x - mean) / deviation) preprocessing input

    /// The tensor whose normalisation this is, up to rounding, or why the statistics do not fit its channels.
    let undo preprocessing (normalised: Tensor) : Result<Tensor, string> =
        channelwise (fun mean deviation x -> x * deviation + mean) preprocessing normalised
