/// Proved in proofs-checks/coq/statements/Algorithm1.v; here it is held against the program.
module LipVerify.Propositions.Algorithm1

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

let private bound definition (case: NetworkCase) =
    (Analytic.bound context definition case.Network case.Input case.Radius).Bound.Value

/// What a short search finds of the constant from below, at least that of sampling.
let private reached definition (case: NetworkCase) =
    let context = { context with Seed = case.Seed }
    let ball = RestrictedBall.whole case.Input case.Radius

    let effort = { Starts = 6; Rounds = 2; Steps = 6 }

    [
        LowerBounds.best context Euclidean definition case.Network ball effort
        LowerBounds.sampling context Euclidean definition case.Network ball 20
    ]
    |> List.filter (fun bound -> bound.Rigor = Certified)
    |> List.fold LowerBound.max LowerBound.none
    |> _.Value

// The algorithm once more, as plain loops over dense matrices, to agree with.

type private Plain =
    {
        Center: float[]
        /// What rounding may add to each entry of the centre.
        Error: float[]
        Radius: float
        Mask: float[]
        Constant: float
    }

let private times (m: float[][]) (x: float[]) =
    m |> Array.map (fun row -> Array.fold2 (fun sum a b -> sum + a * b) 0.0 row x)

let private relu (v: float[]) = v |> Array.map (max 0.0)

let private after lipschitz center error mask before =
    {
        Center = center
        Error = error
        Radius = before.Radius * lipschitz
        Mask = mask
        Constant = before.Constant * lipschitz
    }

/// `R A D` from the definitions, with slopes at the upper ends `y + error`; the identity serves for a bare ReLU.
let private affineRelu definition (rows: float[][]) (y: float[]) (error: float[]) before =
    let upper = Array.map2 (+) y error

    let reach =
        masked (Array.create rows.Length 1.0) rows before.Mask
        |> Array.map (fun row -> before.Radius * norm row)

    // Written in the reach, since ȳ − y0 may vanish in rounding.
    let slope y0 reach =
        match definition with
        | Uniform -> if y0 + reach > 0.0 then 1.0 else 0.0
        | Nominal when reach = 0.0 -> 0.0
        | Nominal when y0 >= 0.0 -> 1.0
        | Nominal -> max 0.0 (y0 + reach) / reach

    let lipschitz =
        spectralNorm (masked (Array.map2 slope upper reach) rows before.Mask)

    before
    |> after lipschitz (relu y) error (Array.map2 (fun y0 reach -> if y0 + reach > 0.0 then 1.0 else 0.0) upper reach)

let rec private leaves node =
    match node with
    | Leaf { Layer = Reshape _ }
    | Leaf { Layer = Identity } -> []
    | Chain nodes -> List.collect leaves nodes
    | other -> [ other ]

/// `|A| e + rounding·(|A||x| + |b|)`: an enclosure's errors with `rounding` in place of multiples of the unit roundoff.
let private errorOf rounding (rows: float[][]) (bias: float[]) before =
    let sizes = rows |> Array.map (Array.map abs)

    let magnitudes =
        Array.map2 (+) (times sizes (Array.map abs before.Center)) (Array.map abs bias)

    Array.map2 (fun carried size -> carried + rounding * size) (times sizes before.Error) magnitudes

let rec private walk rounding definition nodes before =
    match nodes with
    | [] -> before
    | Leaf { Layer = Affine(map, bias) } :: rest ->
        let y = Array.map2 (+) (times (matrix map) before.Center) (Tensor.values bias)
        let error = errorOf rounding (matrix map) (Tensor.values bias) before
        affine rounding definition (matrix map) y error rest before
    | Leaf { Layer = MaxPooling g } :: rest ->
        let windows = windows g
        let overlap = windows |> Seq.concat |> Seq.countBy id |> Seq.map snd |> Seq.max

        let pool (v: float[]) =
            windows |> Array.map (fun w -> w |> Array.map (fun i -> v[i]) |> Array.max)

        before
        |> after (sqrt (float overlap)) (pool before.Center) (pool before.Error) (pool before.Mask)
        |> walk rounding definition rest
    | Branches branches :: rest ->
        let ends =
            branches
            |> List.map (fun branch -> walk rounding definition (leaves branch) { before with Constant = 1.0 })

        let pointwise f part =
            ends |> List.map part |> List.reduce (Array.map2 f)

        before
        |> after (ends |> List.sumBy _.Constant) (pointwise (+) _.Center) (pointwise (+) _.Error) (pointwise max _.Mask)
        |> walk rounding definition rest
    | _ :: rest ->
        let n = before.Center.Length

        let identity =
            Array.init n (fun i -> Array.init n (fun j -> if i = j then 1.0 else 0.0))

        before
        |> affineRelu definition identity before.Center before.Error
        |> walk rounding definition rest

and private affine rounding definition rows y error rest before =
    match rest with
    | Leaf { Layer = Affine(Diagonal scale, bias) } :: rest
    | Leaf {
               Layer = Affine(Rounded(_, Diagonal scale), bias)
           } :: rest ->
        let s = Tensor.values scale
        let shift = Tensor.values bias

        let error =
            Array.map3 (fun s y e -> abs s * e + rounding * abs (s * y)) s y error
            |> Array.map2 (fun b e -> e + rounding * abs b) shift

        let y = Array.map2 (+) (Array.map2 (*) s y) shift
        affine rounding definition (masked s rows (Array.create rows[0].Length 1.0)) y error rest before
    | Leaf { Layer = Activation _ } :: rest ->
        before |> affineRelu definition rows y error |> walk rounding definition rest
    | rest ->
        let lipschitz =
            spectralNorm (masked (Array.create rows.Length 1.0) rows before.Mask)

        before
        |> after lipschitz y error (Array.create y.Length 1.0)
        |> walk rounding definition rest

let private agreesWithTranscription (case: NetworkCase) =
    for definition in [ Nominal; Uniform ] do
        // At kinks the order of summation decides between slopes 0 and 1, so nominal inputs move off them a little.
        let draw = Draw(case.Seed + 3)

        let center =
            Tensor.values case.Input |> Array.map (fun c -> c + 1e-3 * draw.Gaussian())

        let distance = case.Radius.Value |> max 1e-6 |> min 1e6

        let transcribed rounding =
            (walk
                rounding
                definition
                (leaves case.Network.Node)
                {
                    Center = center
                    Error = Array.create center.Length 0.0
                    Radius = distance
                    Mask = Array.create center.Length 1.0
                    Constant = 1.0
                })
                .Constant

        let input = Tensor.ofArray case.Input.Shape center

        let bound =
            (Analytic.bound context definition case.Network input (radius distance)).Bound.Value
        // Each norm is loose by up to 1e-8; slopes (ȳ − |y0|)/reach amplify what the radius gained before. Enclosed nominal
        // values may raise slopes further where magnitudes cancel: by less than errors of 1e-12 would.
        Expect.isGreaterThanOrEqual bound (transcribed 0.0 * (1.0 - 1e-6)) "bound"
        Expect.isLessThanOrEqual bound (transcribed 1e-12 * (1.0 + 1e-6)) "bound"

[<Tests>]
let tests =
    testList
        "Algorithm1"
        [
            statement "Algorithm 1: the nominal bound covers samples, lines and their knots" 250 network (fun case ->
                assertCoversSamples (bound Nominal case) case)

            statement "Algorithm 1: the nominal bound covers what gradient ascent reaches" 80 network (fun case ->
                // Both sides enclose their rounding, so that no tolerance is needed.
                Expect.isLessThanOrEqual (reached Nominal case) (bound Nominal case) "reached Nominal case")

            statement "Algorithm 1: the uniform bound covers pairs and the pieces between them" 120 network (fun case ->
                assertCoversPairs (bound Uniform case) case)

            statement
                "Algorithm 1: the uniform bound covers what gradient ascent reaches between pairs"
                80
                network
                (fun case ->
                    Expect.isLessThanOrEqual (reached Uniform case) (bound Uniform case) "reached Uniform case")

            statement "the global bound covers what gradient ascent reaches" 60 network (fun case ->
                let largest = (Global.bound context case.Network).Bound.Value

                for definition in [ Nominal; Uniform ] do
                    Expect.isLessThanOrEqual (reached definition case) largest "reached definition case")

            statement
                "Algorithm 1: on one input, the bound covers the exact constant"
                200
                (networkOver [ 1 ])
                (fun case ->
                    let center, distance = Tensor.values case.Input, case.Radius.Value
                    let ends = [| [| center[0] - distance |]; [| center[0] + distance |] |]
                    let exact = knotPoints case.Network ends[0] ends[1] |> within center distance

                    slopes case.Network center exact
                    |> assertBounds "the exact nominal constant" (bound Nominal case)

                    pieceSlopes case.Network ends[0] ends[1]
                    |> assertBounds "the exact uniform constant" (bound Uniform case))

            statement
                "Algorithm 1: agrees with a plain transcription on dense matrices"
                250
                network
                agreesWithTranscription

            testCase "Algorithm 1: agrees with the transcription where magnitudes cancel" (fun () ->
                // Two diagonal maps behind a convolution: the enclosure of a nominal value decides a slope.
                agreesWithTranscription (network 1777240259))

            statement "Algorithm 1: permuting neurons leaves the bound" 80 Draw (fun draw ->
                let n, hidden, m = draw.Int(1, 6), draw.Int(1, 8), draw.Int(1, 4)

                let first, bias, second =
                    weightMatrix draw hidden n, draw.Gaussians hidden, weightMatrix draw m hidden

                let order = Array.init hidden id |> Array.sortBy (fun _ -> draw.Gaussian())
                let input, radius = nominalInput draw [ n ], radius (draw.Power(-2.0, 1.0))

                let bound (order: int[]) definition =
                    let rows = order |> Array.collect (fun h -> first[h * n .. h * n + n - 1])

                    let columns =
                        Array.init (m * hidden) (fun k -> second[k / hidden * hidden + order[k % hidden]])

                    let network =
                        build
                            [ n ]
                            [
                                Step(
                                    "first",
                                    Layer.dense
                                        (Tensor.ofArray [ hidden; n ] rows)
                                        (Tensor.vector (order |> Array.map (fun h -> bias[h])))
                                )
                                Step("relu", Layer.relu)
                                Step(
                                    "second",
                                    Layer.linear (Dense(Dense.create (Tensor.ofArray [ m; hidden ] columns)))
                                )
                            ]

                    (Analytic.bound context definition network input radius).Bound.Value

                for definition in [ Nominal; Uniform ] do
                    let original = bound (Array.init hidden id) definition
                    Expect.isWithin (1e-8 * original) (bound order definition) original "bound order definition")

            statement
                "Algorithm 1: at radius zero the nominal bound of a rectified network is zero"
                60
                network
                (fun case ->
                    let rectified =
                        build
                            case.Network.InputShape
                            [ Step("relu", Layer.relu); Step("flatten", Reshape [ case.Input.Length ]) ]

                    let report = Analytic.bound context Nominal rectified case.Input (radius 0.0)
                    Expect.equal report.Bound.Value 0 "value")

            testCase "Algorithm 1: overflow of nominal values cannot lower the bound" (fun () ->
                // 1e200·1e200 leaves the range of doubles, and the difference of two such values is no number.
                let dense rows columns weights =
                    Layer.linear (Dense(Dense.create (Tensor.ofArray [ rows; columns ] weights)))

                let network =
                    build
                        [ 1 ]
                        [
                            Step("first", dense 2 1 [| 1e200; 5e199 |])
                            Step("relu", Layer.relu)
                            Step("second", dense 1 2 [| 1e200; -1e200 |])
                            Step("relu", Layer.relu)
                        ]

                for definition in [ Nominal; Uniform ] do
                    let bound =
                        (Analytic.bound context definition network (Tensor.vector [| 1.0 |]) (radius 0.1)).Bound

                    Expect.isGreaterThan bound.Value 1e300 (string definition))

            statement "Algorithm 1: rigor is that of the weakest layer" 60 network (fun case ->
                let report = Analytic.bound context Nominal case.Network case.Input case.Radius

                let weakest =
                    report.Layers |> List.map _.Lipschitz.Rigor |> List.fold Rigor.combine Certified

                Expect.equal report.Bound.Rigor weakest "rigor")
        ]
