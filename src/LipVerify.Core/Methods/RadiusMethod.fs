namespace LipVerify.Core.Methods

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Radii

/// What certified radii of one network share.
[<NoComparison; NoEquality>]
type RadiusQuery =
    {
        /// The network, with two outputs or more.
        Network: Network
        /// The constant that certifies, for methods that take either.
        Definition: Definition
        /// Where slopes come from, for methods that take an enclosure.
        Enclosure: EnclosureKind
    }

/// A certified radius, and how it came about.
[<NoComparison; NoEquality>]
type RadiusFound =
    {
        /// The radius, and what shows it.
        Result: CertifiedRadius
        /// Whether the time was over before the search was.
        IsCut: bool
        /// Where enclosures are not those that were asked for.
        Explanation: string option
    }

/// Which constant certifies.
[<RequireQualifiedAccess>]
type RadiusDefinition =
    /// The nominal or the uniform one.
    | Either
    /// The uniform one over all inputs.
    | Uniform
    /// None: margins are bounded against the input.
    | Margins

/// A method that certifies the class of an input within a radius. Command line and façade know methods by these values alone.
[<NoComparison; NoEquality>]
type RadiusMethod =
    {
        /// Its name on the command line.
        Name: string
        /// What it does, in one line.
        Summary: string
        /// Which constant certifies.
        Definition: RadiusDefinition
        /// Whether the enclosure of a query gives it its slopes.
        TakesEnclosure: bool
        /// Whether it draws at random: failure probability, tolerance and seed are about that.
        Draws: bool
        /// Why radii without random draws are out of reach, where they are.
        Uncertified: string option
        /// What one radius may take where no time limit is given; none for as long as it needs.
        Patience: RadiusQuery -> TimeSpan option
        /// Prepares what all inputs share, and gives a function from what the radius of one input may take, and the input.
        Prepare: RadiusQuery -> Context -> Tensor -> Result<RadiusFound, string>
    }
