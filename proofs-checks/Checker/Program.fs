/// `lipverify-checker [--coq FILE] CERTIFICATE NETWORK [INPUT]`: one verdict a statement on standard output. Exit code 0 if all
/// hold, 1 if one does not, 2 if a file cannot be read. With `--coq` it writes, beside that, the instance for the checker that is
/// proved in proofs-checks/coq.
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

/// Writes the instance that a certificate of Algorithm 1 gives.
let private writeInstance path certificate network input =
    let statement = DenseInstance.statement certificate network input
    let proposals = DenseProposal.proposals certificate statement

    try
        InstanceFile.write path statement proposals
    with
    | :? IO.IOException
    | :? UnauthorizedAccessException as failure -> refuse $"{path}: {failure.Message}"

let private onlyAlgorithm1 instanceFile =
    if Option.isSome instanceFile then
        refuse "the proved checker covers certificates of the analytic method; this is one of another"

/// Checks the files and gives the exit code.
let run
    (instanceFile: string option)
    (certificateFile: string)
    (networkFile: string)
    (inputFile: string option)
    (write: string -> unit)
    =
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
                onlyAlgorithm1 instanceFile
                let certificate = MultiplierFile.read bytes
                MultiplierWalk.check certificate network input say
                $"the {certificate.Definition} Lipschitz constant is at most {Decimals.upward certificate.Value}"
            elif StructuredFile.isOne bytes then
                onlyAlgorithm1 instanceFile
                let certificate = StructuredFile.read bytes
                StructuredCheck.check certificate network input say

                $"the {certificate.Definition} Lipschitz constant is at most {Decimals.upward certificate.Value}{chanceOf certificate.Failure}"
            else
                let certificate = readCertificate bytes
                Walk.check certificate network input say

                match instanceFile with
                | Some path -> writeInstance path certificate network input
                | None -> ()

                $"the {certificate.Definition} Lipschitz constant is at most {Decimals.upward certificate.Value}{chanceOf certificate.Failure}"

        write (if accepted then $"accepted: {promise}" else "rejected")

        if accepted then 0 else 1
    with
    | Unreadable problem -> fail problem
    | :? OutOfMemoryException -> fail "there is not enough memory for this network"

[<EntryPoint>]
let main argv =
    let instanceFile, files =
        match List.ofArray argv with
        | "--coq" :: path :: files -> Some path, files
        | files -> None, files

    match files with
    | [ certificate; network ] -> run instanceFile certificate network None Console.WriteLine
    | [ certificate; network; input ] -> run instanceFile certificate network (Some input) Console.WriteLine
    | _ ->
        Console.Error.WriteLine "usage: lipverify-checker [--coq FILE] CERTIFICATE NETWORK [INPUT]"
        2
