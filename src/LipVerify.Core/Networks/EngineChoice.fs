/// Which engine serves a network where the choice is left to the program.
module LipVerify.Core.Networks.EngineChoice

open LipVerify.Compute
open LipVerify.Core.Computation

/// Products in one evaluation of a network from which on a card is taken. A bound of Algorithm 1 applies each layer some hundred times, so
/// that from here on it takes seconds on a processor, and a card some seconds to get ready. This weighs operations, and is not measured.
[<Literal>]
let leastProducts = 1e8

/// The context for a network, given the name of the engine that was asked for: `auto` is a CUDA card, where one is there and the network
/// is large enough to pay for it, else the processor.
let fit (name: string) (network: Network) (context: Context) =
    if name = "auto" && Network.products network >= leastProducts then
        match Engines.TryCard context.Engine.Threads with
        | null -> context
        | card -> { context with Engine = card }
    else
        context
