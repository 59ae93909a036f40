(** Zero propagation, METHODS 2: after affine-ReLU [d'_i = [ȳ_i > 0]]; after max pooling of
    non-negative inputs [d' = maxpool(d)]; after a bare affine map [d' = 1].

    The same statement, tested on the program: proofs-checks/Propositions/ZeroPropagation.fs. *)

From Coq Require Import List.
Require Import Lipschitz Theorem2 Theorem3 Proposition2.
Local Open Scope R_scope.

(** The image of a set lies in a restricted ball, if it lies in the ball and is zero where the mask is. *)
Lemma image_in_restricted_ball m y0 d eps y :
  mask m d -> ball m y0 eps y ->
  (forall i, (i < m)%nat -> d i = 0 -> y i = 0 /\ y0 i = 0) ->
  restricted_ball m y0 d eps y.
Proof.
  intros Hd Hb Hz. apply restricted_ball_points; [exact Hd|]. split; [exact Hb|].
  intros i Hi E. destruct (Hz i Hi E) as [-> ->]. reflexivity.
Qed.

Section AfterAffineRelu.
Variables (n m : nat) (A : matrix) (b x0 d : vector) (eps : R).
Hypothesis Hd : mask n d.
Hypothesis Heps : 0 <= eps.

(** [d'_i = [ȳ_i > 0]]. *)
Definition zeros_after_relu : vector :=
  fun i => if Rlt_dec 0 (affine n A b x0 i + reach n A d eps i) then 1 else 0.

Lemma center_in_restricted_ball : restricted_ball n x0 d eps x0.
Proof.
  exists zero. rewrite norm_zero. split; [exact Heps|].
  intros i _. unfold add, diag, zero. ring.
Qed.

Theorem zero_propagation_relu x i :
  restricted_ball n x0 d eps x -> zeros_after_relu i = 0 -> affine_relu n A b x i = 0.
Proof.
  intros Hx. unfold zeros_after_relu, affine_relu.
  destruct (Rlt_dec 0 _) as [|H]; [lra|]. intros _.
  apply relu_negative. pose proof (proposition4_upper n A b x0 d eps x i Hx). lra.
Qed.

(** The next restricted ball holds all outputs: one step of Algorithm 1. *)
Theorem outputs_of_affine_relu c x :
  0 <= c -> nominal n m (affine_relu n A b) x0 (restricted_ball n x0 d eps) c ->
  restricted_ball n x0 d eps x ->
  restricted_ball m (affine_relu n A b x0) zeros_after_relu (eps * c) (affine_relu n A b x).
Proof.
  intros Hc H Hx. apply image_in_restricted_ball.
  - intros i _. unfold zeros_after_relu. destruct (Rlt_dec _ _); auto.
  - apply (proposition2 n m _ x0 (restricted_ball n x0 d eps)); auto.
    intros y Hy. now apply restricted_ball_points in Hy.
  - intros i _ E. split; apply zero_propagation_relu; auto using center_in_restricted_ball.
Qed.

(** After a bare affine map nothing is known to be zero: [d' = 1]. *)
Theorem outputs_of_affine c x :
  0 <= c -> nominal n m (affine n A b) x0 (restricted_ball n x0 d eps) c ->
  restricted_ball n x0 d eps x ->
  restricted_ball m (affine n A b x0) (fun _ => 1) (eps * c) (affine n A b x).
Proof.
  intros Hc H Hx. apply image_in_restricted_ball.
  - intros i _. auto.
  - apply (proposition2 n m _ x0 (restricted_ball n x0 d eps)); auto.
    intros y Hy. now apply restricted_ball_points in Hy.
  - intros i _ E. lra.
Qed.

End AfterAffineRelu.

(** Max pooling of values that are not negative: an output is zero where its whole window is. *)
Theorem zero_propagation_max_pooling (windows : nat -> window) d x i :
  (forall j, In j (members (windows i)) -> 0 <= x j) ->
  (forall j, In j (members (windows i)) -> d j = 0 \/ d j = 1) ->
  (forall j, In j (members (windows i)) -> d j = 0 -> x j = 0) ->
  max_pooling windows d i = 0 -> max_pooling windows x i = 0.
Proof.
  intros Hx Hd Hz E. unfold max_pooling in *.
  assert (Z : forall j, In j (members (windows i)) -> x j = 0).
  { intros j Hj. apply Hz; [exact Hj|]. pose proof (maximum_above d (windows i) j Hj).
    destruct (Hd j Hj); lra. }
  destruct (maximum_attained x (windows i)) as (j & Hj & ->). auto.
Qed.
