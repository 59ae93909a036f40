/// Random windows of convolutions and pooling.
module LipVerify.Tests.DrawnWindows

open LipVerify.Propositions.Generators
open LipVerify.Tests.OnnxWriter

/// A window over all spatial axes, and what it makes of their extents.
type Window =
    {
        Kernel: int list
        Attributes: byte[] list
        Output: int list
    }

/// A window along an axis that fits: kernel, stride, dilation, padding before and after.
let rec private axis (draw: Draw) mayDilate isPooling (input: int) =
    let kernel, stride = draw.Int(1, 3), draw.Int(1, 3)
    let dilation = if mayDilate && draw.Chance 0.3 then 2 else 1

    // Every window of a pooling holds a value.
    let padding () =
        if draw.Chance 0.5 then 0
        elif isPooling && dilation > 1 then 0
        elif isPooling then draw.Int(0, kernel - 1)
        else draw.Int(0, 2)

    let before, after = padding (), padding ()

    if input + before + after >= dilation * (kernel - 1) + 1 then
        kernel, stride, dilation, before, after
    else
        axis draw mayDilate isPooling input

let private extent ceiling input (kernel, stride, dilation, before, after) =
    let room = input + before + after - dilation * (kernel - 1) - 1

    (if ceiling then
         (room + stride - 1) / stride
     else
         room / stride)
    + 1

// Such a window is dropped by the runtime's kernels, as by PyTorch and by us, but not by its inference of shapes.
let private startsInPadding input (window: int * int * int * int * int) =
    let _, stride, _, before, _ = window
    (extent true input window - 1) * stride >= input + before

/// A random window over these extents, which may have padding that counts them or `auto_pad`.
let window (g: DrawnGraph) mayDilate isPooling mayCeil (spatial: int list) =
    let draw = g.Draw
    let axes = spatial |> List.map (axis draw mayDilate isPooling)

    let ceiling =
        mayCeil && draw.Chance 0.3 && not (List.exists2 startsInPadding spatial axes)

    let pick f = axes |> List.map f
    let strides = pick (fun (_, stride, _, _, _) -> stride)
    let kernel = pick (fun (kernel, _, _, _, _) -> kernel)
    let dilations = pick (fun (_, _, dilation, _, _) -> dilation)

    let attributes =
        [
            ints "strides" strides
            if mayDilate then
                ints "dilations" dilations
            if ceiling then
                int "ceil_mode" 1
        ]

    match draw.Int(0, 9) with
    | 0
    | 1 when
        not ceiling
        && axes
           |> List.forall (fun (kernel, stride, dilation, _, _) -> dilation = 1 && (not isPooling || kernel >= stride))
        ->
        {
            Kernel = kernel
            Attributes = words "auto_pad" (draw.Pick [ "SAME_UPPER"; "SAME_LOWER" ]) :: attributes
            Output = List.map2 (fun input stride -> (input + stride - 1) / stride) spatial strides
        }
    | 2 when
        not ceiling
        && List.forall2 (fun input (kernel, _, dilation, _, _) -> input >= dilation * (kernel - 1) + 1) spatial axes
        ->
        {
            Kernel = kernel
            Attributes = words "auto_pad" "VALID" :: attributes
            Output =
                List.map2
                    (fun input (kernel, stride, dilation, _, _) -> extent false input (kernel, stride, dilation, 0, 0))
                    spatial
                    axes
        }
    | _ ->
        let pads =
            pick (fun (_, _, _, before, _) -> before)
            @ pick (fun (_, _, _, _, after) -> after)

        {
            Kernel = kernel
            Attributes = ints "pads" pads :: attributes
            Output = List.map2 (extent ceiling) spatial axes
        }
