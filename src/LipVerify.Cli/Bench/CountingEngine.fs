namespace LipVerify.Cli

open LipVerify.Compute

/// How often a kernel was called, for how many vectors, and the floating-point operations that its definition takes.
type KernelCount =
    {
        Calls: int64
        /// Inputs of a batch: for products the rows of the left factor, which is the batch of a dense map.
        Vectors: int64
        /// A multiplication and an addition for every term of every sum, those in the padding included. A kernel that
        /// skips zeros does fewer.
        Flops: float
    }

/// What an engine was asked for.
type Work =
    {
        Convolve: KernelCount
        ConvolveAdjoint: KernelCount
        MatrixMultiply: KernelCount
        /// `Σ w²` operations for rows of `w` entries in an envelope, `n³/3` for a full matrix of side `n`.
        Cholesky: KernelCount
    }

module KernelCount =

    /// No call yet.
    let zero =
        {
            Calls = 0L
            Vectors = 0L
            Flops = 0.0
        }

    /// One call more.
    let add vectors flops count =
        {
            Calls = count.Calls + 1L
            Vectors = count.Vectors + int64 vectors
            Flops = count.Flops + flops
        }

module Work =

    /// Nothing yet.
    let zero =
        {
            Convolve = KernelCount.zero
            ConvolveAdjoint = KernelCount.zero
            MatrixMultiply = KernelCount.zero
            Cholesky = KernelCount.zero
        }

    /// The kernels by the names of their methods.
    let kernels work =
        [
            "convolve", work.Convolve
            "convolveAdjoint", work.ConvolveAdjoint
            "matrixMultiply", work.MatrixMultiply
            "cholesky", work.Cholesky
        ]

    /// All operations.
    let flops work =
        kernels work |> List.sumBy (fun (_, count) -> count.Flops)

    /// Vectors that linear maps, or their adjoints, were applied to.
    let applications work =
        work.Convolve.Vectors
        + work.ConvolveAdjoint.Vectors
        + work.MatrixMultiply.Vectors

    /// Operations of a convolution, or its adjoint, of a batch.
    let convolutionFlops (geometry: ConvolutionGeometry) batch =
        let terms =
            geometry.InChannels / geometry.Groups
            * geometry.Rows.Kernel
            * geometry.Columns.Kernel

        2.0 * float batch * float geometry.OutputSize * float terms

    /// Operations of a product of an m×k and a k×n matrix.
    let productFlops (m: int) (n: int) (k: int) = 2.0 * float m * float n * float k

/// Hands everything on to an engine and counts the kernels that do the arithmetic. Eigenvalues, Gram
/// matrices of convolutions and what is done entry by entry are not counted.
type CountingEngine(inner: IEngine) =
    let mutable work = Work.zero

    /// The engine behind.
    member _.Inner = inner

    /// What was counted since the beginning, or since `Reset`.
    member _.Work = work

    /// Counts from zero again.
    member _.Reset() = work <- Work.zero

    interface IEngine with
        member _.Name = inner.Name
        member _.Description = inner.Description
        member _.Threads = inner.Threads
        // What such an engine does is not counted: nothing that is counted has a deadline.
        member _.EndedBy cancellation = inner.EndedBy cancellation
        member _.Origin = inner.Origin
        member _.Allocate length = inner.Allocate length

        member _.MatrixMultiply(transposeA, transposeB, m, n, k, alpha, a, b, beta, c) =
            let flops = Work.productFlops m n k

            work <-
                { work with
                    MatrixMultiply = KernelCount.add m flops work.MatrixMultiply
                }

            inner.MatrixMultiply(transposeA, transposeB, m, n, k, alpha, a, b, beta, c)

        member _.Convolve(geometry, weights, x, batch, y) =
            let flops = Work.convolutionFlops geometry batch

            work <-
                { work with
                    Convolve = KernelCount.add batch flops work.Convolve
                }

            inner.Convolve(&geometry, weights, x, batch, y)

        member _.ConvolveAdjoint(geometry, weights, y, batch, x) =
            let flops = Work.convolutionFlops geometry batch

            work <-
                { work with
                    ConvolveAdjoint = KernelCount.add batch flops work.ConvolveAdjoint
                }

            inner.ConvolveAdjoint(&geometry, weights, y, batch, x)

        member _.MultiplyEntries(f, scale, transpose, rows, columns, a, x, y) =
            let flops = Work.productFlops 1 columns rows

            work <-
                { work with
                    MatrixMultiply = KernelCount.add 1 flops work.MatrixMultiply
                }

            inner.MultiplyEntries(f, scale, transpose, rows, columns, a, x, y)

        member _.TryCholesky(shift, envelope: SymmetricEnvelope, a, factor) =
            work <-
                { work with
                    Cholesky = KernelCount.add 0 envelope.Operations work.Cholesky
                }

            inner.TryCholesky(shift, envelope, a, factor)

        member _.ConvolutionGram(geometry, weights, rows, columns, overOutputs, places, envelope, g) =
            inner.ConvolutionGram(&geometry, weights, rows, columns, overOutputs, places, envelope, g)

        member _.TryCholesky(n: int, a: Storage) =
            let flops = float n * float n * float n / 3.0

            work <-
                { work with
                    Cholesky = KernelCount.add 0 flops work.Cholesky
                }

            inner.TryCholesky(n, a)

        member _.MultiplyGram(rows, columns, a, s, batch, x, y) =
            let flops = 2.0 * Work.productFlops batch rows columns

            work <-
                { work with
                    MatrixMultiply = KernelCount.add batch flops work.MatrixMultiply
                }

            inner.MultiplyGram(rows, columns, a, s, batch, x, y)

        member _.GramProductDepth(rows, columns) = inner.GramProductDepth(rows, columns)

        member _.MatrixProductDepth(transposeA, transposeB, m, n, k) =
            inner.MatrixProductDepth(transposeA, transposeB, m, n, k)

        member _.ConvolutionDepth(geometry, batch) =
            inner.ConvolutionDepth(&geometry, batch)

        member _.ConvolutionAdjointDepth(geometry, batch) =
            inner.ConvolutionAdjointDepth(&geometry, batch)

        member _.SymmetricEigen(n, a, vectors) = inner.SymmetricEigen(n, a, vectors)

        member _.MaxPool(geometry, x, batch, y, winners) =
            inner.MaxPool(&geometry, x, batch, y, winners)

        member _.AveragePool(geometry, countPadding, x, batch, y) =
            inner.AveragePool(&geometry, countPadding, x, batch, y)

        member _.AveragePoolAdjoint(geometry, countPadding, y, batch, x) =
            inner.AveragePoolAdjoint(&geometry, countPadding, y, batch, x)

        member _.MultiplyRows(x, batch, factor, result) =
            inner.MultiplyRows(x, batch, factor, result)

        member _.AddToRows(x, batch, term, result) = inner.AddToRows(x, batch, term, result)

        member _.Gather(x, inputSize, indices, size, batch, y) =
            inner.Gather(x, inputSize, indices, size, batch, y)

        member _.ScatterAdd(y, inputSize, indices, size, batch, x) =
            inner.ScatterAdd(y, inputSize, indices, size, batch, x)

        member _.Rectify(x, y) = inner.Rectify(x, y)

        member _.AddScaled(alpha, x, offsetX, y, offsetY, length) =
            inner.AddScaled(alpha, x, offsetX, y, offsetY, length)

        member _.AddTwoScaled(alpha, x, beta, z, y, offset, length) =
            inner.AddTwoScaled(alpha, x, beta, z, y, offset, length)

        member _.Scale(alpha, x, offset, length) = inner.Scale(alpha, x, offset, length)

        member _.Dot(x, offsetX, y, offsetY, length) =
            inner.Dot(x, offsetX, y, offsetY, length)

        member _.Recur(next, current, previous, before, length, least, alphas, betas) =
            inner.Recur(next, current, previous, before, length, least, alphas, betas)

        member _.Finish() = inner.Finish()

        member _.Copy(source, sourceOffset, destination, destinationOffset, length) =
            inner.Copy(source, sourceOffset, destination, destinationOffset, length)
