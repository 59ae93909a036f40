namespace LipVerify.Core.Numbers

/// What a number promises (METHODS section 5), from the strongest promise to the weakest.
type Rigor =
    /// An upper bound in real arithmetic for the stored weights; rounding is enclosed.
    | Certified
    /// As `Certified`, except with at most this probability over the tool's own random draws.
    | Probabilistic of failure: float
    /// An upper bound in exact arithmetic; rounding is not enclosed.
    | Numerical
    /// No guarantee.
    | Estimate

module Rigor =

    /// The weakest of two promises; failure probabilities add up (union bound).
    let combine a b =
        match a, b with
        | Estimate, _
        | _, Estimate -> Estimate
        | Numerical, _
        | _, Numerical -> Numerical
        | Probabilistic p, Probabilistic q -> Probabilistic(Rounding.addUp p q)
        | Probabilistic p, Certified
        | Certified, Probabilistic p -> Probabilistic p
        | Certified, Certified -> Certified

    /// The word for it in reports: `certified`, `probabilistic`, `numerical` or `estimate`.
    let label =
        function
        | Certified -> "certified"
        | Probabilistic _ -> "probabilistic"
        | Numerical -> "numerical"
        | Estimate -> "estimate"

    /// The probability that the promise fails through the tool's own random draws; 0 where no draw was made.
    let failureProbability =
        function
        | Probabilistic p -> p
        | Certified
        | Numerical
        | Estimate -> 0.0

/// A bound with what it promises. Combinators carry both, so that no path can report an estimate as a guarantee.
type Bound =
    {
        /// The bound itself.
        Value: float
        /// What it promises.
        Rigor: Rigor
    }

/// Combinators of upper bounds on non-negative quantities. Each operation rounds upward.
module Bound =

    /// An upper bound that holds in real arithmetic.
    let certified value = { Value = value; Rigor = Certified }

    /// The constant of a map that cannot expand distances, and the unit of `product`.
    let one = certified 1.0

    /// The bound of a constant map, and the unit of `sum`.
    let zero = certified 0.0

    /// `a·b`: Proposition 3.
    let product a b =
        {
            Value = Rounding.mulUp a.Value b.Value
            Rigor = Rigor.combine a.Rigor b.Rigor
        }

    /// `a + b`: the bound of a sum of branches.
    let sum a b =
        {
            Value = Rounding.addUp a.Value b.Value
            Rigor = Rigor.combine a.Rigor b.Rigor
        }

    /// The weaker promise of `bound` and `rigor`; the value stays.
    let weaken rigor bound =
        { bound with
            Rigor = Rigor.combine rigor bound.Rigor
        }

/// Which local Lipschitz constant is meant (METHODS section 1).
type Definition =
    /// `sup ‖f(x) − f(x0)‖ / ‖x − x0‖` over the permitted `x`: Avant & Morgansen, Definition 2.
    | Nominal
    /// `sup ‖f(x) − f(x′)‖ / ‖x − x′‖` over all pairs of permitted inputs. Never below the nominal one.
    | Uniform
