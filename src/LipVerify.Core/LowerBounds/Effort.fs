namespace LipVerify.Core

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
    let thorough = { Starts = 48; Rounds = 8; Steps = 40 }

    /// Products in one evaluation of the network.
    let internal products (network: Network) =
        Network.layers network
        |> List.sumBy (fun placed ->
            match placed.Layer with
            | Affine(map, _) -> float (LinearMap.termsInRow map) * float (LinearMap.outputs map)
            | Relu
            | MaxPooling _
            | Reshape _
            | Identity -> 0.0)

    /// Products that a search may take: about a minute of two cores.
    let private budget = 3e11

    /// `thorough` where the network is small, and less as it grows, down to some dozen evaluations.
    let fitting (network: Network) =
        let points = budget / max 1.0 (products network)

        if points >= 15_360.0 then
            thorough
        elif points >= 2_000.0 then
            { Starts = 24; Rounds = 4; Steps = 20 }
        elif points >= 400.0 then
            { Starts = 10; Rounds = 2; Steps = 20 }
        else
            { Starts = 4; Rounds = 1; Steps = 10 }
