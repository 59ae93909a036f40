using ILGPU;
using ILGPU.Backends.PTX;
using ILGPU.IR;
using ILGPU.IR.Intrinsics;

namespace LipVerify.Ilgpu;

/// <summary>
/// ILGPU has no instruction for <see cref="Math.FusedMultiplyAdd(double, double, double)"/> on cards, and leaves <c>a * b + c</c> to the driver, which may
/// fuse it or not. So that bits do not hang on the driver, products say which operation they mean.
/// </summary>
internal static class FusedOperations
{
    /// <summary>a·b + c with one rounding. A card is given the instruction for it, a processor what stands here.</summary>
    [IntrinsicImplementation]
    public static double MultiplyAdd(double a, double b, double c) => Math.FusedMultiplyAdd(a, b, c);

    /// <summary>Lets kernels of a context use fused operations on cards.</summary>
    public static Context.Builder WithFusedOperations(this Context.Builder builder)
    {
        var method = ((Func<double, double, double, double>)MultiplyAdd).Method;
        var generator = ((Action<PTXBackend, PTXCodeGenerator, Value>)Generate).Method;
        builder.GetIntrinsicManager().RegisterMethod(method, new PTXIntrinsic(generator, IntrinsicImplementationMode.GenerateCode));
        return builder;
    }

    private static void Generate(PTXBackend backend, PTXCodeGenerator code, Value value)
    {
        var a = code.LoadPrimitive(value[0]);
        var b = code.LoadPrimitive(value[1]);
        var c = code.LoadPrimitive(value[2]);
        var result = code.AllocateHardware(value);
        using var command = code.BeginCommand("fma.rn.f64");
        command.AppendArgument(result);
        command.AppendArgument(a);
        command.AppendArgument(b);
        command.AppendArgument(c);
    }
}
