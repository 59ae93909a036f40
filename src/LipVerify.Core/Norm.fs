namespace LipVerify.Core

/// The norm in which inputs and outputs are measured.
type Norm =
    /// The Euclidean norm `‖x‖₂`.
    | Euclidean
    /// The maximum norm `‖x‖∞`.
    | Maximum

module Norm =

    /// The word for it on the command line and in reports: `2` or `inf`.
    let label =
        function
        | Euclidean -> "2"
        | Maximum -> "inf"
