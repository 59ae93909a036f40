namespace LipVerify.Compute;

/// <summary>
/// The adjoint of a convolution: blocks of Wᵀy in the rows of the window matrix, added back to where the windows came from.
/// A piece of work owns a band of input rows of a block of channels (of one image, or of several where they are small) and
/// alone writes there, tile after tile: no two threads meet, and the order of every sum is fixed. Output rows whose windows
/// reach two bands are multiplied for each of them.
/// </summary>
internal sealed unsafe class ConvolutionAdjoint
{
    private readonly ConvolutionGeometry _geometry;
    private readonly WindowMatrix _windows;
    private readonly int _batch, _positions, _depth, _taps, _inPerGroup, _outPerGroup, _imagesPerTile;
    private readonly int _tileWidth, _channelBlock, _channelBlocks, _depthBlock, _bandHeight, _bands;

    public ConvolutionAdjoint(in ConvolutionGeometry geometry, int batch)
    {
        _geometry = geometry;
        _batch = batch;
        _windows = new WindowMatrix(geometry.Rows, geometry.Columns);
        _positions = geometry.Rows.Output * geometry.Columns.Output;
        _depth = geometry.WeightSize / geometry.OutChannels;
        _taps = geometry.Rows.Kernel * geometry.Columns.Kernel;
        _inPerGroup = geometry.InChannels / geometry.Groups;
        _outPerGroup = geometry.OutChannels / geometry.Groups;
        _imagesPerTile = Convolution.ImagesPerTile(_positions, batch);
        _tileWidth = _imagesPerTile > 1
            ? _imagesPerTile * _positions
            : Pieces.CeilingDivide(_positions, Pieces.CeilingDivide(_positions, Convolution.TileColumns));
        _depthBlock = Math.Clamp(Convolution.TileValues / _tileWidth, 1, _depth);
        _channelBlock = Math.Clamp(_depthBlock / _taps, 1, _inPerGroup);
        _channelBlocks = Pieces.CeilingDivide(_inPerGroup, _channelBlock);

        int height = geometry.Rows.Input;
        // Neighbouring bands repeat the products of the rows between them; at 8 such overlaps to a band that is at most an eighth.
        int leastHeight = Math.Max(8, 8 * Math.Max(0, geometry.Rows.Span - geometry.Rows.Stride));
        _bands = 1;
        while (_imagesPerTile == 1 && PieceCount() < 16 && height / (2 * _bands) >= leastHeight) _bands *= 2;
        while (PieceCount() < 8 && _inPerGroup / _channelBlocks >= 32) _channelBlocks *= 2;
        _channelBlock = Pieces.CeilingDivide(_inPerGroup, _channelBlocks);
        _bandHeight = Pieces.CeilingDivide(height, _bands);
    }

    /// <summary>A matrix product over the output channels, then one addition a tap.</summary>
    public int SummationDepth => _outPerGroup + _taps;

    public void Run(CpuEngine engine, double* weights, double* y, double* x)
    {
        int scratch = checked(_depthBlock * _tileWidth + (_imagesPerTile > 1 ? _outPerGroup * _tileWidth : 0));
        Pieces.Run(engine.Threads, PieceCount(), scratch, (piece, buffer) => RunPiece(engine, weights, y, x, piece, buffer));
    }

    private int PieceCount() =>
        checked(Pieces.CeilingDivide(_batch, _imagesPerTile) * _geometry.Groups * _bands * _channelBlocks);

    private void RunPiece(CpuEngine engine, double* weights, double* y, double* x, int piece, double* scratch)
    {
        // Channel blocks follow one another, so that they find the same band of y in the cache.
        int channel = piece % _channelBlocks * _channelBlock, rest = piece / _channelBlocks;
        int firstRow = Math.Min(_geometry.Rows.Input, rest % _bands * _bandHeight), lastRow = Math.Min(_geometry.Rows.Input, firstRow + _bandHeight);
        rest /= _bands;
        int group = rest % _geometry.Groups, image = rest / _geometry.Groups * _imagesPerTile;
        int channels = Math.Min(_channelBlock, _inPerGroup - channel), images = Math.Min(_imagesPerTile, _batch - image);
        if (channels <= 0 || lastRow <= firstRow) return;

        int plane = _geometry.Rows.Input * _geometry.Columns.Input;
        double* input = x + (nint)image * _geometry.InputSize + (nint)group * _inPerGroup * plane;
        double* output = y + (nint)image * _geometry.OutputSize + (nint)group * _outPerGroup * _positions;
        double* w = weights + (nint)group * _outPerGroup * _depth;
        int start = firstRow * _geometry.Columns.Input, length = (lastRow - firstRow) * _geometry.Columns.Input;
        for (int i = 0; i < images; i++)
            Convolution.Clear(input + (nint)i * _geometry.InputSize + (nint)channel * plane + start, plane, channels, length);

        var (firstOutput, lastOutput) = _windows.OutputRowsReaching(firstRow, lastRow);
        int p = firstOutput * _geometry.Columns.Output, last = lastOutput * _geometry.Columns.Output;
        if (images > 1) (p, last) = (0, _positions);
        int width = images > 1 ? _positions : _tileWidth;
        for (; p < last; p += width)
        {
            int count = Math.Min(width, last - p);
            double* source = output + p;
            int stride = _positions;
            if (images > 1)
            {
                source = scratch + (nint)_depthBlock * _tileWidth;
                stride = images * _positions;
                for (int i = 0; i < images; i++)
                    for (int o = 0; o < _outPerGroup; o++)
                        Convolution.Copy(output + (nint)i * _geometry.OutputSize + (nint)o * _positions, source + (nint)o * stride + i * _positions, _positions);
            }
            if (Convolution.IsZero(source, stride, _outPerGroup, images * count)) continue;
            for (int k0 = channel * _taps; k0 < (channel + channels) * _taps; k0 += _depthBlock)
            {
                int k1 = Math.Min((channel + channels) * _taps, k0 + _depthBlock);
                if (images == 1 && _windows.IsIdentity)
                {
                    engine.MultiplyOnThisThread(true, false, k1 - k0, count, _outPerGroup, 1, w + k0, _depth, source, stride, 0, input + (nint)k0 * plane + p, plane);
                    continue;
                }
                engine.MultiplyOnThisThread(true, false, k1 - k0, images * count, _outPerGroup, 1, w + k0, _depth, source, stride, 0, scratch, images * count);
                for (int i = 0; i < images; i++)
                    _windows.ScatterAdd(scratch + i * count, images * count, k0, k1, p, p + count, input + (nint)i * _geometry.InputSize, firstRow, lastRow);
            }
        }
    }
}
