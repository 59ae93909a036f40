/// Norms of the maps of a network, for bounds on rounding.
module internal LipVerify.Core.LoopNorms

open System.Collections.Generic
open LipVerify.Compute

/// Maps of stages, in order.
let rec private mapsOf stages =
    stages
    |> List.collect (fun stage ->
        match stage with
        | AffineStage(_, map, _) -> [ map ]
        | SumStage branches -> List.collect mapsOf branches
        | ReluStage _
        | MaxPoolingStage _ -> [])

/// `√(‖A‖₁‖A‖_∞)`.
let private absolute (engine: IEngine) map =
    let struct (columns, rows) =
        MaskedMap.absoluteNorms engine (MaskedMap.mergeScales (MaskedMap.whole map))

    Rounding.mulUp (Rounding.sqrtUp columns) (Rounding.sqrtUp rows)

/// Norms of all maps of stages, which may together fail with the probability of the context.
let ofStages (context: Context) (stages: Stage list) : LoopRounding.MapNormTable =
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

    let table = Dictionary<LinearMap, LoopRounding.MapNorms>(HashIdentity.Reference)

    maps
    |> List.iteri (fun index map ->
        table[map] <-
            {
                Norm = (Spectral.coarseNorm (Context.forComputation index context) map).Value
                Absolute = absolute context.Engine map
            })

    fun map -> table[map]

/// Norms of a table, and of one map beside by its entries alone.
let withMap (engine: IEngine) (map: LinearMap) (norms: LoopRounding.MapNormTable) : LoopRounding.MapNormTable =
    let absolute = absolute engine map

    fun other ->
        if obj.ReferenceEquals(map, other) then
            { Norm = absolute; Absolute = absolute }
        else
            norms other
