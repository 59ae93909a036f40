/// `lipverify-checker CERTIFICATE NETWORK [INPUT]`: one verdict a statement on standard output. Exit code 0 if all hold, 1 if
/// one does not, 2 if a file cannot be read.
module LipVerify.Checker.Program

open System
open LipVerify.Checker.Json
open LipVerify.Checker.Readers

let private fail (problem: string) =
    let onOneLine = problem |> String.map (fun c -> if Char.IsControl c then '?' else c)
    Console.Error.WriteLine $"lipverify-checker: {onOneLine}"
    2

let private chanceOf (failure: float) =
    if failure > 0.0 then
        $"; if a claim were false, this would be said with a probability of at most {Decimals.upward failure}"
    else
        ""

/// Checks the files and gives the exit code.
let run (certificateFile: string) (networkFile: string) (inputFile: string option) (write: string -> unit) =
    let mutable accepted = true

    let say holds (text: string) =
        accepted <- accepted && holds
        write ((if holds then "holds     " else "REJECTED  ") + text)

    try
        let bytes = Files.readCertificate certificateFile
        let network = Files.read networkFile |> readNetwork
        let input = inputFile |> Option.map (Files.read >> readInput)

        let promise =
            if MultiplierFile.isOne bytes then
                let certificate = MultiplierFile.read bytes
                MultiplierWalk.check certificate network input say
                $"the {certificate.Definition} Lipschitz constant is at most {Decimals.upward certificate.Value}"
            elif StructuredFile.isOne bytes then
                let certificate = StructuredFile.read bytes
                StructuredCheck.check certificate network input say

                $"the {certificate.Definition} Lipschitz constant is at most {Decimals.upward certificate.Value}{chanceOf certificate.Failure}"
            else
                let certificate = readCertificate bytes
                Walk.check certificate network input say

                $"the {certificate.Definition} Lipschitz constant is at most {Decimals.upward certificate.Value}{chanceOf certificate.Failure}"

        write (if accepted then $"accepted: {promise}" else "rejected")

        if accepted then 0 else 1
    with
    | Unreadable problem -> fail problem
    | :? OutOfMemoryException -> fail "there is not enough memory for this network"

[<EntryPoint>]
let main argv =
    match List.ofArray argv with
    | [ certificate; network ] -> run certificate network None Console.WriteLine
    | [ certificate; network; input ] -> run certificate network (Some input) Console.WriteLine
    | _ ->
        Console.Error.WriteLine "usage: lipverify-checker CERTIFICATE NETWORK [INPUT]"
        2
