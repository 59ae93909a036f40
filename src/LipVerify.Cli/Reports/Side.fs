namespace LipVerify.Cli

open LipVerify.Core.Numbers

/// Whether values lie above or below what they bound.
type Side =
    | Upper
    | Lower

module Side =

    /// The relation of what is bounded to a value of this side.
    let sign side =
        match side with
        | Upper -> "≤"
        | Lower -> "≥"

    /// The words for a value of this side.
    let name side =
        match side with
        | Upper -> "upper bound"
        | Lower -> "lower bound"

    /// So many digits of a bound, rounded to its side.
    let figure count side value =
        match side with
        | Upper -> Figure.upwardTo count value
        | Lower -> Figure.downwardTo count value
