namespace LipVerify.Core

/// How spectral norms are to be proved.
type Certification =
    {
        /// Probability with which all random certificates of one answer together may fail, in (0, 1).
        FailureProbability: float
        /// Relative looseness (certified value over attained value) aimed at; none: 1e-3, or 1e-2 for large operators.
        Tolerance: float option
        /// Insist on certificates without random draws.
        Deterministic: bool
    }

module Certification =

    /// δ = 1e-9, tolerance by size, random certificates for large operators.
    let standard =
        {
            FailureProbability = 1e-9
            Tolerance = None
            Deterministic = false
        }

    /// The share of one of `count` certificates in the failure probability, rounded down.
    let share count certification =
        { certification with
            FailureProbability = System.Math.BitDecrement(certification.FailureProbability / float (max 1 count))
        }
