(** Theorem 1 (scalar ReLU), METHODS 2: with the nominal value [y0] and the largest
    permitted [ȳ], the local constant is [(relu(ȳ) − relu(y0)) / (ȳ − y0)], and 0
    if [ȳ = y0].  The general form, METHODS 16: an activation whose secants through [y0]
    have slopes in an interval up to the reach [t].

    The same statement, tested on the program: proofs-checks/Propositions/Theorem1.fs. *)

From Coq Require Import Psatz.
Require Import Lipschitz.
Local Open Scope R_scope.

(** Over [|y − y0| ≤ t] the secants of [f] through [y0] have slopes from [lo] to [hi]. *)
Definition secants (f : R -> R) (y0 t lo hi : R) : Prop :=
  forall y, Rabs (y - y0) <= t ->
    exists s, lo <= s <= hi /\ f y - f y0 = s * (y - y0).

(** Between any two values of the reach, they do (uniform definition). *)
Definition all_secants (f : R -> R) (y0 t lo hi : R) : Prop :=
  forall y y', Rabs (y - y0) <= t -> Rabs (y' - y0) <= t ->
    exists s, lo <= s <= hi /\ f y - f y' = s * (y - y').

(** Theorem 1 for any activation: [r] that is at least both ends in size bounds what it stretches. *)
Theorem theorem1_secants f y0 t lo hi r :
  secants f y0 t lo hi -> Rabs lo <= r -> Rabs hi <= r ->
  forall y, Rabs (y - y0) <= t -> Rabs (f y - f y0) <= r * Rabs (y - y0).
Proof.
  intros H Hlo Hhi y Hy. destruct (H y Hy) as (s & Hs & ->).
  rewrite Rabs_mult. apply Rmult_le_compat_r; [apply Rabs_pos|].
  pose proof (Rle_abs hi). pose proof (Rle_abs (- lo)) as A. rewrite Rabs_Ropp in A.
  apply Rabs_le. lra.
Qed.

(** ** ReLU *)

Definition relu (y : R) : R := Rmax 0 y.

Lemma relu_positive y : 0 <= y -> relu y = y.
Proof. apply Rmax_right. Qed.

Lemma relu_negative y : y <= 0 -> relu y = 0.
Proof. apply Rmax_left. Qed.

(** The slope of Theorem 1. *)
Definition relu_slope (y0 ybar : R) : R :=
  if Req_EM_T ybar y0 then 0 else (relu ybar - relu y0) / (ybar - y0).

Lemma relu_slope_times y0 ybar : relu_slope y0 ybar * (ybar - y0) = relu ybar - relu y0.
Proof.
  unfold relu_slope. destruct (Req_EM_T ybar y0) as [->|H]; [ring|]. field. lra.
Qed.

Lemma relu_slope_nonneg y0 ybar : y0 <= ybar -> 0 <= relu_slope y0 ybar.
Proof.
  intros H. unfold relu_slope. destruct (Req_EM_T ybar y0); [lra|].
  apply Rmult_le_pos.
  - assert (relu y0 <= relu ybar) by (apply Rle_max_compat_l; lra). lra.
  - apply Rlt_le, Rinv_0_lt_compat. lra.
Qed.

(** ReLU's secants through [y0] have slopes from 0 to that of Theorem 1, within the reach of [ȳ]. *)
Lemma relu_secants y0 ybar : y0 <= ybar -> secants relu y0 (ybar - y0) 0 (relu_slope y0 ybar).
Proof.
  intros Hb y Hy. apply abs_at_most in Hy.
  pose proof (relu_slope_nonneg y0 ybar Hb) as Hr0.
  pose proof (relu_slope_times y0 ybar) as Hr.
  destruct (Req_dec y y0) as [->|Hne]; [exists 0; lra|].
  exists ((relu y - relu y0) / (y - y0)). split; [|field; lra].
  set (r := relu_slope y0 ybar) in *. clearbody r.
  assert (Hs : (relu y - relu y0) / (y - y0) * (y - y0) = relu y - relu y0) by (field; lra).
  set (s := (relu y - relu y0) / (y - y0)) in *. clearbody s.
  destruct (Rle_dec y0 0); [destruct (Rle_dec y 0)|].
  - (* both off: slope 0 *)
    rewrite (relu_negative y), (relu_negative y0) in Hs by lra.
    assert (s = 0) by (apply (Rmult_eq_reg_r (y - y0)); lra). lra.
  - (* turns on: y/(y − y0) grows with y *)
    rewrite (relu_positive y), (relu_negative y0) in Hs by lra.
    rewrite (relu_positive ybar), (relu_negative y0) in Hr by lra.
    split; [apply (Rmult_le_reg_r (y - y0)); lra|].
    apply (Rmult_le_reg_r ((y - y0) * (ybar - y0))); [nra|].
    replace (s * ((y - y0) * (ybar - y0))) with (s * (y - y0) * (ybar - y0)) by ring.
    replace (r * ((y - y0) * (ybar - y0))) with (r * (ybar - y0) * (y - y0)) by ring.
    rewrite Hs, Hr. nra.
  - (* on: the slope is 1, or less where it turns off *)
    rewrite (relu_positive ybar), (relu_positive y0) in Hr by lra.
    rewrite (relu_positive y0) in Hs by lra.
    assert (r = 1) by (apply (Rmult_eq_reg_r (ybar - y0)); lra).
    destruct (Rle_dec y 0).
    + rewrite (relu_negative y) in Hs by lra. split; nra.
    + rewrite (relu_positive y) in Hs by lra.
      assert (s = 1) by (apply (Rmult_eq_reg_r (y - y0)); lra). lra.
Qed.

(** The slope of a secant through [y0] grows with its other end, as ReLU is convex. *)
Lemma relu_slope_monotone y0 y1 y2 :
  y1 <= y2 -> y1 <> y0 -> y2 <> y0 -> relu_slope y0 y1 <= relu_slope y0 y2.
Proof.
  intros H H1 H2.
  pose proof (relu_slope_times y0 y1) as E1. pose proof (relu_slope_times y0 y2) as E2.
  set (s1 := relu_slope y0 y1) in *. set (s2 := relu_slope y0 y2) in *. clearbody s1 s2.
  destruct (Rle_dec y0 0).
  - rewrite (relu_negative y0) in E1, E2 by lra.
    assert (S2 : 0 <= s2).
    { destruct (Rle_dec y2 0).
      - rewrite (relu_negative y2) in E2 by lra. apply Req_le. symmetry. apply (Rmult_eq_reg_r (y2 - y0)); lra.
      - rewrite (relu_positive y2) in E2 by lra. apply (Rmult_le_reg_r (y2 - y0)); lra. }
    destruct (Rle_dec y1 0).
    + rewrite (relu_negative y1) in E1 by lra.
      assert (s1 = 0) by (apply (Rmult_eq_reg_r (y1 - y0)); lra). lra.
    + rewrite (relu_positive y1) in E1 by lra. rewrite (relu_positive y2) in E2 by lra.
      apply (Rmult_le_reg_r ((y1 - y0) * (y2 - y0))); [nra|].
      replace (s1 * ((y1 - y0) * (y2 - y0))) with (s1 * (y1 - y0) * (y2 - y0)) by ring.
      replace (s2 * ((y1 - y0) * (y2 - y0))) with (s2 * (y2 - y0) * (y1 - y0)) by ring.
      rewrite E1, E2. nra.
  - rewrite (relu_positive y0) in E1, E2 by lra.
    destruct (Rle_dec y1 0).
    + rewrite (relu_negative y1) in E1 by lra. destruct (Rle_dec y2 0).
      * rewrite (relu_negative y2) in E2 by lra.
        assert (0 <= s2) by (apply (Rmult_le_reg_r (y0 - y2)); lra). nra.
      * rewrite (relu_positive y2) in E2 by lra.
        assert (S2 : s2 = 1) by (apply (Rmult_eq_reg_r (y2 - y0)); lra). rewrite S2.
        apply (Rmult_le_reg_r (y0 - y1)); lra.
    + rewrite (relu_positive y1) in E1 by lra. rewrite (relu_positive y2) in E2 by lra.
      assert (s1 = 1) by (apply (Rmult_eq_reg_r (y1 - y0)); lra).
      assert (s2 = 1) by (apply (Rmult_eq_reg_r (y2 - y0)); lra). lra.
Qed.

(** Both ends of the interval of METHODS 7: from the secant down to [y0 − t] to the one up to [y0 + t]. *)
Lemma relu_secants_between y0 t : secants relu y0 t (relu_slope y0 (y0 - t)) (relu_slope y0 (y0 + t)).
Proof.
  intros y Hy. apply abs_at_most in Hy.
  destruct (Req_dec y y0) as [->|Hne].
  - exists (relu_slope y0 (y0 + t)). split; [|ring]. split; [|lra].
    destruct (Req_dec t 0) as [->|Ht].
    + rewrite Rminus_0_r, Rplus_0_r. lra.
    + apply relu_slope_monotone; lra.
  - exists (relu_slope y0 y). split; [|symmetry; apply relu_slope_times].
    split; apply relu_slope_monotone; lra.
Qed.

(** Theorem 1: no step up to [ȳ] has a larger slope … *)
Theorem theorem1 y0 ybar y :
  y0 <= ybar -> Rabs (y - y0) <= ybar - y0 ->
  Rabs (relu y - relu y0) <= relu_slope y0 ybar * Rabs (y - y0).
Proof.
  intros Hb Hy. pose proof (relu_slope_nonneg y0 ybar Hb).
  apply (theorem1_secants relu y0 (ybar - y0) 0 (relu_slope y0 ybar)); auto using relu_secants.
  - rewrite Rabs_R0. lra.
  - rewrite Rabs_pos_eq; lra.
Qed.

(** … and the step to [ȳ] has this slope. *)
Theorem theorem1_attained y0 ybar :
  y0 <= ybar -> Rabs (relu ybar - relu y0) = relu_slope y0 ybar * Rabs (ybar - y0).
Proof.
  intros Hb. rewrite <- relu_slope_times, Rabs_mult, (Rabs_pos_eq (relu_slope y0 ybar)); auto.
  now apply relu_slope_nonneg.
Qed.

(** For pairs of any two values (uniform): 0 if no permitted value is positive, else 1. *)
Definition relu_uniform_slope (ybar : R) : R := if Rlt_dec 0 ybar then 1 else 0.

Theorem theorem1_uniform ybar y y' :
  y <= ybar -> y' <= ybar -> Rabs (relu y - relu y') <= relu_uniform_slope ybar * Rabs (y - y').
Proof.
  intros Hy Hy'. unfold relu_uniform_slope. destruct (Rlt_dec 0 ybar).
  - unfold relu, Rmax. destruct (Rle_dec 0 y), (Rle_dec 0 y');
      unfold Rabs; repeat destruct (Rcase_abs _); lra.
  - rewrite !relu_negative by lra. rewrite Rminus_diag_eq, Rabs_R0 by easy. lra.
Qed.
