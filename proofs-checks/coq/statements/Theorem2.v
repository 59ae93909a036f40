(** Theorem 2 (affine-ReLU), METHODS 2: over a restricted ball the local constant of
    [x ↦ relu(A x + b)] is at most [|R A D|], with [R = diag(r)] and [r_i] from Theorem 1
    with [y0_i] and [ȳ_i].  First for any activations and any set, then for ReLU.

    The same statement, tested on the program: proofs-checks/Propositions/Theorem2.fs. *)

Require Import Lipschitz.
Require Export Theorem1 Proposition4.
Local Open Scope R_scope.

(** The spectral norm of the [m × n] matrix [M] is at most [c]. *)
Definition spectral_norm_at_most (m n : nat) (M : matrix) (c : R) : Prop :=
  0 <= c /\ forall x, norm m (apply n M x) <= c * norm n x.

(** [R A D]. *)
Definition scaled (r : vector) (A : matrix) (d : vector) : matrix :=
  fun i j => r i * A i j * d j.

Lemma apply_scaled n r A d x i : apply n (scaled r A d) x i = r i * apply n A (diag d x) i.
Proof.
  unfold apply, dot, scaled, diag. rewrite <- sum_scale. apply sum_ext. intros. ring.
Qed.

(** Activations that stretch no more than [r_i] the pre-activations of the pairs [P], whose
    differences are zero where [d] is. *)
Theorem theorem2_slopes n m A b (act : nat -> R -> R) (r d : vector) (P : vector -> vector -> Prop) c :
  (forall x x', P x x' -> same n (diag d (minus x x')) (minus x x')) ->
  (forall x x' i, P x x' -> (i < m)%nat ->
     Rabs (act i (affine n A b x i) - act i (affine n A b x' i))
       <= Rabs (r i * (affine n A b x i - affine n A b x' i))) ->
  spectral_norm_at_most m n (scaled r A d) c ->
  bounds_slopes n m (fun x i => act i (affine n A b x i)) P c.
Proof.
  intros Hd Hr [_ Hc] x x' HP.
  apply Rle_trans with (norm m (apply n (scaled r A d) (minus x x'))); [|apply Hc].
  apply norm_le_entries. intros i Hi. unfold minus at 1.
  rewrite apply_scaled, (apply_ext n A _ _ (Hd x x' HP)), <- (affine_minus n A b x x' i).
  now apply Hr.
Qed.

Lemma difference_of_live n x0 d eps x :
  mask n d -> restricted_ball n x0 d eps x -> same n (diag d (minus x x0)) (minus x x0).
Proof.
  intros Hd H i Hi. apply restricted_ball_points in H; [|exact Hd]. destruct H as [_ H].
  unfold diag, minus. destruct (Hd i Hi) as [E|E]; rewrite E; [rewrite (H i Hi E)|]; ring.
Qed.

Lemma difference_of_two_live n x0 d eps x x' :
  mask n d -> restricted_ball n x0 d eps x -> restricted_ball n x0 d eps x' ->
  same n (diag d (minus x x')) (minus x x').
Proof.
  intros Hd H H' i Hi.
  pose proof (difference_of_live n x0 d eps x Hd H i Hi) as E.
  pose proof (difference_of_live n x0 d eps x' Hd H' i Hi) as E'.
  unfold diag, minus in *. nra.
Qed.

Section AffineRelu.
Variables (n m : nat) (A : matrix) (b x0 d : vector) (eps : R).
Hypothesis Hd : mask n d.
Hypothesis Heps : 0 <= eps.

Definition affine_relu : vector -> vector := fun x i => relu (affine n A b x i).

Let y0 : vector := affine n A b x0.
Let ybar : vector := fun i => y0 i + reach n A d eps i.

Lemma reach_nonneg i : 0 <= reach n A d eps i.
Proof. apply Rmult_le_pos; auto using norm_nonneg. Qed.

Theorem theorem2 c :
  spectral_norm_at_most m n (scaled (fun i => relu_slope (y0 i) (ybar i)) A d) c ->
  nominal n m affine_relu x0 (restricted_ball n x0 d eps) c.
Proof.
  apply (theorem2_slopes n m A b (fun _ => relu)).
  - intros x x' [Hx ->]. now apply difference_of_live with eps.
  - intros x x' i [Hx ->] Hi. fold y0. pose proof (reach_nonneg i).
    rewrite Rabs_mult, (Rabs_pos_eq (relu_slope _ _)).
    + apply theorem1; unfold ybar; [lra|].
      replace (y0 i + reach n A d eps i - y0 i) with (reach n A d eps i) by ring.
      now apply proposition4.
    + apply relu_slope_nonneg. unfold ybar. lra.
Qed.

Theorem theorem2_uniform c :
  spectral_norm_at_most m n (scaled (fun i => relu_uniform_slope (ybar i)) A d) c ->
  uniform n m affine_relu (restricted_ball n x0 d eps) c.
Proof.
  apply (theorem2_slopes n m A b (fun _ => relu)).
  - intros x x' [Hx Hx']. now apply difference_of_two_live with x0 eps.
  - intros x x' i [Hx Hx'] Hi.
    rewrite Rabs_mult, (Rabs_pos_eq (relu_uniform_slope _)).
    + apply theorem1_uniform; now apply proposition4_upper.
    + unfold relu_uniform_slope. destruct (Rlt_dec 0 (ybar i)); lra.
Qed.

End AffineRelu.
