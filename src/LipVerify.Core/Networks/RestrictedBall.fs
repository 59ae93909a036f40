namespace LipVerify.Core.Networks

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation

/// A perturbation radius, in the 2-norm where no other is named: non-negative and finite.
[<Struct>]
type Radius =
    private
    | Radius of float

    /// The radius as a number.
    member radius.Value =
        let (Radius value) = radius
        value

module Radius =

    /// A radius, or what is wrong with the number.
    let create value =
        if Double.IsFinite value && value >= 0.0 then
            Ok(Radius value)
        else
            Error $"a radius must be a finite number that is not negative, not {value}"

/// The set `{ x0 + D δ : ‖δ‖ ≤ ε }` with `x0 = D x0` (METHODS section 1), in the 2-norm where no other is named: coordinates with `d_i = 0` are zero for
/// every permitted input.
[<ReferenceEquality>]
type RestrictedBall =
    {
        /// `x0`.
        Center: Tensor
        /// `ε`, with what it promises: after the first layer it comes from bounds.
        Radius: Bound
        /// The diagonal of `D`, each 0 or 1.
        Mask: Tensor
    }

module RestrictedBall =

    /// The whole ball around `center`.
    let whole (center: Tensor) (radius: Radius) =
        {
            Center = center
            Radius = Bound.certified radius.Value
            Mask = Tensor.create center.Shape 1.0
        }

    /// True when every point of `inner` surely lies in `outer`: equal centres, no larger radius, no fewer zeros.
    let contains (outer: RestrictedBall) (inner: RestrictedBall) =
        inner.Radius.Value <= outer.Radius.Value
        && Tensor.values inner.Center = Tensor.values outer.Center
        && Array.forall2 (fun (i: float) o -> i <= o) (Tensor.values inner.Mask) (Tensor.values outer.Mask)
