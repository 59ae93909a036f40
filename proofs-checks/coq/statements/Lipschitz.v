(** Lipschitz constants of maps from R^n to R^m in the 2-norm
    (METHODS 1; Avant & Morgansen 2021, Definition 2).

    [nominal], [uniform] and [global] say that [L] bounds the constant.  The
    constants themselves are least upper bounds of slopes; the last lemmas say
    that they are the least [L] that bounds. *)

Require Export Vectors.
Local Open Scope R_scope.

Definition set := vector -> Prop.

(** The ball of radius [eps] around [x0], and the one that is restricted to the
    coordinates with [d i = 1] (METHODS 1): [{ x0 + D delta : |delta| <= eps }]. *)
Definition ball (n : nat) (x0 : vector) (eps : R) : set :=
  fun x => norm n (minus x x0) <= eps.

Definition mask (n : nat) (d : vector) : Prop :=
  forall i, (i < n)%nat -> d i = 0 \/ d i = 1.

Definition restricted_ball (n : nat) (x0 d : vector) (eps : R) : set :=
  fun x => exists delta, norm n delta <= eps /\ same n x (add x0 (diag d delta)).

(** The values of [f] on [X]. *)
Definition image (f : vector -> vector) (X : set) : set :=
  fun y => exists x, X x /\ y = f x.

(** [f] stretches no difference between the pairs of [P] by more than [L]. *)
Definition bounds_slopes (n m : nat) (f : vector -> vector) (P : vector -> vector -> Prop) (L : R) : Prop :=
  forall x x', P x x' -> norm m (minus (f x) (f x')) <= L * norm n (minus x x').

Definition pairs_with (x0 : vector) (X : set) : vector -> vector -> Prop :=
  fun x x' => X x /\ x' = x0.
Definition pairs_in (X : set) : vector -> vector -> Prop := fun x x' => X x /\ X x'.
Definition all_pairs : vector -> vector -> Prop := fun _ _ => True.

(** The local constants around a nominal input, and over all pairs, and the global one, are at most [L]. *)
Definition nominal n m f x0 X L := bounds_slopes n m f (pairs_with x0 X) L.
Definition uniform n m f X L := bounds_slopes n m f (pairs_in X) L.
Definition global n m f L := bounds_slopes n m f all_pairs L.

(** The slopes between pairs of [P] at a distance; 0 is among them, so that the constant of a single point is 0. *)
Definition slope (n m : nat) (f : vector -> vector) (P : vector -> vector -> Prop) (s : R) : Prop :=
  s = 0 \/
  exists x x', P x x' /\ 0 < norm n (minus x x') /\
    s = norm m (minus (f x) (f x')) / norm n (minus x x').

Definition constant n m f P L := is_lub (slope n m f P) L.
Definition nominal_constant n m f x0 X L := constant n m f (pairs_with x0 X) L.
Definition uniform_constant n m f X L := constant n m f (pairs_in X) L.
Definition global_constant n m f L := constant n m f all_pairs L.

(** A map from R^n to R^m reads no more than the first [n] entries. *)
Definition is_map (n m : nat) (f : vector -> vector) : Prop :=
  forall x x', same n x x' -> same m (f x) (f x').

(** ** What bounds the slopes, and what they attain *)

Lemma bounds_are_upper_bounds n m f P L :
  is_map n m f ->
  (is_upper_bound (slope n m f P) L <-> 0 <= L /\ bounds_slopes n m f P L).
Proof.
  intros Hf. split.
  - intros U. split; [apply U; now left|]. intros x x' HP.
    destruct (Rle_lt_or_eq_dec _ _ (norm_nonneg n (minus x x'))) as [Hp|Hz].
    + assert (H : norm m (minus (f x) (f x')) / norm n (minus x x') <= L).
      { apply U. right. exists x, x'. auto. }
      apply (Rmult_le_compat_r (norm n (minus x x'))) in H; [|lra].
      unfold Rdiv in H. rewrite Rmult_assoc, Rinv_l in H; lra.
    + assert (S : same n x x').
      { intros i Hi. symmetry in Hz. pose proof (norm_eq_zero n _ Hz i Hi) as E.
        unfold minus, zero in E. lra. }
      rewrite (norm_ext m _ zero), norm_zero, <- Hz; [lra|].
      intros i Hi. unfold minus, zero. rewrite (Hf x x' S i Hi). ring.
  - intros [HL B] s [->|(x & x' & HP & Hp & ->)]; [exact HL|].
    apply (Rmult_le_reg_r (norm n (minus x x'))); auto.
    unfold Rdiv. rewrite Rmult_assoc, Rinv_l; [|lra]. rewrite Rmult_1_r. auto.
Qed.

Lemma constant_bounds n m f P L :
  is_map n m f -> constant n m f P L -> 0 <= L /\ bounds_slopes n m f P L.
Proof. intros Hf [U _]. now apply bounds_are_upper_bounds. Qed.

Lemma constant_is_least n m f P L L' :
  is_map n m f -> constant n m f P L -> 0 <= L' -> bounds_slopes n m f P L' -> L <= L'.
Proof. intros Hf [_ Hl] HL B. apply Hl, bounds_are_upper_bounds; auto. Qed.

(** A bound that is attained by a pair is the constant. *)
Lemma attained_bound_is_constant n m f P L x x' :
  is_map n m f -> 0 <= L -> bounds_slopes n m f P L ->
  P x x' -> 0 < norm n (minus x x') ->
  norm m (minus (f x) (f x')) = L * norm n (minus x x') ->
  constant n m f P L.
Proof.
  intros Hf HL B HP Hd E. split.
  - now apply bounds_are_upper_bounds.
  - intros U HU. apply HU. right. exists x, x'. rewrite E.
    repeat split; auto. field. lra.
Qed.

(** ** Between the definitions *)

Lemma nominal_of_uniform n m f x0 (X : set) L : X x0 -> uniform n m f X L -> nominal n m f x0 X L.
Proof. intros H0 H x x' [Hx ->]. now apply H. Qed.

Lemma uniform_of_global n m f X L : global n m f L -> uniform n m f X L.
Proof. intros H x x' _. now apply H. Qed.

Lemma nominal_of_global n m f x0 X L : global n m f L -> nominal n m f x0 X L.
Proof. intros H x x' _. now apply H. Qed.

(** ** Restricted balls *)

(** The restricted ball holds the points of the ball that agree with [x0] where [d] is 0. *)
Lemma restricted_ball_points n x0 d eps x :
  mask n d ->
  restricted_ball n x0 d eps x <->
  ball n x0 eps x /\ forall i, (i < n)%nat -> d i = 0 -> x i = x0 i.
Proof.
  intros Hd. split.
  - intros (delta & Hn & Hx). split.
    + apply Rle_trans with (norm n delta); auto.
      apply norm_le_entries. intros i Hi. unfold minus.
      rewrite Hx by auto. unfold add, diag.
      destruct (Hd i Hi) as [->| ->].
      * replace (x0 i + 0 * delta i - x0 i) with 0 by ring. rewrite Rabs_R0. apply Rabs_pos.
      * replace (x0 i + 1 * delta i - x0 i) with (delta i) by ring. lra.
    + intros i Hi E. rewrite Hx by auto. unfold add, diag. rewrite E. ring.
  - intros [Hb Hz]. exists (minus x x0). split; [exact Hb|].
    intros i Hi. unfold add, diag, minus.
    destruct (Hd i Hi) as [E|E]; rewrite E; [rewrite (Hz i Hi E)|]; ring.
Qed.
