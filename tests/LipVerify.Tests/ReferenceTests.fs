/// The published MNIST network at the digit 8, against figures computed elsewhere with converged spectral norms.
/// Needs the folder `shared` beside the repository, and skips without it.
module LipVerify.Tests.ReferenceTests

open System
open System.IO
open System.Text.Json
open NUnit.Framework
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

    above (DirectoryInfo TestContext.CurrentContext.TestDirectory)

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
    | None -> Assert.Ignore "../shared is not here"
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
    Assert.That(value, Is.GreaterThanOrEqualTo(expected * (1.0 - 1e-12)))
    Assert.That(value, Is.LessThanOrEqualTo(expected * (1.0 + tolerance)))

[<Test>]
let ``the logits of the digit 8 agree to 1e-9`` () =
    withReference (fun context network input reference ->
        let expected = reference.GetProperty("8").GetProperty("logits") |> floats
        let output = Network.evaluate context network input |> Tensor.values |> List.ofArray
        List.iter2 (fun (a: float) (b: float) -> Assert.That(a, Is.EqualTo(b).Within(abs b * 1e-9))) output expected)

[<Test>]
let ``Algorithm 1 agrees at all reference radii, from above`` () =
    withReference (fun context network input reference ->
        let digit = reference.GetProperty "8"

        List.iter2
            (fun r expected ->
                let result = Analytic.bound context Nominal network input (radius r)
                shouldBound expected result.Bound.Value)
            (floats (digit.GetProperty "radii"))
            (floats (digit.GetProperty "local")))

[<Test>]
let ``Algorithm 1 agrees layer by layer`` () =
    withReference (fun context network input reference ->
        let digit = reference.GetProperty "8"

        let result =
            Analytic.bound context Nominal network input (radius (digit.GetProperty("detail_radius").GetDouble()))

        for expected in digit.GetProperty("detail").EnumerateArray() do
            let index = expected.GetProperty("layer").GetInt32()
            let layer = result.Layers |> List.find (fun layer -> layer.Index = index)
            shouldBound (expected.GetProperty("norm").GetDouble()) layer.Lipschitz.Value
            shouldBound (expected.GetProperty("radius_in").GetDouble()) layer.RadiusIn.Value

            match expected.TryGetProperty "active" with
            | true, active -> Assert.That(layer.Active, Is.EqualTo(active.GetInt32()))
            | _ -> ())

[<Test>]
let ``the global bound agrees and is certified`` () =
    withReference (fun context network _ reference ->
        let result = Global.bound context network
        shouldBound (reference.GetProperty("global").GetDouble()) result.Bound.Value
        Assert.That((result.Bound.Rigor = Certified)))

[<Test>]
let ``Proposition 6 holds up to the reference's certified radius`` () =
    withReference (fun context network input reference ->
        let digit = reference.GetProperty "8"
        let certified = digit.GetProperty("certified_radius").GetDouble()
        let output = EnclosedTensor.evaluate context network input

        let keeps r =
            let r = radius r

            (Analytic.bound context Nominal network input r).Bound
            |> Propositions.keepsClass output r

        Assert.That(Propositions.topTwoGap output, Is.EqualTo(digit.GetProperty("top2_gap").GetDouble()).Within 1e-9)
        Assert.That(keeps (certified * 0.9999))
        Assert.That(not (keeps (certified * 1.0001))))

/// A figure file beside the reference.
let private figures name =
    match shared () with
    | None -> failwith "called without ../shared"
    | Some folder -> JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "reference", name))).RootElement

[<Test>]
let ``gradient ascent reaches the lower bounds of the reference`` () =
    withReference (fun context network input _ ->
        let ascent = (figures "tight.json").GetProperty "gradient_ascent_lower"

        List.iter2
            (fun r expected ->
                let ball = RestrictedBall.whole input (radius r)

                let reached =
                    LowerBounds.gradientAscent context Euclidean Nominal network ball Effort.thorough

                Assert.That(reached.Value, Is.GreaterThanOrEqualTo expected, $"radius {r}"))
            (floats (ascent.GetProperty "radii"))
            (floats (ascent.GetProperty "slope")))

[<Test>]
let ``the formal Jacobian at the digit 8 is no lower bound, since pooling windows tie`` () =
    withReference (fun context network input _ ->
        match NominalJacobian.lowerBound context Euclidean network (RestrictedBall.whole input (radius 0.001)) with
        | Ok bound -> failwith $"{bound.Value} is not a bound at a kink"
        | Error kinks ->
            Assert.That(
                kinks
                |> List.map (fun kink -> Layer.kind kink.Layer.Layer)
                |> Seq.contains "maxpool2d"
            ))

[<Test>]
let ``attacks come at least as close as the published ones`` () =
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
                Assert.That(example.Distance, Is.LessThanOrEqualTo expected, Attack.name attack))

[<Test>]
let ``Certified radii agree with the reference and with the closed form`` () =
    withReference (fun context network input reference ->
        let digit = reference.GetProperty "8"

        let found outcome =
            match outcome with
            | Ok(found: CertifiedRadius) -> found
            | Error problem -> failwith problem

        let analytic = CertifiedRadius.analytic context Nominal network input |> found

        let expected = digit.GetProperty("certified_radius").GetDouble()
        Assert.That(analytic.Radius, Is.EqualTo(expected).Within 1e-6)
        Assert.That(analytic.NotShownAt.Value, Is.EqualTo(expected).Within 1e-6)
        Assert.That((analytic.Rigor = Certified))

        let overall = CertifiedRadius.``global`` context network input |> found

        let closed =
            digit.GetProperty("top2_gap").GetDouble()
            / (sqrt 2.0 * reference.GetProperty("global").GetDouble())

        Assert.That(overall.Radius, Is.EqualTo(closed).Within(closed * tolerance))
        Assert.That((overall.Rigor = Certified)))

[<Test>]
let ``linear bounds on margins are at least those of the reference`` () =
    withReference (fun context network input _ ->
        let tight = figures "tight.json"

        List.iter2
            (fun r (expected: float) ->
                let worst = Margins.worst context network input (radius r) 8
                // The figures have two decimals; ours bound max pooling by chords instead of constants.
                Assert.That(worst, Is.GreaterThanOrEqualTo(expected - 0.005), $"radius {r}"))
            (floats (tight.GetProperty "radii"))
            (floats (tight.GetProperty "crown_worst_margin"))

        // In a small ball the network is nearly linear there, and nothing is lost.
        let nearest = Margins.worst context network input (radius 0.001) 8
        let expected = (floats (tight.GetProperty "crown_worst_margin")).Head
        Assert.That(nearest, Is.EqualTo(expected).Within 0.01))

[<Test>]
let ``linear bounds on margins certify more than the reference's, and less than the nearest attack`` () =
    withReference (fun context network input _ ->
        match MarginRadius.crown context network input with
        | Error problem -> failwith problem
        | Ok found ->
            let reference =
                (figures "tight.json").GetProperty("certified_radius").GetProperty("crown").GetDouble()

            let attack =
                (figures "published.json").GetProperty("adversarial_mnist_8").GetProperty("carlini_wagner").GetDouble()

            Assert.That((found.Label = Some 8))
            Assert.That((found.Rigor = Certified))
            Assert.That(found.Radius, Is.GreaterThanOrEqualTo(reference - 0.0005))
            Assert.That(found.Radius, Is.LessThan attack))

[<Test>]
let ``enclosures shrink with the ball down to a billionth`` () =
    withReference (fun context network input _ ->
        let output kind r =
            Tensor.values (Enclosure.widths (Enclosures.ofNetwork context kind network input (radius r)).Output)

        for kind in [ Ball; Interval; Crown ] do
            Array.iter2
                // At 1e-4 some ReLUs are open that are not at 1e-9, where the rounding of nominal values is a few 1e-14 and may
                // leave others open: by less than a tenth of the width either way.
                (fun (tiny: float) (small: float) -> Assert.That(1e5 * tiny, Is.EqualTo(small).Within(0.1 * small)))
                (output kind 1e-9)
                (output kind 1e-4))

[<TestCase(0.001)>]
[<TestCase(0.0522)>]
[<TestCase(0.1)>]
[<TestCase(0.15)>]
[<TestCase(0.2)>]
let ``local LipSDP proves no more than the prototype found, and no less than is attained`` (at: float) =
    withReference (fun context network input _ ->
        let tight = figures "tight.json"
        let index = floats (tight.GetProperty "radii") |> List.findIndex ((=) at)
        let found = LocalLipSdp.bound context Nominal network input (radius at) None
        let value = found.Result.Bound.Value
        Assert.That((found.Result.Bound.Rigor = Certified))
        Assert.That(value, Is.LessThanOrEqualTo((floats (tight.GetProperty "prototype_upper"))[index]))

        let ascent = tight.GetProperty "gradient_ascent_lower"

        for r, slope in List.zip (floats (ascent.GetProperty "radii")) (floats (ascent.GetProperty "slope")) do
            if r <= at then
                Assert.That(value, Is.GreaterThanOrEqualTo slope))

[<Test>]
let ``local LipSDP bounds the published dense network with two hidden layers, far below Algorithm 1 and above what is attained``
    ()
    =
    withReference (fun context _ _ _ ->
        let folder = shared () |> Option.get

        let network =
            match ModelSource.load (Path.Combine(folder, "data", "onnx", "mnist-net_256x2.onnx")) None with
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

        Assert.That((found.Result.Bound.Rigor = Certified))
        Assert.That(found.Result.Bound.Value, Is.GreaterThanOrEqualTo attained.Value)
        // 1.35 against 6.85 where it was first computed.
        Assert.That(found.Result.Bound.Value, Is.LessThanOrEqualTo(0.25 * analytic.Bound.Value)))
