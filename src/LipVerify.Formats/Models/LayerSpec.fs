namespace LipVerify.Formats

open LipVerify.Core.Activations

/// Extents of a square or rectangular window and how it moves, in elements: (vertical, horizontal).
type WindowSpec =
    {
        /// Taps.
        Kernel: int * int
        /// Distance between neighbouring windows.
        Stride: int * int
        /// Virtual elements on each side.
        Padding: int * int
        /// Distance between neighbouring taps.
        Dilation: int * int
    }

/// One layer of a known architecture. Names are prefixes of parameters in the state dict: `conv1` has `conv1.weight`.
[<NoComparison>]
type LayerSpec =
    /// A convolution with weights `name.weight`, shape `outputs × inputs/groups × kernel`, and, with `bias`, `name.bias`.
    | Conv2d of name: string * inputs: int * outputs: int * window: WindowSpec * groups: int * bias: bool
    /// A fully connected layer with weights `name.weight`, shape `outputs × inputs`, and, with `bias`, `name.bias`.
    | Linear of name: string * inputs: int * outputs: int * bias: bool
    /// Batch normalisation at inference: `weight`, `bias`, `running_mean`, `running_var` under `name`.
    | BatchNorm2d of name: string * channels: int * epsilon: float
    /// An activation, entry by entry.
    | ActivationLayer of Activation
    /// Max pooling.
    | MaxPool2d of window: WindowSpec * ceilMode: bool
    /// Average pooling.
    | AvgPool2d of window: WindowSpec * ceilMode: bool * countPadding: bool
    /// Average pooling to the given output, whose extents must divide those of the input.
    | AdaptiveAvgPool2d of height: int * width: int
    /// All values in one row.
    | Flatten
    /// The identity at inference.
    | Dropout

module LayerSpec =

    /// `max(x, 0)`.
    let relu = ActivationLayer Relu.activation

    /// The most that a number of a window may be: many times the height of a picture.
    let private mostOfWindow = 1 <<< 16

    /// The most channels or features of a layer.
    let private mostChannels = 1 <<< 27

    let private pair key (vertical, horizontal) least =
        [ key, vertical, least, mostOfWindow; key, horizontal, least, mostOfWindow ]

    let private windowNumbers window =
        List.concat
            [
                pair "kernel" window.Kernel 1
                pair "stride" window.Stride 1
                pair "padding" window.Padding 0
                pair "dilation" window.Dilation 1
            ]

    /// Every integer of a layer: its key in architecture files, its value, and the least and the most that it may be.
    let private numbers spec =
        let channels key number = key, number, 1, mostChannels

        match spec with
        | Conv2d(_, inputs, outputs, window, groups, _) ->
            [ channels "in" inputs; channels "out" outputs; channels "groups" groups ]
            @ windowNumbers window
        | Linear(_, inputs, outputs, _) -> [ channels "in" inputs; channels "out" outputs ]
        | BatchNorm2d(_, count, _) -> [ channels "channels" count ]
        | MaxPool2d(window, _)
        | AvgPool2d(window, _, _) -> windowNumbers window
        | AdaptiveAvgPool2d(height, width) -> pair "output" (height, width) 1
        | ActivationLayer _
        | Flatten
        | Dropout -> []

    /// Fails for a layer with an integer that no layer can have, whatever its input.
    let validate spec : Result<unit, string> =
        let wrong =
            numbers spec
            |> List.tryFind (fun (_, number, least, most) -> number < least || number > most)

        match wrong, spec with
        | Some(key, number, least, most), _ -> Error $"\"{key}\" must be from {least} to {most}, not {number}"
        | None, Conv2d(_, inputs, outputs, _, groups, _) when inputs % groups <> 0 || outputs % groups <> 0 ->
            Error $"\"groups\" ({groups}) must divide \"in\" ({inputs}) and \"out\" ({outputs})"
        | None, _ -> Ok()
