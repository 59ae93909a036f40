namespace LipVerify.Ilgpu.Kernels;

/// <summary>
/// The sums of one thread, four rows by four columns. They are fields and no array: the compiler keeps fields in registers, an array would lie in
/// the slow memory of the thread.
/// </summary>
internal struct Accumulators
{
    public double C00, C01, C02, C03;
    public double C10, C11, C12, C13;
    public double C20, C21, C22, C23;
    public double C30, C31, C32, C33;

    /// <summary>Adds the product of a column of the left factor and a row of the right one.</summary>
    public void Add(double a0, double a1, double a2, double a3, double b0, double b1, double b2, double b3)
    {
        C00 = FusedOperations.MultiplyAdd(a0, b0, C00);
        C01 = FusedOperations.MultiplyAdd(a0, b1, C01);
        C02 = FusedOperations.MultiplyAdd(a0, b2, C02);
        C03 = FusedOperations.MultiplyAdd(a0, b3, C03);
        C10 = FusedOperations.MultiplyAdd(a1, b0, C10);
        C11 = FusedOperations.MultiplyAdd(a1, b1, C11);
        C12 = FusedOperations.MultiplyAdd(a1, b2, C12);
        C13 = FusedOperations.MultiplyAdd(a1, b3, C13);
        C20 = FusedOperations.MultiplyAdd(a2, b0, C20);
        C21 = FusedOperations.MultiplyAdd(a2, b1, C21);
        C22 = FusedOperations.MultiplyAdd(a2, b2, C22);
        C23 = FusedOperations.MultiplyAdd(a2, b3, C23);
        C30 = FusedOperations.MultiplyAdd(a3, b0, C30);
        C31 = FusedOperations.MultiplyAdd(a3, b1, C31);
        C32 = FusedOperations.MultiplyAdd(a3, b2, C32);
        C33 = FusedOperations.MultiplyAdd(a3, b3, C33);
    }
}
