/// Numbers of the command line are what their text says, or refused.
module LipVerify.Tests.CliNumberTests

open System
open Expecto
open LipVerify.Cli
open LipVerify.Propositions.Generators
open LipVerify.Tests.CliRun

/// Options of numbers, and a line to which they belong.
let private numbers =
    [
        "bound zoo:mnist-net --input zeros", "--radius", ""
        "bound zoo:mnist-net --input zeros --radius 1", "--tolerance", ""
        "bound zoo:mnist-net --input zeros --radius 1", "--failure-probability", ""
        "bound zoo:mnist-net --input zeros --radius 1 --method local-lipsdp", "--time-limit", ""
        "bound zoo:mnist-net --input zeros --radius 1 --std 1", "--mean", ""
        "bound zoo:mnist-net --input zeros --radius 1 --mean 1", "--std", ""
        "attack zoo:mnist-net --input zeros", "--clip", "-1,"
        "curve zoo:mnist-net --input zeros", "--radii", "0.1,"
        "curve zoo:mnist-net --input zeros", "--radii", "1:2:"
    ]

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliNumber"
        [
            testTheory
                "A number that a double cannot hold is refused"
                [ "1e-400"; "1e400"; "-1e-400" ]
                (fun (text: string) ->
                    for line, option, before in numbers do
                        let value = before + text
                        let outcome = (line.Split ' ' |> List.ofArray) @ [ $"{option}={value}" ] |> run
                        Expect.equal outcome.ExitCode 2 $"{option} {value}"
                        Expect.stringContains outcome.Error option $"{option} {value}"
                        Expect.stringContains outcome.Error text $"{option} {value}")

            statement "A text of a positive number is read as a positive number, or refused" 1000 id (fun seed ->
                let random = Random seed
                let digits = String.init (1 + random.Next 20) (fun _ -> string (random.Next 10))
                let text = $"{random.Next 10}.{digits}e{random.Next 800 - 400}"
                let isZero = text.Split('e')[0] |> Seq.forall (fun c -> c = '0' || c = '.')

                match DecimalText.parse text with
                | Ok value -> Expect.isTrue ((value > 0.0 && Double.IsFinite value) || (isZero && value = 0.0)) text
                | Error _ -> Expect.isFalse isZero text)

            testTheory "Zero is zero" [ "0"; "0e99"; "-0.000" ] (fun (text: string) ->
                match DecimalText.parse text with
                | Ok value -> Expect.equal value 0 "value"
                | Error problem -> failtest problem)
        ]
