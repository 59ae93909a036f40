namespace LipVerify.Core.Numbers

open System

/// Two ends of one constant contradict each other, so that one of them is false: a fault of this program, or the rare case that
/// probabilistic bounds allow for.
type ContradictionException(message: string) =
    inherit Exception(message)

/// The one place where lower ends are held against upper ends before either is shown.
module Ends =

    /// What rounding may do to numbers that are numerical, with room to spare, relative to them.
    let private rounding = 1e-9

    let private isEnclosed (bound: Bound) =
        match bound.Rigor with
        | Certified
        | Probabilistic _ -> true
        | Numerical
        | Estimate -> false

    /// The lower end to show beside an upper one: never above it. A lower end whose own rounding is not enclosed gives way, and so does another where
    /// rounding may explain that it is above an upper end that is numerical; both stay lower ends. Throws `ContradictionException` where nothing
    /// explains it; `subject` says what was bounded how.
    let below (subject: string) (upper: Bound) (lower: Bound) : Bound =
        if not (lower.Value > upper.Value) then
            lower
        elif
            not (isEnclosed lower)
            || not (isEnclosed upper) && lower.Value <= upper.Value * (1.0 + rounding)
        then
            { lower with Value = upper.Value }
        else
            raise (
                ContradictionException
                    $"{subject}: the upper end {Figure.exact upper.Value} ({Rigor.label upper.Rigor}) is below {Figure.exact lower.Value} ({Rigor.label lower.Rigor}), which is attained"
            )
