/// The largest singular values of a map that is too large to be written out, with their vectors: subspace iteration through the map
/// and its adjoint. What they miss is not bounded.
module internal LipVerify.Core.Bounds.SeqLip.LeadingTriplets

open System
open System.Numerics.Tensors
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps

/// Triplets at most, and the doubles that their vectors may take.
let private most, private budget = 24, 1L <<< 26

/// Steps of the iteration: far from convergence where singular values crowd, but each step only adds to an estimate from below.
let private steps = 12

/// How many triplets are sought; 0 where the vectors would take too much memory.
let count inputs outputs =
    budget / (int64 inputs + int64 outputs)
    |> min (int64 (min inputs outputs))
    |> min (int64 most)
    |> int

/// Gram–Schmidt, twice.
let private orthonormalise rank width (rows: float[]) =
    for i in 0 .. rank - 1 do
        let row = Span(rows, i * width, width)
        let current = ReadOnlySpan(rows, i * width, width)

        for _ in 1..2 do
            for j in 0 .. i - 1 do
                let other = ReadOnlySpan(rows, j * width, width)
                let along = TensorPrimitives.Dot(current, other)
                TensorPrimitives.MultiplyAdd(other, -along, current, row)

        let norm = TensorPrimitives.Norm current

        if norm > 0.0 then
            TensorPrimitives.Divide(current, norm, row)

let private through (apply: LinearMap -> Storage -> Storage -> unit) size maps rank (x: float[]) =
    (x, maps)
    ||> List.fold (fun x map ->
        let y = Array.zeroCreate<float>(rank * size map)
        apply map (HostStorage x) (HostStorage y)
        y)

/// Factors of rank `count` of the composition of `maps`, the first applied first.
let find (context: Context) split (maps: LinearMap list) : SingularFactors option =
    let inputs = LinearMap.inputs maps.Head
    let outputs = LinearMap.outputs (List.last maps)
    let rank = count inputs outputs
    let engine = context.Engine

    let forward =
        through (fun map x y -> LinearMap.apply engine map rank x y) LinearMap.outputs maps rank

    let backward =
        through (fun map y x -> LinearMap.adjoint engine map rank y x) LinearMap.inputs (List.rev maps) rank

    if rank = 0 then
        None
    else
        let mutable right = Gaussian.draw context.Seed 0 (rank * inputs)
        orthonormalise rank inputs right

        for step in 1..steps do
            Context.check context
            context.Report $"{rank} singular vectors of {inputs} inputs, step {step}"
            right <- right |> forward |> backward
            orthonormalise rank inputs right

        SingularFactors.tryOfImages context split rank inputs right outputs (forward right)
