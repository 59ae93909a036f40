using System.Reflection;
using NUnit.Framework;

namespace LipVerify.Facade.Tests;

/// <summary>The public surface of LipVerify.dll is plain .NET: nothing of F# or of the layers below shows.</summary>
public class PublicSurfaceTests
{
    private static readonly Assembly Facade = typeof(Network).Assembly;

    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    [Test]
    public void Only_types_of_dotnet_and_of_the_facade_show()
    {
        var leaks =
            from type in Facade.GetExportedTypes()
            from used in Surface(type)
            from part in Parts(used.Type)
            where part.Assembly != Facade && !part.Assembly.GetName().Name!.StartsWith("System.", StringComparison.Ordinal)
            select $"{type.Name}.{used.Where}: {part.FullName}";
        Assert.That(leaks, Is.Empty);
    }

    [Test]
    public void The_surface_is_looked_at()
    {
        // Guards the test above against looking at nothing: these members have types worth finding.
        Assert.That(Surface(typeof(Network)).Select(used => used.Where), Is.SupersetOf(new[] { "Load", "Evaluate", "Layers" }));
        Assert.That(Parts(typeof(List<int?>[])), Is.SupersetOf(new[] { typeof(List<>), typeof(Nullable<>), typeof(int) }));
    }

    [Test]
    public void All_types_lie_in_one_namespace() =>
        Assert.That(Facade.GetExportedTypes().Select(type => type.Namespace), Is.All.EqualTo("LipVerify"));

    /// <summary>Every type that a caller of <paramref name="type"/> can meet, with where.</summary>
    private static IEnumerable<(string Where, Type Type)> Surface(Type type)
    {
        if (type.BaseType is { } parent) yield return ("base", parent);
        foreach (var contract in type.GetInterfaces()) yield return ("interface", contract);
        foreach (var field in type.GetFields(Declared).Where(field => field.IsPublic || field.IsFamily))
            yield return (field.Name, field.FieldType);
        foreach (var property in type.GetProperties(Declared).Where(property => property.GetAccessors(true).Any(Visible)))
            yield return (property.Name, property.PropertyType);
        foreach (var method in type.GetMembers(Declared).OfType<MethodBase>().Where(Visible))
        {
            if (method is MethodInfo { ReturnType: var result }) yield return (method.Name, result);
            foreach (var parameter in method.GetParameters()) yield return (method.Name, parameter.ParameterType);
        }
    }

    private static bool Visible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static IEnumerable<Type> Parts(Type type)
    {
        if (type.HasElementType) return Parts(type.GetElementType()!);
        if (type.IsGenericParameter) return [];
        return type.IsConstructedGenericType
            ? type.GetGenericArguments().SelectMany(Parts).Prepend(type.GetGenericTypeDefinition())
            : [type];
    }
}
