namespace LipVerify.Core.Bounds.Multipliers.Representation

open System

/// A linear fractional representation (METHODS section 7): `v = H δx + G w` and `δf = M δx + T w` for some `w` with
/// `|w_j| ≤ |v_j|`, where `v_j` is made of `w_i` with `i < j` alone. The exact coefficients lie within `Errors` of the computed ones.
[<ReferenceEquality>]
type LinearFractional =
    {
        /// Length of `δx`.
        Inputs: int
        /// Length of `w` and `v`.
        Uncertain: int
        /// Length of `δf`.
        Outputs: int
        /// `[H G; M T]`, `(Uncertain + Outputs) × (Inputs + Uncertain)`, row-major.
        Values: float[]
        /// Bounds on the errors of `Values`, entry by entry.
        Errors: float[]
    }

    /// Columns of the matrix.
    member lfr.Columns = lfr.Inputs + lfr.Uncertain

    /// Rows of the matrix.
    member lfr.Height = lfr.Uncertain + lfr.Outputs

/// Entries inside a network whose reach was narrowed by multipliers (METHODS section 7, bootstrapping).
[<NoComparison>]
type NarrowedReach =
    {
        /// Their positions.
        Entries: int[]
        /// `|δy_i|` is at most this.
        Bounds: float[]
        /// `ρ_i`: the multipliers of row `i` are `ρ_i t`.
        Factors: float[]
        /// `t`, one a slope so far.
        Multipliers: float[]
    }

/// What a linear fractional representation is built from: `w` so far, with bounds on its entries, and the rows of `v`.
[<Sealed; AllowNullLiteral>]
type internal UncertainSlopes(inputs: int, radius: float) =
    /// Beyond this the multipliers take minutes.
    let most = 1800

    let reaches = ResizeArray<float>()
    let blocks = ResizeArray<AffineForms>()

    /// The entries that got a coordinate of their own, for each time that slopes were applied, in order: what a checker needs
    /// to tell which multiplier belongs where.
    member val Bends = ResizeArray<int[]>()

    /// The members that can win each window, the leader first, for each max pooling in order.
    member val Windows = ResizeArray<int[][]>()

    /// What multipliers narrowed, for each time that it was tried, in order.
    member val Narrowed = ResizeArray<NarrowedReach>()

    /// Bounds the length of `δx`.
    member _.Radius = radius

    /// Coordinates of `z = (δx, w)` so far.
    member _.Coordinates = inputs + reaches.Count

    /// Entries of `w` so far.
    member _.Count = reaches.Count

    /// Bounds on `|δy_i|` over the ball.
    member _.Reach forms =
        AffineForms.reach inputs radius reaches forms

    /// New entries of `w` with `|w_j| ≤ |v_j| ≤ bound_j`, for the forms `v`; gives the position of the first in `z`.
    member slopes.Add (v: AffineForms) (bounds: float[]) =
        let first = slopes.Coordinates

        if reaches.Count + bounds.Length > most then
            raise (TooLargeException $"more than {most} slopes that are not known")

        blocks.Add v
        reaches.AddRange bounds
        first

    /// The representation of the outputs.
    member slopes.Represent(outputs: AffineForms) : LinearFractional =
        let columns = slopes.Coordinates
        let height = reaches.Count + outputs.Size
        let values = Array.zeroCreate<float>(height * columns)
        let errors = Array.zeroCreate<float>(height * columns)
        let mutable first = 0

        for forms in Seq.append blocks [ outputs ] do
            for r in 0 .. forms.Rows - 1 do
                for i in 0 .. forms.Size - 1 do
                    values[(first + i) * columns + r] <- forms.Values[r * forms.Size + i]
                    errors[(first + i) * columns + r] <- forms.Errors[r * forms.Size + i]

            first <- first + forms.Size

        {
            Inputs = inputs
            Uncertain = reaches.Count
            Outputs = outputs.Size
            Values = values
            Errors = errors
        }

module LinearFractional =

    /// True where every coefficient and every error is a finite number.
    let isFinite (lfr: LinearFractional) =
        Array.forall Double.IsFinite lfr.Values
        && Array.forall Double.IsFinite lfr.Errors

    /// The same representation with the outputs `rows`.
    let selectOutputs (rows: int[]) (lfr: LinearFractional) =
        let kept = lfr.Uncertain * lfr.Columns

        let pick (values: float[]) =
            let picked = Array.zeroCreate<float>(kept + rows.Length * lfr.Columns)
            Array.blit values 0 picked 0 kept

            rows
            |> Array.iteri (fun i row ->
                Array.blit values (kept + row * lfr.Columns) picked (kept + i * lfr.Columns) lfr.Columns)

            picked

        { lfr with
            Outputs = rows.Length
            Values = pick lfr.Values
            Errors = pick lfr.Errors
        }
