using System.Runtime.Intrinsics;

namespace LipVerify.Compute;

/// <summary>
/// An engine that computes in host memory. Work is cut by its shape and each piece owns its part of the result, so that results
/// are the same for every number of threads; a subclass adds the dense product on one thread and the eigensolver.
/// </summary>
public abstract unsafe class CpuEngine : IEngine
{
    private CancellationToken _cancellation;

    private CpuEngine? _origin;

    private protected CpuEngine(int threads)
    {
        if (threads < 0) throw new ArgumentException($"the number of threads must not be negative, not {threads}", nameof(threads));
        Threads = threads == 0 ? Environment.ProcessorCount : threads;
    }

    /// <inheritdoc/>
    public abstract string Name { get; }

    /// <inheritdoc/>
    public abstract string Description { get; }

    /// <inheritdoc/>
    public int Threads { get; }

    private protected string ThreadsText => $"{Threads} {(Threads == 1 ? "thread" : "threads")}";

    /// <inheritdoc/>
    public IEngine Origin => _origin ?? this;

    /// <inheritdoc/>
    public IEngine EndedBy(CancellationToken cancellation)
    {
        var engine = (CpuEngine)MemberwiseClone();
        engine._cancellation = cancellation;
        engine._origin = _origin ?? this;
        return engine;
    }

    /// <inheritdoc/>
    public Storage Allocate(int length)
    {
        Arguments.NotNegative(length);
        return new HostStorage(LargeArrays.Allocate<double>(length));
    }

    /// <inheritdoc/>
    public void MatrixMultiply(bool transposeA, bool transposeB, int m, int n, int k, double alpha, MatrixView a, MatrixView b, double beta, MatrixView c)
    {
        Arguments.NotNegative(m);
        Arguments.NotNegative(n);
        Arguments.NotNegative(k);
        double[] left = Arguments.Matrix(a, transposeA ? k : m, transposeA ? m : k, nameof(a));
        double[] right = Arguments.Matrix(b, transposeB ? n : k, transposeB ? k : n, nameof(b));
        double[] result = Arguments.Matrix(c, m, n, nameof(c));
        Arguments.Apart(a, transposeA ? k : m, transposeA ? m : k, c, m, n, nameof(a), nameof(c));
        Arguments.Apart(b, transposeB ? n : k, transposeB ? k : n, c, m, n, nameof(b), nameof(c));
        _cancellation.ThrowIfCancellationRequested();
        fixed (double* pa = left, pb = right, pc = result)
            MatrixProduct.Run(this, transposeA, transposeB, m, n, k, alpha, pa + a.Offset, a.Stride, pb + b.Offset, b.Stride, beta, pc + c.Offset, c.Stride);
    }

    /// <inheritdoc/>
    public void MultiplyEntries(EntryFunction function, double scale, bool transpose, int rows, int columns, Storage a, Storage x, Storage y)
    {
        Arguments.NotNegative(rows);
        Arguments.NotNegative(columns);
        double[] matrix = Arguments.Host(a, (long)rows * columns);
        double[] vector = Arguments.Host(x, transpose ? rows : columns), result = Arguments.Host(y, transpose ? columns : rows);
        Arguments.Distinct(matrix, result, nameof(a), nameof(y));
        Arguments.Distinct(vector, result, nameof(x), nameof(y));
        fixed (double* pa = matrix, px = vector, py = result)
            switch (function, transpose)
            {
                case (EntryFunction.Absolute, false): EntrywiseProduct<AbsoluteEntry>.Apply(Threads, rows, columns, scale, pa, px, py); break;
                case (EntryFunction.Absolute, true): EntrywiseProduct<AbsoluteEntry>.Adjoint(Threads, rows, columns, scale, pa, px, py); break;
                case (EntryFunction.Square, false): EntrywiseProduct<SquareEntry>.Apply(Threads, rows, columns, scale, pa, px, py); break;
                case (EntryFunction.Square, true): EntrywiseProduct<SquareEntry>.Adjoint(Threads, rows, columns, scale, pa, px, py); break;
                default: throw new ArgumentOutOfRangeException(nameof(function), function, "unknown function");
            }
    }

    /// <inheritdoc/>
    public bool TryCholesky(int n, Storage a)
    {
        Arguments.NotNegative(n);
        var envelope = SymmetricEnvelope.Full(n);
        fixed (double* values = Arguments.Host(a, (long)n * n))
        {
            var matrix = BlockRows.Whole(envelope, values);
            return TryFactor(envelope, matrix, 1, 0, matrix);
        }
    }

    /// <inheritdoc/>
    public bool TryCholesky(double shift, SymmetricEnvelope envelope, Storage a, Storage? factor)
    {
        ArgumentNullException.ThrowIfNull(envelope);
        fixed (double* values = Arguments.Host(a, envelope.Length))
        fixed (double* l = factor is null ? [] : Arguments.Host(factor, envelope.Length))
            return TryFactor(envelope, BlockRows.InEnvelope(envelope, values), -1, shift, BlockRows.InEnvelope(envelope, l));
    }

    private bool TryFactor(SymmetricEnvelope envelope, BlockRows a, double sign, double shift, BlockRows l) =>
        Vector512.IsHardwareAccelerated
            ? new EnvelopeCholesky<MicroKernel512>(envelope, a, sign, shift, l).TryFactor(Threads, _cancellation)
            : new EnvelopeCholesky<MicroKernel256>(envelope, a, sign, shift, l).TryFactor(Threads, _cancellation);

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The lower triangle holds a value that is not finite.</exception>
    /// <exception cref="InvalidOperationException">The iteration did not converge.</exception>
    public double[] SymmetricEigen(int n, Storage a, bool vectors)
    {
        Arguments.NotNegative(n);
        double[] values = Arguments.Host(a, (long)n * n);
        for (int i = 0; i < n; i++)
            for (int j = 0; j <= i; j++)
                if (!double.IsFinite(values[i * n + j]))
                    throw new ArgumentException($"the matrix holds {values[i * n + j]} at ({i}, {j}); eigenvalues need finite values", nameof(a));
        _cancellation.ThrowIfCancellationRequested();
        return n == 0 ? [] : Eigen(n, values, vectors);
    }

    /// <inheritdoc/>
    public void Convolve(in ConvolutionGeometry geometry, Storage weights, Storage x, int batch, Storage y)
    {
        geometry.Validate();
        Arguments.NotNegative(batch);
        double[] w = Arguments.Host(weights, geometry.WeightSize);
        double[] input = Arguments.Host(x, (long)batch * geometry.InputSize), output = Arguments.Host(y, (long)batch * geometry.OutputSize);
        Arguments.Distinct(input, output, nameof(x), nameof(y));
        Arguments.Distinct(w, output, nameof(weights), nameof(y));
        _cancellation.ThrowIfCancellationRequested();
        if (batch == 0) return;
        fixed (double* pw = w, px = input, py = output) new Convolution(geometry, batch).Run(this, pw, px, py);
    }

    /// <inheritdoc/>
    public void ConvolveAdjoint(in ConvolutionGeometry geometry, Storage weights, Storage y, int batch, Storage x)
    {
        geometry.Validate();
        Arguments.NotNegative(batch);
        double[] w = Arguments.Host(weights, geometry.WeightSize);
        double[] output = Arguments.Host(y, (long)batch * geometry.OutputSize), input = Arguments.Host(x, (long)batch * geometry.InputSize);
        Arguments.Distinct(output, input, nameof(y), nameof(x));
        Arguments.Distinct(w, input, nameof(weights), nameof(x));
        _cancellation.ThrowIfCancellationRequested();
        if (batch == 0) return;
        fixed (double* pw = w, px = input, py = output) new ConvolutionAdjoint(geometry, batch).Run(this, pw, py, px);
    }

    /// <inheritdoc/>
    public void ConvolutionGram(
        in ConvolutionGeometry geometry, Storage weights, Storage rowFactors, Storage columnFactors, bool overOutputs, int[] places, SymmetricEnvelope envelope, Storage g)
    {
        geometry.Validate();
        double[] w = Arguments.Host(weights, geometry.WeightSize), gram = Arguments.Host(g, envelope.Length);
        double[] rows = Arguments.Host(rowFactors, geometry.OutputSize), columns = Arguments.Host(columnFactors, geometry.InputSize);
        int size = overOutputs ? geometry.OutputSize : geometry.InputSize;
        if (places.Length != size) throw new ArgumentException($"places must hold {size} values, but holds {places.Length}", nameof(places));
        foreach (int place in places)
            if (place < -1 || place >= envelope.Order) throw new ArgumentException($"the Gram matrix has {envelope.Order} rows, but a place is {place}", nameof(places));
        _cancellation.ThrowIfCancellationRequested();
        fixed (double* pw = w, pr = rows, pc = columns, pg = gram)
            new ConvolutionGram(geometry, overOutputs, places, envelope).Run(this, pw, pr, pc, pg);
    }

    /// <inheritdoc/>
    public void MaxPool(in PoolingGeometry geometry, Storage x, int batch, Storage y, int[]? winners)
    {
        var (input, output) = PoolingBlocks(geometry, x, batch, y);
        if (winners != null && winners.Length < (long)batch * geometry.OutputSize)
            throw new ArgumentException($"winners must hold at least {(long)batch * geometry.OutputSize} values, but holds {winners.Length}", nameof(winners));
        fixed (double* px = input, py = output)
        fixed (int* pw = winners)
            new Pooling(geometry, batch, Threads).Max(px, py, pw);
    }

    /// <inheritdoc/>
    public void AveragePool(in PoolingGeometry geometry, bool countPadding, Storage x, int batch, Storage y)
    {
        var (input, output) = PoolingBlocks(geometry, x, batch, y);
        fixed (double* px = input, py = output) new Pooling(geometry, batch, Threads).Average(countPadding, px, py);
    }

    /// <inheritdoc/>
    public void AveragePoolAdjoint(in PoolingGeometry geometry, bool countPadding, Storage y, int batch, Storage x)
    {
        var (input, output) = PoolingBlocks(geometry, x, batch, y);
        fixed (double* px = input, py = output) new Pooling(geometry, batch, Threads).AverageAdjoint(countPadding, py, px);
    }

    /// <inheritdoc/>
    public void MultiplyRows(Storage x, int batch, Storage factor, Storage result)
    {
        var (values, vector, target) = RowBlocks(x, batch, factor, result);
        Elementwise.MultiplyRows(Threads, values, batch, vector, target, vector.Length);
    }

    /// <inheritdoc/>
    public void AddToRows(Storage x, int batch, Storage term, Storage result)
    {
        var (values, vector, target) = RowBlocks(x, batch, term, result);
        Elementwise.AddToRows(Threads, values, batch, vector, target, vector.Length);
    }

    /// <inheritdoc/>
    public void Gather(Storage x, int inputSize, int[] indices, int size, int batch, Storage y)
    {
        var (input, output) = IndexedBlocks(x, inputSize, indices, size, batch, y);
        Elementwise.Gather(Threads, input, inputSize, indices, size, batch, output);
    }

    /// <inheritdoc/>
    public void ScatterAdd(Storage y, int inputSize, int[] indices, int size, int batch, Storage x)
    {
        var (input, output) = IndexedBlocks(x, inputSize, indices, size, batch, y);
        Elementwise.ScatterAdd(Threads, output, inputSize, indices, size, batch, input);
    }

    /// <inheritdoc/>
    public void Rectify(Storage x, Storage y)
    {
        double[] from = Arguments.Host(x, 0);
        Elementwise.Rectify(Threads, from, Arguments.Host(y, from.Length));
    }

    /// <inheritdoc/>
    public void AddScaled(double alpha, Storage x, int offsetX, Storage y, int offsetY, int length)
    {
        Arguments.NotNegative(length);
        double[] from = Arguments.Host(x, offsetX, length), to = Arguments.Host(y, offsetY, length);
        Arguments.SameOrApart(from, offsetX, to, offsetY, length);
        Elementwise.AddScaled(Threads, alpha, from, offsetX, to, offsetY, length);
    }

    /// <inheritdoc/>
    public void AddTwoScaled(double alpha, Storage x, double beta, Storage z, Storage y, int offset, int length)
    {
        Arguments.NotNegative(length);
        double[] first = Arguments.Host(x, offset, length), second = Arguments.Host(z, offset, length), to = Arguments.Host(y, offset, length);
        Arguments.Distinct(first, to, nameof(x), nameof(y));
        Arguments.Distinct(second, to, nameof(z), nameof(y));
        Elementwise.AddTwoScaled(Threads, alpha, first, beta, second, to, offset, length);
    }

    /// <inheritdoc/>
    public void Scale(double alpha, Storage x, int offset, int length)
    {
        Arguments.NotNegative(length);
        Elementwise.Scale(Threads, alpha, Arguments.Host(x, offset, length), offset, length);
    }

    /// <inheritdoc/>
    public double Dot(Storage x, int offsetX, Storage y, int offsetY, int length)
    {
        Arguments.NotNegative(length);
        return Elementwise.Dot(Threads, Arguments.Host(x, offsetX, length), offsetX, Arguments.Host(y, offsetY, length), offsetY, length);
    }

    /// <inheritdoc/>
    public void Copy(Storage source, int sourceOffset, Storage destination, int destinationOffset, int length)
    {
        Arguments.NotNegative(length);
        Elementwise.Copy(
            Threads, Arguments.Host(source, sourceOffset, length), sourceOffset,
            Arguments.Host(destination, destinationOffset, length), destinationOffset, length);
    }

    /// <inheritdoc/>
    public void MultiplyGram(int rows, int columns, Storage a, Storage s, int batch, Storage x, Storage y)
    {
        Arguments.NotNegative(rows);
        Arguments.NotNegative(columns);
        Arguments.NotNegative(batch);
        double[] matrix = Arguments.Host(a, (long)rows * columns), factors = Arguments.Host(s, rows);
        double[] input = Arguments.Host(x, (long)batch * columns), output = Arguments.Host(y, (long)batch * columns);
        Arguments.Distinct(matrix, output, nameof(a), nameof(y));
        Arguments.Distinct(factors, output, nameof(s), nameof(y));
        Arguments.Distinct(input, output, nameof(x), nameof(y));
        _cancellation.ThrowIfCancellationRequested();
        fixed (double* pa = matrix, ps = factors, px = input, py = output) GramProduct.Run(Threads, rows, columns, pa, ps, batch, px, py);
    }

    /// <inheritdoc/>
    public int GramProductDepth(int rows, int columns)
    {
        Arguments.NotNegative(rows);
        Arguments.NotNegative(columns);
        return GramProduct.Depth(rows, columns);
    }

    /// <inheritdoc/>
    public int MatrixProductDepth(bool transposeA, bool transposeB, int m, int n, int k)
    {
        Arguments.NotNegative(k);
        return Math.Min(m, n) <= SkinnyProduct.MostVectors ? SkinnyProduct.SummationDepth(transposeA, transposeB, m, n, k) : k;
    }

    /// <inheritdoc/>
    public int ConvolutionDepth(in ConvolutionGeometry geometry, int batch) => new Convolution(geometry, batch).SummationDepth;

    /// <inheritdoc/>
    public int ConvolutionAdjointDepth(in ConvolutionGeometry geometry, int batch) => new ConvolutionAdjoint(geometry, batch).SummationDepth;

    /// <summary>C ← α·op(A)·op(B) + β·C on the calling thread alone; sizes are positive and β = 0 ignores what C held.</summary>
    internal void MultiplyOnThisThread(bool transposeA, bool transposeB, int m, int n, int k, double alpha, double* a, int lda, double* b, int ldb, double beta, double* c, int ldc)
    {
        if (Math.Min(m, n) <= SkinnyProduct.MostVectors) SkinnyProduct.Multiply(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        else Multiply(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    }

    /// <summary>The dense product of an engine, on the calling thread alone.</summary>
    private protected abstract void Multiply(bool transposeA, bool transposeB, int m, int n, int k, double alpha, double* a, int lda, double* b, int ldb, double beta, double* c, int ldc);

    /// <summary>Eigenvalues, ascending, of the finite symmetric matrix in the lower triangle; eigenvectors replace its rows if wanted.</summary>
    private protected abstract double[] Eigen(int n, double[] a, bool vectors);

    private static (double[] Input, double[] Output) PoolingBlocks(in PoolingGeometry geometry, Storage x, int batch, Storage y)
    {
        geometry.Validate();
        Arguments.NotNegative(batch);
        double[] input = Arguments.Host(x, (long)batch * geometry.InputSize), output = Arguments.Host(y, (long)batch * geometry.OutputSize);
        Arguments.Distinct(input, output, nameof(x), nameof(y));
        return (input, output);
    }

    /// <summary>The blocks of a gather with the number of indices a row; every index is checked.</summary>
    private static (double[] Input, double[] Output) IndexedBlocks(Storage x, int inputSize, int[] indices, int size, int batch, Storage y)
    {
        ArgumentNullException.ThrowIfNull(indices);
        Arguments.NotNegative(size);
        if (batch < 1 || indices.Length != size && indices.Length != (long)batch * size)
            throw new ArgumentException($"{indices.Length} indices are neither those of one row of {size} nor of {batch}", nameof(indices));
        foreach (int index in indices)
            if ((uint)index >= (uint)inputSize) throw new ArgumentException($"the index {index} lies outside an input of {inputSize} values", nameof(indices));
        return (Arguments.Host(x, (long)batch * inputSize), Arguments.Host(y, (long)batch * size));
    }

    private static (double[] X, double[] Vector, double[] Result) RowBlocks(Storage x, int batch, Storage vector, Storage result)
    {
        Arguments.NotNegative(batch);
        double[] values = Arguments.Host(vector, 0);
        long needed = (long)batch * values.Length;
        return (Arguments.Host(x, needed), values, Arguments.Host(result, needed));
    }
}
