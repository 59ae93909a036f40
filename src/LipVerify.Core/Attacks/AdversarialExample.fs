namespace LipVerify.Core.Attacks

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds

/// Searches for an input close to the nominal one that the network gives another class.
type Attack =
    /// One step along the signs of the gradient (Goodfellow, Shlens & Szegedy 2015).
    | FastGradientSign
    /// Several such steps (Kurakin, Goodfellow & Bengio 2017).
    | IteratedFastGradientSign
    /// Gradient ascent on the margin of one class after the other.
    | GradientAscent
    /// Projected descent on spheres of changing radius: decoupled direction and norm (Rony et al. 2019).
    | ProjectedDescent
    /// Penalised distance, with a search over the penalty (Carlini & Wagner 2017).
    | CarliniWagner

module Attack =

    /// Every attack, from the quickest to the strongest.
    let all =
        [
            FastGradientSign
            IteratedFastGradientSign
            GradientAscent
            ProjectedDescent
            CarliniWagner
        ]

    /// Its name in reports and on the command line: `fgsm`, `ifgsm`, `gradient`, `pgd` or `cw`.
    let name attack =
        match attack with
        | FastGradientSign -> "fgsm"
        | IteratedFastGradientSign -> "ifgsm"
        | GradientAscent -> "gradient"
        | ProjectedDescent -> "pgd"
        | CarliniWagner -> "cw"

    /// The attack of a name.
    let tryFind text =
        all |> List.tryFind (fun attack -> name attack = text)

/// The permitted inputs of an attack, coordinate by coordinate.
[<ReferenceEquality>]
type Box =
    {
        /// The least permitted values.
        Lower: Tensor
        /// The largest permitted values.
        Upper: Tensor
    }

/// An input of another class. Its distance is an upper bound on the least adversarial perturbation.
[<ReferenceEquality>]
type AdversarialExample =
    {
        /// The input.
        Input: Tensor
        /// `‖x − x0‖` in the 2-norm, rounded upward.
        Distance: float
        /// `Certified` where in real arithmetic too the nominal input has its class and some other output exceeds that of this class
        /// here; `Numerical` where both are so as computed, and rounding leaves one open.
        Rigor: Rigor
        /// The class with the largest computed output at the input.
        Label: int
        /// The class with the largest computed output at the nominal input.
        OriginalLabel: int
        /// What found it.
        Attack: Attack
    }

/// How long to search.
type AttackEffort =
    {
        /// The most classes to steer towards: those nearest in the linearised network.
        Targets: int
        /// Steps of each descent.
        Steps: int
        /// Descents one after the other, where an attack searches over a parameter.
        Searches: int
        /// Step sizes tried side by side, where an attack has one.
        Sizes: int
        /// The nearest of the adversarial inputs found that are refined.
        Finalists: int
    }

module AttackEffort =

    /// Enough to settle on small networks.
    let thorough =
        {
            Targets = 10
            Steps = 150
            Searches = 8
            Sizes = 24
            Finalists = 3
        }

    /// Products that one attack may take, roughly.
    let private budget = 1.5e11

    /// `thorough` where the network is small, and less as it grows.
    let fitting (network: Network) =
        let points = budget / max 1.0 (Network.products network)

        if points >= 10_000.0 then
            thorough
        elif points >= 2_000.0 then
            {
                Targets = 5
                Steps = 60
                Searches = 5
                Sizes = 12
                Finalists = 2
            }
        else
            {
                Targets = 2
                Steps = 20
                Searches = 3
                Sizes = 4
                Finalists = 1
            }
