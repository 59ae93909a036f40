using Microsoft.FSharp.Core;

namespace LipVerify;

/// <summary>Arguments and failures between .NET and Core.</summary>
internal static class Checked
{
    public static Core.Networks.Radius Radius(double radius, string parameter)
    {
        var result = Core.Networks.RadiusModule.create(radius);
        return result.IsOk ? result.ResultValue : throw new ArgumentOutOfRangeException(parameter, radius, result.ErrorValue);
    }

    public static Core.Numbers.Norm Norm(Norm norm, string parameter) => norm switch
    {
        LipVerify.Norm.Euclidean => Core.Numbers.Norm.Euclidean,
        LipVerify.Norm.Maximum => Core.Numbers.Norm.Maximum,
        LipVerify.Norm.Taxicab => Core.Numbers.Norm.Taxicab,
        _ => throw new ArgumentOutOfRangeException(parameter, norm, "The norm is Euclidean, Maximum or Taxicab."),
    };

    /// <exception cref="NotCertifiableException">In place of Core's own.</exception>
    /// <exception cref="ContradictoryBoundsException">In place of Core's own.</exception>
    public static T Certifiable<T>(Func<T> compute)
    {
        try
        {
            return compute();
        }
        catch (Core.Spectral.Spectral.NotCertifiableException cause)
        {
            throw new NotCertifiableException(cause);
        }
        catch (Core.Numbers.ContradictionException cause)
        {
            throw new ContradictoryBoundsException(cause);
        }
    }

    /// <summary>The context for what has to end after a limit; without one as it is.</summary>
    public static Core.Computation.Context Within(this Core.Computation.Context context, TimeSpan? limit) =>
        Core.Computation.ContextModule.within(limit is { } span ? FSharpOption<TimeSpan>.Some(span) : null!, context);

    public static T? ToNullable<T>(this FSharpOption<T>? value) where T : struct => value is null ? null : value.Value;
}
