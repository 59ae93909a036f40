using ILGPU;

namespace LipVerify.Ilgpu.Kernels;

/// <summary>y ← y + α·x + β·z, or without z.</summary>
internal struct SumArguments
{
    public double Alpha, Beta;
    public ArrayView<double> X, Z, Y;
}

/// <summary>result ← x and a vector, row by row of a batch.</summary>
internal struct RowArguments
{
    public ArrayView<double> X, Vector, Result;
    public int Batch, Size;
}

/// <summary>Values picked from each row of a batch, or added there.</summary>
internal struct IndexArguments
{
    public ArrayView<double> Input, Output;

    /// <summary>Picked values; for a sum: the sources of each target one after the other, in the order in which they are added.</summary>
    public ArrayView<int> Indices;

    /// <summary>For a sum: the targets that take something, and where their sources begin.</summary>
    public ArrayView<int> Targets, Starts;

    public int Batch, InputSize, Size;

    /// <summary>Whether the indices of one row serve all.</summary>
    public int IsShared;

    public int TargetCount;
}

/// <summary>Vectors, entry by entry: threads take entries in turn.</summary>
internal static class VectorKernels
{
    private static int First => Grid.GlobalIndex.X;

    private static int Step => Grid.DimX * Group.DimX;

    public static void AddScaled(SumArguments p)
    {
        for (int i = First; i < p.Y.IntLength; i += Step) p.Y[i] += p.Alpha * p.X[i];
    }

    public static void AddTwoScaled(SumArguments p)
    {
        for (int i = First; i < p.Y.IntLength; i += Step) p.Y[i] = p.Y[i] + p.Alpha * p.X[i] + p.Beta * p.Z[i];
    }

    public static void Scale(SumArguments p)
    {
        for (int i = First; i < p.Y.IntLength; i += Step) p.Y[i] *= p.Alpha;
    }

    /// <summary>What is no number stays so: a maximum of the device would drop it.</summary>
    public static void Rectify(SumArguments p)
    {
        for (int i = First; i < p.Y.IntLength; i += Step)
        {
            double x = p.X[i];
            p.Y[i] = x > 0.0 || double.IsNaN(x) ? x : 0.0;
        }
    }

    public static void MultiplyRows(RowArguments p)
    {
        for (int i = First; i < p.Batch * p.Size; i += Step) p.Result[i] = p.X[i] * p.Vector[i % p.Size];
    }

    public static void AddToRows(RowArguments p)
    {
        for (int i = First; i < p.Batch * p.Size; i += Step) p.Result[i] = p.X[i] + p.Vector[i % p.Size];
    }

    public static void Gather(IndexArguments p)
    {
        for (int i = First; i < p.Batch * p.Size; i += Step)
        {
            int row = i / p.Size, place = i - row * p.Size;
            p.Output[i] = p.Input[row * p.InputSize + p.Indices[p.IsShared != 0 ? place : i]];
        }
    }

    /// <summary>A thread has all that one target takes, so that the order of the sum is fixed.</summary>
    public static void ScatterAdd(IndexArguments p)
    {
        int rows = p.IsShared != 0 ? p.Batch : 1;
        for (int i = First; i < rows * p.TargetCount; i += Step)
        {
            int row = i / p.TargetCount, target = i - row * p.TargetCount;
            int at = row * p.InputSize + p.Targets[target];
            double sum = p.Input[at];
            for (int k = p.Starts[target]; k < p.Starts[target + 1]; k++) sum += p.Output[row * p.Size + p.Indices[k]];
            p.Input[at] = sum;
        }
    }
}
