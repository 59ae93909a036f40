(** LipSDP at any depth, METHODS 15: with [X_0 = I], [A_i = W_i X_{i−1}⁻¹ W_iᵀ] and
    [X_i = Λ_i − ¼ Λ_i A_i Λ_i], all positive definite, [L² = λ_max(W_K X_{K−1}⁻¹ W_Kᵀ)] bounds the global
    constant of a chain of dense layers whose activations have slopes in [[0, 1]].

    The same statement, tested on the program: proofs-checks/Propositions/ChainLipSdp.fs. *)

From Coq Require Import Psatz.
Require Import Lipschitz SpectralNorm Proposition4 Theorem1.
Local Open Scope R_scope.

(** An activation whose slopes lie in [[0, 1]], such as ReLU. *)
Definition slopes_in_unit_interval (sigma : R -> R) : Prop :=
  forall y y', exists s, 0 <= s <= 1 /\ sigma y - sigma y' = s * (y - y').

Lemma relu_slopes_in_unit_interval : slopes_in_unit_interval relu.
Proof.
  intros y y'. destruct (Req_dec y y') as [->|H]; [exists 0; lra|].
  exists ((relu y - relu y') / (y - y')). split; [|field; lra].
  pose proof (theorem1_uniform (Rmax y y') y y' (Rmax_l _ _) (Rmax_r _ _)) as T.
  assert (Q : (relu y - relu y') / (y - y') * (y - y') = relu y - relu y') by (field; lra).
  set (s := (relu y - relu y') / (y - y')) in *. clearbody s. rewrite <- Q, Rabs_mult in T.
  assert (U : relu_uniform_slope (Rmax y y') <= 1) by (unfold relu_uniform_slope; destruct (Rlt_dec _ _); lra).
  assert (P : 0 < Rabs (y - y')) by (apply Rabs_pos_lt; lra).
  assert (Rabs s <= 1) by (apply (Rmult_le_reg_r (Rabs (y - y'))); nra).
  apply abs_at_most in H0. split; [|lra].
  (* ReLU does not fall *)
  assert (M : 0 <= (relu y - relu y') * (y - y')).
  { unfold relu, Rmax. destruct (Rle_dec 0 y), (Rle_dec 0 y'); nra. }
  rewrite <- Q in M. assert (0 < (y - y') * (y - y')) by nra.
  apply (Rmult_le_reg_r ((y - y') * (y - y'))); nra.
Qed.

Definition positive_definite (n : nat) (X : matrix) : Prop :=
  symmetric n X /\ forall x, ~ same n x zero -> 0 < quadratic n X x.

Definition inverse (n : nat) (X Y : matrix) : Prop :=
  forall p i, (i < n)%nat -> apply n X (apply n Y p) i = p i.

Lemma quadratic_nonneg n X x : positive_definite n X -> 0 <= quadratic n X x.
Proof.
  intros [_ H]. destruct (Req_dec (norm n x) 0) as [Z|Z].
  - apply norm_eq_zero in Z. unfold quadratic. rewrite (dot_ext n x (apply n X x) zero zero).
    + rewrite dot_zero_r. lra.
    + exact Z.
    + intros i _. rewrite (apply_ext n X x zero Z). apply dot_zero_r.
  - apply Rlt_le, H. intros S. apply Z. rewrite (norm_ext n x zero S). apply norm_zero.
Qed.

Lemma dot_symmetric n X x y : symmetric n X -> dot n x (apply n X y) = dot n (apply n X x) y.
Proof.
  intros S. rewrite dot_transpose. apply dot_ext; [easy|]. intros i Hi. apply dot_ext; [|easy].
  intros j Hj. unfold transpose. now apply S.
Qed.

(** Fenchel: [⟨p, η⟩ ≤ ⟨η, Xη⟩ + ¼⟨p, X⁻¹p⟩]. *)
Lemma inverse_bounds_product n X Y p eta :
  positive_definite n X -> inverse n X Y ->
  dot n p eta <= quadratic n X eta + quadratic n Y p / 4.
Proof.
  intros HX HI. set (y := apply n Y p).
  pose proof (quadratic_nonneg n X (minus eta (scale (/ 2) y)) HX) as P.
  assert (E : quadratic n X (minus eta (scale (/ 2) y)) = quadratic n X eta - dot n p eta + quadratic n Y p / 4).
  { assert (Xy : same n (apply n X y) p) by (intros i Hi; now apply HI).
    assert (XD : same n (apply n X (minus eta (scale (/ 2) y))) (minus (apply n X eta) (scale (/ 2) p))).
    { intros i Hi. rewrite apply_minus. unfold minus. f_equal. unfold scale.
      rewrite <- Xy by exact Hi. apply dot_scale_r. }
    unfold quadratic at 1. rewrite (dot_ext n _ _ _ _ (fun _ _ => eq_refl) XD).
    rewrite dot_minus_r, !dot_minus_l, !dot_scale_l, !dot_scale_r.
    rewrite (dot_symmetric n X y eta) by apply HX.
    rewrite (dot_ext n (apply n X y) eta p eta Xy) by easy.
    rewrite (dot_sym n y p), (dot_sym n eta p). unfold quadratic. fold y. lra. }
  lra.
Qed.

(** ** One layer *)

(** [W X⁻¹ Wᵀ]: [X] has side [n]. *)
Definition carried (n : nat) (W Y : matrix) : matrix := product n W (product n Y (transpose W)).

(** [Λ − ¼ Λ A Λ]. *)
Definition next_block (lambda : vector) (A : matrix) : matrix :=
  fun i j => lambda i * identity i j - lambda i * A i j * lambda j / 4.

Lemma quadratic_carried n m W Y y :
  quadratic m (carried n W Y) y = quadratic n Y (apply m (transpose W) y).
Proof.
  unfold quadratic, carried.
  transitivity (dot m y (apply n W (apply n Y (apply m (transpose W) y)))).
  - apply dot_ext; [easy|]. intros i _. rewrite apply_product. apply apply_ext.
    intros j _. apply apply_product.
  - rewrite dot_sym, dot_transpose, dot_sym. reflexivity.
Qed.

Lemma quadratic_next_block m lambda A xi :
  quadratic m (next_block lambda A) xi
  = sum m (fun i => lambda i * (xi i * xi i)) - quadratic m A (diag lambda xi) / 4.
Proof.
  unfold quadratic.
  transitivity (dot m xi (minus (diag lambda (apply m identity xi)) (scale (/ 4) (diag lambda (apply m A (diag lambda xi)))))).
  - apply dot_ext; [easy|]. intros i _. unfold minus, scale, diag, apply, dot, next_block.
    rewrite <- !sum_scale, <- sum_minus. apply sum_ext. intros. field.
  - rewrite dot_minus_r, dot_scale_r. f_equal.
    + apply sum_ext. intros i Hi. unfold diag. rewrite apply_identity by exact Hi. ring.
    + assert (E : dot m xi (diag lambda (apply m A (diag lambda xi)))
                = dot m (diag lambda xi) (apply m A (diag lambda xi))).
      { apply sum_ext. intros. unfold diag. ring. }
      rewrite E. lra.
Qed.

(** The step: increments [η] of a layer's inputs and [ξ] of its outputs satisfy [⟨ξ, X_i ξ⟩ ≤ ⟨η, X_{i−1} η⟩]. *)
Lemma block_step n m W X Y lambda eta xi :
  positive_definite n X -> inverse n X Y ->
  (forall i, (i < m)%nat -> 0 <= lambda i) ->
  (forall i, (i < m)%nat -> exists s, 0 <= s <= 1 /\ xi i = s * apply n W eta i) ->
  quadratic m (next_block lambda (carried n W Y)) xi <= quadratic n X eta.
Proof.
  intros HX HI Hl Hs. rewrite quadratic_next_block, (quadratic_carried n m).
  set (p := apply m (transpose W) (diag lambda xi)).
  pose proof (inverse_bounds_product n X Y p eta HX HI) as F.
  (* a slope s in [0, 1] has ξ(v − ξ) = s(1 − s)v² ≥ 0 *)
  assert (S : sum m (fun i => lambda i * (xi i * xi i)) <= dot n p eta).
  { unfold p. rewrite dot_sym, <- dot_transpose. apply sum_le. intros i Hi. unfold diag.
    destruct (Hs i Hi) as (s & Hs1 & ->). specialize (Hl i Hi). set (v := apply n W eta i).
    replace (lambda i * (s * v * (s * v))) with ((lambda i * (v * v)) * (s * s)) by ring.
    replace (v * (lambda i * (s * v))) with ((lambda i * (v * v)) * s) by ring.
    apply Rmult_le_compat_l; [apply Rmult_le_pos; [exact Hl | apply Rle_0_sqr] | nra]. }
  lra.
Qed.

(** ** The chain *)

Section Chain.
(** Layer [i < depth] has the matrix [W i] with [width i] columns and [width (i + 1)] rows; the last
    map is [W depth]. *)
Variables (depth outputs : nat) (width : nat -> nat) (W : nat -> matrix) (b : nat -> vector) (sigma : R -> R).
Hypothesis Hsigma : slopes_in_unit_interval sigma.

Fixpoint values (i : nat) (x : vector) : vector :=
  match i with
  | O => x
  | S j => fun r => sigma (affine (width j) (W j) (b j) (values j x) r)
  end.

Definition chain (x : vector) : vector := affine (width depth) (W depth) (b depth) (values depth x).

(** The recursion, with inverses [Y i] of its blocks. *)
Variables (lambda : nat -> vector) (Y : nat -> matrix).
Hypothesis lambda_nonneg : forall i r, (i < depth)%nat -> (r < width (S i))%nat -> 0 <= lambda i r.

Definition block (i : nat) : matrix :=
  match i with
  | O => identity
  | S j => next_block (lambda j) (carried (width j) (W j) (Y j))
  end.

Hypothesis blocks_positive : forall i, (i <= depth)%nat -> positive_definite (width i) (block i).
Hypothesis Y_inverse : forall i, (i <= depth)%nat -> inverse (width i) (block i) (Y i).

Lemma values_in_block i x x' :
  (i <= depth)%nat ->
  quadratic (width i) (block i) (minus (values i x) (values i x')) <= square_norm (width 0) (minus x x').
Proof.
  induction i as [|i IH]; intros Hi.
  - simpl. apply Req_le. unfold quadratic. apply dot_ext; [easy|]. intros j Hj. now apply apply_identity.
  - apply Rle_trans with (2 := IH ltac:(lia)). cbn [block].
    apply block_step.
    + apply blocks_positive. lia.
    + apply Y_inverse. lia.
    + intros r Hr. apply lambda_nonneg; [lia | exact Hr].
    + intros r _. unfold minus at 1. cbn [values].
      destruct (Hsigma (affine (width i) (W i) (b i) (values i x) r)
                       (affine (width i) (W i) (b i) (values i x') r)) as (s & Hs & E).
      exists s. split; [exact Hs|]. rewrite E. f_equal. apply affine_minus.
Qed.

Theorem block_recursion L :
  0 <= L ->
  (forall y, quadratic outputs (carried (width depth) (W depth) (Y depth)) y <= L * L * square_norm outputs y) ->
  global (width 0) outputs chain L.
Proof.
  intros HL Hlast x x' _. apply norm_le_scaled; [exact HL|].
  set (n := width depth). set (eta := minus (values depth x) (values depth x')).
  set (y := minus (chain x) (chain x')).
  assert (Hy : forall i, y i = apply n (W depth) eta i) by (intros i; apply affine_minus).
  pose proof (values_in_block depth x x' ltac:(lia)) as V. fold n eta in V.
  set (q := quadratic n (block depth) eta) in *.
  assert (Hq : 0 <= q) by (apply quadratic_nonneg, blocks_positive; lia).
  (* |y|² = ⟨Wᵀy, η⟩; the bound for 2y/c with every c > 0, by Fenchel *)
  assert (E : square_norm outputs y = dot n (apply outputs (transpose (W depth)) y) eta).
  { unfold square_norm. rewrite (dot_ext outputs y y (apply n (W depth) eta) y) by (intros ? ?; auto).
    rewrite dot_transpose. apply dot_sym. }
  assert (F : forall c, c * square_norm outputs y <= q + c * c * (L * L) * square_norm outputs y / 4).
  { intros c.
    pose proof (inverse_bounds_product n (block depth) (Y depth)
      (scale c (apply outputs (transpose (W depth)) y)) eta
      (blocks_positive depth ltac:(lia)) (Y_inverse depth ltac:(lia))) as P.
    rewrite dot_scale_l, <- E in P. fold q in P.
    assert (S : quadratic n (Y depth) (scale c (apply outputs (transpose (W depth)) y))
              = c * c * quadratic outputs (carried n (W depth) (Y depth)) y).
    { rewrite (quadratic_carried n outputs). unfold quadratic.
      rewrite dot_scale_l, Rmult_assoc. f_equal. rewrite <- dot_scale_r.
      apply dot_ext; [easy|]. intros i _. unfold scale at 2. apply dot_scale_r. }
    rewrite S in P. specialize (Hlast y). fold n in Hlast. nra. }
  destruct (Rle_lt_or_eq_dec _ _ HL) as [Lp|<-].
  - specialize (F (2 / (L * L))).
    assert (Lp2 : 0 < L * L) by nra.
    apply Rle_trans with (L * L * q); [|apply Rmult_le_compat_l; lra].
    apply (Rmult_le_compat_l (L * L)) in F; [|lra].
    replace (L * L * (2 / (L * L) * square_norm outputs y)) with (2 * square_norm outputs y) in F by (field; lra).
    replace (L * L * (q + 2 / (L * L) * (2 / (L * L)) * (L * L) * square_norm outputs y / 4))
      with (L * L * q + square_norm outputs y) in F by (field; lra).
    lra.
  - pose proof (square_norm_nonneg outputs y) as Sy.
    destruct (Rle_lt_or_eq_dec _ _ Sy) as [Sp|<-]; [|lra].
    specialize (F ((q + 1) / square_norm outputs y)).
    replace ((q + 1) / square_norm outputs y * square_norm outputs y) with (q + 1) in F by (field; lra). lra.
Qed.

End Chain.
