namespace LipVerify.Compute;

/// <summary>A row-major matrix inside a storage block: the value at (i, j) lies at Offset + i·Stride + j.</summary>
/// <param name="Storage">The block.</param>
/// <param name="Offset">Position of the first value.</param>
/// <param name="Stride">Distance between the starts of neighbouring rows.</param>
public readonly record struct MatrixView(Storage Storage, int Offset, int Stride)
{
    /// <summary>A whole block as a matrix of rows of the given length.</summary>
    public static MatrixView Of(Storage storage, int columns) => new(storage, 0, columns);
}

/// <summary>
/// Double-precision kernels on batched, row-major data. A batch is the leading dimension: a batch of n inputs of size s
/// occupies n·s values. Every result is summed directly (no Winograd, FFT or reduced precision), so that the standard
/// error bounds γ_k of floating-point summation hold for it. Engines are safe to use from one thread at a time; they use
/// <see cref="Threads"/> threads inside. Results do not depend on timing: the same call gives the same bits.
/// </summary>
public interface IEngine
{
    /// <summary>Short name, as given on the command line: <c>openblas</c>, <c>managed</c> or <c>cuda:0</c>.</summary>
    string Name { get; }

    /// <summary>One line for reports: library, version, threads.</summary>
    string Description { get; }

    /// <summary>The number of threads used inside an operation.</summary>
    int Threads { get; }

    /// <summary>
    /// The same engine, whose long operations end with <see cref="OperationCanceledException"/> once cancellation is asked for: before they
    /// begin, and a factorisation also between two block columns. What they were to write is unspecified then.
    /// </summary>
    IEngine EndedBy(CancellationToken cancellation);

    /// <summary>The engine that <see cref="EndedBy"/> was asked of, or this one: the same for all that share its memory.</summary>
    IEngine Origin { get; }

    /// <summary>A block of zeros where this engine computes.</summary>
    Storage Allocate(int length);

    /// <summary>C ← α·op(A)·op(B) + β·C with op(A) m×k, op(B) k×n and C m×n; β = 0 ignores what C held.</summary>
    void MatrixMultiply(bool transposeA, bool transposeB, int m, int n, int k, double alpha, MatrixView a, MatrixView b, double beta, MatrixView c);

    /// <summary>
    /// y ← f(s·A)·x, or y ← f(s·A)ᵀ·x, for one vector x and f applied to each entry of A, which is not copied. A term of a sum goes
    /// through at most as many roundings as the sum has terms, besides those of f.
    /// </summary>
    /// <param name="function">f.</param>
    /// <param name="scale">s, a power of two.</param>
    /// <param name="transpose">True for f(s·A)ᵀ·x.</param>
    /// <param name="rows">Rows of A.</param>
    /// <param name="columns">Columns of A.</param>
    /// <param name="a">A, row-major.</param>
    /// <param name="x">One value a column of A; one a row, where it is transposed.</param>
    /// <param name="y">The result.</param>
    void MultiplyEntries(EntryFunction function, double scale, bool transpose, int rows, int columns, Storage a, Storage x, Storage y);

    /// <summary>y ← Aᵀ·diag(s)·A·x for each vector of a batch, in one pass over A; rows of A with s_i = 0 are not read.</summary>
    /// <param name="rows">Rows of A.</param>
    /// <param name="columns">Columns of A.</param>
    /// <param name="a">A, row-major.</param>
    /// <param name="s">One factor a row.</param>
    /// <param name="batch">The number of vectors.</param>
    /// <param name="x">The vectors, one after the other.</param>
    /// <param name="y">The results, one after the other.</param>
    void MultiplyGram(int rows, int columns, Storage a, Storage s, int batch, Storage x, Storage y);

    /// <summary>
    /// The most roundings that one term goes through in <see cref="MultiplyGram"/>, the k of
    /// |fl(AᵀSA·x) − AᵀSA·x| ≤ γ_k |A|ᵀ|S||A||x|.
    /// </summary>
    int GramProductDepth(int rows, int columns);

    /// <summary>
    /// The most roundings that one term of a sum goes through in <see cref="MatrixMultiply"/> with α = 1 and β = 0: the k of γ_k in its
    /// error bound |fl(AB) − AB| ≤ γ_k |A||B|. At most k, the length of the sums; less where they are summed in blocks.
    /// </summary>
    int MatrixProductDepth(bool transposeA, bool transposeB, int m, int n, int k);

    /// <summary>The same for <see cref="Convolve"/>.</summary>
    int ConvolutionDepth(in ConvolutionGeometry geometry, int batch);

    /// <summary>The same for <see cref="ConvolveAdjoint"/>.</summary>
    int ConvolutionAdjointDepth(in ConvolutionGeometry geometry, int batch);

    /// <summary>
    /// Cholesky factorisation A = L·Lᵀ of a symmetric n×n matrix in place (the lower triangle is read and overwritten).
    /// False when a pivot is not positive (or not a number): then A is not numerically positive definite.
    /// </summary>
    bool TryCholesky(int n, Storage a);

    /// <summary>The same for <paramref name="shift"/>·I − A, A having its lower triangle in an envelope. Diagonal entries are rounded once.</summary>
    /// <param name="shift">The shift.</param>
    /// <param name="envelope">The envelope of A and of the factor.</param>
    /// <param name="a">A, which is left as it is.</param>
    /// <param name="factor">Receives the factor; null where it does not matter.</param>
    bool TryCholesky(double shift, SymmetricEnvelope envelope, Storage a, Storage? factor);

    /// <summary>
    /// g ← the lower triangle of M·Mᵀ or Mᵀ·M for M = diag(r)·A·D, A the matrix of a convolution. One term of an entry goes through
    /// at most as many roundings as the entry has terms, and four more.
    /// </summary>
    /// <param name="geometry">The convolution.</param>
    /// <param name="weights">Its weights.</param>
    /// <param name="rowFactors">r, one an output.</param>
    /// <param name="columnFactors">The diagonal of D, one an input: 0 or 1.</param>
    /// <param name="overOutputs">True for M·Mᵀ, whose rows are outputs; false for Mᵀ·M, whose rows are inputs.</param>
    /// <param name="places">The row of the Gram matrix that each output (or input) has; −1 where it has none.</param>
    /// <param name="envelope">The envelope of the Gram matrix; it must hold every entry that is not 0.</param>
    /// <param name="g">Storage of the envelope.</param>
    void ConvolutionGram(
        in ConvolutionGeometry geometry, Storage weights, Storage rowFactors, Storage columnFactors, bool overOutputs, int[] places, SymmetricEnvelope envelope, Storage g);

    /// <summary>
    /// All eigenvalues of a symmetric n×n matrix, ascending. The block is overwritten: with <paramref name="vectors"/> by the
    /// eigenvectors (row i belongs to eigenvalue i), otherwise by unspecified values.
    /// </summary>
    double[] SymmetricEigen(int n, Storage a, bool vectors);

    /// <summary>y ← W ∗ x for each of <paramref name="batch"/> inputs. Weights: (out, in/groups, kernel rows, kernel columns).</summary>
    void Convolve(in ConvolutionGeometry geometry, Storage weights, Storage x, int batch, Storage y);

    /// <summary>x ← Wᵀ y: the exact adjoint of <see cref="Convolve"/> for the same geometry and weights.</summary>
    void ConvolveAdjoint(in ConvolutionGeometry geometry, Storage weights, Storage y, int batch, Storage x);

    /// <summary>
    /// y ← the largest value of each window; padding never wins. Where <paramref name="winners"/> is given it receives, for each
    /// output, the index of the first largest value inside its own input (0 … InputSize − 1).
    /// </summary>
    void MaxPool(in PoolingGeometry geometry, Storage x, int batch, Storage y, int[]? winners);

    /// <summary>
    /// y ← the mean of each window. The divisor is the number of taps inside the input, or, with
    /// <paramref name="countPadding"/>, inside the padded input (PyTorch's rule: a ceil-mode overhang is never counted).
    /// </summary>
    void AveragePool(in PoolingGeometry geometry, bool countPadding, Storage x, int batch, Storage y);

    /// <summary>x ← Pᵀ y: the exact adjoint of <see cref="AveragePool"/>.</summary>
    void AveragePoolAdjoint(in PoolingGeometry geometry, bool countPadding, Storage y, int batch, Storage x);

    /// <summary>out[b, i] ← x[b, i]·factor[i]: each row of a batch times the same vector. <paramref name="result"/> may be <paramref name="x"/>.</summary>
    void MultiplyRows(Storage x, int batch, Storage factor, Storage result);

    /// <summary>out[b, i] ← x[b, i] + term[i]: the same vector added to each row. <paramref name="result"/> may be <paramref name="x"/>.</summary>
    void AddToRows(Storage x, int batch, Storage term, Storage result);

    /// <summary>
    /// y[b, i] ← x[b, indices[b, i]]: <paramref name="size"/> values picked from each input of <paramref name="inputSize"/>.
    /// <paramref name="indices"/> are those of every row in turn, or of one that serves all.
    /// </summary>
    void Gather(Storage x, int inputSize, int[] indices, int size, int batch, Storage y);

    /// <summary>x[b, indices[b, i]] ← x[b, indices[b, i]] + y[b, i]: the adjoint of <see cref="Gather"/>, added to what x holds.</summary>
    void ScatterAdd(Storage y, int inputSize, int[] indices, int size, int batch, Storage x);

    /// <summary>y ← max(x, 0), entry by entry; NaN stays NaN.</summary>
    void Rectify(Storage x, Storage y);

    /// <summary>y ← y + α·x over the first <paramref name="length"/> values from the given offsets.</summary>
    void AddScaled(double alpha, Storage x, int offsetX, Storage y, int offsetY, int length);

    /// <summary>y ← y + α·x + β·z over <paramref name="length"/> values from one offset; y is another block than x and z.</summary>
    void AddTwoScaled(double alpha, Storage x, double beta, Storage z, Storage y, int offset, int length);

    /// <summary>x ← α·x over <paramref name="length"/> values from <paramref name="offset"/>.</summary>
    void Scale(double alpha, Storage x, int offset, int length);

    /// <summary>The inner product of <paramref name="length"/> values from the given offsets.</summary>
    double Dot(Storage x, int offsetX, Storage y, int offsetY, int length);

    /// <summary>
    /// A step of a three-term recurrence for each of some vectors, which lie one after the other in each block: α ← max(0, ⟨next, current⟩),
    /// next ← next − α·current − before·previous, β ← ‖next‖ and next ← next/β; where β is not above the least size, next becomes 0·next and β that size.
    /// Entries go through as many roundings as by <see cref="AddTwoScaled"/> and <see cref="Scale"/>. An engine elsewhere is waited for once.
    /// </summary>
    /// <param name="next">The image of the current vectors; receives the next ones.</param>
    /// <param name="current">The current vectors.</param>
    /// <param name="previous">The previous vectors.</param>
    /// <param name="before">The β of the step before, one a vector.</param>
    /// <param name="length">Values of one vector.</param>
    /// <param name="least">The least size.</param>
    /// <param name="alphas">Receives α of each vector.</param>
    /// <param name="betas">Receives β of each vector.</param>
    void Recur(Storage next, Storage current, Storage previous, double[] before, int length, double least, double[] alphas, double[] betas) =>
        Recurrence.Step(this, next, current, previous, before, length, least, alphas, betas);

    /// <summary>Waits until everything that was asked for is done; on the processor nothing is left to wait for.</summary>
    void Finish() { }

    /// <summary>Copies <paramref name="length"/> values between blocks of this engine or from the host.</summary>
    void Copy(Storage source, int sourceOffset, Storage destination, int destinationOffset, int length);
}
