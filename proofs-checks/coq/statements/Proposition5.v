(** Proposition 5, METHODS 2: [n_max = ⌈k_h/s_h⌉·⌈k_w/s_w⌉] (dilation 1). Padding and ceil mode
    do not raise it; small inputs may lower it.

    The same statement, tested on the program: proofs-checks/Propositions/Proposition5.fs. *)

From Coq Require Import List Bool Psatz.
Require Import Lipschitz Theorem3.

Local Open Scope nat_scope.

(** One axis of a pooling layer. [outputs] is left free: it says what ceil mode and the padding behind give. *)
Record axis := { inputs : nat; kernel : nat; stride : nat; pad_before : nat; outputs : nat }.

(** Window [p] reads input [i] of the axis. *)
Definition reads (a : axis) (p i : nat) : bool :=
  (p * stride a <=? i + pad_before a) && (i + pad_before a <? p * stride a + kernel a).

(** [⌈k/s⌉]. *)
Definition ceiling (k s : nat) : nat := (k + s - 1) / s.

(** Tensors of [C] channels, flattened row-major: output [o] reads input [j]. *)
Definition pooling_reads (rows columns : axis) (o j : nat) : bool :=
  let outs := outputs rows * outputs columns in
  let ins := inputs rows * inputs columns in
  (o / outs =? j / ins)
  && (reads rows (o mod outs / outputs columns) (j mod ins / inputs columns)
      && reads columns (o mod outs mod outputs columns) (j mod ins mod inputs columns)).

(** ** Counting *)

Lemma count_ext n p q : (forall i, i < n -> p i = q i) -> count n p = count n q.
Proof.
  induction n as [|n IH]; intros H; [easy|]. cbn [count]. rewrite IH, H; auto.
Qed.

Lemma count_false n p : (forall i, i < n -> p i = false) -> count n p = 0.
Proof.
  intros H. rewrite (count_ext n p (fun _ => false)) by exact H.
  clear. induction n; cbn [count]; lia.
Qed.

(** What lies in an interval of [c] indices is counted at most [c] times. *)
Lemma count_in_interval n p first c :
  (forall i, i < n -> p i = true -> first <= i < first + c) -> count n p <= c.
Proof.
  intros H. enough (count n p <= Nat.min n (first + c) - first) by lia.
  induction n as [|n IH]; cbn [count]; [lia|].
  assert (count n p <= Nat.min n (first + c) - first) by (apply IH; auto).
  destruct (p n) eqn:E; [|lia]. apply H in E; lia.
Qed.

Lemma count_prefix n p c :
  c <= n -> (forall i, i < c -> p i = true) -> c <= count n p.
Proof.
  intros Hc H. induction n as [|n IH]; cbn [count]; [lia|].
  destruct (Nat.eq_dec c (S n)) as [->|].
  - rewrite (H n) by lia. enough (n <= count n p) by lia.
    clear IH Hc. assert (H' : forall i, i < n -> p i = true) by auto. clear H.
    induction n as [|n IH]; cbn [count]; [lia|]. rewrite (H' n) by lia.
    enough (n <= count n p) by lia. auto.
  - enough (c <= count n p) by lia. apply IH. lia.
Qed.

Lemma count_add a b p : count (a + b) p = count a p + count b (fun i => p (a + i)).
Proof.
  induction b as [|b IH]; [cbn [count]; rewrite Nat.add_0_r; lia|].
  rewrite Nat.add_succ_r. cbn [count]. rewrite IH. lia.
Qed.

(** Pairs, flattened row-major. *)
Lemma count_pairs a b p q :
  count (a * b) (fun o => p (o / b) && q (o mod b)) = count a p * count b q.
Proof.
  destruct (Nat.eq_dec b 0) as [->|Hb]; [rewrite !Nat.mul_0_r; easy|].
  induction a as [|a IH]; [easy|].
  replace (S a * b) with (a * b + b) by lia.
  rewrite count_add, IH. cbn [count]. rewrite Nat.mul_add_distr_r. f_equal.
  transitivity (count b (fun i => p a && q i)).
  - apply count_ext. intros i Hi.
    rewrite Nat.add_comm, Nat.div_add, Nat.mod_add, Nat.div_small, Nat.mod_small by lia. easy.
  - destruct (p a); [symmetry; apply Nat.mul_1_l | now apply count_false].
Qed.

(** ** One axis *)

Lemma ceiling_covers k s : 0 < s -> k <= ceiling k s * s.
Proof.
  intros Hs. unfold ceiling.
  pose proof (Nat.div_mod (k + s - 1) s) as E. pose proof (Nat.mod_upper_bound (k + s - 1) s). nia.
Qed.

Lemma ceiling_tight k s : 0 < s -> 0 < k -> (ceiling k s - 1) * s < k.
Proof.
  intros Hs Hk. unfold ceiling.
  pose proof (Nat.div_mod (k + s - 1) s) as E. pose proof (Nat.mod_upper_bound (k + s - 1) s). nia.
Qed.

Lemma axis_overlap a i :
  0 < stride a -> count (outputs a) (fun p => reads a p i) <= ceiling (kernel a) (stride a).
Proof.
  intros Hs. set (c := ceiling (kernel a) (stride a)). set (t := i + pad_before a).
  apply (count_in_interval _ _ (t / stride a + 1 - c)).
  intros p _ H. apply andb_prop in H. destruct H as [H1 H2].
  apply Nat.leb_le in H1. apply Nat.ltb_lt in H2. fold t in H1, H2.
  pose proof (ceiling_covers (kernel a) (stride a) Hs) as C. fold c in C.
  assert (p <= t / stride a) by (apply Nat.div_le_lower_bound; lia).
  assert (t / stride a < p + c) by (apply Nat.div_lt_upper_bound; nia).
  lia.
Qed.

(** With enough windows, an input past the padding lies in [⌈k/s⌉] of them. *)
Lemma axis_overlap_attained a i :
  0 < stride a -> 0 < kernel a -> ceiling (kernel a) (stride a) <= outputs a ->
  i + pad_before a = (ceiling (kernel a) (stride a) - 1) * stride a ->
  count (outputs a) (fun p => reads a p i) = ceiling (kernel a) (stride a).
Proof.
  intros Hs Hk Ho Hi. apply Nat.le_antisymm; [now apply axis_overlap|].
  apply count_prefix; [exact Ho|]. intros p Hp. unfold reads. rewrite Hi.
  pose proof (ceiling_tight (kernel a) (stride a) Hs Hk).
  apply andb_true_intro. split; [apply Nat.leb_le | apply Nat.ltb_lt]; nia.
Qed.

(** ** Two axes and channels *)

Section Pooling.
Variables (channels : nat) (rows columns : axis).
Hypothesis strides : 0 < stride rows /\ 0 < stride columns.

Let outs := outputs rows * outputs columns.
Let ins := inputs rows * inputs columns.

Lemma pooling_overlap_factors j :
  count (channels * outs) (fun o => pooling_reads rows columns o j)
  = count channels (fun c => c =? j / ins)
    * (count (outputs rows) (fun p => reads rows p (j mod ins / inputs columns))
       * count (outputs columns) (fun q => reads columns q (j mod ins mod inputs columns))).
Proof.
  unfold pooling_reads. fold outs ins.
  rewrite (count_pairs channels outs (fun c => c =? j / ins)
    (fun r => reads rows (r / outputs columns) (j mod ins / inputs columns)
              && reads columns (r mod outputs columns) (j mod ins mod inputs columns))).
  f_equal.
  apply (count_pairs (outputs rows) (outputs columns)
    (fun p => reads rows p (j mod ins / inputs columns))
    (fun q => reads columns q (j mod ins mod inputs columns))).
Qed.

Theorem proposition5 j :
  count (channels * outs) (fun o => pooling_reads rows columns o j)
  <= ceiling (kernel rows) (stride rows) * ceiling (kernel columns) (stride columns).
Proof.
  rewrite pooling_overlap_factors.
  rewrite <- (Nat.mul_1_l (ceiling _ _ * _)).
  apply Nat.mul_le_mono; [|apply Nat.mul_le_mono].
  - apply (count_in_interval _ _ (j / ins)). intros i _ E. apply Nat.eqb_eq in E. lia.
  - now apply axis_overlap.
  - now apply axis_overlap.
Qed.

(** With Theorem 3: max pooling layers have the constant [√(⌈k_h/s_h⌉·⌈k_w/s_w⌉)] at most. *)
Corollary max_pooling_constant (windows : nat -> window) :
  (forall o j, o < channels * outs -> In j (members (windows o)) -> j < channels * ins) ->
  (forall o j, o < channels * outs -> j < channels * ins ->
     holds (windows o) j = pooling_reads rows columns o j) ->
  global (channels * ins) (channels * outs) (max_pooling windows)
    (sqrt (INR (ceiling (kernel rows) (stride rows) * ceiling (kernel columns) (stride columns)))).
Proof.
  intros Hr H. apply theorem3; [exact Hr|]. intros j Hj. unfold overlap.
  rewrite (count_ext _ _ (fun o => pooling_reads rows columns o j)); [apply proposition5|].
  intros o Ho. now apply H.
Qed.

(** The formula is the count once there are enough windows. *)
Theorem proposition5_attained i k :
  0 < channels -> 0 < kernel rows -> 0 < kernel columns ->
  ceiling (kernel rows) (stride rows) <= outputs rows ->
  ceiling (kernel columns) (stride columns) <= outputs columns ->
  i < inputs rows -> k < inputs columns ->
  i + pad_before rows = (ceiling (kernel rows) (stride rows) - 1) * stride rows ->
  k + pad_before columns = (ceiling (kernel columns) (stride columns) - 1) * stride columns ->
  count (channels * outs) (fun o => pooling_reads rows columns o (i * inputs columns + k))
  = ceiling (kernel rows) (stride rows) * ceiling (kernel columns) (stride columns).
Proof.
  intros Hc Kr Kc Or Oc Hi Hk Er Ec. rewrite pooling_overlap_factors.
  assert (Hj : i * inputs columns + k < ins) by (unfold ins; nia).
  rewrite (Nat.div_small _ ins Hj), (Nat.mod_small _ ins Hj).
  assert (Dr : (i * inputs columns + k) / inputs columns = i).
  { rewrite Nat.add_comm, Nat.div_add, Nat.div_small by lia. easy. }
  assert (Dc : (i * inputs columns + k) mod inputs columns = k).
  { rewrite Nat.add_comm, Nat.mod_add, Nat.mod_small by lia. easy. }
  rewrite Dr, Dc. destruct strides as [Sr Sc].
  rewrite (axis_overlap_attained rows), (axis_overlap_attained columns) by assumption.
  assert (C : count channels (fun c => c =? 0) = 1).
  { destruct channels as [|c]; [lia|]. change (S c) with (1 + c). rewrite count_add.
    rewrite (count_false c); [easy|]. intros. easy. }
  rewrite C. lia.
Qed.

End Pooling.
