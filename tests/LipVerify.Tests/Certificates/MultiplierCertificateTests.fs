/// Certificates by multipliers against the independent checker: what the engine writes is accepted, what was changed is rejected.
module LipVerify.Tests.MultiplierCertificateTests

open System
open System.Text.Json.Nodes
open NUnit.Framework
open LipVerify.Compute
open LipVerify.Core
open LipVerify.Formats
open LipVerify.Propositions

/// Statements that the checker rejects; `Error` where it cannot read the files.
let private rejections (network: Network) (input: Tensor) (certificate: byte[]) : Result<string list, string> =
    let rejected = ResizeArray<string>()

    try
        LipVerify.Checker.MultiplierWalk.check
            (LipVerify.Checker.MultiplierFile.read certificate)
            (CanonicalNetwork.write network |> LipVerify.Checker.Readers.readNetwork)
            (Npy.write input |> LipVerify.Checker.Readers.readInput |> Some)
            (fun holds text ->
                if not holds then
                    rejected.Add text)

        Ok(List.ofSeq rejected)
    with LipVerify.Checker.Readers.Unreadable problem ->
        Error problem

/// The bound and its certificate, where multipliers prove less than Algorithm 1.
let private certificate definition network input radius =
    let struct (found, witness) =
        LocalLipSdp.boundWithWitness Generators.context definition network input radius None

    witness
    |> Option.map (fun witness ->
        match CertificateFile.writeMultipliers network input definition radius found.Result.Bound witness with
        | Ok bytes -> found.Result.Bound, bytes
        | Error problem -> failwith problem)

let private shouldBeRejected what network input bytes =
    match rejections network input bytes with
    | Ok [] -> Assert.Fail $"accepted although changed: {what}\n{Text.Encoding.UTF8.GetString(bytes: byte[])}"
    | Ok _
    | Error _ -> ()

[<TestCase(0)>]
[<TestCase(1)>]
let ``Every certificate of a random network is accepted`` (definition: int) =
    let definition = if definition = 0 then Nominal else Uniform
    let mutable written = 0

    Generators.check 150 Generators.network (fun case ->
        match certificate definition case.Network case.Input case.Radius with
        | None -> ()
        | Some(_, bytes) ->
            written <- written + 1

            match rejections case.Network case.Input bytes with
            | Ok [] -> ()
            | Ok(first :: _) -> Assert.Fail first
            | Error problem -> Assert.Fail problem)

    TestContext.Out.WriteLine $"{written} certificates by multipliers"
    Assert.That(written, Is.GreaterThan 30)
