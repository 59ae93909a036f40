/// An instance as text, in two forms: words for the extracted program, and a Coq file whose theorem is the statement
/// (proofs-checks/coq/README.md).
module LipVerify.Checker.InstanceFile

open System.Numerics
open LipVerify.Checker.DenseInstance

let private line (numbers: BigInteger[]) =
    numbers |> Array.map string |> String.concat " "

let private counted (numbers: BigInteger[]) =
    if numbers.Length = 0 then
        "0"
    else
        $"{numbers.Length} {line numbers}"

let private layerWords (layer: DenseLayer) =
    let kind = if layer.IsRectified then "relu" else "bare"

    [
        $"layer {layer.Weights.Length} {layer.Weights[0].Length} {layer.Exponent} {kind}"
        yield! layer.Weights |> Array.map line
        line layer.Bias
    ]

let private numbered name exponent (numbers: BigInteger[]) =
    $"{name} {numbers.Length} {exponent} {line numbers}".TrimEnd()

let private proposalWords (proposal: LayerProposal) =
    [
        "claim"
        numbered "reaches" proposal.ReachExponent proposal.Reaches
        numbered "slopes" proposal.SlopeExponent proposal.Slopes
        $"constant {proposal.ConstantExponent} {proposal.Constant}"
        (if proposal.IsTransposed then
             "gram columns"
         else
             "gram rows")
        $"factor {proposal.Factor.Length} {proposal.FactorExponent}"
        yield! proposal.Factor |> Array.map counted
    ]

/// The form that `lipverify-proved` reads.
let words (statement: Statement) (proposals: LayerProposal list) =
    let radius, bound = statement.Radius, statement.Bound

    [
        "lipverify/dense/1"
        (if statement.IsUniform then "uniform" else "nominal")
        + $" {statement.Exponent}"
        $"radius {radius}"
        $"bound {bound}"
        $"point {counted statement.Point}"
        $"layers {statement.Layers.Length}"
        yield! List.collect layerWords statement.Layers
        $"claims {proposals.Length}"
        yield! List.collect proposalWords proposals
        "end"
    ]
    |> List.map (fun text -> text + "\n")
    |> String.concat ""

let private coqList (items: string seq) = "[" + String.concat "; " items + "]"
let private coqNumbers (numbers: BigInteger[]) = numbers |> Seq.map string |> coqList

let private coqRows rows =
    rows |> Seq.map coqNumbers |> String.concat ";\n" |> sprintf "[%s]"

let private coqBool value = if value then "true" else "false"

/// A Coq file whose theorem says what the statement says of these very numbers.
let coq (statement: Statement) (proposals: LayerProposal list) =
    let radius, bound = statement.Radius, statement.Bound

    let layer i (layer: DenseLayer) =
        $"""Definition weights_{i} : list (list Z) :=
{coqRows layer.Weights}.

Definition layer_{i} : layer := {{|
  weights := weights_{i};
  bias := {coqNumbers layer.Bias};
  weight_exponent := {layer.Exponent};
  rectified := {coqBool layer.IsRectified} |}}.
"""

    let claim i (proposal: LayerProposal) =
        $"""Definition factor_{i} : list (list Z) :=
{coqRows proposal.Factor}.

Definition claim_{i} : layer_certificate := {{|
  reaches := {coqNumbers proposal.Reaches};
  reach_exponent := {proposal.ReachExponent};
  slopes := {coqNumbers proposal.Slopes};
  slope_exponent := {proposal.SlopeExponent};
  constant := {proposal.Constant};
  constant_exponent := {proposal.ConstantExponent};
  transposed := {coqBool proposal.IsTransposed};
  factor := factor_{i};
  factor_exponent := {proposal.FactorExponent} |}}.
"""

    let names name (items: 'a list) =
        items |> Seq.mapi (fun i _ -> $"{name}_{i}") |> coqList

    [
        """(** Written by `lipverify check --coq`. Compiled with what proofs-checks/coq/build makes:
    coqc -R proofs-checks/coq/obj LipVerify FILE *)

From Coq Require Import ZArith NArith List.
From LipVerify Require Import Checker DenseNetwork Soundness.
Import ListNotations.
Local Open Scope Z_scope.
"""
        yield! statement.Layers |> List.mapi layer
        $"""Definition this_statement : statement := {{|
  network := {names "layer" statement.Layers};
  point := {coqNumbers statement.Point};
  radius := {radius};
  bound := {bound};
  statement_exponent := {statement.Exponent};
  uniformly := {coqBool statement.IsUniform} |}}.
"""
        yield! proposals |> List.mapi claim
        $"""Definition certificate : list layer_certificate := {names "claim" proposals}.

Theorem bound_of_this_network : local_constant_at_most this_statement.
Proof. apply (check_sound this_statement certificate). vm_cast_no_check (eq_refl true). Qed.

Print Assumptions bound_of_this_network.
"""
    ]
    |> String.concat "\n"

/// Writes the form that the name of the file asks for.
let write (path: string) statement proposals =
    let form =
        if path.EndsWith(".v", System.StringComparison.Ordinal) then
            coq
        else
            words

    System.IO.File.WriteAllText(path, form statement proposals)
