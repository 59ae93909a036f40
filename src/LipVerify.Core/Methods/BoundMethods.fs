/// The registry of the methods that bound a Lipschitz constant from above, in the order in which they are listed. Adding a method adds its
/// folder and its entry here.
module LipVerify.Core.Methods.BoundMethods

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.SeqLip
open LipVerify.Core.Bounds.Jacobian
open LipVerify.Core.Bounds.Structured
open LipVerify.Core.Bounds.Multipliers
open LipVerify.Core.Bounds.Exact.Euclidean
open LipVerify.Core.Bounds.Exact.Maximum
open LipVerify.Core.Bounds.Polynomials

let private found result =
    {
        Result = result
        Explanation = None
        IsCut = false
        Lower = None
        Witness = None
    }

let private ofBound bound = found { Bound = bound; Layers = [] }

/// In the 2-norm, compared in both definitions, and with none of the options.
let private plain name summary scope =
    {
        Name = name
        Summary = summary
        Norms = [ Euclidean ]
        Scope = scope
        Compared = [ Nominal; Uniform ]
        Declines = fun _ _ _ -> None
        TakesEnclosure = false
        IsAnyTime = false
        Patience = None
        HasCertificate = false
        ProvesNorms = true
        Uncertified = None
    }

let private forAllInputs name summary run =
    { plain name summary (ForAllInputs run) with
        Compared = [ Uniform ]
    }

/// The product of the layers' norms: AutoLip of Scaman & Virmaux (2018).
let globalProduct =
    { forAllInputs "global" "the product of the layers' spectral norms" (fun query ->
          Ok(found (Global.bound query.Context query.Network))) with
        HasCertificate = true
    }

/// SeqLip of Scaman & Virmaux (2018).
let private seqLip name summary maximum =
    forAllInputs name summary (fun query ->
        SeqLip.bound query.Context maximum query.Network None
        |> Result.map (fun result ->
            { ofBound result.Bound with
                Explanation = Some result.Explanation
            }))

/// LipSDP of Fazlyab et al. (2019).
let private lipSdp name summary mode =
    { forAllInputs name summary (fun query ->
          let result = LipSdp.bound query.Context mode query.Network None

          Ok
              { found result.Result with
                  IsCut = result.IsCut
                  Explanation = Some result.Explanation
              }) with
        IsAnyTime = true
    }

/// ECLipsE of Xu & Sivaranjani (2024), and LipSDP's own least bound by the same recursion.
let private eclipse name summary multipliers =
    let run (query: BoundQuery) ball =
        match ball with
        | Some(input, radius) -> Eclipse.local query.Context multipliers query.Definition query.Network input radius
        | None -> Eclipse.``global`` query.Context multipliers query.Network
        |> Result.map (fun result ->
            { found result.Result with
                IsCut = result.IsCut
                Explanation = Some result.Explanation
            })

    { plain name summary (InBallOrForAll run) with
        IsAnyTime = (multipliers = AllTogether)
    }

/// Algorithm 1 of Avant & Morgansen.
let analytic =
    { plain
          "analytic"
          "Algorithm 1 of Avant & Morgansen, layer by layer"
          (InBall(fun query input radius ->
              let struct (result, explanation) =
                  Analytic.boundExplained query.Context query.Enclosure query.Definition query.Network input radius

              Ok
                  { found result with
                      Explanation = explanation
                  })) with
        TakesEnclosure = true
        HasCertificate = true
    }

let private multipliers (query: BoundQuery) input radius =
    let struct (result, witness) =
        if query.NeedsWitness then
            WitnessedLipSdp.bound query.Context query.Definition query.Network input radius None
        else
            LocalLipSdp.bound query.Context query.Definition query.Network input radius None, None

    Ok
        { found result.Result with
            IsCut = result.IsCut
            Explanation = Some result.Explanation
            Witness = witness |> Option.map OfMultipliers
        }

let private localLipSdp =
    { plain
          "local-lipsdp"
          "multipliers for the slopes that are not known: tight, up to a few thousand units"
          (InBall multipliers) with
        HasCertificate = true
        IsAnyTime = true
    }

let private ofStructured (struct (result: StructuredBound, witness)) =
    Ok
        { found result.Result with
            IsCut = result.IsCut
            Explanation = Some result.Explanation
            Witness = witness |> Option.map OfLoop
        }

/// The norm of the whole network as an operator that is never formed.
let private structured =
    { plain
          "structured"
          "the norm of the whole network, never formed: tight at small radii, any size"
          (InBallOrForAll(fun query ball ->
              match ball with
              | Some(input, radius) ->
                  Structured.boundWithWitness query.Context query.Definition query.Network input radius
                  |> ofStructured
              | None when query.NeedsWitness ->
                  Structured.globalWithWitness query.Context query.Network |> ofStructured
              | None -> struct (Structured.``global`` query.Context query.Network, None) |> ofStructured)) with
        HasCertificate = true
        IsAnyTime = true
        Uncertified = Some "the structured bound rests on random draws"
    }

/// The gap at which branch and bound ends, relative to the lower end.
let private goal = 1e-3

let private branchAndBound (query: BoundQuery) input radius =
    let search =
        match query.Norm with
        | Euclidean -> Ok ExactSearch.bound
        | Maximum -> Ok ExactMaximum.bound
        | Taxicab -> Error "exact does not take the 1-norm"

    search
    |> Result.map (fun search ->
        let result =
            search query.Context query.Definition query.Network input radius goal None

        { found result.Result with
            Explanation = Some result.Explanation
            Lower =
                Some
                    {
                        Bound = result.Lower
                        Gap = result.Gap
                        Regions = result.Regions
                    }
        })

let private exact =
    { plain "exact" "branch and bound with both ends, for small chains" (InBall branchAndBound) with
        IsAnyTime = true
        Norms = [ Euclidean; Maximum ]
        // What bounds a network that is not branched has a row of its own.
        Declines = ExactSearch.declines
        Patience = Some(TimeSpan.FromMinutes 5.0)
        Uncertified = Some "bounds of the method exact are numerical"
    }

let private fastLip =
    { plain
          "fastlip"
          "intervals of the Jacobian's entries (Weng et al. 2018)"
          (InBall(fun query input radius ->
              FastLip.bound query.Context query.Norm query.Definition query.Network input radius
              |> Result.map ofBound)) with
        Norms = Norm.all
    }

/// RecurJac of Zhang, Zhang & Hsieh (2019), with linear functions where signs are not known.
let private recurJac =
    { plain
          "recurjac"
          "the same by a recursion through the layers, tighter"
          (InBall(fun query input radius ->
              RecurJac.bound query.Context query.Norm query.Definition query.Network input radius None
              |> Result.map (fun result ->
                  { ofBound result.Bound with
                      Explanation = Some result.Explanation
                  }))) with
        Norms = Norm.all
        IsAnyTime = true
    }

let private polynomial name method =
    let run (query: BoundQuery) output region =
        PolynomialBound.compute query.Context query.Solvers method query.Norm query.Network output region
        |> Result.map (fun bound ->
            { ofBound bound with
                Explanation = Some "multipliers by a solver that is not trusted: the bound is what they prove"
            })

    { plain name (PolynomialBound.summary method) (OfOneOutput run) with
        Norms = [ Euclidean; Maximum ]
        Compared = [ Uniform ]
        ProvesNorms = false
        Uncertified = Some $"bounds of the method {name} are numerical"
    }

/// All of them.
let all: BoundMethod list =
    [
        globalProduct
        seqLip "seqlip" "SeqLip of Scaman & Virmaux, which takes maps in pairs, as an upper bound" Relaxed
        seqLip "seqlip-exact" "the same by all vertices, for layers of few ReLUs" Enumerated
        { seqLip "seqlip-greedy" "the same greedily: an estimate, no bound" Greedy with
            // What is found greedily is no upper bound.
            Compared = []
            Uncertified = Some "seqlip-greedy is an estimate; seqlip is an upper bound"
        }
        lipSdp "lipsdp-neuron" "LipSDP of Fazlyab et al., a multiplier a neuron" PerNeuron
        lipSdp "lipsdp-layer" "the same, a multiplier a layer" PerLayer
        eclipse
            "eclipse-fast"
            "multipliers of a chain in closed form, layer by layer: ECLipsE-Fast of Xu & Sivaranjani"
            InClosedForm
        eclipse "eclipse" "multipliers of all layers of a chain together, at any depth" AllTogether
        analytic
        localLipSdp
        structured
        exact
        fastLip
        recurJac
        for name in PolynomialBound.names do
            yield! PolynomialBound.tryFind name |> Option.map (polynomial name) |> Option.toList
    ]

/// The method of this name.
let tryFind name =
    all |> List.tryFind (fun method -> method.Name = name)

/// The names of methods of a kind, for messages.
let namesOf (belongs: BoundMethod -> bool) =
    all |> List.filter belongs |> List.map _.Name |> String.concat ", "
