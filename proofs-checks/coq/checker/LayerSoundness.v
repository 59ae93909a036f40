(** One layer over the reals: slopes and reaches that are only bounded from above suffice for a step of Algorithm 1. *)

From Coq Require Import Reals Lra Lia Psatz.
Require Import Lipschitz Proposition2 Theorem2 ZeroPropagation Algorithm1.
Local Open Scope R_scope.

(** [r] is at least the slope of ReLU around [y], up to the reach [t]. *)
Definition slope_bounds (which : definition) (y t r : R) : Prop :=
  0 <= r /\ (y + t <= 0 \/ 1 <= r \/ which = Nominal /\ (t = 0 \/ y <= 0 /\ y + t <= r * t)).

Lemma relu_not_expansive y y' : Rabs (relu y - relu y') <= Rabs (y - y').
Proof.
  pose proof (theorem1_uniform (Rmax y y') y y' (Rmax_l _ _) (Rmax_r _ _)) as T.
  unfold relu_uniform_slope in T. pose proof (Rabs_pos (y - y')). destruct (Rlt_dec _ _); lra.
Qed.

Lemma slope_bounds_nominal y t r y' :
  slope_bounds Nominal y t r -> Rabs (y' - y) <= t -> Rabs (relu y' - relu y) <= r * Rabs (y' - y).
Proof.
  intros [Hr H] Hy. pose proof (Rabs_pos (y' - y)) as P. pose proof (relu_not_expansive y' y) as E.
  assert (B : - t <= y' - y <= t) by now apply abs_at_most.
  destruct H as [H|[H|[_ [H|[H0 H]]]]].
  - rewrite !relu_negative by lra. rewrite Rminus_diag_eq, Rabs_R0 by easy. nra.
  - nra.
  - assert (Rabs (y' - y) = 0) by lra. nra.
  - rewrite (relu_negative y) by exact H0. destruct (Rle_dec y' 0).
    + rewrite relu_negative by assumption. rewrite Rminus_diag_eq, Rabs_R0 by easy. nra.
    + rewrite (relu_positive y') by lra. rewrite !Rabs_pos_eq by lra.
      (* y' − 0 ≤ r(y' − y) is linear in y', and holds at y and at y + t *)
      nra.
Qed.

Lemma slope_bounds_uniform y t r y1 y2 :
  slope_bounds Uniform y t r -> Rabs (y1 - y) <= t -> Rabs (y2 - y) <= t ->
  Rabs (relu y1 - relu y2) <= r * Rabs (y1 - y2).
Proof.
  intros [Hr H] H1 H2. pose proof (Rabs_pos (y1 - y2)) as P. pose proof (relu_not_expansive y1 y2) as E.
  apply abs_at_most in H1. apply abs_at_most in H2.
  destruct H as [H|[H|[H _]]]; [|nra|discriminate].
  rewrite !relu_negative by lra. rewrite Rminus_diag_eq, Rabs_R0 by easy. nra.
Qed.

Section Layer.
Variables (which : definition) (n m : nat) (A : matrix) (b x0 d : vector) (eps c : R).
Hypothesis Hd : mask n d.
Hypothesis Heps : 0 <= eps.

Let y0 : vector := affine n A b x0.

Theorem rectified_layer_bound (t r d' : vector) :
  (forall i, (i < m)%nat -> reach n A d eps i <= t i) ->
  (forall i, (i < m)%nat -> slope_bounds which (y0 i) (t i) (r i)) ->
  mask m d' -> (forall i, (i < m)%nat -> d' i = 0 -> y0 i + t i <= 0) ->
  spectral_norm_at_most m n (scaled r A d) c ->
  layer_bound which n m (fun x i => relu (affine n A b x i)) x0 d eps c d'.
Proof.
  intros Ht Hr Hd' Hoff Hc.
  pose proof (center_in_restricted_ball n x0 d eps Heps) as X0.
  assert (Near : forall x i, restricted_ball n x0 d eps x -> (i < m)%nat -> Rabs (affine n A b x i - y0 i) <= t i).
  { intros x i Hx Hi. apply Rle_trans with (reach n A d eps i); [now apply proposition4 | now apply Ht]. }
  assert (L : local which n m (fun x i => relu (affine n A b x i)) x0 (restricted_ball n x0 d eps) c).
  { apply (theorem2_slopes n m A b (fun _ => relu) r d); [| |exact Hc].
    - intros x x' HP. destruct which; destruct HP as [Hx Hx'].
      + rewrite Hx'. now apply difference_of_live with eps.
      + now apply difference_of_two_live with x0 eps.
    - intros x x' i HP Hi. specialize (Hr i Hi). rewrite Rabs_mult, (Rabs_pos_eq (r i)) by apply Hr.
      destruct which; destruct HP as [Hx Hx'].
      + rewrite Hx'. apply slope_bounds_nominal with (t i); [exact Hr | now apply Near].
      + apply slope_bounds_uniform with (y0 i) (t i); [exact Hr | now apply Near | now apply Near]. }
  split; [apply Hc | exact L | exact Hd' |].
  intros x Hx. apply image_in_restricted_ball; [exact Hd' | |].
  - apply (proposition2 n m (fun x i => relu (affine n A b x i)) x0 (restricted_ball n x0 d eps)); [apply Hc | | | exact Hx].
    + intros y Hy. now apply restricted_ball_points in Hy.
    + now apply (local_nominal which).
  - intros i Hi E. specialize (Hoff i Hi E).
    assert (Off : forall x', restricted_ball n x0 d eps x' -> relu (affine n A b x' i) = 0).
    { intros x' Hx'. apply relu_negative. pose proof (Near x' i Hx' Hi) as B. apply abs_at_most in B. lra. }
    split; auto.
Qed.

Theorem bare_layer_bound (r : vector) :
  (forall i, (i < m)%nat -> 1 <= r i) ->
  spectral_norm_at_most m n (scaled r A d) c ->
  layer_bound which n m (affine n A b) x0 d eps c (fun _ => 1).
Proof.
  intros Hr Hc. apply affine_layer; [exact Hd | exact Heps |].
  split; [apply Hc|]. intros x. apply Rle_trans with (norm m (apply n (scaled r A d) x)); [|apply Hc].
  apply norm_le_entries. intros i Hi. rewrite !apply_scaled, !Rabs_mult, Rabs_R1.
  apply Rmult_le_compat_r; [apply Rabs_pos|]. specialize (Hr i Hi).
  apply Rle_trans with (r i); [exact Hr | apply Rle_abs].
Qed.

End Layer.
