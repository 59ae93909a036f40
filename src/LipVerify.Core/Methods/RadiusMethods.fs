/// The registry of methods that certify the class of an input within a radius.
module LipVerify.Core.Methods.RadiusMethods

open System
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Radii

/// Of a search for multipliers, weights or linear functions, the last trials are the longest and raise the radius least.
let private patience _ = Some(TimeSpan.FromMinutes 2.0)

let private found (context: Context) result explanation =
    {
        Result = result
        IsCut = Context.isOver context
        Explanation = explanation
    }

let private onMargins name summary certify =
    {
        Name = name
        Summary = summary
        Definition = RadiusDefinition.Margins
        TakesEnclosure = false
        Draws = false
        Uncertified = None
        Patience = patience
        Prepare =
            fun query context input ->
                certify context query.Network input
                |> Result.map (fun radius -> found context radius None)
    }

/// Algorithm 1 within Proposition 6.
let private analytic =
    {
        Name = "analytic"
        Summary = "Algorithm 1 within Proposition 6"
        Definition = RadiusDefinition.Either
        TakesEnclosure = true
        Draws = true
        Uncertified = None
        Patience = fun query -> if query.Enclosure = Probes then patience query else None
        Prepare =
            fun query context input ->
                CertifiedRadius.analyticExplained context query.Enclosure query.Definition query.Network input
                |> Result.map (fun (struct (radius, explanation)) -> found context radius explanation)
    }

/// The constant over all inputs is computed once.
let private overAllInputs (query: RadiusQuery) =
    let known = ref None

    fun (context: Context) input ->
        let bound, isCut =
            match known.Value with
            | Some known -> known
            | None ->
                let found = (Global.bound context query.Network).Bound, Context.isOver context
                known.Value <- Some found
                found

        CertifiedRadius.ofConstant (EnclosedTensor.evaluate context query.Network input) bound
        |> Result.map (fun radius ->
            {
                Result = radius
                IsCut = isCut
                Explanation = None
            })

let private productOfNorms =
    { analytic with
        Name = "global"
        Summary = "one constant for all inputs"
        Definition = RadiusDefinition.Uniform
        TakesEnclosure = false
        Patience = fun _ -> None
        Prepare = overAllInputs
    }

let private structured =
    { analytic with
        Name = "structured"
        Summary = "what the output can lose of its lead, by the norm of the whole network"
        TakesEnclosure = false
        Uncertified = Some "the structured bound rests on random draws"
        Patience = patience
        Prepare =
            fun query context input ->
                StructuredRadius.certify context query.Definition query.Network input
                |> Result.map (fun (struct (radius, isCut)) ->
                    {
                        Result = radius
                        IsCut = isCut
                        Explanation = None
                    })
    }

/// All of them.
let all =
    [
        analytic
        productOfNorms
        structured
        onMargins "crown" "linear functions below each margin" MarginRadius.crown
        { onMargins
              "local-lipsdp"
              "multipliers for each margin: tight, for small networks"
              (fun context network input -> LocalLipSdpRadius.certify context network input None) with
            Draws = true
        }
    ]

/// The method of this name.
let tryFind name =
    all |> List.tryFind (fun method -> method.Name = name)
