/// `max ‖P(σ)‖` over `σ ∈ [0, 1]ⁿ`: a convex function has its maximum at a vertex, and these are enumerated.
module internal LipVerify.Core.Bounds.SeqLip.SlopeEnumeration

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Chains

/// More ReLUs are not enumerated: the number of vertices doubles with each.
let most = 16

/// A symmetric matrix in the lower triangle: `M Mᵀ` or `MᵀM`, over the shorter side of a `height × width` matrix.
let private gram height width (matrix: float[]) (target: float[]) =
    let n = min height width

    for i in 0 .. n - 1 do
        for j in 0..i do
            let mutable sum = 0.0

            if height <= width then
                for k in 0 .. width - 1 do
                    sum <- sum + matrix[i * width + k] * matrix[j * width + k]
            else
                for k in 0 .. height - 1 do
                    sum <- sum + matrix[k * width + i] * matrix[k * width + j]

            target[i * n + j] <- sum

/// Cholesky in place, of the lower triangle; false where a pivot is not positive.
let private factorise n (matrix: float[]) =
    let mutable isDefinite = true
    let mutable j = 0

    while isDefinite && j < n do
        let mutable pivot = matrix[j * n + j]

        for k in 0 .. j - 1 do
            pivot <- pivot - matrix[j * n + k] * matrix[j * n + k]

        if not (pivot > 0.0) then
            isDefinite <- false
        else
            let root = sqrt pivot
            matrix[j * n + j] <- root

            for i in j + 1 .. n - 1 do
                let mutable sum = matrix[i * n + j]

                for k in 0 .. j - 1 do
                    sum <- sum - matrix[i * n + k] * matrix[j * n + k]

                matrix[i * n + j] <- sum / root

            j <- j + 1

    isDefinite

/// Shows `‖P(σ)‖² ≤ ceiling` at one vertex after the other, and raises the ceiling where that is not so.
[<Sealed>]
type private Vertices(product: SlopeProduct, start: float) =
    let height, width = product.Height, product.Width
    let n = min height width
    let work = Array.zeroCreate<float>(n * n)
    let mutable ceiling = start

    /// Rump's test as in `SemidefiniteProof`: with this shift, a factorisation that succeeds shows `G ⪯ target·I`.
    let isBelow target matrix =
        let shift = 3.0 * Rounding.gamma (n + 1) * float n * target + Math.ScaleB(1.0, -700)

        gram height width matrix work

        for k in 0 .. work.Length - 1 do
            if k / n > k % n then
                work[k] <- -work[k]
            elif k / n = k % n then
                work[k] <- (target - work[k]) - shift

        factorise n work

    /// The least ceiling that is shown, from the norm up.
    let raise matrix =
        let norm = ExactNorm.ofRows (Array.chunkBySize width matrix)

        Seq.unfold (fun slack -> Some(norm * norm * (1.0 + slack) + Math.ScaleB(1.0, -600), 8.0 * slack)) 1e-12
        |> Seq.find (fun target -> not (Double.IsFinite target) || isBelow target matrix)

    /// A bound on all `‖fl(P)‖²` so far, up to the rounding of Gram matrices.
    member _.Ceiling = ceiling

    /// One vertex.
    member _.Visit matrix =
        if not (isBelow ceiling matrix) then
            ceiling <- max ceiling (raise matrix)

/// A certified bound on `max ‖P(σ)‖`, loose by rounding alone. `start` is a guess at it.
///
/// `P` is summed along a tree, so that at most `n` additions meet in an entry: `|fl(P) − P| ≤ γ_{n+1} Σ|a||b|ᵀ`.
let largest (context: Context) (product: SlopeProduct) (start: float) =
    let height, width = product.Height, product.Width

    let levels =
        Array.init (product.Neurons + 1) (fun _ -> Array.zeroCreate<float>(height * width))

    let vertices = Vertices(product, start * start * (1.0 + 1e-11))

    let rec visit j =
        if j = product.Neurons then
            vertices.Visit levels[j]
        else
            if j < 6 then
                Context.check context

            let before, after = levels[j], levels[j + 1]
            Array.blit before 0 after 0 before.Length
            visit (j + 1)

            for r in 0 .. height - 1 do
                let a = product.Above[j * height + r]

                for c in 0 .. width - 1 do
                    after[r * width + c] <- before[r * width + c] + a * product.Below[j * width + c]

            visit (j + 1)

    visit 0
    let size = SlopeProduct.size product
    let squared = Rounding.mulUp size size

    let forming = Rounding.mulUp (2.0 * Rounding.gamma (max height width + 2)) squared

    let norm =
        Rounding.sqrtUp (Rounding.addUp vertices.Ceiling (forming + Math.ScaleB(1.0, -700)))

    Rounding.addUp norm (Rounding.mulUp (2.0 * Rounding.gamma (product.Neurons + 2)) size)
    |> Rounding.addUp (product.Rest + Math.ScaleB(1.0, -600))
