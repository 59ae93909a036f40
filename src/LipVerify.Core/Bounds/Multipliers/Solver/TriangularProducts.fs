/// Products and inverses of dense symmetric and triangular matrices, row-major on the host, cut so that zeros and mirrored halves
/// are not computed. The heavy parts are products of the engine. Results go where the caller has room for them: fresh matrices
/// of some hundred rows take longer to touch than to fill.
module internal LipVerify.Core.Bounds.Multipliers.Solver.TriangularProducts

open System
open System.Numerics.Tensors
open LipVerify.Compute

/// Rows of a block; products of this size run near the engine's peak.
let private block = 192

/// Copies the lower triangle of an `n × n` matrix to the upper one.
let mirror n (a: float[]) =
    for i in 0 .. n - 1 do
        for j in 0 .. i - 1 do
            a[j * n + i] <- a[i * n + j]

/// Inverts the lower triangular `size × size` block at `(first, first)` of an `n × n` matrix in place.
let rec private invertBlock (engine: IEngine) n (a: float[]) (scratch: float[]) first size =
    if size <= 48 then
        for j in 0 .. size - 1 do
            let column = first + j
            a[column * n + column] <- 1.0 / a[column * n + column]

            for i in j + 1 .. size - 1 do
                let row = first + i
                let mutable sum = 0.0

                for k in j .. i - 1 do
                    sum <- sum + a[row * n + first + k] * a[(first + k) * n + column]

                a[row * n + column] <- -sum / a[row * n + row]
    else
        let half = size / 2
        let rest = size - half
        let middle = first + half
        let storage = HostStorage a
        let below = MatrixView(storage, middle * n + first, n)
        let product = MatrixView(HostStorage scratch, 0, half)
        invertBlock engine n a scratch first half
        invertBlock engine n a scratch middle rest

        // −L22⁻¹ (L21 L11⁻¹)
        engine.MatrixMultiply(
            false,
            false,
            rest,
            half,
            half,
            1.0,
            below,
            MatrixView(storage, first * n + first, n),
            0.0,
            product
        )

        engine.MatrixMultiply(
            false,
            false,
            rest,
            half,
            rest,
            -1.0,
            MatrixView(storage, middle * n + middle, n),
            product,
            0.0,
            below
        )

/// The inverse of the lower triangular matrix in the lower triangle of `a`, in place, with zeros above.
let invertLower (engine: IEngine) n (a: float[]) =
    for i in 0 .. n - 1 do
        Array.fill a (i * n + i + 1) (n - i - 1) 0.0

    invertBlock engine n a (Array.zeroCreate (n * n / 4 + n + 1)) 0 n

let private blocks n =
    seq { 0..block .. n - 1 }
    |> Seq.map (fun first -> struct (first, min block (n - first)))

/// `AᵀA` for a lower triangular matrix.
let gramOfLower (engine: IEngine) n (a: float[]) (result: float[]) =
    let storage = HostStorage a

    for struct (first, size) in blocks n do
        engine.MatrixMultiply(
            true,
            false,
            size,
            first + size,
            n - first,
            1.0,
            MatrixView(storage, first * n + first, n),
            MatrixView(storage, first * n, n),
            0.0,
            MatrixView(HostStorage result, first * n, n)
        )

    mirror n result

/// `Q B` for a square `Q` and an `n × k` matrix `B` with zeros above its diagonal.
let timesLower (engine: IEngine) n k (q: float[]) (b: float[]) (result: float[]) =
    for struct (first, size) in blocks k do
        engine.MatrixMultiply(
            false,
            false,
            n,
            size,
            n - first,
            1.0,
            MatrixView(HostStorage q, first, n),
            MatrixView(HostStorage b, first * k + first, k),
            0.0,
            MatrixView(HostStorage result, first, k)
        )

/// `Bᵀ C` for `B` as above and an `n × m` matrix `C`.
let adjointProduct (engine: IEngine) n k m (b: float[]) (c: float[]) (result: float[]) =
    for struct (first, size) in blocks k do
        engine.MatrixMultiply(
            true,
            false,
            size,
            m,
            n - first,
            1.0,
            MatrixView(HostStorage b, first * k + first, k),
            MatrixView(HostStorage c, first * m, m),
            0.0,
            MatrixView(HostStorage result, first * m, m)
        )

/// `Bᵀ C` where it is symmetric, for `B` as above and an `n × k` matrix `C`.
let symmetricAdjointProduct (engine: IEngine) n k (b: float[]) (c: float[]) (result: float[]) =
    for struct (first, size) in blocks k do
        engine.MatrixMultiply(
            true,
            false,
            size,
            first + size,
            n - first,
            1.0,
            MatrixView(HostStorage b, first * k + first, k),
            MatrixView(HostStorage c, first * k, k),
            0.0,
            MatrixView(HostStorage result, first * k, k)
        )

    mirror k result

/// `B diag(d) Bᵀ` for `B` as above; `scaled` has room for another such matrix.
let weightedOuter (engine: IEngine) n k (b: float[]) (d: float[]) (scaled: float[]) (result: float[]) =
    for i in 0 .. n - 1 do
        TensorPrimitives.Multiply(ReadOnlySpan(b, i * k, k), ReadOnlySpan d, Span(scaled, i * k, k))

    for struct (first, size) in blocks n do
        // Rows up to first + size have entries in as many columns.
        let columns = min k (first + size)

        if columns = 0 then
            Array.fill result (first * n) (size * n) 0.0
        else
            engine.MatrixMultiply(
                false,
                true,
                size,
                first + size,
                columns,
                1.0,
                MatrixView(HostStorage b, first * k, k),
                MatrixView(HostStorage scaled, 0, k),
                0.0,
                MatrixView(HostStorage result, first * n, n)
            )

    mirror n result

/// Solves `L Lᵀ x = b` for the factor in the lower triangle of an `n × n` matrix.
let solveFactored n (l: float[]) (b: float[]) : float[] =
    let x = Array.copy b

    for i in 0 .. n - 1 do
        let row = ReadOnlySpan(l, i * n, i)
        let known = ReadOnlySpan(x, 0, i)
        x[i] <- (x[i] - TensorPrimitives.Dot(row, known)) / l[i * n + i]

    for i in n - 1 .. -1 .. 0 do
        x[i] <- x[i] / l[i * n + i]

        for j in 0 .. i - 1 do
            x[j] <- x[j] - l[i * n + j] * x[i]

    x
