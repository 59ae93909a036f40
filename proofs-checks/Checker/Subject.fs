/// What certificates of all kinds are about: a network whose maps this checker can hold, and an input; and how a walk ends that finds otherwise.
module LipVerify.Checker.Subject

open LipVerify.Checker.Directed
open LipVerify.Checker.Json
open LipVerify.Checker.Network

/// A statement that does not hold, after which a walk cannot go on.
exception Broken of string

let stop text = raise (Broken text)

/// Something is larger than this checker takes, or leaves the range of doubles; the text says what.
exception TooLarge of string

/// The leaves without those that leave the values as they are, and series dissolved.
let rec flatten node =
    match node with
    | Leaf(_, Skip) -> []
    | Series nodes -> List.collect flatten nodes
    | Leaf _
    | Sum _ -> [ node ]

/// The nominal values of an input, which has to be the one that the certificate states by its hash.
let nominalInput stated input size (say: bool -> string -> unit) =
    match input with
    | None -> refuse "a local certificate needs the input: with lipverify check it is --input"
    | Some(values: float[], hash: string) ->
        say (stated = Some hash) "it is about this input"

        if values.Length <> size then
            refuse "the input does not fit the network"

        Array.map point values

/// Entries of a map beyond which it is not checked: they may take 32 bytes each.
let entryLimit = 1 <<< 27

/// The indices of maps that are too large, with their entries.
let rec oversized node =
    match node with
    | Leaf(index, Affine(operator, _, _, _)) when operator.Entries > float entryLimit -> [ index, operator.Entries ]
    | Leaf _ -> []
    | Series nodes
    | Sum nodes -> List.collect oversized nodes

/// Walks a network whose maps are not too large; `say` receives what is, and what a walk finds broken.
let whereSmall root (say: bool -> string -> unit) walk =
    let excess = oversized root

    for index, entries in excess do
        say
            false
            $"layer {index}: not checked: its map has {int64 entries} entries, and this checker takes {entryLimit} at most"

    try
        if excess.IsEmpty then
            walk ()
    with
    | Broken text -> say false text
    | TooLarge text -> say false $"not checked: {text}"
