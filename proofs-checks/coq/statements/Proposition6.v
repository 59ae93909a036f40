(** Proposition 6 (adversarial radius), METHODS 2: [δ] is the gap of the two largest outputs at
    [x0]. Every [ε] with [ε·L(f, x0, X_ε) ≤ δ/√2] leaves the class unchanged; [ε·L] grows with [ε].

    The same statement, tested on the program: proofs-checks/Propositions/Proposition6.fs. *)

From Coq Require Import Psatz.
Require Import Lipschitz Proposition1 Proposition2.
Local Open Scope R_scope.

(** Output [c] is the largest; [strictly]: alone. *)
Definition has_class (m : nat) (y : vector) (c : nat) : Prop :=
  forall j, (j < m)%nat -> y j <= y c.
Definition has_class_strictly (m : nat) (y : vector) (c : nat) : Prop :=
  forall j, (j < m)%nat -> j <> c -> y j < y c.

(** [c] is ahead of all other outputs by at least [gap]. *)
Definition ahead (m : nat) (y : vector) (c : nat) (gap : R) : Prop :=
  forall j, (j < m)%nat -> j <> c -> gap <= y c - y j.

Lemma sqrt2_positive : 0 < sqrt 2.
Proof. apply sqrt_lt_R0. lra. Qed.

(** Two entries differ by at most [√2] times the norm. *)
Lemma difference_of_entries m v i j :
  (i < m)%nat -> (j < m)%nat -> i <> j -> v i - v j <= sqrt 2 * norm m v.
Proof.
  intros Hi Hj Hij.
  assert (S : v i * v i + v j * v j <= square_norm m v).
  { unfold square_norm, dot.
    pose (f := fun k => if Nat.eqb k i then v i * v i else if Nat.eqb k j then v j * v j else 0).
    apply Rle_trans with (sum m f).
    - apply Req_le. symmetry.
      rewrite (sum_ext m f (fun k => (if Nat.eqb k i then v i * v i else 0) + (if Nat.eqb k j then v j * v j else 0))).
      + rewrite sum_plus, (sum_single m _ i Hi), (sum_single m _ j Hj).
        * now rewrite !Nat.eqb_refl.
        * intros k _ Hk. destruct (Nat.eqb_spec k j); [contradiction|easy].
        * intros k _ Hk. destruct (Nat.eqb_spec k i); [contradiction|easy].
      + intros k _. unfold f. destruct (Nat.eqb_spec k i), (Nat.eqb_spec k j); subst; [contradiction|lra|lra|lra].
    - apply sum_le. intros k _. unfold f.
      destruct (Nat.eqb_spec k i) as [->|]; [lra|]. destruct (Nat.eqb_spec k j) as [->|]; [lra|]. apply Rle_0_sqr. }
  pose proof sqrt2_positive. pose proof (norm_nonneg m v). rewrite <- norm_square in S.
  pose proof (sqrt_sqrt 2 ltac:(lra)) as Q.
  destruct (Rle_dec (v i - v j) 0); [nra|].
  apply Rsqr_incr_0_var; [unfold Rsqr | nra].
  replace (sqrt 2 * norm m v * (sqrt 2 * norm m v)) with (sqrt 2 * sqrt 2 * (norm m v * norm m v)) by ring.
  rewrite Q. pose proof (Rle_0_sqr (v i + v j)). unfold Rsqr in *. lra.
Qed.

Section Class.
Variables (n m : nat) (f : vector -> vector) (x0 : vector) (c : nat) (gap L eps : R).
Hypothesis Hc : (c < m)%nat.
Hypothesis HL : 0 <= L.
Hypothesis lead : ahead m (f x0) c gap.
Hypothesis bound : nominal n m f x0 (ball n x0 eps) L.

Lemma margin_on_ball x j :
  ball n x0 eps x -> (j < m)%nat -> j <> c -> gap - sqrt 2 * (eps * L) <= f x c - f x j.
Proof.
  intros Hx Hj Hjc.
  pose proof (lead j Hj Hjc).
  pose proof (difference_of_entries m (minus (f x) (f x0)) j c Hj Hc Hjc) as D.
  assert (T : norm m (minus (f x) (f x0)) <= eps * L).
  { apply (proposition2 n m f x0 (ball n x0 eps)); auto. }
  pose proof sqrt2_positive. unfold minus in D at 1 2. nra.
Qed.

Theorem proposition6 x :
  eps * L <= gap / sqrt 2 -> ball n x0 eps x -> has_class m (f x) c.
Proof.
  intros H Hx j Hj. destruct (Nat.eq_dec j c) as [->|Hjc]; [lra|].
  pose proof (margin_on_ball x j Hx Hj Hjc). pose proof sqrt2_positive as P.
  apply (Rmult_le_compat_l (sqrt 2)) in H; [|lra].
  replace (sqrt 2 * (gap / sqrt 2)) with gap in H by (field; lra). lra.
Qed.

Theorem proposition6_strict x :
  eps * L < gap / sqrt 2 -> ball n x0 eps x -> has_class_strictly m (f x) c.
Proof.
  intros H Hx j Hj Hjc.
  pose proof (margin_on_ball x j Hx Hj Hjc). pose proof sqrt2_positive as P.
  apply (Rmult_lt_compat_l (sqrt 2)) in H; [|lra].
  replace (sqrt 2 * (gap / sqrt 2)) with gap in H by (field; lra). lra.
Qed.

End Class.

(** [ε·L(f, x0, X_ε)] grows with [ε], so that the largest radius can be bisected for. *)
Theorem radius_times_constant_grows n m f x0 eps eps' L L' :
  is_map n m f -> 0 <= eps <= eps' ->
  nominal_constant n m f x0 (ball n x0 eps) L ->
  nominal_constant n m f x0 (ball n x0 eps') L' ->
  eps * L <= eps' * L'.
Proof.
  intros Hf He C C'.
  assert (0 <= L) by apply (constant_bounds _ _ _ _ _ Hf C).
  assert (L <= L').
  { apply (proposition1_constants n m f x0 (ball n x0 eps) (ball n x0 eps')); auto.
    unfold ball. intros x Hx. lra. }
  apply Rmult_le_compat; lra.
Qed.
