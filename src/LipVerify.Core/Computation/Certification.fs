namespace LipVerify.Core.Computation

open System

/// How spectral norms are to be proved.
type Certification =
    {
        /// Probability with which all random certificates of one answer together may fail, from `leastFailureProbability` to below 1.
        FailureProbability: float
        /// Relative looseness (certified value over attained value) aimed at; none: 1e-3, or 1e-2 for large operators.
        Tolerance: float option
        /// Insist on certificates without random draws.
        Deterministic: bool
    }

module Certification =

    /// The least failure probability: shares of it for billions of claims are normal doubles still.
    [<Literal>]
    let leastFailureProbability = 1e-250

    /// δ = 1e-9, tolerance by size, random certificates for large operators.
    let standard =
        {
            FailureProbability = 1e-9
            Tolerance = None
            Deterministic = false
        }

    /// What rounding may add to the sum of the shares, and to the text of the whole: 4000 roundings and more.
    let private room = Math.ScaleB(1.0, -40)

    /// The share of one of `count` certificates in the failure probability, rounded down far enough that the sum of all, rounded
    /// upward at each step, stays below the whole.
    let share count certification =
        { certification with
            FailureProbability = certification.FailureProbability / float (max 1 count) * (1.0 - room)
        }
