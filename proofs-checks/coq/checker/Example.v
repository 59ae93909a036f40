(** A network that can be checked by hand, and its bound as a theorem.

    [f(x) = r_1 + r_2], [r = relu(W x + b)], [W = ⅛ (3 4; −4 3)], [b = (0, 7/16)], over the ball of radius ¼ around [(1, 0)].
    There [W x0 + b = (3/8, −1/16)], and both move by at most [¼·5/8 = 5/32]: the first unit stays on, and the slope of the second
    is at most [(3/32)/(5/32) = 3/5]. The rows of [W] are orthogonal, so that [|R W| = 5/8]; the last map has the norm [√2]. *)

From Coq Require Import ZArith NArith List Reals Lra.
Require Import Lipschitz Checker DenseNetwork Soundness.
Import ListNotations.
Local Open Scope Z_scope.

(** All numbers as sixteenths. *)
Definition first_layer : layer := {|
  weights := [[6; 8]; [-8; 6]];
  bias := [0; 7];
  weight_exponent := 4;
  rectified := true |}.

Definition last_layer : layer := {|
  weights := [[1; 1]];
  bias := [0];
  weight_exponent := 0;
  rectified := false |}.

(** The constant is at most [5/8·1449/1024 = 7245/2^13]. *)
Definition example_with (bound : Z) : statement := {|
  network := [first_layer; last_layer];
  point := [8192; 0];
  radius := 2048;
  bound := bound;
  statement_exponent := 13;
  uniformly := false |}.

(** [3/5 ≤ 615/1024] and [√2 ≤ 1449/1024]. The rows are orthogonal, so no factor is needed. *)
Definition example_certificate : list layer_certificate :=
  [{| reaches := [5; 5]; reach_exponent := 5;
      slopes := [1024; 615]; slope_exponent := 10;
      constant := 5; constant_exponent := 3;
      transposed := false; factor := [[]; []]; factor_exponent := 0 |};
   {| reaches := []; reach_exponent := 0;
      slopes := [1]; slope_exponent := 0;
      constant := 1449; constant_exponent := 10;
      transposed := false; factor := [[]]; factor_exponent := 0 |}].

Theorem example_bound : local_constant_at_most (example_with 7245).
Proof. apply (check_sound _ example_certificate). vm_compute. reflexivity. Qed.

(** The same in words that name no list: an increment of [f] is at most [7245/8192] times that of its input. *)
Corollary example_in_numbers x :
  ball 2 (vector_of 13 [8192; 0]%Z) (2048 / 2 ^ 13)%R x ->
  (norm 1 (minus (network_map 2 [first_layer; last_layer] x)
                 (network_map 2 [first_layer; last_layer] (vector_of 13 [8192; 0]%Z)))
   <= 7245 / 2 ^ 13 * norm 2 (minus x (vector_of 13 [8192; 0]%Z)))%R.
Proof. intros Hx. apply example_bound. split; [exact Hx | reflexivity]. Qed.

(** What is not shown is rejected: a bound that is one unit less, a slope or a reach that is too small, a constant below the norm. *)
Definition change_first (change : layer_certificate -> layer_certificate) : list layer_certificate :=
  match example_certificate with
  | c :: rest => change c :: rest
  | [] => []
  end.

Definition with_numbers (t r : list Z) (k : Z) (c : layer_certificate) : layer_certificate := {|
  reaches := t; reach_exponent := reach_exponent c;
  slopes := r; slope_exponent := slope_exponent c;
  constant := k; constant_exponent := constant_exponent c;
  transposed := transposed c; factor := factor c; factor_exponent := factor_exponent c |}.

Example accepted : check (example_with 7245) (change_first (with_numbers [5; 5] [1024; 615] 5)) = true.
Proof. reflexivity. Qed.

Example bound_too_small : check (example_with 7244) example_certificate = false.
Proof. reflexivity. Qed.

Example slope_too_small : check (example_with 7245) (change_first (with_numbers [5; 5] [1024; 614] 5)) = false.
Proof. reflexivity. Qed.

Example reach_too_small : check (example_with 7245) (change_first (with_numbers [5; 4] [1024; 615] 5)) = false.
Proof. reflexivity. Qed.

Example constant_too_small : check (example_with 7245) (change_first (with_numbers [5; 5] [1024; 615] 4)) = false.
Proof. reflexivity. Qed.
