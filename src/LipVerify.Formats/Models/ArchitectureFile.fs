/// Architectures described in JSON files (format in docs/architecture-files.md).
module LipVerify.Formats.ArchitectureFile

open System
open System.IO
open System.Text.Json
open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.Activations
open LipVerify.Core.Networks

/// Nesting that a description needs, with room to spare.
let private options =
    JsonDocumentOptions(MaxDepth = 16, AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip)

let private tryProperty (name: string) (element: JsonElement) =
    match element.TryGetProperty name with
    | true, value -> Some value
    | _ -> None

let private asInt name (value: JsonElement) =
    let mutable number = 0

    if value.ValueKind = JsonValueKind.Number && value.TryGetInt32 &number then
        Ok number
    else
        Error $"\"{name}\" must be an integer"

let private required name read element =
    match tryProperty name element with
    | Some value -> read name value
    | None -> Error $"\"{name}\" is missing"

let private optional name fallback read element =
    match tryProperty name element with
    | Some value -> read name value
    | None -> Ok fallback

let private asBool name (value: JsonElement) =
    match value.ValueKind with
    | JsonValueKind.True -> Ok true
    | JsonValueKind.False -> Ok false
    | _ -> Error $"\"{name}\" must be true or false"

let private asFloat name (value: JsonElement) =
    let mutable number = 0.0

    if
        value.ValueKind = JsonValueKind.Number
        && value.TryGetDouble &number
        && Double.IsFinite number
    then
        Ok number
    else
        Error $"\"{name}\" must be a finite number"

let private asText name (value: JsonElement) =
    if value.ValueKind = JsonValueKind.String then
        Ok(value.GetString() |> Option.ofObj |> Option.defaultValue "")
    else
        Error $"\"{name}\" must be a string"

let private asInts name (value: JsonElement) =
    if value.ValueKind = JsonValueKind.Array then
        value.EnumerateArray() |> traverse (asInt name) |> Result.map List.ofArray
    else
        Error $"\"{name}\" must be an array of integers"

/// One integer for both directions, or `[vertical, horizontal]`.
let private asPair name (value: JsonElement) =
    if value.ValueKind = JsonValueKind.Array then
        match asInts name value with
        | Ok [ vertical; horizontal ] -> Ok(vertical, horizontal)
        | Ok _ -> Error $"\"{name}\" must have two entries"
        | Error problem -> Error problem
    else
        asInt name value |> Result.map (fun extent -> extent, extent)

let private window strideIsKernel element =
    result {
        let! kernel = required "kernel" asPair element

        let! stride =
            optional "stride" (if strideIsKernel then kernel else (1, 1)) asPair element

        let! padding = optional "padding" (0, 0) asPair element
        let! dilation = optional "dilation" (1, 1) asPair element

        return
            {
                Kernel = kernel
                Stride = stride
                Padding = padding
                Dilation = dilation
            }
    }

let private conv2d element =
    result {
        let! name = required "name" asText element
        let! inputs = required "in" asInt element
        let! outputs = required "out" asInt element
        let! window = window false element
        let! groups = optional "groups" 1 asInt element
        let! bias = optional "bias" true asBool element
        return Conv2d(name, inputs, outputs, window, groups, bias)
    }

let private linear element =
    result {
        let! name = required "name" asText element
        let! inputs = required "in" asInt element
        let! outputs = required "out" asInt element
        let! bias = optional "bias" true asBool element
        return Linear(name, inputs, outputs, bias)
    }

let private batchNorm element =
    result {
        let! name = required "name" asText element
        let! channels = required "channels" asInt element
        let! epsilon = optional "eps" 1e-5 asFloat element
        return BatchNorm2d(name, channels, epsilon)
    }

let private maxPool element =
    result {
        let! window = window true element
        let! ceilMode = optional "ceil_mode" false asBool element
        return MaxPool2d(window, ceilMode)
    }

let private avgPool element =
    result {
        let! window = window true element
        let! ceilMode = optional "ceil_mode" false asBool element
        let! countPadding = optional "count_include_pad" true asBool element
        return AvgPool2d(window, ceilMode, countPadding)
    }

/// The activations: the keys of each beside `type`, and what it is.
let private activations: Map<string, string list * (JsonElement -> Result<Activation, string>)> =
    let plain activation = [], (fun _ -> Ok activation)

    let withNumber key fallback (activation: float -> Activation) =
        [ key ], optional key fallback asFloat >> Result.map activation

    Map
        [
            "celu", withNumber "alpha" 1.0 Elu.celu
            "elu", withNumber "alpha" 1.0 Elu.elu
            "gelu", plain Gelu.activation
            "gelu_tanh", plain Gelu.byTanh
            "hard_swish", plain HardSwish.activation
            "leaky_relu", withNumber "slope" 0.01 LeakyRelu.activation
            "mish", plain Mish.activation
            "relu", plain Relu.activation
            "relu6", plain (Clip.activation 0.0 6.0)
            "selu", plain (Elu.selu 1.6732632423543772848170429916717 1.0507009873554804934193349852946)
            "sigmoid", plain Sigmoid.activation
            "silu", plain Silu.activation
            "softplus", plain Softplus.activation
            "softsign", plain Softsign.activation
            "tanh", plain Tanh.activation
        ]

/// The keys of each type of layer beside `type`.
let private keys =
    let others =
        [
            "conv2d",
            [
                "name"
                "in"
                "out"
                "kernel"
                "stride"
                "padding"
                "dilation"
                "groups"
                "bias"
            ]
            "linear", [ "name"; "in"; "out"; "bias" ]
            "batchnorm2d", [ "name"; "channels"; "eps" ]
            "maxpool2d", [ "kernel"; "stride"; "padding"; "dilation"; "ceil_mode" ]
            "avgpool2d", [ "kernel"; "stride"; "padding"; "ceil_mode"; "count_include_pad" ]
            "adaptiveavgpool2d", [ "output" ]
            "flatten", []
            "dropout", []
        ]

    Map(others @ [ for KeyValue(kind, (keys, _)) in activations -> kind, keys ])

/// A misspelt key must not silently leave a default in its place.
let private requireKnownKeys what known (element: JsonElement) =
    let unknown =
        element.EnumerateObject()
        |> Seq.map _.Name
        |> Seq.tryFind (fun name -> not (List.contains name known))

    match unknown with
    | None -> Ok()
    | Some name ->
        let known = String.concat ", " known
        Error $"\"{name}\" is not known for {what}; known are {known}"

let private layerOf kind element =
    match kind with
    | "conv2d" -> conv2d element
    | "linear" -> linear element
    | "batchnorm2d" -> batchNorm element
    | "maxpool2d" -> maxPool element
    | "avgpool2d" -> avgPool element
    | "adaptiveavgpool2d" -> required "output" asPair element |> Result.map AdaptiveAvgPool2d
    | "flatten" -> Ok Flatten
    | "dropout" -> Ok Dropout
    | _ ->
        let _, activation = activations[kind]

        try
            activation element |> Result.map ActivationLayer
        with :? System.ArgumentException as failure ->
            Error failure.Message

let private layer (element: JsonElement) =
    if element.ValueKind <> JsonValueKind.Object then
        Error "a layer must be an object"
    else
        result {
            let! kind = required "type" asText element

            match Map.tryFind kind keys with
            | None ->
                let known = keys.Keys |> String.concat ", "
                return! Error $"\"type\" is \"{kind}\"; known are {known}"
            | Some known ->
                do! requireKnownKeys kind ("type" :: known) element
                let! spec = layerOf kind element
                do! LayerSpec.validate spec
                return spec
        }

let private inputShape (extents: int list) =
    if extents.IsEmpty || List.exists (fun extent -> extent < 1) extents then
        Error "the extents must be positive"
    else
        match Extents.shape (List.map int64 extents) with
        | Ok shape when Shape.size shape <= TensorLimit.Values -> Ok shape
        | _ -> Error $"an input of {Shape.text extents} is too large; at most {TensorLimit.Values} values are taken"

let private layersOf name (value: JsonElement) =
    if value.ValueKind <> JsonValueKind.Array || value.GetArrayLength() = 0 then
        Error $"\"{name}\" must be an array of at least one layer"
    elif value.GetArrayLength() > Network.mostLayers then
        Error $"there are {value.GetArrayLength()} layers; at most {Network.mostLayers} are taken"
    else
        Ok(value.EnumerateArray() |> Seq.indexed)

let private parse path (root: JsonElement) : Result<Architecture, LoadError> =
    let at place outcome =
        outcome |> Result.mapError (LoadError.at path place)

    if root.ValueKind <> JsonValueKind.Object then
        Error(LoadError.file path "the description must be an object with \"input\" and \"layers\"")
    else
        result {
            do! requireKnownKeys "an architecture" [ "input"; "layers" ] root |> at ""
            let! extents = required "input" asInts root |> at "input"
            let! input = inputShape extents |> at "input"
            let! elements = required "layers" layersOf root |> at "layers"

            let! layers =
                elements
                |> traverse (fun (index, element) -> layer element |> at $"layers[{index}]")

            return
                {
                    Name = string (Path.GetFileNameWithoutExtension path)
                    Input = input
                    Layers = List.ofArray layers
                }
        }

/// Room for as many layers as are taken, with more than a thousand bytes for each.
let private mostBytes = 16L <<< 20

/// Reads an architecture from a JSON file.
let load (path: string) : Result<Architecture, LoadError> =
    Files.readAtMost mostBytes "the most that a description takes" path
    |> Result.bind (fun bytes ->
        try
            use document = JsonDocument.Parse(ReadOnlyMemory bytes, options)
            parse path document.RootElement
        with
        | :? JsonException as failure ->
            Error(
                LoadError.at
                    path
                    $"line {failure.LineNumber.GetValueOrDefault() + 1L}"
                    $"this is not valid JSON, or is nested more than {options.MaxDepth} deep"
            )
        // Kinds of values are looked at before the values: what is left are strings that stand for no text.
        | :? InvalidOperationException ->
            Error(
                LoadError.file
                    path
                    "a key or string is no text: it holds bytes that are not UTF-8, or half of a surrogate pair (\\ud800 to \\udfff)"
            ))
