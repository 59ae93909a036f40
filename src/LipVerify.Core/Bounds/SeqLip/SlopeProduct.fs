namespace LipVerify.Core.Bounds.SeqLip

open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Core.Bounds.Multipliers.Solver

/// `P(σ) = Σ_j σ_j a_j b_jᵀ`, one term a ReLU with slope `σ_j ∈ [0, 1]`: what stands between two maps in SeqLip.
[<ReferenceEquality>]
type internal SlopeProduct =
    {
        /// ReLUs whose slope matters.
        Neurons: int
        /// Length of each `a_j`.
        Height: int
        /// Length of each `b_j`.
        Width: int
        /// `a`, `Neurons × Height`.
        Above: float[]
        /// `b`, `Neurons × Width`.
        Below: float[]
        /// A bound on the norm of what all other ReLUs add.
        Rest: float
    }

module internal SlopeProduct =

    /// Terms below this part of the largest are bounded by their own norm.
    let private negligible = 1e-16

    let private rowNorms count width (values: float[]) =
        Array.init count (fun j -> SingularFactors.frobenius (Array.sub values (j * width) width))

    /// The product between the factors of the map above and the map below a layer of ReLUs.
    let create count height (above: float[]) width (below: float[]) =
        let sizes =
            Array.map2 Rounding.mulUp (rowNorms count height above) (rowNorms count width below)

        let least = negligible * Array.max sizes
        let isKept = sizes |> Array.map (fun size -> size > least)

        let kept =
            [|
                for j in 0 .. count - 1 do
                    if isKept[j] then
                        j
            |]

        let pick (values: float[]) width =
            kept |> Array.collect (fun j -> Array.sub values (j * width) width)

        {
            Neurons = kept.Length
            Height = height
            Width = width
            Above = pick above height
            Below = pick below width
            Rest =
                (0.0, sizes, isKept)
                |||> Array.fold2 (fun sum size kept -> if kept then sum else Rounding.addUp sum size)
        }

    /// `P(1, …, 1)`, `Height × Width`.
    let whole (engine: IEngine) product =
        MultiplierProblem.multiply
            engine
            true
            false
            product.Height
            product.Width
            product.Neurons
            product.Above
            product.Height
            product.Below
            product.Width

    /// A bound on the Frobenius norm of `Σ_j |a_j||b_j|ᵀ`: what the rounding of `P` is relative to.
    let size product =
        Rounding.mulUp (SingularFactors.frobenius product.Above) (SingularFactors.frobenius product.Below)

    /// A certified spectral norm of an explicit matrix.
    let norm (context: Context) rows columns (values: float[]) =
        if rows = 0 || columns = 0 then
            0.0
        else
            let dense = Dense(Dense.create (Tensor.ofArray [ rows; columns ] values))

            (Spectral.norm
                { context with
                    Certification =
                        { context.Certification with
                            Deterministic = true
                        }
                }
                (MaskedMap.whole dense))
                .Bound.Value
