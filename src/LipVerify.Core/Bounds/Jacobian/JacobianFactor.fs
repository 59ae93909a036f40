namespace LipVerify.Core.Bounds.Jacobian

open LipVerify.Core.LinearMaps
open LipVerify.Core.Activations

/// One factor of the matrices `J` with `f(x) − f(x') = J (x − x')` for inputs of a ball.
[<ReferenceEquality>]
type internal JacobianFactor =
    /// A linear map, or its adjoint.
    | AffineFactor of map: LinearMap * isAdjoint: bool
    /// A diagonal of slopes, each in its interval.
    | SlopeFactor of SlopeInterval[]
    /// Outputs that are means of their contenders among the inputs: max pooling.
    | MeanFactor of contenders: int[][] * inputs: int
    /// The adjoint of such means.
    | SpreadFactor of contenders: int[][] * inputs: int
    /// The sum of branches, each a product of factors in the order in which they apply.
    | SumFactor of JacobianFactor list list

module internal JacobianFactor =

    /// The factors of the transposed product.
    let rec transpose factors =
        factors
        |> List.rev
        |> List.map (function
            | AffineFactor(map, isAdjoint) -> AffineFactor(map, not isAdjoint)
            | SlopeFactor slopes -> SlopeFactor slopes
            | MeanFactor(contenders, inputs) -> SpreadFactor(contenders, inputs)
            | SpreadFactor(contenders, inputs) -> MeanFactor(contenders, inputs)
            | SumFactor branches -> SumFactor(List.map transpose branches))

    /// The length of what a factor makes of `size` values.
    let rec outputs size factors =
        (size, factors)
        ||> List.fold (fun size factor ->
            match factor with
            | AffineFactor(map, false) -> LinearMap.outputs map
            | AffineFactor(map, true) -> LinearMap.inputs map
            | SlopeFactor slopes -> slopes.Length
            | MeanFactor(contenders, _) -> contenders.Length
            | SpreadFactor(_, inputs) -> inputs
            | SumFactor branches -> outputs size branches.Head)
