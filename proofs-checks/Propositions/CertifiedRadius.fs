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
open Expecto
open LipVerify.Propositions.Expectations

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

/// Two outputs with a gap, and a constant, of any size.
let private constantCase seed =
    let draw = Draw seed

    let power () =
        match draw.Int(0, 4) with
        | 0 -> draw.Power(-320.0, 300.0)
        | _ -> draw.Power(-5.0, 5.0)

    EnclosedTensor.exact (Tensor.vector [| power (); 0.0 |]), power ()

let private dense rows (weights: float[]) bias =
    Layer.dense (Tensor.ofArray [ rows; weights.Length / rows ] weights) (Tensor.vector bias)

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
            Step("relu", Layer.relu)
            Step("flatten", Reshape [ size ])
            Step("fc", dense 3 (draw.Gaussians(3 * size)) [| 0.0; 0.0; 0.0 |])
        ]

[<Tests>]
let tests =
    testList
        "CertifiedRadius"
        [
            statement
                "certified radius: no sample and no gradient step within it changes the class"
                60
                classifier
                (fun case ->
                    for found in [ analytic case; overall case ] do
                        // Beyond, sums with the centre leave the range of doubles.
                        if found.Radius > 0.0 && found.Radius < 1e90 then
                            assertNoChange case found.Radius)

            statement
                "certified radius: Proposition 6 holds with the bound that shows it, in any case"
                100
                classifier
                (fun case ->
                    for found in [ analytic case; overall case ] do
                        match found.Label with
                        | Some label ->
                            Expect.equal label (classOf (Tensor.values (outputOf case).Value)) "label"

                            Expect.isTrue
                                (Propositions.keepsClass (outputOf case) (radius found.Radius) found.Lipschitz.Value)
                                ""
                        | None ->
                            Expect.equal found.Radius 0 "radius"

                            Expect.isFalse
                                (Propositions.keepsClass (outputOf case) (radius 0.0) Bound.zero)
                                "Propositions.keepsClass (outputOf case) (radius 0.0) Bound.zero")

            statement
                "certified radius: a bound computed anew holds just below it and fails just above the other end"
                60
                classifier
                (fun case ->
                    let found = analytic case

                    if isOrdinary found.Radius && isOrdinary found.Lipschitz.Value.Value then
                        Expect.isTrue (keepsAt case (found.Radius * (1.0 - looseness))) $"below {found.Radius:R}"

                    match found.NotShownAt with
                    | Some upper when isOrdinary found.Radius && isOrdinary found.Lipschitz.Value.Value ->
                        Expect.isGreaterThan upper found.Radius "upper"
                        Expect.isFalse (keepsAt case (upper * (1.0 + looseness))) $"above {upper:R}"
                    | _ -> ())

            statement "certified radius: both ends meet where nothing is drawn" 60 classifier (fun case ->
                let found = analytic case

                match found.NotShownAt with
                | Some upper when isOrdinary found.Radius && isOrdinary found.Lipschitz.Value.Value ->
                    // Where the bound jumps within its own looseness, the search ends at the most evaluations.
                    Expect.isLessThanOrEqual (upper / found.Radius - 1.0) looseness "upper / found.Radius - 1.0"
                | _ -> ())

            statement
                "certified radius: the global one is not above the analytic one, nor the uniform one above the nominal one"
                60
                classifier
                (fun case ->
                    let nominal = (analytic case).Radius

                    let uniform =
                        (CertifiedRadius.analytic context Uniform case.Network case.Input |> get).Radius

                    if isOrdinary nominal then
                        Expect.isLessThanOrEqual (overall case).Radius (nominal * (1.0 + looseness)) "radius"
                        Expect.isLessThanOrEqual uniform (nominal * (1.0 + looseness)) "uniform")

            statement "certified radius: an isometry has δ/√2" 60 rotation (fun case ->
                let exact = Propositions.topTwoGap (outputOf case) / sqrt 2.0

                for found in [ analytic case; overall case ] do
                    Expect.isWithin (exact * 1e-8) found.Radius exact "radius"
                    Expect.isWithin (exact * 1e-7) found.NotShownAt.Value exact "value")

            statement
                "certified radius of a constant: it holds, and at the other end it does not"
                500
                constantCase
                (fun (output, constant) ->
                    let found = CertifiedRadius.ofConstant output (Bound.certified constant) |> get

                    if found.Label.IsSome then
                        let keeps value =
                            Propositions.keepsClass output (radius value) (Bound.certified constant)

                        Expect.isTrue (keeps found.Radius) "keeps found.Radius"

                        match found.NotShownAt with
                        | Some upper ->
                            Expect.isGreaterThan upper found.Radius "upper"
                            Expect.isFalse (keeps upper) "keeps upper"

                            if isOrdinary found.Radius && isOrdinary constant then
                                Expect.isLessThanOrEqual upper (found.Radius * (1.0 + 1e-14)) "upper"
                        | None -> Expect.equal found.Radius CertifiedRadius.largest "radius")

            statement
                "certified radius of a constant: it falls with the constant"
                200
                constantCase
                (fun (output, constant) ->
                    let at constant =
                        (CertifiedRadius.ofConstant output (Bound.certified constant) |> get).Radius

                    Expect.isLessThanOrEqual (at (2.0 * constant)) (at constant) "at (2.0 * constant)")

            testCase "certified radius of a constant: bounds that are no numbers certify nothing" (fun () ->
                let output = EnclosedTensor.exact (Tensor.vector [| 1.0; 0.0 |])

                for constant in [ infinity; nan ] do
                    let found = CertifiedRadius.ofConstant output (Bound.certified constant) |> get
                    Expect.equal found.Radius 0 "radius")

            testCase
                "certified radius: a tie has none, a single output is refused, a constant network has no end"
                (fun () ->
                    let at layer =
                        CertifiedRadius.analytic
                            context
                            Nominal
                            (build [ 2 ] [ Step("fc", layer) ])
                            (Tensor.vector [| 1.0; 1.0 |])

                    let tie = at (dense 2 [| 1.0; 0.0; 0.0; 1.0 |] [| 0.0; 0.0 |]) |> get
                    Expect.equal tie.Radius 0 "radius"
                    Expect.equal tie.Label None "label"
                    Expect.equal tie.NotShownAt (Some 0.0) "not shown at"
                    let single = at (dense 1 [| 1.0; 1.0 |] [| 0.0 |])
                    Expect.isTrue (Result.isError single) "Result.isError single"
                    let still = at (dense 2 (Array.zeroCreate 4) [| 1.0; 0.0 |]) |> get
                    Expect.equal still.Radius CertifiedRadius.largest "radius"
                    Expect.equal still.NotShownAt None "not shown at")

            statement
                "certified radius: all draws of a search together stay within the failure probability"
                100
                randomSearch
                (fun (found, calls, output) ->
                    let budget = context.Certification.FailureProbability
                    let most = CertifiedRadius.randomSearch.Evaluations
                    Expect.equal found.Evaluations calls.Length "evaluations"
                    Expect.isLessThanOrEqual calls.Length most "length"
                    Expect.isTrue (found.Rigor = Probabilistic budget) "found.Rigor = Probabilistic budget"


                    for call in calls do
                        Expect.isLessThan
                            call.Certification.FailureProbability
                            (budget / float most)
                            "failure probability"

                    Expect.equal (calls |> List.distinctBy _.Seed).Length calls.Length "draws of their own"
                    // `ε(1 + ε) ≤ δ/√2` at the least looseness, and within the looseness of it.
                    let threshold = Propositions.classThreshold output
                    let product radius = radius * (1.0 + radius)
                    Expect.isLessThanOrEqual (product found.Radius) (threshold * (1.0 + 1e-12)) "product found.Radius"
                    Expect.isGreaterThanOrEqual (product found.Radius) (threshold * 0.98) "product found.Radius")

            testCase
                "certified radius: a network with random certificates reports the failure probability of the whole search"
                (fun () ->
                    let network = largeNetwork ()
                    let input = Tensor.create network.InputShape 0.1
                    let search = CertifiedRadius.searchFor context network
                    Expect.equal search CertifiedRadius.randomSearch "search"
                    let found = CertifiedRadius.analytic context Nominal network input |> get

                    Expect.isTrue
                        (found.Rigor = Probabilistic context.Certification.FailureProbability)
                        "found.Rigor = Probabilistic context.Certification.FailureProbability"

                    Expect.isGreaterThan found.Radius 0.0 "radius"
                    Expect.isLessThanOrEqual found.Evaluations search.Evaluations "evaluations"
                    // Every evaluation has its share, which the layers share out again.
                    Expect.isLessThanOrEqual
                        (Rigor.failureProbability found.Lipschitz.Value.Rigor * float search.Evaluations)
                        context.Certification.FailureProbability
                        "")

            testCase "certified radius: the same seed gives the same radius" (fun () ->
                let network = largeNetwork ()
                let input = Tensor.create network.InputShape 0.1

                let radius () =
                    (CertifiedRadius.analytic context Nominal network input |> get).Radius

                Expect.equal (radius ()) (radius ()) "radius ()")
        ]
