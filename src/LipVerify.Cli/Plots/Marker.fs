/// Marks of points in a picture, told apart by shape and filling.
module LipVerify.Cli.Marker

open LipVerify.Cli.SvgText

/// What a mark looks like.
type Shape =
    | Square
    | Circle
    | Triangle
    | Diamond

let private polygon (points: (float * float) list) pairs =
    let text =
        points
        |> List.map (fun (x, y) -> $"{coordinate x},{coordinate y}")
        |> String.concat " "

    empty "polygon" (("points", text) :: pairs)

/// A mark at a place; `pairs` are more attributes of its element.
let draw shape (color: string) isFilled pairs (x, y) =
    let pairs =
        [
            "fill", (if isFilled then color else "#ffffff")
            "stroke", color
            "stroke-width", "1.4"
        ]
        @ pairs

    match shape with
    | Square -> polygon [ x - 3.2, y - 3.2; x + 3.2, y - 3.2; x + 3.2, y + 3.2; x - 3.2, y + 3.2 ] pairs
    | Triangle -> polygon [ x, y - 4.4; x + 4.0, y + 3.0; x - 4.0, y + 3.0 ] pairs
    | Diamond -> polygon [ x, y - 4.6; x + 4.6, y; x, y + 4.6; x - 4.6, y ] pairs
    | Circle -> empty "circle" ([ "cx", coordinate x; "cy", coordinate y; "r", "3.6" ] @ pairs)
