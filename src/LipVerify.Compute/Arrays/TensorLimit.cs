namespace LipVerify.Compute;

/// <summary>
/// How large the inputs and outputs of layers may be: eighty times as large as those of VGG-16. Windows without weights make
/// large tensors of a few bytes in a file.
/// </summary>
public static class TensorLimit
{
    /// <summary>The most values of one tensor, 2 GiB as doubles.</summary>
    public const int Values = 1 << 28;
}
