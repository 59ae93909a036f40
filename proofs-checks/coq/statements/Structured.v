(** The loop of METHODS 14a and the reaches of 14b: norms at most 1 bound the constant, and
    reaches follow by induction over the bends.

    Coordinates: [δx] in R^n, increments [δz_i] before the bends [i < k] in the order of the network,
    residuals [δ_i] with [|δ_i| ≤ c_i|δz_i|], factors [D_i > 0]. A bend whose slope is known has [c_i = 0].

    The same statements, tested on the program: proofs-checks/Propositions/Structured.fs,
    StructuredLoops.fs and StructuredReaches.fs. *)

From Coq Require Import Psatz Wf_nat.
Require Import Lipschitz.
Local Open Scope R_scope.

(** [|D (c∘δz)|²]: the squared length of what the channels hand on. *)
Definition loop_square (k : nat) (D c dz : vector) : R := square_norm k (fun i => D i * (c i * dz i)).

Lemma residuals_within_loop k D c dz delta :
  (forall i, (i < k)%nat -> Rabs (delta i) <= Rabs (c i * dz i)) ->
  square_norm k (diag D delta) <= loop_square k D c dz.
Proof.
  intros H. apply sum_le. intros i Hi. apply Rsqr_le_abs_1. unfold diag. rewrite !Rabs_mult.
  apply Rmult_le_compat_l; [apply Rabs_pos|]. rewrite <- Rabs_mult. now apply H.
Qed.

(** ** 14a: the norm of the loop *)

Section Loop.
Variables (n k m : nat) (D c : vector) (L : R).
Hypothesis HL : 0 < L.

(** For one pair of inputs: increments of the input, before the bends, of the outputs, and residuals. *)
Variables dx dz df delta : vector.
Hypothesis residuals : forall i, (i < k)%nat -> Rabs (delta i) <= Rabs (c i * dz i).

(** [|K_D(δx, Dδ)| ≤ μ |(δx, Dδ)|], where [K_D(u0, u) = (δf/L, D(c∘δz))]. *)
Definition loop_norm_at_most (mu : R) : Prop :=
  square_norm m df / (L * L) + loop_square k D c dz
    <= mu * mu * (square_norm n dx + square_norm k (diag D delta)).

Theorem loop_norm_one : loop_norm_at_most 1 -> norm m df <= L * norm n dx.
Proof.
  intros K. unfold loop_norm_at_most in K.
  pose proof (residuals_within_loop k D c dz delta residuals) as R.
  apply norm_le_scaled; [lra|].
  assert (H : square_norm m df / (L * L) <= square_norm n dx) by lra.
  apply (Rmult_le_compat_r (L * L)) in H; [|nra].
  replace (square_norm m df / (L * L) * (L * L)) with (square_norm m df) in H by (field; lra). lra.
Qed.

(** What is shown at [μ ≥ 1] is not lost, where [|Dδ| ≤ ω|δx|]: [L' = L·√(μ² + (μ² − 1)ω²)]. *)
Theorem loop_norm_above_one mu omega :
  1 <= mu -> 0 <= omega -> loop_norm_at_most mu ->
  norm k (diag D delta) <= omega * norm n dx ->
  norm m df <= L * sqrt (mu * mu + (mu * mu - 1) * (omega * omega)) * norm n dx.
Proof.
  intros Hmu Homega K Hd. unfold loop_norm_at_most in K.
  pose proof (residuals_within_loop k D c dz delta residuals) as R.
  set (q := mu * mu + (mu * mu - 1) * (omega * omega)).
  assert (Hq : 0 <= q).
  { unfold q. assert (0 <= (mu * mu - 1) * (omega * omega)) by (apply Rmult_le_pos; nra). nra. }
  apply norm_le_scaled; [apply Rmult_le_pos; [lra | apply sqrt_pos]|].
  replace (L * sqrt q * (L * sqrt q)) with (L * L * (sqrt q * sqrt q)) by ring.
  rewrite sqrt_sqrt by exact Hq.
  assert (Hd2 : square_norm k (diag D delta) <= omega * omega * square_norm n dx).
  { apply square_le_of_norm in Hd. rewrite <- (norm_square n dx). lra. }
  assert (H : square_norm m df / (L * L) <= q * square_norm n dx).
  { unfold q. set (X := square_norm n dx) in *. set (Y := square_norm k (diag D delta)) in *.
    assert ((mu * mu - 1) * Y <= (mu * mu - 1) * (omega * omega * X)) by (apply Rmult_le_compat_l; nra).
    lra. }
  apply (Rmult_le_compat_r (L * L)) in H; [|nra].
  replace (square_norm m df / (L * L) * (L * L)) with (square_norm m df) in H by (field; lra). lra.
Qed.

End Loop.

(** A network whose increments are linear in those of the input and in residuals, and whose loop has a
    norm of at most 1, has the constant [L] at most: nominal for pairs with [x0], uniform for all pairs. *)
Section Network.
Variables (n k m : nat) (Fx Fd Zx Zd : matrix) (D c : vector) (L : R).

Definition outputs (dx delta : vector) : vector := add (apply n Fx dx) (apply k Fd delta).
Definition before_bends (dx delta : vector) : vector := add (apply n Zx dx) (apply k Zd delta).

(** [‖K_D‖ ≤ 1], [K_D(u0, u) = (δf/L, D(c∘δz))] with [δx = u0], [δ = D⁻¹u]. *)
Definition loop_is_contraction : Prop := forall u0 u,
  let delta := fun i => u i / D i in
  square_norm m (outputs u0 delta) / (L * L) + loop_square k D c (before_bends u0 delta)
    <= square_norm n u0 + square_norm k u.

Theorem structured_bound f (P : vector -> vector -> Prop) :
  0 < L -> (forall i, (i < k)%nat -> 0 < D i) -> loop_is_contraction ->
  (forall x x', P x x' -> exists delta,
     (forall i, (i < k)%nat -> Rabs (delta i) <= Rabs (c i * before_bends (minus x x') delta i)) /\
     same m (minus (f x) (f x')) (outputs (minus x x') delta)) ->
  bounds_slopes n m f P L.
Proof.
  intros HL HD K Hf x x' HP. destruct (Hf x x' HP) as (delta & Hr & Ho).
  rewrite (norm_ext m _ _ Ho).
  apply (loop_norm_one n k m D c L HL (minus x x') (before_bends (minus x x') delta) _ delta); [exact Hr|].
  unfold loop_norm_at_most. specialize (K (minus x x') (diag D delta)). cbv zeta in K.
  assert (E : same k (fun i => diag D delta i / D i) delta).
  { intros i Hi. unfold diag. field. apply Rgt_not_eq. now apply HD. }
  assert (Eo : same m (outputs (minus x x') (fun i => diag D delta i / D i)) (outputs (minus x x') delta)).
  { intros i _. unfold outputs, add. f_equal. now apply apply_ext. }
  assert (Ez : loop_square k D c (before_bends (minus x x') (fun i => diag D delta i / D i))
             = loop_square k D c (before_bends (minus x x') delta)).
  { apply dot_ext; intros i _; unfold before_bends, add; now rewrite (apply_ext k Zd _ _ E). }
  rewrite Ez in K. unfold square_norm at 1 in K. rewrite (dot_ext m _ _ _ _ Eo Eo) in K.
  fold (square_norm m (outputs (minus x x') delta)) in K. lra.
Qed.

End Network.

(** ** 14b: reaches *)

(** In the units [u0 = s δx], [u = D δ] row [i] of the map to [δz] is [(P_i, Q_i)]. *)
Section Reaches.
Variables (n k : nat) (P Q : matrix) (D c t : vector) (kappa s eps : R).

Definition increment (u0 u : vector) : vector := fun i => dot n (P i) u0 + dot k (Q i) u.

(** Bends read residuals of bends before them only. *)
Hypothesis triangular : forall i j, (i < k)%nat -> (i <= j)%nat -> Q i j = 0.

(** [|E_D| ≤ κ < 1], [E_D(u0, u) = D(c∘δz)]. *)
Hypothesis Hkappa : 0 <= kappa < 1.
Hypothesis channels_norm : forall u0 u,
  loop_square k D c (increment u0 u) <= kappa * kappa * (square_norm n u0 + square_norm k u).

Lemma kappa_room : 0 < 1 - kappa * kappa.
Proof. nra. Qed.

(** Channels that obey their bounds are no longer than [κ/√(1 − κ²)] times [u0]. *)
Lemma channels_length u0 u :
  square_norm k u <= loop_square k D c (increment u0 u) ->
  square_norm k u <= kappa * kappa / (1 - kappa * kappa) * square_norm n u0.
Proof.
  intros H. pose proof (channels_norm u0 u). pose proof kappa_room.
  apply (Rmult_le_reg_r (1 - kappa * kappa)); [lra|].
  replace (kappa * kappa / (1 - kappa * kappa) * square_norm n u0 * (1 - kappa * kappa))
    with (kappa * kappa * square_norm n u0) by (field; lra). lra.
Qed.

(** So the residuals of the whole network are: [|Dδ| ≤ κ/√(1 − κ²)·|s δx|], the [ω] of [loop_norm_above_one]. *)
Theorem residual_length u0 u :
  square_norm k u <= loop_square k D c (increment u0 u) ->
  norm k u <= kappa / sqrt (1 - kappa * kappa) * norm n u0.
Proof.
  intros H. apply channels_length in H. pose proof kappa_room.
  assert (0 < sqrt (1 - kappa * kappa)) by now apply sqrt_lt_R0.
  apply norm_le_scaled.
  - apply Rmult_le_pos; [lra|]. now apply Rlt_le, Rinv_0_lt_compat.
  - replace (kappa / sqrt (1 - kappa * kappa) * (kappa / sqrt (1 - kappa * kappa)))
      with (kappa * kappa / (sqrt (1 - kappa * kappa) * sqrt (1 - kappa * kappa))) by (field; lra).
    now rewrite sqrt_sqrt by lra.
Qed.

(** [‖(s δx, D δ)‖ ≤ s·ε/√(1 − κ²) = ρ] where [|s δx| ≤ s·ε]. *)
Definition rho : R := s * eps / sqrt (1 - kappa * kappa).

Lemma whole_length u0 u :
  0 <= s * eps -> norm n u0 <= s * eps ->
  square_norm k u <= loop_square k D c (increment u0 u) ->
  square_norm n u0 + square_norm k u <= rho * rho.
Proof.
  intros H0 Hu H. apply channels_length in H. pose proof kappa_room.
  assert (0 < sqrt (1 - kappa * kappa)) by now apply sqrt_lt_R0.
  apply square_le_of_norm in Hu.
  unfold rho.
  replace (s * eps / sqrt (1 - kappa * kappa) * (s * eps / sqrt (1 - kappa * kappa)))
    with (s * eps * (s * eps) / (sqrt (1 - kappa * kappa) * sqrt (1 - kappa * kappa))) by (field; lra).
  rewrite sqrt_sqrt by lra.
  apply (Rmult_le_reg_r (1 - kappa * kappa)); [lra|].
  replace (s * eps * (s * eps) / (1 - kappa * kappa) * (1 - kappa * kappa)) with (s * eps * (s * eps)) by (field; lra).
  apply (Rmult_le_compat_r (1 - kappa * kappa)) in H; [|lra].
  replace (kappa * kappa / (1 - kappa * kappa) * square_norm n u0 * (1 - kappa * kappa))
    with (kappa * kappa * square_norm n u0) in H by (field; lra). lra.
Qed.

(** The length of row [i]. *)
Definition row_length (i : nat) : R := sqrt (square_norm n (P i) + square_norm k (Q i)).

(** Cauchy–Schwarz over both blocks: [|δz_i| ≤ |row_i|·ρ]. *)
Lemma increment_within_row u0 u i r :
  0 <= r -> square_norm n u0 + square_norm k u <= r * r ->
  Rabs (increment u0 u i) <= row_length i * r.
Proof.
  intros Hr H. unfold increment, row_length.
  set (p := square_norm n (P i)). set (q := square_norm k (Q i)).
  set (a := square_norm n u0) in *. set (b := square_norm k u) in *.
  pose proof (cauchy_schwarz_squares n (P i) u0) as C. fold p a in C.
  pose proof (cauchy_schwarz_squares k (Q i) u) as C'. fold q b in C'.
  assert (Hp : 0 <= p) by apply square_norm_nonneg. assert (Hq : 0 <= q) by apply square_norm_nonneg.
  assert (Ha : 0 <= a) by apply square_norm_nonneg. assert (Hb : 0 <= b) by apply square_norm_nonneg.
  set (x := dot n (P i) u0) in *. set (y := dot k (Q i) u) in *.
  (* |x| ≤ √(p a), |y| ≤ √(q b): the vectors (√p, √q) and (√a, √b) *)
  pose (v := fun l => match l with O => sqrt p | _ => sqrt q end).
  pose (w := fun l => match l with O => sqrt a | _ => sqrt b end).
  assert (X : Rabs x <= sqrt p * sqrt a).
  { rewrite <- sqrt_mult by assumption. rewrite <- sqrt_Rsqr_abs. apply sqrt_le_1; [apply Rle_0_sqr|nra|exact C]. }
  assert (Y : Rabs y <= sqrt q * sqrt b).
  { rewrite <- sqrt_mult by assumption. rewrite <- sqrt_Rsqr_abs. apply sqrt_le_1; [apply Rle_0_sqr|nra|exact C']. }
  pose proof (cauchy_schwarz 2 v w) as CS. unfold dot in CS. simpl in CS.
  apply Rle_trans with (1 := Rabs_triang x y).
  apply Rle_trans with (sqrt p * sqrt a + sqrt q * sqrt b); [lra|].
  apply Rle_trans with (norm 2 v * norm 2 w); [lra|].
  apply Rmult_le_compat; try apply norm_nonneg.
  - unfold norm, square_norm, dot. simpl. rewrite !sqrt_sqrt by assumption. apply Req_le. f_equal. lra.
  - apply norm_le_square; [exact Hr|]. unfold square_norm, dot. simpl. rewrite !sqrt_sqrt by assumption. lra.
Qed.

(** Reaches follow by induction: slopes were taken from the claims [t], so [|u_j| ≤ D_j c_j|δz_j|] is
    known of a bend only where [|δz_j| ≤ t_j]. If every row satisfies [|row_i|·ρ ≤ t_i], all increments
    reach no further than claimed. *)
Theorem reaches_follow u0 u :
  0 <= s * eps -> norm n u0 <= s * eps ->
  (forall i, (i < k)%nat -> Rabs (increment u0 u i) <= t i ->
     Rabs (u i) <= Rabs (D i * (c i * increment u0 u i))) ->
  (forall i, (i < k)%nat -> row_length i * rho <= t i) ->
  forall i, (i < k)%nat -> Rabs (increment u0 u i) <= t i.
Proof.
  intros H0 Hu0 Hu Hrow i. induction i as [i IH] using lt_wf_ind. intros Hi.
  (* what later bends hand on does not reach bend i, and is left out *)
  set (before := fun j => if Nat.ltb j i then u j else 0).
  assert (Same : forall j, (j <= i)%nat -> increment u0 before j = increment u0 u j).
  { intros j Hj. unfold increment. f_equal. apply sum_ext. intros l Hl. unfold before.
    destruct (Nat.ltb_spec l i); [easy|]. rewrite (triangular j l) by lia. ring. }
  assert (B : square_norm k before <= loop_square k D c (increment u0 before)).
  { apply sum_le. intros j Hj. unfold before at 1 2. destruct (Nat.ltb_spec j i).
    - rewrite Same by lia. apply Rsqr_le_abs_1. apply Hu; [exact Hj|]. now apply IH.
    - rewrite Rmult_0_l. apply Rle_0_sqr. }
  rewrite <- Same by lia. apply Rle_trans with (row_length i * rho); [|now apply Hrow].
  apply increment_within_row.
  - unfold rho. apply Rmult_le_pos; [exact H0|]. apply Rlt_le, Rinv_0_lt_compat, sqrt_lt_R0, kappa_room.
  - now apply whole_length.
Qed.

End Reaches.
