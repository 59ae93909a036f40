/// The published MNIST network at the digit 8, against figures computed elsewhere with converged spectral norms.
/// Needs the folder `shared` beside the repository, and skips without it.
module LipVerify.Tests.ReferenceTests

open System
open System.IO
open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.LowerBounds
open LipVerify.Core.Attacks
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Multipliers
open LipVerify.Core.Radii
open LipVerify.Formats

/// The figures agree to this relative accuracy and are never above the bound by more than rounding: they are converged to
/// about 1e-12 themselves.
let private tolerance = 1e-6

let private shared () =
    let rec above (folder: DirectoryInfo | null) =
        match folder with
        | null -> None
        | folder ->
            let candidate =
                Path.Combine(folder.FullName, "shared", "reference", "mnist-net.json")

            if File.Exists candidate then
                Some(Path.Combine(folder.FullName, "shared"))
            else
                above folder.Parent

    above (DirectoryInfo AppContext.BaseDirectory)

let private floats (element: JsonElement) =
    [ for item in element.EnumerateArray() -> item.GetDouble() ]

let private engine () =
    let name =
        Environment.GetEnvironmentVariable "LIPVERIFY_TEST_ENGINE"
        |> Option.ofObj
        |> Option.defaultValue "auto"

    Engines.Create(name, 0)

/// Runs a check with the network, its input and the reference figures.
let private withReference (check: Context -> Network -> Tensor -> JsonElement -> unit) =
    match shared () with
    | None -> skiptest "../shared is not here"
    | Some folder ->
        use document =
            JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "reference", "mnist-net.json")))

        let data name =
            Path.Combine(folder, "data", "mnist-net", name)

        let network =
            match ModelSource.load (data "mnist-net.ckpt") (Some "mnist-net") with
            | Ok loaded -> loaded.Network
            | Error error -> failwith (LoadError.text error)

        let input =
            match InputSource.load network.InputShape Preprocessing.mnist (data "8.png") with
            | Ok input -> input
            | Error error -> failwith (LoadError.text error)

        check (Context.create (engine ())) network input document.RootElement

let private radius value =
    Radius.create value |> Result.toOption |> Option.get

/// At least `expected` up to its own rounding, and above it by at most the tolerance.
let private shouldBound (expected: float) (value: float) =
    Expect.isGreaterThanOrEqual value (expected * (1.0 - 1e-12)) "value"
    Expect.isLessThanOrEqual value (expected * (1.0 + tolerance)) "value"

/// A figure file beside the reference.
let private figures name =
    match shared () with
    | None -> failwith "called without ../shared"
    | Some folder -> JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "reference", name))).RootElement

[<Tests>]
let tests =
    testList
        "Reference"
        [
            testCase "the logits of the digit 8 agree to 1e-9" (fun () ->
                withReference (fun context network input reference ->
                    let expected = reference.GetProperty("8").GetProperty("logits") |> floats
                    let output = Network.evaluate context network input |> Tensor.values |> List.ofArray
                    List.iter2 (fun (a: float) (b: float) -> Expect.isWithin (abs b * 1e-9) a (b) "a") output expected))

            testCase "Algorithm 1 agrees at all reference radii, from above" (fun () ->
                withReference (fun context network input reference ->
                    let digit = reference.GetProperty "8"

                    List.iter2
                        (fun r expected ->
                            let result = Analytic.bound context Nominal network input (radius r)
                            shouldBound expected result.Bound.Value)
                        (floats (digit.GetProperty "radii"))
                        (floats (digit.GetProperty "local"))))

            testCase "Algorithm 1 agrees layer by layer" (fun () ->
                withReference (fun context network input reference ->
                    let digit = reference.GetProperty "8"

                    let result =
                        Analytic.bound
                            context
                            Nominal
                            network
                            input
                            (radius (digit.GetProperty("detail_radius").GetDouble()))

                    for expected in digit.GetProperty("detail").EnumerateArray() do
                        let index = expected.GetProperty("layer").GetInt32()
                        let layer = result.Layers |> List.find (fun layer -> layer.Index = index)
                        shouldBound (expected.GetProperty("norm").GetDouble()) layer.Lipschitz.Value
                        shouldBound (expected.GetProperty("radius_in").GetDouble()) layer.RadiusIn.Value

                        match expected.TryGetProperty "active" with
                        | true, active -> Expect.equal layer.Active (active.GetInt32()) "active"
                        | _ -> ()))

            testCase "the global bound agrees and is certified" (fun () ->
                withReference (fun context network _ reference ->
                    let result = Global.bound context network
                    shouldBound (reference.GetProperty("global").GetDouble()) result.Bound.Value
                    Expect.isTrue (result.Bound.Rigor = Certified) "result.Bound.Rigor = Certified"))

            testCase "Proposition 6 holds up to the reference's certified radius" (fun () ->
                withReference (fun context network input reference ->
                    let digit = reference.GetProperty "8"
                    let certified = digit.GetProperty("certified_radius").GetDouble()
                    let output = EnclosedTensor.evaluate context network input

                    let keeps r =
                        let r = radius r

                        (Analytic.bound context Nominal network input r).Bound
                        |> Propositions.keepsClass output r

                    Expect.isWithin
                        1e-9
                        (Propositions.topTwoGap output)
                        (digit.GetProperty("top2_gap").GetDouble())
                        "Propositions.topTwoGap output"

                    Expect.isTrue (keeps (certified * 0.9999)) "keeps (certified * 0.9999)"
                    Expect.isTrue (not (keeps (certified * 1.0001))) "not (keeps (certified * 1.0001))"))

            testCase "gradient ascent reaches the lower bounds of the reference" (fun () ->
                withReference (fun context network input _ ->
                    let ascent = (figures "tight.json").GetProperty "gradient_ascent_lower"

                    List.iter2
                        (fun r expected ->
                            let ball = RestrictedBall.whole input (radius r)

                            let reached =
                                LowerBounds.gradientAscent context Euclidean Nominal network ball Effort.thorough

                            Expect.isGreaterThanOrEqual reached.Value expected $"radius {r}")
                        (floats (ascent.GetProperty "radii"))
                        (floats (ascent.GetProperty "slope"))))

            testCase "the formal Jacobian at the digit 8 is no lower bound, since pooling windows tie" (fun () ->
                withReference (fun context network input _ ->
                    match
                        NominalJacobian.lowerBound
                            context
                            Euclidean
                            network
                            (RestrictedBall.whole input (radius 0.001))
                    with
                    | Ok bound -> failwith $"{bound.Value} is not a bound at a kink"
                    | Error kinks ->
                        Expect.isTrue
                            (kinks
                             |> List.map (fun kink -> Layer.kind kink.Layer.Layer)
                             |> Seq.contains "maxpool2d")
                            ""))

            testCase "attacks come at least as close as the published ones" (fun () ->
                withReference (fun context network input _ ->
                    let published = (figures "published.json").GetProperty "adversarial_mnist_8"

                    for attack, name in
                        [
                            FastGradientSign, "fgsm"
                            IteratedFastGradientSign, "ifgsm"
                            GradientAscent, "gradient_ascent"
                            ProjectedDescent, "carlini_wagner"
                            CarliniWagner, "carlini_wagner"
                        ] do
                        match Attacks.run context attack network input None AttackEffort.thorough with
                        | None -> failwith $"{name} found nothing"
                        | Some example ->
                            let expected = published.GetProperty(name).GetDouble()
                            Expect.isLessThanOrEqual example.Distance expected (Attack.name attack)))

            testCase "Certified radii agree with the reference and with the closed form" (fun () ->
                withReference (fun context network input reference ->
                    let digit = reference.GetProperty "8"

                    let found outcome =
                        match outcome with
                        | Ok(found: CertifiedRadius) -> found
                        | Error problem -> failwith problem

                    let analytic = CertifiedRadius.analytic context Nominal network input |> found

                    let expected = digit.GetProperty("certified_radius").GetDouble()
                    Expect.isWithin 1e-6 analytic.Radius expected "radius"
                    Expect.isWithin 1e-6 analytic.NotShownAt.Value expected "value"
                    Expect.isTrue (analytic.Rigor = Certified) "analytic.Rigor = Certified"

                    let overall = CertifiedRadius.``global`` context network input |> found

                    let closed =
                        digit.GetProperty("top2_gap").GetDouble()
                        / (sqrt 2.0 * reference.GetProperty("global").GetDouble())

                    Expect.isWithin (closed * tolerance) overall.Radius closed "radius"
                    Expect.isTrue (overall.Rigor = Certified) "overall.Rigor = Certified"))

            testCase "linear bounds on margins are at least those of the reference" (fun () ->
                withReference (fun context network input _ ->
                    let tight = figures "tight.json"

                    List.iter2
                        (fun r (expected: float) ->
                            let worst = Margins.worst context network input (radius r) 8
                            // The figures have two decimals; ours bound max pooling by chords instead of constants.
                            Expect.isGreaterThanOrEqual worst (expected - 0.005) $"radius {r}")
                        (floats (tight.GetProperty "radii"))
                        (floats (tight.GetProperty "crown_worst_margin"))

                    // In a small ball the network is nearly linear there, and nothing is lost.
                    let nearest = Margins.worst context network input (radius 0.001) 8
                    let expected = (floats (tight.GetProperty "crown_worst_margin")).Head
                    Expect.isWithin 0.01 nearest expected "nearest"))

            testCase
                "linear bounds on margins certify more than the reference's, and less than the nearest attack"
                (fun () ->
                    withReference (fun context network input _ ->
                        match MarginRadius.crown context network input with
                        | Error problem -> failwith problem
                        | Ok found ->
                            let reference =
                                (figures "tight.json")
                                    .GetProperty("certified_radius")
                                    .GetProperty("crown")
                                    .GetDouble()

                            let attack =
                                (figures "published.json")
                                    .GetProperty("adversarial_mnist_8")
                                    .GetProperty("carlini_wagner")
                                    .GetDouble()

                            Expect.isTrue (found.Label = Some 8) "found.Label = Some 8"
                            Expect.isTrue (found.Rigor = Certified) "found.Rigor = Certified"
                            Expect.isGreaterThanOrEqual found.Radius (reference - 0.0005) "radius"
                            Expect.isLessThan found.Radius attack "radius"))

            testCase "enclosures shrink with the ball down to a billionth" (fun () ->
                withReference (fun context network input _ ->
                    let output kind r =
                        Tensor.values (
                            Enclosure.widths (Enclosures.ofNetwork context kind network input (radius r)).Output
                        )

                    for kind in [ Ball; Interval; Crown ] do
                        Array.iter2
                            // At 1e-4 some ReLUs are open that are not at 1e-9, where the rounding of nominal values is a few 1e-14 and may
                            // leave others open: by less than a tenth of the width either way.
                            (fun (tiny: float) (small: float) ->
                                Expect.isWithin (0.1 * small) (1e5 * tiny) small "1e5 * tiny")
                            (output kind 1e-9)
                            (output kind 1e-4)))

            testTheory
                "local LipSDP proves no more than the prototype found, and no less than is attained"
                [ 0.001; 0.0522; 0.1; 0.15; 0.2 ]
                (fun (at: float) ->
                    withReference (fun context network input _ ->
                        let tight = figures "tight.json"
                        let index = floats (tight.GetProperty "radii") |> List.findIndex ((=) at)
                        let found = LocalLipSdp.bound context Nominal network input (radius at) None
                        let value = found.Result.Bound.Value
                        Expect.isTrue (found.Result.Bound.Rigor = Certified) "found.Result.Bound.Rigor = Certified"
                        Expect.isLessThanOrEqual value ((floats (tight.GetProperty "prototype_upper"))[index]) "value"

                        let ascent = tight.GetProperty "gradient_ascent_lower"

                        for r, slope in
                            List.zip (floats (ascent.GetProperty "radii")) (floats (ascent.GetProperty "slope")) do
                            if r <= at then
                                Expect.isGreaterThanOrEqual value slope "value"))

            testCase
                "local LipSDP bounds the published dense network with two hidden layers, far below Algorithm 1 and above what is attained"
                (fun () ->
                    withReference (fun context _ _ _ ->
                        let folder = shared () |> Option.get

                        let network =
                            match
                                ModelSource.load (Path.Combine(folder, "data", "onnx", "mnist-net_256x2.onnx")) None
                            with
                            | Ok loaded -> loaded.Network
                            | Error error -> failwith (LoadError.text error)

                        let input =
                            match
                                InputSource.load
                                    network.InputShape
                                    Preprocessing.none
                                    (Path.Combine(folder, "data", "mnist-net", "8.png"))
                            with
                            | Ok input -> input
                            | Error error -> failwith (LoadError.text error)

                        let at = radius 0.05
                        let found = LocalLipSdp.bound context Nominal network input at None
                        let analytic = Analytic.bound context Nominal network input at

                        let attained =
                            LowerBounds.gradientAscent
                                context
                                Euclidean
                                Nominal
                                network
                                (RestrictedBall.whole (Tensor.reshape network.InputShape input) at)
                                (Effort.fitting network)

                        Expect.isTrue (found.Result.Bound.Rigor = Certified) "found.Result.Bound.Rigor = Certified"
                        Expect.isGreaterThanOrEqual found.Result.Bound.Value attained.Value "value"
                        // 1.35 against 6.85 where it was first computed.
                        Expect.isLessThanOrEqual found.Result.Bound.Value (0.25 * analytic.Bound.Value) "value"))
        ]
