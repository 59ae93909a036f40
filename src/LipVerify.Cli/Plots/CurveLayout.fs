/// Curves, and where they lie in their picture.
module LipVerify.Cli.CurveLayout

open System

/// One curve.
type Series =
    {
        Name: string
        Side: Side
        /// Radius and value, ascending in the radius.
        Points: (float * float) list
    }

/// What is plotted.
type Picture =
    {
        Title: string option
        LogRadii: bool
        Series: Series list
    }

/// Axes and the rectangle that they span, in user units.
type Layout =
    {
        X: Axis
        Y: Axis
        Left: float
        Right: float
        Top: float
        Bottom: float
    }

/// The size of the picture in user units, which are CSS pixels at its natural size.
let width, height = 720.0, 480.0

let internal legendColumns = 2
let internal legendRow = 20.0

/// A logarithmic axis has no place for zeros.
let internal isShown (_, value: float) = Double.IsFinite value && value > 0.0

let internal legendRows picture =
    (picture.Series.Length + legendColumns - 1) / legendColumns

/// Where the curves of a picture lie.
let layout picture =
    let points = picture.Series |> List.collect _.Points

    let titleHeight = if picture.Title.IsSome then 28.0 else 0.0

    {
        X = Axis.covering (if picture.LogRadii then Logarithmic else Linear) (points |> List.map fst)
        Y = Axis.covering Logarithmic (points |> List.filter isShown |> List.map snd)
        Left = 76.0
        Right = width - 22.0
        Top = 16.0 + titleHeight + legendRow * float (legendRows picture) + 6.0
        Bottom = height - 56.0
    }

/// The horizontal place of a radius.
let horizontal layout radius =
    layout.Left + Axis.position layout.X radius * (layout.Right - layout.Left)

/// The place of a point of a curve; none for values that the axis cannot show.
let place layout (radius, value) =
    if isShown (radius, value) then
        Some(horizontal layout radius, layout.Bottom - Axis.position layout.Y value * (layout.Bottom - layout.Top))
    else
        None
