(** Lists of integers as vectors of reals. *)

From Coq Require Import ZArith NArith List Bool Reals Lra Lia.
Require Import Vectors Checker DenseNetwork.
Import ListNotations.
Local Open Scope R_scope.

(** ** Powers of two *)

Definition two (e : N) : R := 2 ^ N.to_nat e.

Lemma two_positive e : 0 < two e.
Proof. apply pow_lt. lra. Qed.

Lemma two_add a b : two (a + b) = two a * two b.
Proof. unfold two. now rewrite N2Nat.inj_add, pow_add. Qed.

Lemma two_double a : two (2 * a) = two a * two a.
Proof. rewrite <- two_add. f_equal. lia. Qed.

Lemma shift_value z e : IZR (shift z e) = IZR z * two e.
Proof.
  unfold shift. rewrite Z.shiftl_mul_pow2 by apply N2Z.is_nonneg. rewrite mult_IZR. f_equal.
  unfold two. rewrite pow_IZR. f_equal. now rewrite N_nat_Z.
Qed.

Lemma power2_value e : IZR (power2 e) = two e.
Proof. change (power2 e) with (shift 1 e). rewrite shift_value. lra. Qed.

Lemma value_times e z : value e z * two e = IZR z.
Proof. unfold value. fold (two e). pose proof (two_positive e). field. lra. Qed.

Lemma value_nonneg e z : (0 <= z)%Z -> 0 <= value e z.
Proof.
  intros H. apply IZR_le in H. apply Rmult_le_pos; [exact H|].
  apply Rlt_le, Rinv_0_lt_compat, two_positive.
Qed.

(** ** Entries *)

Definition integers (a : list Z) : vector := fun i => IZR (nth i a 0%Z).

Lemma vector_of_integers e a i : vector_of e a i * two e = integers a i.
Proof. apply value_times. Qed.

Lemma integers_beyond a i : (length a <= i)%nat -> integers a i = 0.
Proof. intros H. unfold integers. now rewrite nth_overflow. Qed.

Lemma sum_first n f : sum (S n) f = f O + sum n (fun i => f (S i)).
Proof.
  induction n as [|n IH]; [simpl; lra|].
  change (sum (S (S n)) f) with (sum (S n) f + f (S n)). rewrite IH. simpl. lra.
Qed.

Lemma dot_value N a b : (length a <= N)%nat -> IZR (Checker.dot a b) = Vectors.dot N (integers a) (integers b).
Proof.
  revert N b. induction a as [|x a IH]; intros N b H.
  - unfold Vectors.dot. rewrite (sum_ext N _ (fun _ => 0)), sum_zero; [easy|].
    intros i _. rewrite (integers_beyond []) by apply Nat.le_0_l. ring.
  - destruct b as [|y b].
    + unfold Vectors.dot. rewrite (sum_ext N _ (fun _ => 0)), sum_zero; [easy|].
      intros i _. rewrite (integers_beyond [] i) by apply Nat.le_0_l. ring.
    + destruct N as [|N]; [simpl in H; lia|].
      unfold Vectors.dot. rewrite sum_first. simpl Checker.dot. rewrite plus_IZR, mult_IZR.
      simpl in H. rewrite (IH N b) by lia. reflexivity.
Qed.

Lemma total_value a : IZR (total a) = sum (length a) (integers a).
Proof.
  induction a as [|x a IH]; [easy|]. cbn [total length]. rewrite sum_first, plus_IZR, IH. reflexivity.
Qed.

(** ** Lists side by side *)

Lemma map2_length {A B C} (f : A -> B -> C) a b : length a = length b -> length (map2 f a b) = length b.
Proof.
  revert b. induction a as [|x a IH]; intros [|y b] H; simpl in *; try easy.
  f_equal. apply IH. now injection H.
Qed.

Lemma map2_nth {A B C} (f : A -> B -> C) a b i x y z :
  (i < length a)%nat -> (i < length b)%nat -> nth i (map2 f a b) z = f (nth i a x) (nth i b y).
Proof.
  revert b i. induction a as [|x' a IH]; intros [|y' b] [|i] Ha Hb; simpl in *; try lia; [easy|].
  apply IH; lia.
Qed.

Lemma all2_nth {A B} (f : A -> B -> bool) a b x y :
  all2 f a b = true -> length a = length b /\ forall i, (i < length a)%nat -> f (nth i a x) (nth i b y) = true.
Proof.
  revert b. induction a as [|x' a IH]; intros [|y' b] H; simpl in *; try discriminate.
  { split; [easy|]. intros i Hi. lia. }
  apply andb_prop in H. destruct H as [H0 H]. destruct (IH b H) as [E G]. split; [now f_equal|].
  intros [|i] Hi; [exact H0|]. apply G. lia.
Qed.

Lemma nth_map {A B} (f : A -> B) a i x y :
  (i < length a)%nat -> nth i (map f a) y = f (nth i a x).
Proof.
  intros H. rewrite (nth_indep _ y (f x)) by now rewrite map_length. apply map_nth.
Qed.

Lemma forallb_nth {A} (f : A -> bool) a x i :
  forallb f a = true -> (i < length a)%nat -> f (nth i a x) = true.
Proof. intros H Hi. rewrite forallb_forall in H. now apply H, nth_In. Qed.

(** ** Masks and columns *)

Definition mask_of (live : list bool) : vector := fun i => if nth i live false then 1 else 0.

Lemma mask_of_is_mask n live : Lipschitz.mask n (mask_of live).
Proof. intros i _. unfold mask_of. destruct (nth i live false); auto. Qed.

Lemma masked_nth live a i :
  length live = length a -> nth i (masked live a) 0%Z = if nth i live false then nth i a 0%Z else 0%Z.
Proof.
  intros H. unfold masked. destruct (Nat.lt_ge_cases i (length a)).
  - apply (map2_nth (fun (d : bool) z => if d then z else 0%Z) live a i false 0%Z); [now rewrite H | easy].
  - rewrite (nth_overflow a), nth_overflow by (rewrite ?map2_length; easy).
    now destruct (nth i live false).
Qed.

Lemma masked_integers live a i :
  length live = length a -> integers (masked live a) i = mask_of live i * integers a i.
Proof.
  intros H. unfold integers, mask_of. rewrite masked_nth by exact H.
  destruct (nth i live false); ring.
Qed.

Lemma columns_shape width rows :
  (forall row, In row rows -> length row = width) ->
  length (columns width rows) = width /\
  (forall j, (j < width)%nat -> length (nth j (columns width rows) []) = length rows) /\
  (forall i j, (j < width)%nat -> nth i (nth j (columns width rows) []) 0%Z = nth j (nth i rows []) 0%Z).
Proof.
  induction rows as [|row rows IH]; intros H.
  - simpl. repeat split; [apply repeat_length | |].
    + intros j Hj. rewrite nth_repeat. easy.
    + intros i j Hj. rewrite nth_repeat. now destruct i, j.
  - destruct IH as (L & C & E); [intros r Hr; apply H; now right|].
    assert (R : length row = width) by (apply H; now left).
    change (columns width (row :: rows)) with (map2 cons row (columns width rows)).
    assert (N : forall j, (j < width)%nat ->
      nth j (map2 cons row (columns width rows)) [] = nth j row 0%Z :: nth j (columns width rows) []).
    { intros j Hj. apply map2_nth; [now rewrite R | now rewrite L]. }
    repeat split.
    + rewrite map2_length; [exact L | now rewrite L].
    + intros j Hj. rewrite N by exact Hj. simpl. now rewrite C.
    + intros i j Hj. rewrite N by exact Hj. destruct i; simpl; [easy|]. now apply E.
Qed.
