/// Lines above convex functions.
module internal LipVerify.Core.Activations.Curves.Chord

open System
open LipVerify.Core.Numbers

/// A line above two points, and so above every convex function between them whose slopes are in `[0, 1]`: its slope, and its lift at 0, rounded upward.
let above fall rise (atFall: float) (atRise: float) =
    let slope =
        let slope = (atRise - atFall) / (rise + fall)
        // Written so that 0/0 and ∞/∞ become 0.
        if slope > 0.0 then min slope 1.0 else 0.0

    let least (product: float) =
        if product > 0.0 then Math.BitDecrement product else 0.0

    let lift =
        if slope = 0.0 then
            max atFall atRise
        else
            max (Rounding.addUp atRise -(least (slope * rise))) (Rounding.addUp atFall (Rounding.mulUp slope fall))

    struct (slope, max lift 0.0)
