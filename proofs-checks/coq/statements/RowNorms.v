(** Row norms of a convolution are one convolution, METHODS 3: [|D a_i|² = Σ_j A_ij² d_j], and the
    entrywise square of a convolution's matrix is the convolution with squared weights.

    The same statement, tested on the program: tests/LipVerify.Tests/Core/CoreRowNormTests.fs. *)

From Coq Require Import Psatz.
Require Import Lipschitz Proposition4.
Local Open Scope R_scope.

(** Entrywise square [A∘A]. *)
Definition squared (A : matrix) : matrix := fun i j => A i j * A i j.

(** Any matrix: all [|D a_i|²] are one product [(A∘A) d]. *)
Theorem row_norms n A d i : mask n d -> square_norm n (diag d (A i)) = apply n (squared A) d i.
Proof.
  intros Hd. apply sum_ext. intros j Hj. unfold diag, squared.
  destruct (Hd j Hj) as [->| ->]; ring.
Qed.

(** So Proposition 4's reach is [ε·√((A∘A) d)]. *)
Corollary reach_by_row_norms n A d eps i :
  mask n d -> reach n A d eps i = eps * sqrt (apply n (squared A) d i).
Proof. intros Hd. unfold reach, norm. now rewrite row_norms. Qed.

(** ** Convolutions *)

(** Output [i] sums over its taps [t < taps] the weight [w i t] times the input at [source i t];
    [None] is padding. Strides, dilation, groups and channels are in [source] and in what of [w] repeats. *)
Definition convolve (taps : nat) (source : nat -> nat -> option nat) (w : matrix) : vector -> vector :=
  fun x i => sum taps (fun t => match source i t with Some j => w i t * x j | None => 0 end).

(** The matrix of the convolution. *)
Definition convolution_matrix (taps : nat) (source : nat -> nat -> option nat) (w : matrix) : matrix :=
  fun i j => sum taps (fun t => match source i t with Some k => if Nat.eqb k j then w i t else 0 | None => 0 end).

Section Convolution.
Variables (n taps : nat) (source : nat -> nat -> option nat).
Hypothesis in_range : forall i t j, (t < taps)%nat -> source i t = Some j -> (j < n)%nat.

Lemma convolution_is_its_matrix w x i :
  convolve taps source w x i = apply n (convolution_matrix taps source w) x i.
Proof.
  unfold apply, dot, convolve, convolution_matrix.
  transitivity (sum n (fun j => sum taps (fun t =>
    match source i t with Some k => if Nat.eqb k j then w i t * x j else 0 | None => 0 end))).
  - rewrite sum_swap. apply sum_ext. intros t Ht. destruct (source i t) as [k|] eqn:E.
    + rewrite (sum_single n _ k (in_range i t k Ht E)); [now rewrite Nat.eqb_refl|].
      intros j _ Hj. destruct (Nat.eqb_spec k j); [congruence|easy].
    + now rewrite sum_zero.
  - apply sum_ext. intros j _. rewrite Rmult_comm, <- sum_scale. apply sum_ext. intros t _.
    destruct (source i t) as [k|]; [destruct (Nat.eqb k j)|]; ring.
Qed.

(** Different taps of an output read different inputs. *)
Hypothesis taps_apart : forall i t t' j,
  (t < taps)%nat -> (t' < taps)%nat -> source i t = Some j -> source i t' = Some j -> t = t'.

Lemma squared_convolution_matrix w i j :
  squared (convolution_matrix taps source w) i j = convolution_matrix taps source (squared w) i j.
Proof.
  unfold squared, convolution_matrix.
  set (hit := fun t => match source i t with Some k => Nat.eqb k j | None => false end).
  assert (H : forall (g : nat -> R), sum taps (fun t => match source i t with Some k => if Nat.eqb k j then g t else 0 | None => 0 end)
                   = sum taps (fun t => if hit t then g t else 0)).
  { intros g. apply sum_ext. intros t _. unfold hit. now destruct (source i t). }
  rewrite (H (fun t => w i t)), (H (fun t => w i t * w i t)). clear H.
  assert (A : forall t t', (t < taps)%nat -> (t' < taps)%nat -> hit t = true -> hit t' = true -> t = t').
  { unfold hit. intros t t' Ht Ht' E E'.
    destruct (source i t) as [k|] eqn:S; [|easy]. destruct (source i t') as [k'|] eqn:S'; [|easy].
    apply Nat.eqb_eq in E, E'. subst. now apply (taps_apart i t t' j). }
  clearbody hit. clear taps_apart in_range. induction taps as [|k IH]; cbn [sum]; [ring|].
  destruct (hit k) eqn:Hk.
  - assert (Z : forall (g : nat -> R), sum k (fun t => if hit t then g t else 0) = 0).
    { intros g. rewrite (sum_ext k _ (fun _ => 0)); [apply sum_zero|]. intros t Ht.
      destruct (hit t) eqn:E; [|easy]. assert (t = k) by (apply A; auto with arith). lia. }
    rewrite !Z. ring.
  - rewrite <- IH by (intros; apply A; auto with arith). ring.
Qed.

(** All row norms are one convolution with squared weights. *)
Theorem row_norms_of_convolution w d i :
  mask n d ->
  norm n (diag d (convolution_matrix taps source w i)) = sqrt (convolve taps source (squared w) d i).
Proof.
  intros Hd. unfold norm. rewrite row_norms by exact Hd. f_equal.
  rewrite convolution_is_its_matrix. apply sum_ext. intros j _.
  now rewrite squared_convolution_matrix.
Qed.

End Convolution.
