namespace LipVerify.Core.Bounds.SeqLip

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Activations
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Multipliers.Representation

/// A linear map of a chain: affine layers without a ReLU between them.
[<ReferenceEquality>]
type internal Link =
    {
        /// The first of its layers.
        Layer: PlacedLayer
        /// Their maps in order.
        Maps: LinearMap list
        /// A bound on its norm.
        Norm: Bound
    }

    /// Length of its inputs.
    member link.Inputs = LinearMap.inputs link.Maps.Head

    /// Length of its outputs.
    member link.Outputs = LinearMap.outputs (List.last link.Maps)

/// A network as chains of linear maps with a ReLU between each two, and the poolings that separate them.
[<ReferenceEquality>]
type internal SeqLipChains =
    {
        /// Each with its maps in order.
        Chains: Link list list
        /// The constant of all poolings.
        Pooling: Bound
    }

module internal SeqLipChains =

    [<ReferenceEquality>]
    type private State =
        {
            Done: Link list list
            /// The links since the last pooling, last first.
            Current: Link list
            /// No ReLU has come behind the last link.
            IsOpen: bool
            PoolingSoFar: Bound
        }

    let private close state =
        { state with
            Done =
                if state.Current.IsEmpty then
                    state.Done
                else
                    List.rev state.Current :: state.Done
            Current = []
            IsOpen = false
        }

    let private add (norms: Map<int, Bound>) state stage =
        state
        |> Result.bind (fun state ->
            match stage with
            | AffineStage(_, _, Some activations)
            | ActivationStage(_, activations) when activations.Global.Lower < 0.0 || activations.Global.Upper > 1.0 ->
                Error $"SeqLip is there for slopes in [0, 1]; the network has the activation {activations.Name}"
            | AffineStage(layers, map, activations) ->
                let norm = norms[layers.Head.Index]

                let links =
                    match state.Current with
                    | last :: before when state.IsOpen ->
                        { last with
                            Maps = last.Maps @ [ map ]
                            Norm = Propositions.composition last.Norm norm
                        }
                        :: before
                    | links ->
                        {
                            Layer = layers.Head
                            Maps = [ map ]
                            Norm = norm
                        }
                        :: links

                Ok
                    { state with
                        Current = links
                        IsOpen = activations.IsNone
                    }
            | ActivationStage _ ->
                // Without an affine map before it, it only adds a factor of 1.
                Ok { state with IsOpen = false }
            | MaxPoolingStage(_, geometry) ->
                let lipschitz = Propositions.maxPooling geometry.MaxOverlap

                Ok
                    { close state with
                        PoolingSoFar = Propositions.composition state.PoolingSoFar lipschitz
                    }
            | SumStage _ -> Error "SeqLip is there for chains; the network has sums of branches")

    /// The chains of a network, with the norms of its layers as `Global.bound` gives them; or why there are none.
    let ofNetwork (network: Network) (norms: NetworkBound) : Result<SeqLipChains, string> =
        let byIndex =
            norms.Layers |> List.map (fun line -> line.Index, line.Lipschitz) |> Map.ofList

        (Ok
            {
                Done = []
                Current = []
                IsOpen = false
                PoolingSoFar = Bound.one
            },
         Stage.ofNetwork network)
        ||> List.fold (add byIndex)
        |> Result.map (fun state ->
            let state = close state

            {
                Chains = List.rev state.Done
                Pooling = state.PoolingSoFar
            })

module internal Link =

    /// The most entries of a matrix that is written out, and the longest shorter side of one that is decomposed.
    let private mostEntries, private mostSide = 12_000_000L, 1500

    /// Whether the matrix is written out and decomposed.
    let isExplicit (link: Link) =
        let sizes = link.Inputs :: List.map LinearMap.outputs link.Maps
        let widest = sizes |> List.max |> int64

        int64 link.Inputs * widest <= mostEntries
        && min link.Inputs link.Outputs <= mostSide

    /// The singular factors of the matrix; none where it is zero or leaves the range of doubles.
    let factors (context: Context) split (link: Link) =
        context.Report $"layer {link.Layer.Index} ({link.Layer.Name}): singular values"

        let columns =
            (AffineForms.identity [| 0 .. link.Inputs - 1 |] link.Inputs, link.Maps)
            ||> List.fold (fun forms map -> AffineForms.apply context map forms)

        let rows = link.Outputs

        let byRows (values: float[]) =
            Array.init values.Length (fun k -> values[k % link.Inputs * rows + k / link.Inputs])

        SingularFactors.tryCreate context split rows link.Inputs (byRows columns.Values) (byRows columns.Errors)
