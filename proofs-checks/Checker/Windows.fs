/// Sizes and sliding windows from the integers of a network file, within limits on the memory that they take.
module LipVerify.Checker.Windows

open LipVerify.Checker.Json

/// Outputs beyond which a map is refused.
let private outputLimit = 1 <<< 27

/// Extents beyond which an axis is refused.
let private extentLimit = 1 <<< 20

/// Taps of windows beyond which an axis or a pooling layer is refused: all of them are written down.
let tapLimit = 1 <<< 24

/// A product of numbers of the file, which an integer may not hold, refused beyond a limit.
let sizeWithin (limit: int) (what: string) (factors: int list) =
    if List.exists (fun factor -> factor < 1) factors then
        refuse $"{what} of the network has a size below 1"

    if factors |> List.fold (fun product factor -> product * float factor) 1.0 > float limit then
        refuse $"{what} of the network has a size beyond {limit}, the most that this checker takes"

    List.fold (*) 1 factors

/// A product of numbers of the file within the limit on outputs.
let size what factors = sizeWithin outputLimit what factors

/// Input positions of the taps of each window along an axis; outside the input they lie in the padding.
let windows numbers =
    match numbers with
    | [ input; kernel; stride; padBefore; padAfter; dilation; ceil ] when
        List.forall (fun n -> n >= 1 && n < extentLimit) [ input; kernel; stride; dilation ]
        && List.forall (fun n -> n >= 0 && n < extentLimit) [ padBefore; padAfter; ceil ]
        ->
        let room =
            int64 (input + padBefore + padAfter) - int64 dilation * int64 (kernel - 1) - 1L

        if room < 0L then
            refuse "a window of the network does not fit its input"

        let room = int room
        // In ceil mode a last window may hang over the end; one that would start in the trailing padding is dropped.
        let count =
            if ceil = 0 then
                room / stride + 1
            else
                let last = (room + stride - 1) / stride

                if last * stride >= input + padBefore then
                    last
                else
                    last + 1

        let tap window tap =
            window * stride - padBefore + tap * dilation

        sizeWithin tapLimit "an axis" [ count; kernel ] |> ignore
        Array.init count (fun window -> Array.init kernel (tap window)), input, padBefore, padAfter
    | _ -> refuse "an axis of the network is out of range"

/// Whether a position lies in the input, not in its padding.
let inside input position = position >= 0 && position < input
