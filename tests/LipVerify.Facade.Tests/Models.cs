using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace LipVerify.Facade.Tests;

/// <summary>Networks of one layer for what the sample cannot show.</summary>
internal static class Models
{
    /// <summary>The layer x ↦ Wx with the rows of W.</summary>
    public static Network Linear(params double[][] rows) => Affine(rows, new double[rows.Length]);

    /// <summary>The layer x ↦ Wx + b with the rows of W.</summary>
    public static Network Affine(double[][] rows, double[] bias)
    {
        var (outputs, inputs) = (rows.Length, rows[0].Length);
        return Load(
            $$"""{ "input": [{{inputs}}], "layers": [{ "type": "linear", "name": "layer", "in": {{inputs}}, "out": {{outputs}} }] }""",
            SafeTensors([outputs, inputs], [.. rows.SelectMany(row => row)], bias));
    }

    /// <summary>One channel of side × side values convolved with a kernel of 3 × 3 values, as many positions apart as they are padded.</summary>
    public static Network Convolution(int side, int dilation, params double[] kernel) => Load(
        $$"""{ "input": [1, {{side}}, {{side}}], "layers": [{ "type": "conv2d", "name": "layer", "in": 1, "out": 1, "kernel": 3, "padding": {{dilation}}, "dilation": {{dilation}} }] }""",
        SafeTensors([1, 1, 3, 3], kernel, [0]));

    private static Network Load(string architecture, byte[] weights)
    {
        var folder = Directory.CreateTempSubdirectory("lipverify-facade-").FullName;
        try
        {
            var (json, safetensors) = (Path.Combine(folder, "architecture.json"), Path.Combine(folder, "weights.safetensors"));
            File.WriteAllText(json, architecture);
            File.WriteAllBytes(safetensors, weights);
            return Network.Load(safetensors, json);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static byte[] SafeTensors(int[] shape, double[] weight, double[] bias)
    {
        int split = 8 * weight.Length, end = split + 8 * bias.Length;
        var header = Encoding.ASCII.GetBytes(
            $$"""
            {"layer.weight":{"dtype":"F64","shape":[{{string.Join(',', shape)}}],"data_offsets":[0,{{split}}]},
            "layer.bias":{"dtype":"F64","shape":[{{bias.Length}}],"data_offsets":[{{split}},{{end}}]} }
            """);
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        return [.. length, .. header, .. MemoryMarshal.AsBytes<double>(weight), .. MemoryMarshal.AsBytes<double>(bias)];
    }
}
