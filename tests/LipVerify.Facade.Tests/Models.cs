using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace LipVerify.Facade.Tests;

/// <summary>Small networks for what the sample cannot show.</summary>
internal static class Models
{
    /// <summary>The layer x ↦ Wx with the rows of W.</summary>
    public static Network Linear(params double[][] rows) => Affine(rows, new double[rows.Length]);

    /// <summary>The layer x ↦ Wx + b with the rows of W.</summary>
    public static Network Affine(double[][] rows, double[] bias)
    {
        var folder = Directory.CreateTempSubdirectory("lipverify-facade-");
        try
        {
            var (outputs, inputs) = (rows.Length, rows[0].Length);
            var architecture = Path.Combine(folder.FullName, "architecture.json");
            File.WriteAllText(
                architecture,
                $$"""{ "input": [{{inputs}}], "layers": [{ "type": "linear", "name": "fc", "in": {{inputs}}, "out": {{outputs}} }] }""");
            var weights = Path.Combine(folder.FullName, "weights.safetensors");
            File.WriteAllBytes(weights, SafeTensors(outputs, inputs, [.. rows.SelectMany(row => row), .. bias]));
            return Network.Load(weights, architecture);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static byte[] SafeTensors(int outputs, int inputs, double[] weightAndBias)
    {
        int split = 8 * outputs * inputs, end = 8 * weightAndBias.Length;
        var header = Encoding.ASCII.GetBytes(
            $$"""
            {"fc.weight":{"dtype":"F64","shape":[{{outputs}},{{inputs}}],"data_offsets":[0,{{split}}]},
            "fc.bias":{"dtype":"F64","shape":[{{outputs}}],"data_offsets":[{{split}},{{end}}]} }
            """);
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        return [.. length, .. header, .. MemoryMarshal.AsBytes<double>(weightAndBias)];
    }
}
