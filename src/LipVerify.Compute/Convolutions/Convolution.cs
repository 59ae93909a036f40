using System.Runtime.Intrinsics;

namespace LipVerify.Compute;

/// <summary>
/// Convolution as matrix products on tiles of the window matrix that stay in cache. A piece of work is a tile of output
/// positions (of one image, or of several where they are small) times a block of output channels; it owns that part of y.
/// </summary>
internal sealed unsafe class Convolution
{
    /// <summary>Values of a tile of the window matrix: 256 KB, a quarter of a large second-level cache, half of a small one.</summary>
    internal const int TileValues = 32768;

    /// <summary>Output positions of a tile: enough to pay for packing the weights once a tile.</summary>
    internal const int TileColumns = 256;

    private readonly ConvolutionGeometry _geometry;
    private readonly WindowMatrix _windows;
    private readonly int _positions, _depth, _outPerGroup, _imagesPerTile, _tileWidth, _tilesPerImage, _outBlock, _outBlocks, _depthBlock;
    private readonly int _batch;

    public Convolution(in ConvolutionGeometry geometry, int batch)
    {
        _geometry = geometry;
        _batch = batch;
        _windows = new WindowMatrix(geometry.Rows, geometry.Columns);
        _positions = geometry.Rows.Output * geometry.Columns.Output;
        _depth = geometry.WeightSize / geometry.OutChannels;
        _outPerGroup = geometry.OutChannels / geometry.Groups;
        _imagesPerTile = ImagesPerTile(_positions, batch);
        _tilesPerImage = _imagesPerTile > 1 ? 1 : Pieces.CeilingDivide(_positions, TileColumns);
        _outBlocks = 1;
        // A small problem is cut further, so that a few cores find work; a block of 64 channels still pays for its gathering.
        while (PieceCount() < 8 && _outPerGroup / _outBlocks >= 128) _outBlocks *= 2;
        while (PieceCount() < 8 && _imagesPerTile == 1 && _positions / _tilesPerImage >= 128) _tilesPerImage *= 2;
        _outBlock = Pieces.CeilingDivide(_outPerGroup, _outBlocks);
        _tileWidth = _imagesPerTile > 1 ? _imagesPerTile * _positions : Pieces.CeilingDivide(_positions, _tilesPerImage);
        _depthBlock = Math.Clamp(TileValues / _tileWidth, 1, _depth);
    }

    /// <summary>How many images share a tile: small ones are put side by side, so that the weights are read less often.</summary>
    internal static int ImagesPerTile(int positions, int batch) => Math.Clamp(TileColumns / positions, 1, Math.Max(1, batch));

    /// <summary>Blocks of the sum one after the other, each summed by a matrix product.</summary>
    public int SummationDepth => Math.Min(_depth, _depthBlock + Pieces.CeilingDivide(_depth, _depthBlock));

    public void Run(CpuEngine engine, double* weights, double* x, double* y)
    {
        int scratch = checked(_depthBlock * _tileWidth + (_imagesPerTile > 1 ? _outBlock * _tileWidth : 0));
        Pieces.Run(engine.Threads, PieceCount(), scratch, (piece, buffer) => RunPiece(engine, weights, x, y, piece, buffer));
    }

    private int PieceCount() =>
        checked(Pieces.CeilingDivide(_batch, _imagesPerTile) * _geometry.Groups * _outBlocks * _tilesPerImage);

    private void RunPiece(CpuEngine engine, double* weights, double* x, double* y, int piece, double* scratch)
    {
        int tile = piece % _tilesPerImage, rest = piece / _tilesPerImage;
        int block = rest % _outBlocks;
        rest /= _outBlocks;
        int group = rest % _geometry.Groups, image = rest / _geometry.Groups * _imagesPerTile;

        int firstOut = block * _outBlock, outs = Math.Min(_outBlock, _outPerGroup - firstOut);
        int p0 = Math.Min(_positions, tile * _tileWidth), p1 = _imagesPerTile > 1 ? _positions : Math.Min(_positions, p0 + _tileWidth);
        int images = Math.Min(_imagesPerTile, _batch - image), width = images * (p1 - p0);
        if (outs <= 0 || width <= 0) return;

        int channel = group * _outPerGroup + firstOut;
        double* w = weights + (nint)channel * _depth;
        double* input = x + (nint)image * _geometry.InputSize + (nint)group * (_geometry.InputSize / _geometry.Groups);
        double* output = y + (nint)image * _geometry.OutputSize + (nint)channel * _positions;
        // Only one image: the product goes straight to y. Several: to a buffer, from where each image takes its columns.
        double* result = images == 1 ? output + p0 : scratch + (nint)_depthBlock * _tileWidth;
        int resultStride = images == 1 ? _positions : width;

        double beta = 0;
        for (int k0 = 0; k0 < _depth; k0 += _depthBlock)
        {
            int k1 = Math.Min(_depth, k0 + _depthBlock);
            double* window = scratch;
            int stride = width;
            if (images == 1 && _windows.IsIdentity)
            {
                window = input + (nint)k0 * _positions + p0;
                stride = _positions;
            }
            else
            {
                for (int i = 0; i < images; i++)
                    _windows.Gather(input + (nint)i * _geometry.InputSize, k0, k1, p0, p1, scratch + i * (p1 - p0), width);
            }
            if (IsZero(window, stride, k1 - k0, width)) continue;
            engine.MultiplyOnThisThread(false, false, outs, width, k1 - k0, 1, w + k0, _depth, window, stride, beta, result, resultStride);
            beta = 1;
        }
        if (beta == 0) Clear(result, resultStride, outs, width);
        if (images > 1)
            for (int i = 0; i < images; i++)
                for (int o = 0; o < outs; o++)
                    Copy(result + (nint)o * width + i * _positions, output + (nint)i * _geometry.OutputSize + (nint)o * _positions, _positions);
    }

    /// <summary>True when a block holds zeros only; ends at the first other value, so it costs nothing on ordinary data.</summary>
    internal static bool IsZero(double* block, int stride, int rows, int columns)
    {
        for (int row = 0; row < rows; row++, block += stride)
        {
            int i = 0;
            for (; i <= columns - 8; i += 8)
                if (!Vector512.EqualsAll(Vector512.Load(block + i), Vector512<double>.Zero)) return false;
            for (; i < columns; i++)
                if (block[i] != 0) return false;
        }
        return true;
    }

    internal static void Clear(double* block, int stride, int rows, int columns)
    {
        for (int row = 0; row < rows; row++, block += stride) new Span<double>(block, columns).Clear();
    }

    internal static void Copy(double* source, double* target, int count) =>
        new ReadOnlySpan<double>(source, count).CopyTo(new Span<double>(target, count));
}
