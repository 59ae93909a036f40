namespace LipVerify.Core.Numbers

/// The norm in which inputs and outputs are measured.
type Norm =
    /// The Euclidean norm `‖x‖₂`.
    | Euclidean
    /// The maximum norm `‖x‖∞`.
    | Maximum
    /// The sum of magnitudes `‖x‖₁`.
    | Taxicab

module Norm =

    /// The word for it on the command line and in reports: `2`, `inf` or `1`.
    let label =
        function
        | Euclidean -> "2"
        | Maximum -> "inf"
        | Taxicab -> "1"

    /// All of them.
    let all = [ Euclidean; Maximum; Taxicab ]

    /// The dual norm, of conjugate exponent: `1/p + 1/q = 1`.
    let conjugate =
        function
        | Euclidean -> Euclidean
        | Maximum -> Taxicab
        | Taxicab -> Maximum

    /// `max wᵀx` over `‖x‖ ≤ 1`, up to rounding: the norm dual to this one.
    let dual norm (w: float[]) =
        let largest () =
            w |> Array.fold (fun largest x -> max largest (abs x)) 0.0

        match norm with
        | Maximum -> Array.sumBy abs w
        | Taxicab -> largest ()
        | Euclidean ->
            match largest () with
            | 0.0 -> 0.0
            | largest -> largest * sqrt (w |> Array.sumBy (fun x -> (x / largest) * (x / largest)))
