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
        var (outputs, inputs) = (rows.Length, rows[0].Length);
        return Load(
            $$"""{ "input": [{{inputs}}], "layers": [{ "type": "linear", "name": "layer", "in": {{inputs}}, "out": {{outputs}} }] }""",
            SafeTensors(("layer.weight", [outputs, inputs], Flat(rows)), ("layer.bias", [outputs], bias)));
    }

    /// <summary>Dense layers with the rows of their weights, no biases, and ReLUs between them.</summary>
    public static Network Chain(params double[][][] layers)
    {
        var descriptions = layers.Select((rows, k) =>
            $$"""{ "type": "linear", "name": "fc{{k}}", "in": {{rows[0].Length}}, "out": {{rows.Length}} }""");
        return Load(
            $$"""{ "input": [{{layers[0][0].Length}}], "layers": [{{string.Join(""", { "type": "relu" }, """, descriptions)}}] }""",
            SafeTensors([.. layers.SelectMany((rows, k) => new (string, int[], double[])[]
            {
                ($"fc{k}.weight", [rows.Length, rows[0].Length], Flat(rows)),
                ($"fc{k}.bias", [rows.Length], new double[rows.Length]),
            })]));
    }

    private static double[] Flat(double[][] rows) => [.. rows.SelectMany(row => row)];

    /// <summary>One channel of side × side values convolved with a kernel of 3 × 3 values, as many positions apart as they are padded.</summary>
    public static Network Convolution(int side, int dilation, params double[] kernel) => Load(
        $$"""{ "input": [1, {{side}}, {{side}}], "layers": [{ "type": "conv2d", "name": "layer", "in": 1, "out": 1, "kernel": 3, "padding": {{dilation}}, "dilation": {{dilation}} }] }""",
        SafeTensors(("layer.weight", [1, 1, 3, 3], kernel), ("layer.bias", [1], [0])));

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

    private static byte[] SafeTensors(params (string Name, int[] Shape, double[] Values)[] tensors)
    {
        var at = 0;
        var entries = tensors.Select(tensor =>
            $$"""
            "{{tensor.Name}}":{"dtype":"F64","shape":[{{string.Join(',', tensor.Shape)}}],"data_offsets":[{{at}},{{at += 8 * tensor.Values.Length}}]}
            """);
        var header = Encoding.ASCII.GetBytes($"{{{string.Join(",", entries)}}}");
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        return [.. length, .. header, .. tensors.SelectMany(tensor => MemoryMarshal.AsBytes<double>(tensor.Values).ToArray())];
    }
}
