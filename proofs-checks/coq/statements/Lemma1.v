(** Lemma 1, METHODS 2: a continuous piecewise linear map has [L = max] over its pieces of the norm of the piece's matrix.
    Over a convex set the constant is at most that maximum, and no piece that holds a ball has a norm above it.

    The same statement, tested on the program: proofs-checks/Propositions/Lemma1.fs. *)

From Coq Require Import List Psatz FunctionalExtensionality.
Require Import Lipschitz Theorem2.
Local Open Scope R_scope.

(** The point [x + t(y − x)] of the segment from [x] to [y]. *)
Definition between (x y : vector) (t : R) : vector := fun i => x i + t * (y i - x i).

Definition convex (X : set) : Prop := forall x y t, X x -> X y -> 0 <= t <= 1 -> X (between x y t).

Definition continuous_on (n m : nat) (f : vector -> vector) (X : set) : Prop :=
  forall x rho, X x -> 0 < rho -> exists delta, 0 < delta /\
    forall y, X y -> norm n (minus x y) < delta -> norm m (minus (f x) (f y)) < rho.

(** On the piece [P] the map is affine with the matrix [A]. *)
Definition affine_on (n m : nat) (f : vector -> vector) (P : set) (A : matrix) : Prop :=
  forall x y, P x -> P y -> same m (minus (f x) (f y)) (apply n A (minus x y)).

Lemma between_start x y : between x y 0 = x.
Proof. apply functional_extensionality. intros i. unfold between. ring. Qed.

Lemma between_end x y : between x y 1 = y.
Proof. apply functional_extensionality. intros i. unfold between. ring. Qed.

(** What is left of a segment from a later point is part of it. *)
Lemma between_rest x y t s : between (between x y t) y s = between x y (t + s * (1 - t)).
Proof. apply functional_extensionality. intros i. unfold between. ring. Qed.

Lemma between_distance n x y s t : norm n (minus (between x y s) (between x y t)) = Rabs (s - t) * norm n (minus x y).
Proof.
  pose proof (norm_nonneg n (minus x y)) as N. pose proof (Rabs_pos (s - t)) as A.
  assert (E : square_norm n (minus (between x y s) (between x y t)) = (s - t) * (s - t) * square_norm n (minus x y)).
  { unfold square_norm, dot. rewrite <- sum_scale. apply sum_ext. intros. unfold minus, between. ring. }
  unfold norm. rewrite E, sqrt_mult; [|apply Rle_0_sqr|apply square_norm_nonneg]. f_equal. apply sqrt_Rsqr_abs.
Qed.

Section PiecewiseLinear.
Variables (n m : nat) (f : vector -> vector) (X : set) (piece : nat -> set) (A : nat -> matrix) (C : R).
Hypothesis X_convex : convex X.
Hypothesis f_continuous : continuous_on n m f X.
Hypothesis pieces_convex : forall p, convex (piece p).
Hypothesis f_affine : forall p, affine_on n m f (piece p) (A p).
Hypothesis norms : forall p, spectral_norm_at_most m n (A p) C.

(** On one piece. *)
Lemma within_piece p x y : piece p x -> piece p y -> norm m (minus (f x) (f y)) <= C * norm n (minus x y).
Proof. intros Hx Hy. rewrite (norm_ext m _ _ (f_affine p x y Hx Hy)). apply (norms p). Qed.

(** Through three points. *)
Lemma norm_through u v w : norm m (minus u w) <= norm m (minus u v) + norm m (minus v w).
Proof.
  rewrite (norm_ext m (minus u w) (add (minus u v) (minus v w))); [apply norm_triangle|].
  intros i _. unfold minus, add. ring.
Qed.

(** Along a segment that finitely many pieces cover: the piece that holds its start holds it up to some last point, behind which
    the other pieces cover it. *)
Lemma along_segment count : forall pieces x y, (length pieces <= count)%nat -> X x -> X y ->
  (forall t, 0 <= t <= 1 -> exists p, In p pieces /\ piece p (between x y t)) ->
  norm m (minus (f x) (f y)) <= C * norm n (minus x y).
Proof.
  assert (HC : 0 <= C) by apply (norms O).
  induction count as [|count IH]; intros pieces x y Hcount Hx Hy Cover.
  { destruct (Cover 0 ltac:(lra)) as (p & Hp & _). destruct pieces; [easy | simpl in Hcount; lia]. }
  set (D := norm n (minus x y)). assert (HD : 0 <= D) by apply norm_nonneg.
  destruct (Cover 0 ltac:(lra)) as (p & Hp & P0). rewrite between_start in P0.
  set (E := fun t => 0 <= t <= 1 /\ piece p (between x y t)).
  assert (E0 : E 0) by (split; [lra | now rewrite between_start]).
  destruct (completeness E) as (tau & Up & Least); [exists 1; intros t [Ht _]; lra | now exists 0|].
  assert (T : 0 <= tau <= 1) by (split; [now apply Up | apply Least; intros t [Ht _]; lra]).
  apply Rnot_lt_le. intros Far.
  set (rho := (norm m (minus (f x) (f y)) - C * D) / 2). assert (Hrho : 0 < rho) by (unfold rho; lra).
  assert (On : forall t, 0 <= t <= 1 -> X (between x y t)) by auto.
  destruct (f_continuous (between x y tau) rho (On tau T) Hrho) as (delta & Hdelta & Near).
  set (eta := delta / (D + 1)). assert (Heta : 0 < eta) by (apply Rmult_lt_0_compat; [lra | apply Rinv_0_lt_compat; lra]).
  assert (Close : forall t, 0 <= t <= 1 -> Rabs (tau - t) < eta ->
    norm m (minus (f (between x y tau)) (f (between x y t))) < rho).
  { intros t Ht Ha. apply Near; [now apply On|]. rewrite between_distance. fold D.
    apply Rle_lt_trans with (eta * D); [apply Rmult_le_compat_r; lra|].
    apply Rlt_le_trans with (eta * (D + 1)); [nra|]. apply Req_le. unfold eta. field. lra. }
  (* from the last point of the piece to the end *)
  assert (Rest : norm m (minus (f (between x y tau)) (f y)) <= C * ((1 - tau) * D) + rho).
  { destruct (Rle_lt_or_eq_dec _ _ (proj2 T)) as [Lt|Eq].
    - set (t := Rmin 1 (tau + eta / 2)).
      assert (Ht : tau < t <= 1) by (unfold t, Rmin; destruct (Rle_dec _ _); lra).
      assert (Ha : Rabs (tau - t) < eta).
      { rewrite Rabs_left1 by lra. unfold t, Rmin. destruct (Rle_dec _ _); lra. }
      apply Rle_trans with (1 := norm_through _ (f (between x y t)) _).
      pose proof (Close t ltac:(lra) Ha) as Cl.
      assert (B : norm m (minus (f (between x y t)) (f y)) <= C * norm n (minus (between x y t) y)).
      { apply (IH (remove Nat.eq_dec p pieces)); [|apply On; lra|exact Hy|].
        - pose proof (remove_length_lt Nat.eq_dec pieces p Hp). lia.
        - intros s Hs. rewrite between_rest. set (u := t + s * (1 - t)).
          assert (Hu : tau < u <= 1) by (unfold u; split; nra).
          destruct (Cover u ltac:(lra)) as (q & Hq & Pq). exists q. split; [|exact Pq].
          apply in_in_remove; [|exact Hq]. intros ->.
          assert (u <= tau) by (apply Up; split; [lra | exact Pq]). lra. }
      assert (Dt : norm n (minus (between x y t) y) = (1 - t) * D).
      { rewrite <- (between_end x y) at 2. rewrite between_distance. fold D. rewrite Rabs_left1 by lra. ring. }
      rewrite Dt in B. assert (C * ((1 - t) * D) <= C * ((1 - tau) * D)) by (apply Rmult_le_compat_l; nra). lra.
    - rewrite Eq, between_end. rewrite (norm_ext m _ zero); [rewrite norm_zero; nra|].
      intros i _. unfold minus, zero. ring. }
  (* no point of the piece is close to its last one *)
  assert (Bound : tau <= tau - eta); [|lra].
  apply Least. intros t [Ht Pt]. apply Rnot_lt_le. intros Lt.
  assert (t <= tau) by (apply Up; now split).
  pose proof (Close t Ht ltac:(rewrite Rabs_pos_eq; lra)) as Cl. rewrite norm_minus_sym in Cl.
  assert (First : norm m (minus (f x) (f (between x y t))) <= C * (t * D)).
  { apply Rle_trans with (C * norm n (minus x (between x y t))); [now apply (within_piece p)|].
    apply Req_le. f_equal. rewrite <- (between_start x y) at 1. rewrite between_distance. fold D.
    rewrite Rabs_left1 by lra. ring. }
  pose proof (norm_through (f x) (f (between x y t)) (f y)) as N1.
  pose proof (norm_through (f (between x y t)) (f (between x y tau)) (f y)) as N2.
  assert (C * (t * D) <= C * (tau * D)) by (apply Rmult_le_compat_l; nra).
  unfold rho in *. nra.
Qed.

Theorem lemma1 pieces :
  (forall x, X x -> exists p, In p pieces /\ piece p x) -> uniform n m f X C.
Proof.
  intros Cover x y [Hx Hy]. apply (along_segment (length pieces) pieces); auto.
Qed.

End PiecewiseLinear.

(** No smaller number will do: a bound on the constant bounds the norm of each piece that holds a ball. *)
Theorem lemma1_attained n m f (X : set) P A center radius L :
  0 <= L -> uniform n m f X L -> affine_on n m f P A ->
  0 < radius -> (forall x, ball n center radius x -> P x /\ X x) ->
  spectral_norm_at_most m n A L.
Proof.
  intros HL H HA Hr Hb. split; [exact HL|]. intros v.
  pose proof (norm_nonneg n v) as Nv. set (h := radius / (norm n v + 1)).
  assert (Hh : 0 < h) by (apply Rmult_lt_0_compat; [lra | apply Rinv_0_lt_compat; lra]).
  set (x := add center (scale h v)).
  assert (Scale : forall k z, norm k (scale h z) = h * norm k z).
  { intros k z. unfold norm, square_norm. rewrite dot_scale_l, dot_scale_r, <- Rmult_assoc.
    rewrite sqrt_mult; [|nra|apply square_norm_nonneg]. rewrite sqrt_square; lra. }
  assert (Dx : same n (minus x center) (scale h v)) by (intros i _; unfold x, minus, add, scale; ring).
  assert (Bx : ball n center radius x).
  { unfold ball. rewrite (norm_ext n _ _ Dx), Scale.
    apply Rle_trans with (h * (norm n v + 1)); [nra|]. apply Req_le. unfold h. field. lra. }
  assert (Bc : ball n center radius center).
  { unfold ball. rewrite (norm_ext n _ zero); [rewrite norm_zero; lra|]. intros i _. unfold minus, zero. ring. }
  destruct (Hb x Bx) as [Px Xx]. destruct (Hb center Bc) as [Pc Xc].
  pose proof (H x center (conj Xx Xc)) as U.
  rewrite (norm_ext m _ _ (HA x center Px Pc)), (norm_ext n _ _ Dx), Scale in U.
  rewrite (norm_ext m _ (scale h (apply n A v))) in U.
  - rewrite Scale in U. apply (Rmult_le_reg_l h); [exact Hh|]. lra.
  - intros i _. rewrite (apply_ext n A _ _ Dx). apply dot_scale_r.
Qed.
