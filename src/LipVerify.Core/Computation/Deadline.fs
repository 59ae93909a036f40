namespace LipVerify.Core.Computation

open System
open System.Diagnostics

/// When a computation has to make do with what it has, on the clock of `Stopwatch`.
[<Struct>]
type Deadline = private Deadline of timestamp: int64

module Deadline =

    /// There is all the time in the world.
    let never = Deadline Int64.MaxValue

    /// This long from now.
    let after (span: TimeSpan) =
        let ticks = span.TotalSeconds * float Stopwatch.Frequency
        let now = Stopwatch.GetTimestamp()
        let room = Int64.MaxValue - now

        if ticks >= float room then
            never
        else
            Deadline(now + int64 (max 0.0 ticks))

    /// The earlier of two.
    let earlier (Deadline a) (Deadline b) = Deadline(min a b)

    /// What is left of the time: 0 once it is over, none where it never is.
    let left (Deadline timestamp) =
        if timestamp = Int64.MaxValue then
            None
        else
            Some(
                TimeSpan.FromSeconds(
                    float (max 0L (timestamp - Stopwatch.GetTimestamp()))
                    / float Stopwatch.Frequency
                )
            )

    /// Whether the time is over.
    let isOver (Deadline timestamp) =
        timestamp <> Int64.MaxValue && Stopwatch.GetTimestamp() >= timestamp
