(** The checker as an OCaml program: [Z] and [N] become Zarith's integers. *)

From Coq Require Import ZArith NArith Extraction ExtrOcamlBasic ExtrOcamlZBigInt.
Require Import Checker.

Extraction "extracted.ml" check.
