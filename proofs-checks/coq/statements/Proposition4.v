(** Proposition 4 (affine upper bound), METHODS 2: for [y = A x + b] on a restricted ball
    [ȳ_i = y0_i + ε·|D a_i|], where [a_iᵀ] is row [i] of [A].

    The same statement, tested on the program: proofs-checks/Propositions/Proposition4.fs. *)

Require Import Lipschitz.
Local Open Scope R_scope.

Definition affine (n : nat) (A : matrix) (b : vector) : vector -> vector :=
  fun x i => apply n A x i + b i.

(** How far output [i] moves: [ε·|D a_i|]. *)
Definition reach (n : nat) (A : matrix) (d : vector) (eps : R) : vector :=
  fun i => eps * norm n (diag d (A i)).

Lemma affine_is_map n m A b : is_map n m (affine n A b).
Proof. intros x x' H i _. unfold affine. now rewrite (apply_ext n A x x' H). Qed.

Lemma affine_minus n A b x x' i :
  minus (affine n A b x) (affine n A b x') i = apply n A (minus x x') i.
Proof. unfold minus at 1, affine. rewrite apply_minus. ring. Qed.

Theorem proposition4 n A b x0 d eps x i :
  restricted_ball n x0 d eps x ->
  Rabs (affine n A b x i - affine n A b x0 i) <= reach n A d eps i.
Proof.
  intros (delta & Hn & Hx).
  change (affine n A b x i - affine n A b x0 i) with (minus (affine n A b x) (affine n A b x0) i).
  rewrite affine_minus. unfold apply, reach.
  rewrite (dot_ext n (A i) _ (A i) (diag d delta)); [|easy|].
  - assert (E : dot n (A i) (diag d delta) = dot n (diag d (A i)) delta).
    { apply sum_ext. intros. unfold diag. ring. }
    rewrite E.
    apply Rle_trans with (norm n (diag d (A i)) * norm n delta); [apply cauchy_schwarz_abs|].
    rewrite (Rmult_comm eps). apply Rmult_le_compat_l; auto using norm_nonneg.
  - intros j Hj. unfold minus. rewrite Hx by auto. unfold add. ring.
Qed.

(** As METHODS states it: no permitted [y_i] is above [ȳ_i]. *)
Corollary proposition4_upper n A b x0 d eps x i :
  restricted_ball n x0 d eps x ->
  affine n A b x i <= affine n A b x0 i + reach n A d eps i.
Proof.
  intros H. pose proof (proposition4 n A b x0 d eps x i H).
  pose proof (Rle_abs (affine n A b x i - affine n A b x0 i)). lra.
Qed.

(** It is attained, at the point of the ball in the direction of [D a_i]. *)
Theorem proposition4_attained n A b x0 d eps i :
  mask n d -> 0 <= eps ->
  exists x, restricted_ball n x0 d eps x /\
    affine n A b x i = affine n A b x0 i + reach n A d eps i.
Proof.
  intros Hd He. set (a := diag d (A i)).
  assert (Ha : dot n (A i) (diag d a) = square_norm n a).
  { apply sum_ext. intros j Hj. unfold a, diag. destruct (Hd j Hj) as [->| ->]; ring. }
  assert (P : forall c, c * norm n a <= eps -> 0 <= c -> c * square_norm n a = eps * norm n a ->
    exists x, restricted_ball n x0 d eps x /\
      affine n A b x i = affine n A b x0 i + reach n A d eps i).
  { intros c Hc Hc0 E. exists (add x0 (diag d (scale c a))). split.
    - exists (scale c a). split; [|easy].
      apply Rle_trans with (c * norm n a); [|exact Hc].
      apply norm_le_scaled; [exact Hc0|]. unfold square_norm.
      rewrite dot_scale_l, dot_scale_r. lra.
    - unfold affine, apply, reach. fold a. rewrite <- E, <- Ha.
      rewrite dot_sym, dot_add_l, dot_sym, (dot_sym n (diag d (scale c a))).
      assert (S : dot n (A i) (diag d (scale c a)) = c * dot n (A i) (diag d a)).
      { rewrite <- dot_scale_r. apply dot_ext; [easy|]. intros j _. unfold diag, scale. ring. }
      rewrite S. ring. }
  destruct (Req_dec (norm n a) 0) as [Z|Z].
  - apply (P 0); [lra | lra |]. rewrite Z. ring.
  - pose proof (norm_nonneg n a).
    apply (P (eps / norm n a)).
    + unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra.
    + apply Rmult_le_pos; [exact He|]. apply Rlt_le, Rinv_0_lt_compat. lra.
    + rewrite <- norm_square. field. exact Z.
Qed.
