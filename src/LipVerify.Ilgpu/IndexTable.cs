using ILGPU;
using ILGPU.Runtime;

namespace LipVerify.Ilgpu;

/// <summary>Indices of a gather on the device, and what its adjoint needs: for each target that takes something, its sources in their order.</summary>
internal sealed class IndexTable(Device device, int[] indices, int inputSize, int size)
{
    private readonly int[] _copy = [.. indices];

    private MemoryBuffer1D<int, Stride1D.Dense>? _picked, _sources, _targets, _starts;

    /// <summary>Whether the table is that of these indices; an array may have changed since.</summary>
    public bool IsOf(int[] other, int otherInputSize, int otherSize) =>
        inputSize == otherInputSize && size == otherSize && _copy.AsSpan().SequenceEqual(other);

    /// <summary>Whether the indices of one row serve all.</summary>
    public bool IsShared => _copy.Length == size;

    /// <summary>The indices.</summary>
    public ArrayView<int> Picked => (_picked ??= device.Table(_copy)).View.BaseView;

    /// <summary>Targets that take something: positions in a row, or in the whole batch where each row has indices of its own.</summary>
    public int TargetCount { get; private set; }

    /// <summary>Sources, targets, and where the sources of each begin.</summary>
    public (ArrayView<int> Sources, ArrayView<int> Targets, ArrayView<int> Starts) Sums()
    {
        if (_sources is null || _targets is null || _starts is null)
        {
            var sources = new int[_copy.Length];
            var targetOf = new int[_copy.Length];
            for (int i = 0; i < sources.Length; i++)
            {
                sources[i] = i;
                targetOf[i] = IsShared ? _copy[i] : checked(i / size * inputSize + _copy[i]);
            }

            // Sources of one target stay in their order, whatever the sort does with equal keys.
            Array.Sort(sources, (a, b) => targetOf[a] != targetOf[b] ? targetOf[a].CompareTo(targetOf[b]) : a.CompareTo(b));
            var targets = new List<int>();
            var starts = new List<int>();
            for (int i = 0; i < sources.Length; i++)
                if (i == 0 || targetOf[sources[i]] != targetOf[sources[i - 1]])
                {
                    targets.Add(targetOf[sources[i]]);
                    starts.Add(i);
                }

            starts.Add(sources.Length);
            TargetCount = targets.Count;
            _sources = device.Table(sources);
            _targets = device.Table(targets.ToArray());
            _starts = device.Table(starts.ToArray());
        }

        return (_sources.View.BaseView, _targets.View.BaseView, _starts.View.BaseView);
    }
}
