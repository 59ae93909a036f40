(** Algorithm 1, METHODS 2: walk the layers from [(x0, ε, d = 1)]; at each layer take its constant,
    multiply it into the result, set [ε ← ε·L_layer], move [x0] and [d] on.

    The same statement, tested on the program: proofs-checks/Propositions/Algorithm1.fs. *)

From Coq Require Import List Psatz.
Require Import Lipschitz Proposition2 Proposition3 Theorem2 Theorem3 ZeroPropagation.
Local Open Scope R_scope.

(** Which of the two local constants is bounded. *)
Inductive definition := Nominal | Uniform.

Definition pairs (which : definition) (x0 : vector) (X : set) : vector -> vector -> Prop :=
  match which with Nominal => pairs_with x0 X | Uniform => pairs_in X end.

Definition local (which : definition) n m f x0 X L := bounds_slopes n m f (pairs which x0 X) L.

Lemma local_nominal which n m f x0 (X : set) L :
  X x0 -> local which n m f x0 X L -> nominal n m f x0 X L.
Proof. destruct which; [auto|]. intros H0 H. now apply nominal_of_uniform. Qed.

(** One layer: [c] bounds its constant on the restricted ball of its inputs, and [d'] is zero only
    where all outputs are. *)
Record layer_bound (which : definition) n m f x0 d eps c d' : Prop := {
  constant_nonneg : 0 <= c;
  constant_on_ball : local which n m f x0 (restricted_ball n x0 d eps) c;
  mask_of_outputs : mask m d';
  outputs_in_ball : forall x, restricted_ball n x0 d eps x -> restricted_ball m (f x0) d' (eps * c) (f x)
}.

(** The walk over the layers of [f], from R^n to R^m. *)
Inductive algorithm1 (which : definition) :
  nat -> vector -> vector -> R -> nat -> (vector -> vector) -> R -> Prop :=
| no_layer n x0 d eps :
    algorithm1 which n x0 d eps n (fun x => x) 1
| next_layer n m k f g x0 d d' eps c L :
    layer_bound which n m f x0 d eps c d' ->
    algorithm1 which m (f x0) d' (eps * c) k g L ->
    algorithm1 which n x0 d eps k (fun x => g (f x)) (c * L).

Lemma algorithm1_nonneg which n x0 d eps k f L : algorithm1 which n x0 d eps k f L -> 0 <= L.
Proof.
  induction 1; [lra|]. apply Rmult_le_pos; [|assumption]. now destruct H.
Qed.

Theorem algorithm1_bounds which n x0 d eps k f L :
  algorithm1 which n x0 d eps k f L -> local which n k f x0 (restricted_ball n x0 d eps) L.
Proof.
  induction 1 as [n x0 d eps | n m k f g x0 d d' eps c L B W IH].
  - intros x x' _. lra.
  - pose proof (algorithm1_nonneg _ _ _ _ _ _ _ _ W) as HL. destruct B as [Hc Hb _ Ho].
    intros x x' HP.
    apply Rle_trans with (L * norm m (minus (f x) (f x'))).
    + apply IH. destruct which; simpl in *.
      * destruct HP as [Hx ->]. split; [now apply Ho|easy].
      * destruct HP as [Hx Hx']. split; now apply Ho.
    + rewrite (Rmult_comm c), Rmult_assoc. apply Rmult_le_compat_l; [exact HL | now apply Hb].
Qed.

(** From [d = 1] the result is about the whole ball. *)
Theorem algorithm1_on_ball which n x0 eps k f L :
  algorithm1 which n x0 (fun _ => 1) eps k f L -> local which n k f x0 (ball n x0 eps) L.
Proof.
  intros W x x' HP. apply (algorithm1_bounds _ _ _ _ _ _ _ _ W).
  assert (E : forall y, ball n x0 eps y -> restricted_ball n x0 (fun _ => 1) eps y).
  { intros y Hy. apply restricted_ball_points; [intros i _; auto|]. split; [exact Hy|]. intros. lra. }
  destruct which; simpl in *.
  - destruct HP as [Hx ->]. split; auto.
  - destruct HP as [Hx Hx']. split; auto.
Qed.

(** ** Its layers *)

Section Layers.
Variables (n m : nat) (x0 d : vector) (eps : R).
Hypothesis Hd : mask n d.
Hypothesis Heps : 0 <= eps.

Lemma affine_relu_layer A b c :
  spectral_norm_at_most m n
    (scaled (fun i => relu_slope (affine n A b x0 i) (affine n A b x0 i + reach n A d eps i)) A d) c ->
  layer_bound Nominal n m (affine_relu n A b) x0 d eps c (zeros_after_relu n A b x0 d eps).
Proof.
  intros H. pose proof (theorem2 n m A b x0 d eps Hd Heps c H) as T. destruct H as [Hc _].
  split; [exact Hc | exact T | |].
  - intros i _. unfold zeros_after_relu. destruct (Rlt_dec _ _); auto.
  - intros x Hx. now apply (outputs_of_affine_relu n m).
Qed.

Lemma affine_relu_layer_uniform A b c :
  spectral_norm_at_most m n
    (scaled (fun i => relu_uniform_slope (affine n A b x0 i + reach n A d eps i)) A d) c ->
  layer_bound Uniform n m (affine_relu n A b) x0 d eps c (zeros_after_relu n A b x0 d eps).
Proof.
  intros H. pose proof (theorem2_uniform n m A b x0 d eps Hd c H) as T. destruct H as [Hc _].
  split; [exact Hc | exact T | |].
  - intros i _. unfold zeros_after_relu. destruct (Rlt_dec _ _); auto.
  - intros x Hx. apply (outputs_of_affine_relu n m); auto.
    apply nominal_of_uniform; auto. now apply center_in_restricted_ball.
Qed.

Lemma affine_layer which A b c :
  spectral_norm_at_most m n (scaled (fun _ => 1) A d) c ->
  layer_bound which n m (affine n A b) x0 d eps c (fun _ => 1).
Proof.
  intros H. destruct H as [Hc H].
  assert (U : uniform n m (affine n A b) (restricted_ball n x0 d eps) c).
  { apply (theorem2_slopes n m A b (fun _ y => y) (fun _ => 1) d); [| |now split].
    - intros x x' [Hx Hx']. now apply difference_of_two_live with x0 eps.
    - intros x x' i _ _. rewrite Rmult_1_l. lra. }
  pose proof (center_in_restricted_ball n x0 d eps Heps) as X0.
  split; [exact Hc | | |].
  - destruct which; [now apply nominal_of_uniform | exact U].
  - intros i _. auto.
  - intros x Hx. apply (outputs_of_affine n m A b x0 d eps Hd); auto.
    now apply nominal_of_uniform.
Qed.

(** Max pooling of values that are not negative, as they are behind ReLU. *)
Lemma max_pooling_layer which windows most :
  (forall i j, (i < m)%nat -> In j (members (windows i)) -> (j < n)%nat) ->
  (forall j, (j < n)%nat -> (overlap m windows j <= most)%nat) ->
  (forall j, (j < n)%nat -> d j = 0 -> x0 j = 0) ->
  (forall x j, restricted_ball n x0 d eps x -> (j < n)%nat -> 0 <= x j) ->
  layer_bound which n m (max_pooling windows) x0 d eps (sqrt (INR most)) (max_pooling windows d).
Proof.
  intros Hr Hm Hz Hp.
  pose proof (theorem3 n m windows most Hr Hm) as T.
  pose proof (center_in_restricted_ball n x0 d eps Heps) as X0.
  assert (M : mask m (max_pooling windows d)).
  { intros i Hi. unfold max_pooling. destruct (maximum_attained d (windows i)) as (j & Hj & ->).
    apply Hd. now apply (Hr i). }
  split; [apply sqrt_pos | intros x x' _; now apply T | exact M |].
  intros x Hx. apply image_in_restricted_ball; [exact M | |].
  - apply (proposition2 n m _ x0 (restricted_ball n x0 d eps)); auto using sqrt_pos.
    + intros y Hy. now apply restricted_ball_points in Hy.
    + now apply nominal_of_global.
  - intros i Hi E.
    assert (Z : forall y, restricted_ball n x0 d eps y -> max_pooling windows y i = 0).
    { intros y Hy. apply (zero_propagation_max_pooling windows d y i); auto.
      - intros j Hj. apply Hp; auto. now apply (Hr i).
      - intros j Hj. apply Hd. now apply (Hr i).
      - intros j Hj Dj. apply restricted_ball_points in Hy; [|exact Hd]. destruct Hy as [_ Hy].
        rewrite Hy; eauto. }
    split; auto.
Qed.

End Layers.
