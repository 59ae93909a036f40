(** What the lists of the checker mean: dense ReLU networks over the reals. *)

From Coq Require Import ZArith NArith List.
From Coq Require Import Reals.
Require Import Lipschitz Theorem1 Proposition4 Algorithm1.
Require Import Checker.
Import ListNotations.
Local Open Scope R_scope.

(** The number [z·2^-e]. *)
Definition value (e : N) (z : Z) : R := IZR z / 2 ^ N.to_nat e.

Definition vector_of (e : N) (a : list Z) : vector := fun i => value e (nth i a 0%Z).
Definition matrix_of (e : N) (rows : list (list Z)) : matrix := fun i => vector_of e (nth i rows []).

(** [x ↦ W x + b], and ReLU entry by entry if the layer has one. [n] is the number of inputs. *)
Definition layer_map (n : nat) (l : layer) : vector -> vector :=
  fun x i =>
    let y := affine n (matrix_of (weight_exponent l) (weights l)) (vector_of (weight_exponent l) (bias l)) x i in
    if rectified l then relu y else y.

Fixpoint network_map (n : nat) (layers : list layer) : vector -> vector :=
  match layers with
  | [] => fun x => x
  | l :: rest => fun x => network_map (length (weights l)) rest (layer_map n l x)
  end.

(** The number of outputs. *)
Fixpoint outputs (n : nat) (layers : list layer) : nat :=
  match layers with
  | [] => n
  | l :: rest => outputs (length (weights l)) rest
  end.

(** What a statement states. *)
Definition local_constant_at_most (s : statement) : Prop :=
  let n := length (point s) in
  let x0 := vector_of (statement_exponent s) (point s) in
  local (if uniformly s then Uniform else Nominal)
    n (outputs n (network s)) (network_map n (network s))
    x0 (ball n x0 (value (statement_exponent s) (radius s)))
    (value (statement_exponent s) (bound s)).
