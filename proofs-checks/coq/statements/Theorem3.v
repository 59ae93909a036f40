(** Theorem 3 (max pooling), METHODS 2: [L = √n_max], [n_max] the most pooling regions that
    one input belongs to.

    The same statement, tested on the program: proofs-checks/Propositions/Theorem3.fs. *)

From Coq Require Import List Psatz.
Require Import Lipschitz.
Import ListNotations.
Local Open Scope R_scope.

(** A pooling region: the indices of its members, of which there is a first. Padding has no index. *)
Definition window := (nat * list nat)%type.
Definition members (w : window) : list nat := fst w :: snd w.
Definition holds (w : window) (j : nat) : bool := existsb (Nat.eqb j) (members w).

Definition maximum (x : vector) (w : window) : R :=
  fold_right (fun j y => Rmax (x j) y) (x (fst w)) (snd w).

Definition max_pooling (windows : nat -> window) : vector -> vector :=
  fun x i => maximum x (windows i).

(** How many of the indices below [n] satisfy [p]. *)
Fixpoint count (n : nat) (p : nat -> bool) : nat :=
  match n with
  | O => O
  | S k => count k p + if p k then 1 else 0
  end%nat.

(** The number of windows that input [j] belongs to. *)
Definition overlap (m : nat) (windows : nat -> window) (j : nat) : nat :=
  count m (fun i => holds (windows i) j).

(** ** The maximum over a window *)

Lemma holds_member w j : holds w j = true <-> In j (members w).
Proof.
  unfold holds. rewrite existsb_exists. split.
  - intros (k & Hk & E). apply Nat.eqb_eq in E. now subst.
  - intros H. exists j. split; [exact H|]. apply Nat.eqb_refl.
Qed.

Lemma maximum_attained x w : exists j, In j (members w) /\ maximum x w = x j.
Proof.
  destruct w as [first rest]. unfold maximum, members. simpl.
  induction rest as [|k rest (j & Hj & IH)]; simpl.
  - exists first. auto.
  - unfold Rmax at 1. destruct (Rle_dec _ _).
    + exists j. simpl in Hj. tauto.
    + exists k. auto.
Qed.

Lemma maximum_above x w j : In j (members w) -> x j <= maximum x w.
Proof.
  destruct w as [first rest]. unfold maximum, members. simpl.
  induction rest as [|k rest IH]; simpl; intros H.
  - destruct H as [->|[]]. lra.
  - destruct H as [->|[->|H]].
    + apply Rle_trans with (2 := Rmax_r _ _). auto.
    + apply Rmax_l.
    + apply Rle_trans with (2 := Rmax_r _ _). auto.
Qed.

(** Two maxima over a window differ by at most what some member differs by. *)
Lemma maximum_moves x x' w :
  exists j, In j (members w) /\ Rabs (maximum x w - maximum x' w) <= Rabs (x j - x' j).
Proof.
  destruct (maximum_attained x w) as (j & Hj & E).
  destruct (maximum_attained x' w) as (k & Hk & E').
  pose proof (maximum_above x w k Hk). pose proof (maximum_above x' w j Hj).
  destruct (Rle_dec (maximum x' w) (maximum x w)).
  - exists j. split; [exact Hj|]. rewrite !Rabs_pos_eq; lra.
  - exists k. split; [exact Hk|]. rewrite !Rabs_left1; lra.
Qed.

(** ** Windows that overlap *)

Definition indicator (b : bool) : R := if b then 1 else 0.

Lemma sum_indicator n p : sum n (fun i => indicator (p i)) = INR (count n p).
Proof.
  induction n as [|n IH]; [reflexivity|]. cbn [sum count]. rewrite IH, plus_INR.
  now destruct (p n).
Qed.

Lemma square_of_maximum_moves n x x' w :
  (forall j, In j (members w) -> (j < n)%nat) ->
  (maximum x w - maximum x' w) * (maximum x w - maximum x' w)
    <= sum n (fun j => indicator (holds w j) * ((x j - x' j) * (x j - x' j))).
Proof.
  intros Hn. destruct (maximum_moves x x' w) as (j & Hj & H).
  apply Rsqr_le_abs_1 in H. unfold Rsqr in H.
  apply Rle_trans with (1 := H).
  replace ((x j - x' j) * (x j - x' j))
    with (indicator (holds w j) * ((x j - x' j) * (x j - x' j))).
  - apply (sum_member n (fun j => indicator (holds w j) * ((x j - x' j) * (x j - x' j)))); auto.
    intros k _. apply Rmult_le_pos; [|apply Rle_0_sqr].
    unfold indicator. destruct (holds w k); lra.
  - apply holds_member in Hj. rewrite Hj. unfold indicator. ring.
Qed.

Section MaxPooling.
Variables (n m : nat) (windows : nat -> window) (most : nat).
Hypothesis in_range : forall i j, (i < m)%nat -> In j (members (windows i)) -> (j < n)%nat.

Lemma max_pooling_is_map : is_map n m (max_pooling windows).
Proof.
  intros x x' H i Hi. unfold max_pooling.
  assert (E : forall j, In j (members (windows i)) -> x j = x' j).
  { intros j Hj. apply H. now apply (in_range i). }
  clear Hi. destruct (windows i) as [first rest]. unfold maximum, members in *. simpl in *.
  induction rest as [|k rest IH]; simpl; [now apply E; left|].
  rewrite (E k) by (right; now left). f_equal. apply IH. intros j Hj. apply E. simpl. tauto.
Qed.

Theorem theorem3 :
  (forall j, (j < n)%nat -> (overlap m windows j <= most)%nat) ->
  global n m (max_pooling windows) (sqrt (INR most)).
Proof.
  intros Hmost x x' _. apply norm_le_scaled; [apply sqrt_pos|].
  rewrite sqrt_sqrt by apply pos_INR.
  apply Rle_trans with
    (sum m (fun i => sum n (fun j => indicator (holds (windows i) j) * ((x j - x' j) * (x j - x' j))))).
  - apply sum_le. intros i Hi. unfold minus, max_pooling.
    apply square_of_maximum_moves. intros j. now apply in_range.
  - rewrite sum_swap. unfold square_norm, dot. rewrite <- sum_scale.
    apply sum_le. intros j Hj.
    rewrite (sum_ext m _ (fun i => ((x j - x' j) * (x j - x' j)) * indicator (holds (windows i) j)))
      by (intros; ring).
    rewrite sum_scale, sum_indicator, Rmult_comm. unfold minus.
    apply Rmult_le_compat_r; [apply Rle_0_sqr|]. apply le_INR. now apply Hmost.
Qed.

(** [√n_max] is the constant: raising the input with the most windows attains it. *)
Theorem theorem3_attained j :
  (forall j, (j < n)%nat -> (overlap m windows j <= most)%nat) ->
  (j < n)%nat -> overlap m windows j = most ->
  global_constant n m (max_pooling windows) (sqrt (INR most)).
Proof.
  intros Hmost Hj Ej.
  set (raised := fun k => if Nat.eqb k j then 1 else 0).
  assert (N : square_norm n (minus raised zero) = 1).
  { unfold square_norm, dot. rewrite (sum_single n _ j Hj).
    - unfold minus, raised, zero. rewrite Nat.eqb_refl. ring.
    - intros k _ Hk. unfold minus, raised, zero.
      destruct (Nat.eqb_spec k j); [contradiction|ring]. }
  assert (Z : forall w, maximum zero w = 0).
  { intros w. destruct (maximum_attained zero w) as (k & _ & ->). reflexivity. }
  assert (I : forall w, maximum raised w = indicator (holds w j)).
  { intros w. destruct (maximum_attained raised w) as (k & Hk & E). rewrite E.
    unfold raised, indicator. destruct (Nat.eqb_spec k j) as [->|].
    - apply holds_member in Hk. now rewrite Hk.
    - destruct (holds w j) eqn:Hw; [|easy]. exfalso.
      apply holds_member in Hw. pose proof (maximum_above raised w j Hw) as A.
      rewrite E in A. unfold raised in A. rewrite Nat.eqb_refl in A.
      destruct (Nat.eqb_spec k j); [contradiction|lra]. }
  apply (attained_bound_is_constant n m _ all_pairs _ raised zero).
  - exact max_pooling_is_map.
  - apply sqrt_pos.
  - now apply theorem3.
  - exact Logic.I.
  - unfold norm. rewrite N, sqrt_1. lra.
  - unfold norm at 2. rewrite N, sqrt_1, Rmult_1_r. unfold norm. f_equal.
    unfold square_norm, dot, minus, max_pooling.
    rewrite (sum_ext m _ (fun i => indicator (holds (windows i) j))).
    + rewrite sum_indicator. fold (overlap m windows j). now rewrite Ej.
    + intros i _. rewrite Z, I. unfold indicator. destruct (holds (windows i) j); ring.
Qed.

End MaxPooling.
