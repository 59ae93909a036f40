/// What Expecto's `Expect` lacks here, and comparisons that a number which is none never passes: `Expect.isLessThan` and
/// `Expect.isLessThanOrEqual` of Expecto hold for NaN on either side, which would let a lost bound through.
module LipVerify.Propositions.Expectations

open Expecto

module Expect =
    let private compare relation holds actual expected message =
        if not (holds actual expected) then
            failtest $"{message}. {actual} was to be {relation} {expected}."

    let isLessThan (actual: 'a) (expected: 'a) message =
        compare "less than" (<) actual expected message

    let isLessThanOrEqual (actual: 'a) (expected: 'a) message =
        compare "at most" (<=) actual expected message

    let isGreaterThan (actual: 'a) (expected: 'a) message =
        compare "greater than" (>) actual expected message

    let isGreaterThanOrEqual (actual: 'a) (expected: 'a) message =
        compare "at least" (>=) actual expected message

    /// Between the two, or equal to one.
    let isInRange (actual: 'a) (low: 'a, high: 'a) message =
        isGreaterThanOrEqual actual low message
        isLessThanOrEqual actual high message

    /// Not further than a distance from what is expected; infinite values are equal or fail.
    let isWithin (distance: float) (actual: float) (expected: float) message =
        let apart = abs (actual - expected)

        if actual <> expected && not (System.Double.IsFinite apart && apart <= distance) then
            failtest $"{message}. {actual} was to be within {distance} of {expected}."

    /// The same object.
    let same (actual: 'a) (expected: 'a) message =
        if not (obj.ReferenceEquals(actual, expected)) then
            failtest $"{message}. {actual} was to be the same object as {expected}."

    /// Each of these parts is in the text.
    let stringContainsAll (text: string) (parts: string list) message =
        for part in parts do
            Expect.stringContains text part message

    /// The text does not have this part.
    let stringLacks (text: string) (part: string) message =
        if text.Contains(part, System.StringComparison.Ordinal) then
            failtest $"{message}. “{text}” was not to contain “{part}”."

    /// The same elements in any order.
    let sameElements (actual: 'a seq) (expected: 'a seq) message =
        Expect.equal (Seq.sort actual |> List.ofSeq) (Seq.sort expected |> List.ofSeq) message

    /// The exception of this type that the call ends with.
    let thrown<'e when 'e :> exn> (call: unit -> unit) : 'e =
        let ended =
            try
                call ()
                None
            with :? 'e as error ->
                Some error

        match ended with
        | Some error -> error
        | None -> failtest $"{typeof<'e>.Name} was to be thrown."
