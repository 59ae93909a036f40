namespace LipVerify.Core.Bounds.Exact.Euclidean

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Chains

/// The nominal local Lipschitz constant of a small ReLU network by enumeration: `max ‖f(x) − f(x0)‖ / ‖x − x0‖` over the pieces
/// `P` on which `f(x) − f(x0) = J δ + c`, `δ = x − x0`.
///
/// Along a ray, `‖J δ + c‖/‖δ‖` is convex in `1/‖δ‖`, so that the maximum lies on a facet of the piece or on the sphere. On a face
/// `{ δ : n_i·δ = b_i }` whose nearest point `p` to `x0` is not `x0` itself, `c = c (p·δ)/‖p‖²` makes the quotient that of a linear map
/// `J' = J + c pᵀ/‖p‖²`: in the interior of the face it can be largest only along the first singular vector of `J'`, and nowhere on
/// the face is it above `‖J'‖`. Where the sphere cuts the face, the maxima are those of `SphereMaximum`.
module ExactPairs =

    /// Beyond these the faces are too many.
    let private mostFaces = 300_000

    /// What points a hair beside the best ones, and rounding, may lack.
    let private widen = 1.0 + 1e-9

    /// How far outside of a piece a point may lie, in parts of its distance from `x0`, and still count for the upper end.
    let private tolerance = 1e-9

    /// A piece in the coordinates `s = δ/ε`, its outputs in a unit in which they are near 1.
    [<ReferenceEquality>]
    type private Piece =
        {
            /// The unit: `2^Unit` of the chain's own.
            Unit: int
            /// `J`, row by row.
            Rates: float[][]
            /// A bound on the rounding of `J s`, in parts of `‖s‖`.
            RateError: float
            /// `c/ε`.
            Shift: float[]
            /// A bound on the rounding of `c/ε`.
            ShiftError: float
            Cuts: HalfSpace[]
        }

    /// A face of a piece.
    [<ReferenceEquality>]
    type private Face =
        {
            /// An orthonormal basis of the normals.
            Normals: float[] list
            /// The point nearest to `x0` of the plane that it lies in.
            Nearest: float[]
            /// The first cut that may still be added.
            Next: int
        }

    [<NoComparison; NoEquality>]
    type private Search =
        {
            Context: Context
            Network: Network
            Input: Tensor
            Ball: ReluBall
            mutable Best: LowerBound
            /// Above it nothing was found; in the units of the ball's chain, as `Upper` is.
            mutable Lower: float
            mutable Upper: float
            mutable Faces: int
        }

    let private dot = ReluChain.dot
    let private norm = ReluChain.length

    let private along (v: float[]) factor (s: float[]) =
        Array.map2 (fun s v -> s + factor * v) s v

    /// What is left of a vector behind its parts along orthonormal ones, twice for the digits.
    let private reject (basis: float[] list) v =
        let once v =
            basis |> List.fold (fun v b -> along b -(dot b v) v) v

        once (once v)

    let private unitVector n i =
        Array.init n (fun j -> if i = j then 1.0 else 0.0)

    /// Orthonormal directions along which the face extends.
    let private directions (face: Face) =
        let n = face.Nearest.Length

        ((face.Normals, []), [ 0 .. n - 1 ])
        ||> List.fold (fun (known, found) i ->
            let rest = reject known (unitVector n i)

            // Of the unit vectors one always has this much left, until the dimensions are full.
            if List.length known < n && norm rest > 0.3 / float n then
                let direction = rest |> Array.map (fun x -> x / norm rest)
                direction :: known, direction :: found
            else
                known, found)
        |> snd
        |> Array.ofList

    /// `J v` for each of the vectors, as the columns of a matrix given by its rows.
    let private images (piece: Piece) (vectors: float[][]) =
        piece.Rates |> Array.map (fun row -> vectors |> Array.map (dot row))

    /// Takes a point of a piece into account.
    let private consider search (piece: Piece) (s: float[]) =
        let length = norm s

        let isInside =
            length <= 1.0 + tolerance
            && length > 0.0
            && piece.Cuts
               |> Array.forall (fun cut ->
                   dot cut.Normal s + cut.Offset >= -(cut.Error + (cut.Slack + tolerance) * length))

        if isInside then
            let change = Array.map2 (fun row c -> dot row s + c) piece.Rates piece.Shift
            let value = norm change / length

            search.Upper <-
                Rounding.scaleUp (value + piece.RateError + piece.ShiftError / length) piece.Unit
                |> max search.Upper

            if Math.ScaleB(value, piece.Unit) > search.Lower then
                // A hair inside the ball.
                let s = s |> Array.map (fun x -> x * (1.0 - 1e-12) * min 1.0 (1.0 / length))
                let x = search.Ball.Point s |> Tensor.ofArray search.Input.Shape

                search.Best <-
                    LowerBound.max
                        search.Best
                        (LowerBound.between search.Context Euclidean search.Network x search.Input)

                search.Lower <- search.Ball.InwardDown search.Best.Value

    /// The largest singular value of a matrix given by its rows, and its right singular vector.
    let private leading (rows: float[][]) =
        let size = rows[0].Length
        let columns = Array.init size (fun j -> rows |> Array.map (fun row -> row[j]))

        let struct (value, vector) =
            Array.init size (fun i -> Array.init size (fun j -> dot columns[i] columns[j]))
            |> SymmetricEigen.decompose
            |> Array.head

        struct (sqrt (max 0.0 value), vector)

    /// The interior of a face that does not go through `x0`; true where some point of the face may exceed the best so far.
    let private considerInterior search piece (face: Face) (directions: float[][]) =
        let distance = norm face.Nearest

        if distance = 0.0 then
            true
        else
            let toward = face.Nearest |> Array.map (fun x -> x / distance)
            let basis = Array.append [| toward |] directions

            let rows =
                images piece basis
                |> Array.mapi (fun i row ->
                    Array.mapi (fun j x -> if j = 0 then x + piece.Shift[i] / distance else x) row)

            let struct (largest, vector) = leading rows

            if Math.ScaleB(largest, piece.Unit) <= search.Lower * (1.0 - 1e-12) then
                false
            else
                if vector[0] <> 0.0 then
                    let s = ReluChain.combination vector basis
                    consider search piece (s |> Array.map (fun x -> x * distance / vector[0]))

                true

    /// Where the sphere cuts a face.
    let private considerSphere search piece (face: Face) (directions: float[][]) =
        let rest = 1.0 - dot face.Nearest face.Nearest

        if directions.Length > 0 && rest > 0.0 then
            let start =
                Array.map2 (fun row c -> dot row face.Nearest + c) piece.Rates piece.Shift

            for z in SphereMaximum.candidates (images piece directions) start (sqrt rest) do
                consider search piece (Array.map2 (+) face.Nearest (ReluChain.combination z directions))

    /// The face where one more cut is an equality; none where that is no plane of its own, or outside the ball.
    let private restrict (piece: Piece) (face: Face) j =
        let cut = piece.Cuts[j]
        let rest = reject face.Normals cut.Normal
        let length = norm rest

        if length < 1e-9 then
            None
        else
            let normal = rest |> Array.map (fun x -> x / length)
            let step = (-cut.Offset - dot cut.Normal face.Nearest) / length
            let nearest = along normal step face.Nearest

            if norm nearest > 1.0 + tolerance then
                None
            else
                Some
                    {
                        Normals = normal :: face.Normals
                        Nearest = nearest
                        Next = j + 1
                    }

    let rec private visit search (piece: Piece) (face: Face) =
        Context.check search.Context
        search.Faces <- search.Faces + 1

        if search.Faces <= mostFaces then
            let directions = directions face

            if considerInterior search piece face directions then
                considerSphere search piece face directions

                for j in face.Next .. piece.Cuts.Length - 1 do
                    restrict piece face j |> Option.iter (visit search piece)

    let private whole n =
        {
            Normals = []
            Nearest = Array.zeroCreate n
            Next = 0
        }

    let private pieceOf (ball: ReluBall) (branching: ExactBranching) node =
        let shift = branching.Shift node |> Array.map (fun c -> c / ball.Radius)

        let largest =
            Seq.append (Seq.concat node.Rates) shift
            |> Seq.fold (fun largest x -> max largest (abs x)) 0.0

        let unit = if largest = 0.0 then 0 else Math.ILogB largest
        let inUnit = Array.map (fun x -> Math.ScaleB(x, -unit))
        let shift = inUnit shift

        {
            Unit = unit
            Rates = node.Rates |> Array.map inUnit
            RateError = Rounding.scaleUp (branching.RateError node) -unit
            Shift = shift
            ShiftError = branching.Rounding * norm shift
            Cuts = node.Cuts
        }

    /// The constant over the ball around `input`, or why there is none: the network must be a chain of affine maps and ReLUs, the
    /// radius positive, and the faces of its pieces few enough to visit, as they are for up to 14 ReLUs and a few inputs.
    let local (context: Context) (network: Network) (input: Tensor) (radius: Radius) : Result<ExactBracket, string> =
        if radius.Value = 0.0 then
            Error "the ball is a point"
        else
            ExactChain.ofNetwork context network
            |> Result.bind (ReluUnits.around (Tensor.values input) radius.Value)
            |> Result.bind (fun ball ->
                let branching = ExactBranching(ball, Euclidean, Origin.Exactly)

                let search =
                    {
                        Context = context
                        Network = network
                        Input = input
                        Ball = ball
                        Best = LowerBound.none
                        Lower = 0.0
                        Upper = 0.0
                        Faces = 0
                    }

                let mutable pieces = 0
                let mutable isTooNear = false

                for node in branching.Leaves do
                    Context.check context
                    pieces <- pieces + 1

                    isTooNear <- isTooNear || branching.HasKinkTooNear node

                    if search.Faces <= mostFaces && not isTooNear then
                        visit search (pieceOf ball branching node) (whole ball.Center.Length)

                if isTooNear then
                    Error "a kink is too near to the input"
                elif search.Faces > mostFaces then
                    Error $"the pieces have more than {mostFaces} faces"
                else
                    Ok
                        {
                            Lower = search.Best.Value
                            Upper = max (ball.Upward(search.Upper * widen)) search.Best.Value
                            Attained =
                                match search.Best.Attainment with
                                | Between(x, _) -> Some x
                                | _ -> None
                            Regions = pieces
                        })
