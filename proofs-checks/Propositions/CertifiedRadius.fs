/// Certified radii: the search on Proposition 6.
module LipVerify.Propositions.CertifiedRadius

open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Radii
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Proposition6
open NUnit.Framework

/// Spectral norms of up to six layers in a row, each loose by up to 1e-8, and slopes that move with the radius.
let private looseness = 1e-6

let private get outcome =
    match outcome with
    | Ok(found: CertifiedRadius) -> found
    | Error problem -> failwith problem

let private analytic (case: NetworkCase) =
    CertifiedRadius.analytic context Nominal case.Network case.Input |> get

let private overall (case: NetworkCase) =
    CertifiedRadius.``global`` context case.Network case.Input |> get

let private outputOf (case: NetworkCase) =
    EnclosedTensor.evaluate context case.Network case.Input

let private keepsAt (case: NetworkCase) value =
    let radius = radius value

    (Analytic.bound context Nominal case.Network case.Input radius).Bound
    |> Propositions.keepsClass (outputOf case) radius

/// Radii and bounds far from the ends of the range of doubles, where relative errors mean something.
let private isOrdinary value = value > 1e-100 && value < 1e90

[<Test>]
let ``certified radius: no sample and no gradient step within it changes the class`` () =
    check 60 classifier (fun case ->
        for found in [ analytic case; overall case ] do
            // Beyond, sums with the centre leave the range of doubles.
            if found.Radius > 0.0 && found.Radius < 1e90 then
                assertNoChange case found.Radius)

[<Test>]
let ``certified radius: Proposition 6 holds with the bound that shows it, in any case`` () =
    check 100 classifier (fun case ->
        for found in [ analytic case; overall case ] do
            match found.Label with
            | Some label ->
                Assert.That(label, Is.EqualTo(classOf (Tensor.values (outputOf case).Value)))
                Assert.That(Propositions.keepsClass (outputOf case) (radius found.Radius) found.Lipschitz.Value)
            | None ->
                Assert.That(found.Radius, Is.Zero)
                Assert.That(Propositions.keepsClass (outputOf case) (radius 0.0) Bound.zero, Is.False))

[<Test>]
let ``certified radius: a bound computed anew holds just below it and fails just above the other end`` () =
    check 60 classifier (fun case ->
        let found = analytic case

        if isOrdinary found.Radius && isOrdinary found.Lipschitz.Value.Value then
            Assert.That(keepsAt case (found.Radius * (1.0 - looseness)), $"below {found.Radius:R}")

        match found.NotShownAt with
        | Some upper when isOrdinary found.Radius && isOrdinary found.Lipschitz.Value.Value ->
            Assert.That(upper, Is.GreaterThan found.Radius)
            Assert.That(keepsAt case (upper * (1.0 + looseness)), Is.False, $"above {upper:R}")
        | _ -> ())

[<Test>]
let ``certified radius: both ends meet where nothing is drawn`` () =
    check 60 classifier (fun case ->
        let found = analytic case

        match found.NotShownAt with
        | Some upper when isOrdinary found.Radius && isOrdinary found.Lipschitz.Value.Value ->
            // Where the bound jumps within its own looseness, the search ends at the most evaluations.
            Assert.That(upper / found.Radius - 1.0, Is.LessThanOrEqualTo looseness)
        | _ -> ())

[<Test>]
let ``certified radius: the global one is not above the analytic one, nor the uniform one above the nominal one`` () =
    check 60 classifier (fun case ->
        let nominal = (analytic case).Radius

        let uniform =
            (CertifiedRadius.analytic context Uniform case.Network case.Input |> get).Radius

        if isOrdinary nominal then
            Assert.That((overall case).Radius, Is.LessThanOrEqualTo(nominal * (1.0 + looseness)))
            Assert.That(uniform, Is.LessThanOrEqualTo(nominal * (1.0 + looseness))))

[<Test>]
let ``certified radius: an isometry has δ/√2`` () =
    check 60 rotation (fun case ->
        let exact = Propositions.topTwoGap (outputOf case) / sqrt 2.0

        for found in [ analytic case; overall case ] do
            Assert.That(found.Radius, Is.EqualTo(exact).Within(exact * 1e-8))
            Assert.That(found.NotShownAt.Value, Is.EqualTo(exact).Within(exact * 1e-7)))

/// Two outputs with a gap, and a constant, of any size.
let private constantCase seed =
    let draw = Draw seed

    let power () =
        match draw.Int(0, 4) with
        | 0 -> draw.Power(-320.0, 300.0)
        | _ -> draw.Power(-5.0, 5.0)

    EnclosedTensor.exact (Tensor.vector [| power (); 0.0 |]), power ()

[<Test>]
let ``certified radius of a constant: it holds, and at the other end it does not`` () =
    check 500 constantCase (fun (output, constant) ->
        let found = CertifiedRadius.ofConstant output (Bound.certified constant) |> get

        if found.Label.IsSome then
            let keeps value =
                Propositions.keepsClass output (radius value) (Bound.certified constant)

            Assert.That(keeps found.Radius)

            match found.NotShownAt with
            | Some upper ->
                Assert.That(upper, Is.GreaterThan found.Radius)
                Assert.That(keeps upper, Is.False)

                if isOrdinary found.Radius && isOrdinary constant then
                    Assert.That(upper, Is.LessThanOrEqualTo(found.Radius * (1.0 + 1e-14)))
            | None -> Assert.That(found.Radius, Is.EqualTo CertifiedRadius.largest))

[<Test>]
let ``certified radius of a constant: it falls with the constant`` () =
    check 200 constantCase (fun (output, constant) ->
        let at constant =
            (CertifiedRadius.ofConstant output (Bound.certified constant) |> get).Radius

        Assert.That(at (2.0 * constant), Is.LessThanOrEqualTo(at constant)))

[<Test>]
let ``certified radius of a constant: bounds that are no numbers certify nothing`` () =
    let output = EnclosedTensor.exact (Tensor.vector [| 1.0; 0.0 |])

    for constant in [ infinity; nan ] do
        let found = CertifiedRadius.ofConstant output (Bound.certified constant) |> get
        Assert.That(found.Radius, Is.Zero)

let private dense rows (weights: float[]) bias =
    Layer.dense (Tensor.ofArray [ rows; weights.Length / rows ] weights) (Tensor.vector bias)

[<Test>]
let ``certified radius: a tie has none, a single output is refused, a constant network has no end`` () =
    let at layer =
        CertifiedRadius.analytic context Nominal (build [ 2 ] [ Step("fc", layer) ]) (Tensor.vector [| 1.0; 1.0 |])

    let tie = at (dense 2 [| 1.0; 0.0; 0.0; 1.0 |] [| 0.0; 0.0 |]) |> get
    Assert.That(tie.Radius, Is.Zero)
    Assert.That(tie.Label, Is.EqualTo None)
    Assert.That(tie.NotShownAt, Is.EqualTo(Some 0.0))
    let single = at (dense 1 [| 1.0; 1.0 |] [| 0.0 |])
    Assert.That(Result.isError single)
    let still = at (dense 2 (Array.zeroCreate 4) [| 1.0; 0.0 |]) |> get
    Assert.That(still.Radius, Is.EqualTo CertifiedRadius.largest)
    Assert.That(still.NotShownAt, Is.EqualTo None)

/// A search over bounds that are drawn: `L = 1 + ε`, loose at random, each with the failure probability that it was given.
let private randomSearch seed =
    let draw = Draw seed
    let output = EnclosedTensor.exact (Tensor.vector [| draw.Power(-3.0, 3.0); 0.0 |])
    let calls = ResizeArray<Context>()

    let bound (context: Context) (radius: Radius) =
        calls.Add context
        let at = radius.Value

        {
            Value = (1.0 + at) * (1.0 + 1e-2 * draw.Real(0.0, 1.0))
            Rigor = Probabilistic context.Certification.FailureProbability
        }

    let found =
        CertifiedRadius.search context CertifiedRadius.randomSearch output (radius (draw.Power(-3.0, 3.0))) bound
        |> get

    found, List.ofSeq calls, output

[<Test>]
let ``certified radius: all draws of a search together stay within the failure probability`` () =
    check 100 randomSearch (fun (found, calls, output) ->
        let budget = context.Certification.FailureProbability
        let most = CertifiedRadius.randomSearch.Evaluations
        Assert.That(found.Evaluations, Is.EqualTo calls.Length)
        Assert.That(calls.Length, Is.LessThanOrEqualTo most)
        Assert.That((found.Rigor = Probabilistic budget))


        for call in calls do
            Assert.That(call.Certification.FailureProbability, Is.LessThan(budget / float most))

        Assert.That((calls |> List.distinctBy _.Seed).Length, Is.EqualTo calls.Length, "draws of their own")
        // `ε(1 + ε) ≤ δ/√2` at the least looseness, and within the looseness of it.
        let threshold = Propositions.classThreshold output
        let product radius = radius * (1.0 + radius)
        Assert.That(product found.Radius, Is.LessThanOrEqualTo(threshold * (1.0 + 1e-12)))
        Assert.That(product found.Radius, Is.GreaterThanOrEqualTo(threshold * 0.98)))

/// All pre-activations live, on 4356 coordinates that taps far apart couple: the convolution is certified by random vectors.
let private largeNetwork () =
    let draw = Draw 5
    let side = 66
    let axis = WindowAxis(side, 3, 1, 30, 30, 30)
    let geometry = ConvolutionGeometry(1, 1, axis, axis)

    let map =
        Convolution(Convolution.create geometry (Tensor.ofArray [ 1; 1; 3; 3 ] (draw.Gaussians 9)))

    let bias = Tensor.create [ 1; side; side ] 100.0
    let size = side * side

    build
        [ 1; side; side ]
        [
            Step("conv", Affine(map, bias))
            Step("relu", Relu)
            Step("flatten", Reshape [ size ])
            Step("fc", dense 3 (draw.Gaussians(3 * size)) [| 0.0; 0.0; 0.0 |])
        ]

[<Test>]
let ``certified radius: a network with random certificates reports the failure probability of the whole search`` () =
    let network = largeNetwork ()
    let input = Tensor.create network.InputShape 0.1
    let search = CertifiedRadius.searchFor context network
    Assert.That(search, Is.EqualTo CertifiedRadius.randomSearch)
    let found = CertifiedRadius.analytic context Nominal network input |> get
    Assert.That((found.Rigor = Probabilistic context.Certification.FailureProbability))
    Assert.That(found.Radius, Is.Positive)
    Assert.That(found.Evaluations, Is.LessThanOrEqualTo search.Evaluations)
    // Every evaluation has its share, which the layers share out again.
    Assert.That(
        Rigor.failureProbability found.Lipschitz.Value.Rigor * float search.Evaluations,
        Is.LessThanOrEqualTo context.Certification.FailureProbability
    )

[<Test>]
let ``certified radius: the same seed gives the same radius`` () =
    let network = largeNetwork ()
    let input = Tensor.create network.InputShape 0.1

    let radius () =
        (CertifiedRadius.analytic context Nominal network input |> get).Radius

    Assert.That(radius (), Is.EqualTo(radius ()))
