/// Exact arithmetic on the numbers that doubles are, and networks evaluated in it.
module LipVerify.Tests.DyadicNumbers

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Propositions.Oracles

module Dyadic =

    /// `|computed − exact| ≤ error`.
    let isWithin (error: float) (computed: float) exact =
        let distance = Dyadic.subtract (Dyadic.ofFloat computed) exact

        let distance =
            if Dyadic.sign distance < 0 then
                Dyadic.negate distance
            else
                distance

        Dyadic.isAtMost (Dyadic.ofFloat error) distance

    /// `Σ v²`.
    let squares (v: Dyadic[]) =
        v |> Array.fold (fun sum x -> Dyadic.add sum (Dyadic.multiply x x)) Dyadic.zero

let rec private hasDyadicEntries map =
    match map with
    | AveragePooling _
    | Rounded _ -> false
    | Scaled(_, map) -> hasDyadicEntries map
    | Dense _
    | Convolution _
    | Sparse _
    | Diagonal _ -> true

/// Whether every product and sum in the network is one of dyadic numbers: average pooling divides.
let isDyadic (network: Network) =
    Network.layers network
    |> List.forall (fun placed ->
        match placed.Layer with
        | Affine(map, _) -> hasDyadicEntries map
        | _ -> true)

let rec private applyExactly map (x: Dyadic[]) =
    match map with
    | Scaled(scale, map) ->
        applyExactly map x
        |> Array.map2 (fun s y -> Dyadic.multiply (Dyadic.ofFloat s) y) (Tensor.values scale)
    | _ ->
        matrix map
        |> Array.map (fun row ->
            (Dyadic.ofFloat 0.0, row, x)
            |||> Array.fold2 (fun sum a xj ->
                if a = 0.0 then
                    sum
                else
                    Dyadic.add sum (Dyadic.multiply (Dyadic.ofFloat a) xj)))

/// A value and its one-sided derivative along a ray.
[<Struct; NoComparison>]
type private Moving = { Value: Dyadic; Slope: Dyadic }

/// Of the members with the largest value, the one that rises most.
let private leading (members: Moving[]) =
    members
    |> Array.reduce (fun a b ->
        match Dyadic.sign (Dyadic.subtract b.Value a.Value) with
        | 0 -> if Dyadic.isAtMost b.Slope a.Slope then b else a
        | sign -> if sign > 0 then b else a)

let private rectify moving =
    let zero = Dyadic.ofFloat 0.0
    leading [| { Value = zero; Slope = zero }; moving |]

let rec private run (x: Moving[]) node =
    match node with
    | Leaf { Layer = Affine(map, bias) } ->
        let values =
            applyExactly map (x |> Array.map _.Value)
            |> Array.map2 (fun b y -> Dyadic.add (Dyadic.ofFloat b) y) (Tensor.values bias)

        Array.map2
            (fun value slope -> { Value = value; Slope = slope })
            values
            (applyExactly map (x |> Array.map _.Slope))
    | Leaf { Layer = Activation _ } -> Array.map rectify x
    | Leaf { Layer = MaxPooling geometry } ->
        windows geometry
        |> Array.map (fun members -> members |> Array.map (fun i -> x[i]) |> leading)
    | Leaf _ -> x
    | Chain nodes -> (x, nodes) ||> List.fold run
    | Branches nodes ->
        nodes
        |> List.map (run x)
        |> List.reduce (
            Array.map2 (fun a b ->
                {
                    Value = Dyadic.add a.Value b.Value
                    Slope = Dyadic.add a.Slope b.Slope
                })
        )

let private start (x: float[]) (direction: float[]) =
    Array.map2
        (fun value slope ->
            {
                Value = Dyadic.ofFloat value
                Slope = Dyadic.ofFloat slope
            })
        x
        direction

/// `f(x)` without rounding, for a network with `isDyadic`.
let evaluateExactly (network: Network) (x: float[]) =
    run (start x (Array.zeroCreate x.Length)) network.Node |> Array.map _.Value

/// The one-sided derivative `f′(x; v)` without rounding, for a network with `isDyadic`.
let derivativeExactly (network: Network) (x: float[]) (v: float[]) =
    run (start x v) network.Node |> Array.map _.Slope

/// `x − y`, exactly.
let differences (x: Tensor) (y: Tensor) =
    Array.map2 (fun a b -> Dyadic.subtract (Dyadic.ofFloat a) (Dyadic.ofFloat b)) (Tensor.values x) (Tensor.values y)
