/// Norms of the maps of a network, for bounds on rounding.
module internal LipVerify.Core.Loops.Operator.LoopNorms

open System
open System.Collections.Generic
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Core.Networks

/// Maps of stages, in order.
let rec private mapsOf stages =
    stages
    |> List.collect (fun stage ->
        match stage with
        | AffineStage(_, map, _) -> [ map ]
        | SumStage branches -> List.collect mapsOf branches
        | ActivationStage _
        | MaxPoolingStage _ -> [])

/// Norms of all maps of stages, which may together fail with the probability of the context.
let ofStages (context: Context) (stages: Stage list) : StepNorms.MapNormTable =
    let maps = mapsOf stages

    let context =
        Context.share
            maps.Length
            { context with
                Certification =
                    { context.Certification with
                        Tolerance = Some 0.25
                    }
            }

    let table = Dictionary<LinearMap, StepNorms.MapNorms>(HashIdentity.Reference)

    maps
    |> List.iteri (fun index map ->
        table[map] <-
            StepNorms.ofMap context.Engine map (Spectral.coarseNorm (Context.forComputation index context) map).Value)

    fun map -> table[map]

/// Norms of a table, and of one map beside by its entries alone.
let withMap (engine: IEngine) (map: LinearMap) (norms: StepNorms.MapNormTable) : StepNorms.MapNormTable =
    let own = StepNorms.ofMap engine map Double.PositiveInfinity
    let own = { own with Norm = own.Absolute }

    fun other -> if obj.ReferenceEquals(map, other) then own else norms other
