/// Certificates against the independent checker: what the engine writes is accepted, what was changed is rejected.
module LipVerify.Tests.CertificateTests

open System
open System.IO
open System.Text.Json.Nodes
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Certificates
open LipVerify.Formats
open LipVerify.Propositions
open LipVerify.Tests.CheckerRuns

let rec private isChain node =
    match node with
    | Leaf _ -> true
    | Chain nodes -> List.forall isChain nodes
    | Branches _ -> false

let private network shape layers =
    match
        layers
        |> List.mapi (fun i layer -> Step(string i, layer))
        |> Series
        |> Network.create shape
    with
    | Ok network -> network
    | Error problem -> failwith problem

/// Taps far apart couple nearly all positions, so that a factorisation is dear.
let private convolution (draw: Generators.Draw) inChannels outChannels size dilation =
    let axis = WindowAxis(size, 3, 1, dilation, dilation, dilation)
    let geometry = ConvolutionGeometry(inChannels, outChannels, axis, axis)
    let weights = draw.Gaussians(outChannels * inChannels * 9)

    Layer.convolution
        geometry
        (Tensor.ofArray [ outChannels; inChannels; 3; 3 ] weights)
        (Tensor.ofArray [ outChannels ] (draw.Gaussians outChannels))

/// `x ↦ x / 3` in two coordinates.
let private third =
    network [ 2 ] [ Layer.linear (Quotients.reciprocals [ 2 ] [| 3.0; 3.0 |]) ]

[<Tests>]
let tests =
    testList
        "Certificate"
        [
            testCase "Every certificate of a random network is accepted" (fun () ->
                Generators.check 300 RandomNetworks.network (fun case ->
                    certificates case.Network case.Input case.Radius
                    |> List.iter (shouldBeAccepted case.Network case.Input)))

            testCase "The same bound gives the same bytes" (fun () ->
                Generators.check 30 RandomNetworks.network (fun case ->
                    let write () =
                        certificates case.Network case.Input case.Radius

                    Expect.isTrue (write () = write ()) "write () = write ()"))

            testCase "A changed number is rejected" (fun () ->
                Generators.check 60 RandomNetworks.network (fun case ->
                    for certificate in certificates case.Network case.Input case.Radius do
                        let root = JsonNode.Parse(ReadOnlySpan certificate) |> nonNull |> _.AsObject()

                        // A network without maps has the constant 1 whatever the radius.
                        if (claims root).Count > 0 then
                            for what, certificate in numbersChanged (isChain case.Network.Node) certificate do
                                shouldBeRejected what case.Network case.Input certificate))

            testCase "Claims with sides of 2560 and 4096 are accepted, and rejected if 1 % lower" (fun () ->
                let draw = Generators.Draw 11

                let network =
                    network [ 10; 16; 16 ] [ convolution draw 10 16 16 1; convolution draw 16 16 16 7 ]

                let input = Tensor.ofArray [ 10; 16; 16 ] (draw.Gaussians 2560)

                match
                    Global.bound Generators.context network
                    |> Certificate.``global``
                    |> CertificateFile.write network input
                with
                | Error problem -> failtest problem
                | Ok certificate ->
                    let text = Text.Encoding.UTF8.GetString certificate
                    Expect.stringContainsAll text [ "\"cholesky\""; "\"lanczos\"" ] "text"
                    shouldBeAccepted network input certificate

                    for i in 0..1 do
                        let lowered (root: JsonObject) =
                            let lower (owner: JsonObject) (name: string) =
                                owner[name] <- JsonValue.Create(0.99 * number owner[name])

                            lower (claim root i) "lipschitz"
                            lower root "value"

                        match changed certificate lowered |> rejections network input with
                        | Ok [ only ] -> Expect.stringContains only "constant ≤" "only"
                        | other -> failtest $"claim {i}: {other}")

            testCase "A network that is too large is refused before anything is formed" (fun () ->
                let network = network [ 64; 64; 64 ] [ convolution (Generators.Draw 3) 64 64 64 1 ]
                let input = Tensor.create [ 64; 64; 64 ] 0.0

                let certificate =
                    $"""{{"schema": "lipverify/certificate/1", "network": "{CanonicalNetwork.hash network}", "input": null, "norm": "2",
"definition": "uniform", "method": "global", "radius": null, "value": 9e9, "rigor": "certified", "failureProbability": 0, "claims": [
{{"layer": 0, "lipschitz": 9e9, "radiusIn": null, "radiusOut": null, "method": "absolute", "failureProbability": 0, "seed": null}}]}}"""

                match rejections network input (Text.Encoding.UTF8.GetBytes certificate) with
                | Ok [ only ] ->
                    Expect.stringContains only "layer 0: not checked: its map has 150994944 entries" "only"
                | other -> failtest $"{other}")

            testCase "The published MNIST network's certificates are accepted within a minute" (fun () ->
                let rec above (folder: DirectoryInfo | null) =
                    match folder with
                    | null -> None
                    | folder ->
                        let candidate = Path.Combine(folder.FullName, "shared", "data", "mnist-net")

                        if Directory.Exists candidate then
                            Some candidate
                        else
                            above folder.Parent

                match above (DirectoryInfo AppContext.BaseDirectory) with
                | None -> skiptest "../shared is not here"
                | Some folder ->
                    let load result =
                        match result with
                        | Ok value -> value
                        | Error error -> failwith (LoadError.text error)

                    let network =
                        (ModelSource.load (Path.Combine(folder, "mnist-net.ckpt")) (Some "mnist-net")
                         |> load)
                            .Network

                    let input =
                        InputSource.load network.InputShape Preprocessing.mnist (Path.Combine(folder, "8.png"))
                        |> load

                    let radius = Radius.create 0.1 |> Result.toOption |> Option.get
                    let certificates = certificates network input radius
                    let clock = Diagnostics.Stopwatch.StartNew()
                    List.iter (shouldBeAccepted network input) certificates
                    printfn "%s" $"{certificates.Length} certificates in {clock.Elapsed.TotalSeconds:F1} s"
                    Expect.hasLength certificates 3 "certificates"
                    Expect.isLessThan clock.Elapsed.TotalSeconds 60.0 "total seconds")

            testCase "The certificate of a division holds for the quotient, and not below it" (fun () ->
                let input = Tensor.vector [| 1.0; 2.0 |]
                let rounded = 1.0 / 3.0 // below 1/3

                for certificate in certificates third input (RandomNetworks.radius 0.5) do
                    shouldBeAccepted third input certificate

                    changed certificate (fun root ->
                        root["value"] <- JsonValue.Create rounded
                        (claim root 0)["lipschitz"] <- JsonValue.Create rounded)
                    |> shouldBeRejected "1/3 rounded to nearest" third input)
        ]
