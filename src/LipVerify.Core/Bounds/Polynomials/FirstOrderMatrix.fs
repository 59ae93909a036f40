/// Linear relations between the products of two of the quantities `1, z_1, z_2, …`, which a first-order moment matrix `M` has as its
/// entries: row 0 belongs to the constant.
module LipVerify.Core.Bounds.Polynomials.FirstOrderMatrix

open LipVerify.Core.Numbers

/// `value·M_ij` as an entry of `A`, where `⟨A, M⟩` counts twice what is off the diagonal.
let entry block i j value =
    {
        Block = block
        Row = min i j
        Column = max i j
        Value = if i = j then value else 0.5 * value
    }

/// `⟨A, M⟩ = right`.
let equals right entries =
    {
        Entries = entries
        Right = right
        AtMost = false
    }

/// `⟨A, M⟩ ≤ right`.
let atMost right entries =
    {
        Entries = entries
        Right = right
        AtMost = true
    }

/// `M_00 = 1`.
let normalised = equals 1.0 [ entry 0 0 0 1.0 ]

/// `u² = u` for a bit, `t² = 1` for a sign.
let squared kind row =
    match kind with
    | Bit -> equals 0.0 [ entry 0 row row 1.0; entry 0 0 row -1.0 ]
    | Sign -> equals 1.0 [ entry 0 row row 1.0 ]

/// Rows for the point `ξ` of a unit ball, and what is known of them.
[<ReferenceEquality>]
type BallRows =
    {
        /// How many there are.
        Count: int
        /// What `‖ξ‖₂²` is at most.
        Trace: float
        /// `ξ` is in the ball, and each slope belongs to the sign of its pre-activation.
        Constraints: MatrixConstraint list
    }

/// The coordinates of these rows are those of a point of the unit ball; that of the 1-norm lies within that of the 2-norm.
let unitBall norm rows =
    match norm with
    | _ when List.isEmpty rows -> []
    | Maximum -> rows |> List.map (fun row -> atMost 1.0 [ entry 0 row row 1.0 ])
    | Euclidean
    | Taxicab -> [ atMost 1.0 [ for row in rows -> entry 0 row row 1.0 ] ]

/// `(u − ½)(row·ξ + offset) ≥ 0`, up to the rounding of the pre-activation.
let private signed (coordinates: (int * int) list) (u, sign: SlopeSign) =
    atMost
        (0.5 * sign.Error)
        [
            entry 0 0 u -sign.Offset
            entry 0 0 0 (0.5 * sign.Offset)

            for j, row in coordinates do
                let a = sign.Row[j]

                if a <> 0.0 then
                    entry 0 u row -a
                    entry 0 0 row (0.5 * a)
        ]

/// The rows from `first` on for the coordinates of `ξ` that `signs` speak of; each comes with the row of its slope.
let ball norm first (signs: (int * SlopeSign) list) =
    let coordinates =
        match signs with
        | [] -> []
        | (_, sign) :: _ ->
            [ 0 .. sign.Row.Length - 1 ]
            |> List.filter (fun j -> signs |> List.exists (fun (_, sign) -> sign.Row[j] <> 0.0))
            |> List.mapi (fun k j -> j, first + k)

    let count = coordinates.Length

    {
        Count = count
        Trace =
            match norm with
            | Maximum -> float count
            | Euclidean
            | Taxicab -> min 1.0 (float count)
        Constraints =
            unitBall norm (List.map snd coordinates)
            @ (signs |> List.map (signed coordinates))
    }

/// All of the weighted pairs where they are at most `limit`, else the heaviest `few` of each member.
let strongest limit few (pairs: ((int * int) * float) list) =
    if pairs.Length <= limit then
        List.map fst pairs
    else
        pairs
        |> List.collect (fun ((i, j), weight) -> [ i, ((i, j), weight); j, ((i, j), weight) ])
        |> List.groupBy fst
        |> List.collect (fun (_, candidates) ->
            candidates |> List.map snd |> List.sortByDescending snd |> List.truncate few)
        |> List.map fst
        |> List.distinct
