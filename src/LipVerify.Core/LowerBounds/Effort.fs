namespace LipVerify.Core.LowerBounds

open LipVerify.Core.Networks

/// How long to search for a large slope. The points evaluated are `Starts·Rounds·Steps`, twice that between pairs.
type Effort =
    {
        /// Searches side by side.
        Starts: int
        /// Times that the best quarter of the searches is crossed and set out anew.
        Rounds: int
        /// Steps of gradient ascent in each round.
        Steps: int
    }

module Effort =

    /// Enough to settle on small networks: a few seconds on a network of 10⁵ to 10⁶ products.
    let thorough = { Starts = 72; Rounds = 8; Steps = 40 }

    /// Products that a search may take: about half a minute of two cores.
    let private budget = 1.5e11

    /// `thorough` where the network is small, and less as it grows, down to some dozen evaluations.
    let fitting (network: Network) =
        let affordable = budget / max 1.0 (Network.products network)

        [
            thorough
            { Starts = 32; Rounds = 5; Steps = 32 }
            { Starts = 24; Rounds = 4; Steps = 20 }
            { Starts = 10; Rounds = 2; Steps = 10 }
        ]
        |> List.tryFind (fun effort -> float (effort.Starts * effort.Rounds * effort.Steps) <= affordable)
        |> Option.defaultValue { Starts = 4; Rounds = 1; Steps = 8 }
