(** Norms by random vectors, METHODS 4b: if the top eigenvalue [λ] of [G] were at least [B], a Lanczos recurrence
    would show that the vector it began with is almost orthogonal to the top eigenvector.

    The inequality holds of what was computed, whatever rounding did to it; that such vectors are rare is
    a premise about the distribution of [⟨w, g⟩].

    The same statement, tested on the program: tests/LipVerify.Tests/Core/CoreLanczosTests.fs. *)

From Coq Require Import Psatz.
Require Import Lipschitz SpectralNorm.
Local Open Scope R_scope.

(** ** The inequality *)

Section Recurrence.
Variables (n k : nat) (G : matrix) (alpha beta : nat -> R) (q f : nat -> vector) (w : vector) (lambda B : R).

(** [G q_j = β_{j−1} q_{j−1} + α_j q_j + β_j q_{j+1} + f_j]; nothing is asked of the [q_j], and [f_j] is what rounding left. *)
Definition before (j : nat) : vector :=
  match j with O => zero | S i => scale (beta i) (q i) end.

Hypothesis recurrence : forall j, (j < k)%nat ->
  same n (apply n G (q j)) (add (add (before j) (scale (alpha j) (q j))) (add (scale (beta j) (q (S j))) (f j))).
Hypothesis beta_nonneg : forall j, 0 <= beta j.

(** [w] is a unit eigenvector. *)
Hypothesis G_symmetric : symmetric n G.
Hypothesis w_eigenvector : same n (apply n G w) (scale lambda w).
Hypothesis w_unit : norm n w = 1.

(** The pivots of [bI − T]; those at [B] are positive, as they are above the largest Ritz value. *)
Fixpoint pivot (b : R) (j : nat) : R :=
  match j with
  | O => b - alpha O
  | S i => b - alpha (S i) - beta i * beta i / pivot b i
  end.

Hypothesis pivots_positive : forall j, (j < k)%nat -> 0 < pivot B j.

(** What errors up to step [j] amount to after elimination, and what remains of [⟨w, q_0⟩] when it is carried back from
    [⟨w, q_k⟩]: solving [(BI − T)φ = e_1] by elimination gives the sum of METHODS 4b in this order. *)
Fixpoint errors (j : nat) : R :=
  match j with
  | O => norm n (f O)
  | S i => norm n (f (S i)) + beta i * errors i / pivot B i
  end.

(** The bound on [|⟨w, q_{k − steps}⟩|]. *)
Fixpoint carried_back (steps : nat) : R :=
  match steps with
  | O => norm n (q k)
  | S s => (beta (k - S s) * carried_back s + errors (k - S s)) / pivot B (k - S s)
  end.

Let z (j : nat) : R := dot n w (q j).

Lemma eigen_recurrence j : (j < k)%nat ->
  lambda * z j = dot n w (before j) + alpha j * z j + beta j * z (S j) + dot n w (f j).
Proof.
  intros Hj. unfold z.
  assert (E : dot n w (apply n G (q j)) = lambda * dot n w (q j)).
  { rewrite <- dot_scale_l. transitivity (dot n (apply n G w) (q j)).
    - rewrite dot_transpose. apply dot_ext; [easy|]. intros i Hi. apply dot_ext; [|easy].
      intros l Hl. unfold transpose. now apply G_symmetric.
    - apply dot_ext; [exact w_eigenvector | easy]. }
  rewrite <- E, (dot_ext n w _ w _ (fun _ _ => eq_refl) (recurrence j Hj)).
  rewrite (dot_sym n w (add _ _)), !dot_add_l, !dot_scale_l, !(dot_sym n _ w). ring.
Qed.

Lemma pivot_grows j : B <= lambda -> (j < k)%nat -> pivot B j <= pivot lambda j.
Proof.
  intros HB. induction j as [|j IH]; intros Hj; cbn [pivot]; [lra|].
  specialize (IH ltac:(lia)). pose proof (pivots_positive j ltac:(lia)) as P.
  assert (beta j * beta j / pivot lambda j <= beta j * beta j / pivot B j).
  { apply Rmult_le_compat_l; [apply Rle_0_sqr|]. apply Rinv_le_contravar; lra. }
  lra.
Qed.

Lemma error_small j : Rabs (dot n w (f j)) <= norm n (f j).
Proof. pose proof (cauchy_schwarz_abs n w (f j)) as C. rewrite w_unit in C. lra. Qed.

(** Elimination: [p_j z_j = β_j z_{j+1} + s_j] with [|s_j|] at most the errors so far. *)
Lemma eliminated j : B <= lambda -> (j < k)%nat ->
  exists s, Rabs s <= errors j /\ pivot lambda j * z j = beta j * z (S j) + s.
Proof.
  intros HB. induction j as [|j IH]; intros Hj.
  - exists (dot n w (f O)). split; [apply error_small|].
    pose proof (eigen_recurrence O Hj) as E. cbn [before pivot] in *. rewrite dot_zero_r in E. lra.
  - destruct (IH ltac:(lia)) as (s & Hs & E).
    pose proof (pivots_positive j ltac:(lia)) as P. pose proof (pivot_grows j HB ltac:(lia)) as Pl.
    exists (dot n w (f (S j)) + beta j * s / pivot lambda j). split.
    + cbn [errors]. apply Rle_trans with (1 := Rabs_triang _ _). apply Rplus_le_compat; [apply error_small|].
      unfold Rdiv. rewrite !Rabs_mult, (Rabs_pos_eq (beta j)), (Rabs_pos_eq (/ pivot lambda j)); auto.
      * rewrite !Rmult_assoc. apply Rmult_le_compat_l; [auto|]. apply Rmult_le_compat; auto using Rabs_pos.
        -- apply Rlt_le, Rinv_0_lt_compat. lra.
        -- apply Rinv_le_contravar; lra.
      * apply Rlt_le, Rinv_0_lt_compat. lra.
    + pose proof (eigen_recurrence (S j) Hj) as R. cbn [before] in R. rewrite dot_scale_r in R.
      fold (z j) in R. cbn [pivot].
      assert (Z : z j = (beta j * z (S j) + s) / pivot lambda j) by (rewrite <- E; field; lra).
      rewrite Z in R.
      replace (beta j * s / pivot lambda j) with (beta j * ((beta j * z (S j) + s) / pivot lambda j) - beta j * beta j / pivot lambda j * z (S j))
        by (field; lra).
      lra.
Qed.

Lemma errors_nonneg j : (j < k)%nat -> 0 <= errors j.
Proof.
  induction j as [|j IH]; intros Hj; cbn [errors]; [apply norm_nonneg|].
  pose proof (pivots_positive j ltac:(lia)) as P.
  assert (0 <= beta j * errors j / pivot B j).
  { apply Rmult_le_pos; [apply Rmult_le_pos; auto with arith|]. now apply Rlt_le, Rinv_0_lt_compat. }
  pose proof (norm_nonneg n (f (S j))). lra.
Qed.

Lemma carried_back_bounds steps : B <= lambda -> (steps <= k)%nat -> Rabs (z (k - steps)) <= carried_back steps.
Proof.
  intros HB. induction steps as [|s IH]; intros Hs.
  - rewrite Nat.sub_0_r. pose proof (cauchy_schwarz_abs n w (q k)) as C. rewrite w_unit in C.
    cbn [carried_back]. unfold z. lra.
  - specialize (IH ltac:(lia)). cbn [carried_back]. set (j := (k - S s)%nat).
    replace (k - s)%nat with (S j) in IH by (unfold j; lia).
    assert (Hj : (j < k)%nat) by (unfold j; lia).
    destruct (eliminated j HB Hj) as (e & He & E).
    pose proof (pivots_positive j Hj) as P. pose proof (pivot_grows j HB Hj) as Pl.
    assert (U : pivot B j * Rabs (z j) <= beta j * carried_back s + errors j).
    { apply Rle_trans with (pivot lambda j * Rabs (z j)).
      - apply Rmult_le_compat_r; [apply Rabs_pos | exact Pl].
      - rewrite <- (Rabs_pos_eq (pivot lambda j)) by lra. rewrite <- Rabs_mult, E.
        apply Rle_trans with (1 := Rabs_triang _ _). rewrite Rabs_mult, (Rabs_pos_eq (beta j)) by auto.
        apply Rplus_le_compat; [|exact He]. apply Rmult_le_compat_l; auto. }
    apply (Rmult_le_reg_l (pivot B j)); [exact P|].
    replace (pivot B j * ((beta j * carried_back s + errors j) / pivot B j)) with (beta j * carried_back s + errors j)
      by (field; lra).
    exact U.
Qed.

(** If [λ ≥ B], then [|⟨w, g⟩| ≤ |g|·(…)] for the vector [g = |g| q_0] that was drawn. *)
Theorem lanczos_inequality g length :
  B <= lambda -> same n g (scale length (q O)) -> 0 <= length ->
  Rabs (dot n w g) <= length * carried_back k.
Proof.
  intros HB Hg Hl. rewrite (dot_ext n w g w _ (fun _ _ => eq_refl) Hg), dot_scale_r, Rabs_mult, (Rabs_pos_eq length) by exact Hl.
  apply Rmult_le_compat_l; [exact Hl|].
  pose proof (carried_back_bounds k HB (le_n k)) as C. now rewrite Nat.sub_diag in C.
Qed.

End Recurrence.

(** ** The probability *)

(** Several vectors are drawn; [P] is the probability of events over the draws. [threshold] is [τ]. *)
Section Draws.
Variables (draws : Type) (P : (draws -> Prop) -> R) (n vectors : nat) (g : draws -> nat -> vector) (w : vector).
Hypothesis monotone : forall A A' : draws -> Prop, (forall d, A d -> A' d) -> P A <= P A'.

(** The only premise about chance: the inner products of independent standard normal vectors with a fixed unit vector are
    independent standard normal numbers, so that all are at most [τ] in size with a probability of at most [(τ·√(2/π))^b]. *)
Definition normal_vectors_avoid_hyperplane (tau : R) : Prop :=
  P (fun d => forall v, (v < vectors)%nat -> Rabs (dot n w (g d v)) <= tau) <= (tau * sqrt (2 / PI)) ^ vectors.

(** [bound d] is what was computed from the draws [d]. If, wherever it lies at or below the eigenvalue, the inequality holds of every vector
    with [τ] on its right, the bound is wrong with a probability of at most [(τ·√(2/π))^b]. *)
Theorem lanczos_bound_fails_rarely (bound : draws -> R) lambda tau :
  normal_vectors_avoid_hyperplane tau ->
  (forall d v, bound d <= lambda -> (v < vectors)%nat -> Rabs (dot n w (g d v)) <= tau) ->
  P (fun d => bound d <= lambda) <= (tau * sqrt (2 / PI)) ^ vectors.
Proof.
  intros Normal H. apply Rle_trans with (2 := Normal). apply monotone. intros d Hd v Hv. now apply H.
Qed.

End Draws.
